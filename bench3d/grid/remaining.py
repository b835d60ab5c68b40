"""How long the rest of a grid will take, by the estimates of its nodes and what they need of each other."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence

from bench3d.grid.model import Kind, Node, Slot, State

AHEAD: frozenset[State] = frozenset({"todo", "running"})


def expected(nodes: Sequence[Node]) -> dict[str, float]:
    """Seconds by node; where a node has none, the mean of its kind, else of all; empty where nothing is known."""
    known = [n.seconds for n in nodes if n.seconds is not None]
    if not known:
        return {}
    means: dict[Kind, float] = {}
    for kind in {n.kind for n in nodes}:
        mine = [n.seconds for n in nodes if n.kind == kind and n.seconds is not None] or known
        means[kind] = sum(mine) / len(mine)
    return {n.id: means[n.kind] if n.seconds is None else n.seconds for n in nodes}


def span(nodes: Sequence[Node], workers: int, times: Mapping[str, float]) -> float:
    """Seconds until all nodes are done by so many workers that take them in this order, each after its needs."""
    mine = {n.id for n in nodes}
    waits = {n.id: len(mine.intersection(n.needs)) for n in nodes}
    after: dict[str, list[str]] = {}
    for node in nodes:
        for need in mine.intersection(node.needs):
            after.setdefault(need, []).append(node.id)
    ready = deque(n.id for n in nodes if not waits[n.id])
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            first = ready.popleft()
            heapq.heappush(running, (now + times.get(first, 0.0), first))
        now, ended = heapq.heappop(running)
        for node_id in after.get(ended, ()):
            waits[node_id] -= 1
            if not waits[node_id]:
                ready.append(node_id)
    return now


def left_seconds(nodes: Sequence[Node], slots: Sequence[Slot]) -> float | None:
    """Seconds left for as many workers as there are slots, by the estimates and by how far the slots are."""
    ahead = [n for n in nodes if n.state in AHEAD]
    times = expected(ahead)
    if ahead and not times:
        return None
    for slot in slots:
        if slot.node.id in times:
            times[slot.node.id] = max(0.0, times[slot.node.id] - slot.seconds)
    return span(ahead, max(1, len(slots)), times)
