"""Sums over a grid's nodes: time, memory, disk, counts; and a plan as JSON values."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.grid.model import GridPlan, GridView, Node, Slot, State
from bench3d.grid.remaining import AHEAD, expected, span
from bench3d.machine import likely_device
from bench3d.runner.spec import spec_values

LEFT_OUT: frozenset[State] = frozenset({"incompatible", "missing"})
WORDS: Mapping[State, str] = {
    "done": "done",
    "running": "running",
    "todo": "to do",
    "failed": "failed",
    "blocked": "blocked",
    "missing": "missing",
    "incompatible": "incompatible",
}


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What is still to be done, of all nodes together.

    Attributes:
        seconds: of work, one job after the other; None where nothing is known.
        span_seconds: with `workers` jobs at once.
        unknown: nodes to do without an estimate; they count as the mean of their kind.
        gpu_seconds, core_seconds: the parts of `seconds` on a GPU and on processors.
        memory_bytes: of the largest job.
    """

    states: Mapping[str, int]
    fits: Mapping[str, int]
    workers: int
    seconds: float | None
    span_seconds: float | None
    unknown: int
    gpu_seconds: float
    core_seconds: float
    memory_bytes: float | None
    disk_bytes: float
    disk_free: int | None


def totals(plan: GridPlan, workers: int) -> Totals:
    """The sums of a plan for so many workers."""
    ahead = [n for n in plan.nodes if n.state in AHEAD]
    times = expected(ahead)
    gpu = sum(times[n.id] for n in ahead if n.id in times and on_gpu(n))
    memory = [n.memory_bytes for n in ahead if n.memory_bytes is not None]
    return Totals(
        states=count_states(plan.runs()),
        fits=count_states(n for n in plan.nodes if n.kind != "run"),
        workers=workers,
        seconds=sum(times.values()) if times or not ahead else None,
        span_seconds=span(ahead, workers, times) if times or not ahead else None,
        unknown=sum(n.seconds is None for n in ahead),
        gpu_seconds=gpu,
        core_seconds=sum(times.values()) - gpu,
        memory_bytes=max(memory) if memory else None,
        disk_bytes=sum(n.disk_bytes or 0.0 for n in ahead),
        disk_free=free_bytes(plan.results),
    )


def count_states(nodes: Iterable[Node]) -> dict[str, int]:
    """How many nodes are in each state, in the order in which states are shown; absent ones are left out."""
    counts = Counter(n.state for n in nodes)
    return {state: counts[state] for state in WORDS if counts[state]}


def on_gpu(node: Node) -> bool:
    """Whether a node will be done on a GPU: as its device says, and for auto as this machine has one; never a twin."""
    return node.kind != "data" and likely_device(node.spec.device) == "cuda"


def free_bytes(path: Path) -> int | None:
    """Free space where `path` is or will be."""
    for folder in (path.absolute(), *path.absolute().parents):
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            continue
    return None


def node_values(node: Node) -> dict[str, Any]:
    """A node as JSON."""
    return {
        "id": node.id,
        "kind": node.kind,
        "title": node.title,
        "state": node.state,
        "reason": node.reason,
        "hint": node.hint,
        "part": node.part,
        "varied": dict(node.varied),
        "cells": node.cells,
        "needs": list(node.needs),
        "key": node.key,
        "folder": None if node.folder is None else str(node.folder),
        "seconds": node.seconds,
        "memory_bytes": node.memory_bytes,
        "disk_bytes": node.disk_bytes,
        "measured": node.measured,
        "spec": spec_values(node.spec),
    }


def plan_values(plan: GridPlan, workers: int) -> dict[str, Any]:
    """A plan with its totals as JSON."""
    return {
        "name": plan.name,
        "summary": plan.summary,
        "folder": str(plan.folder),
        "results": str(plan.results),
        "problems": list(plan.problems),
        "download_bytes": plan.download_bytes,
        "totals": vars(totals(plan, workers)),
        "nodes": [node_values(n) for n in plan.nodes],
    }


def slot_values(slot: Slot) -> dict[str, Any]:
    """What is being done, as JSON."""
    return {
        "slot": slot.slot,
        "node": slot.node.id,
        "title": slot.node.title,
        "stage": slot.stage,
        "done": slot.done,
        "total": slot.total,
        "seconds": round(slot.seconds, 1),
    }


@dataclass(frozen=True)
class Progressed:
    """Counts of a view: `total` runs can be done at all, of `over` nothing more will come, `failed` has fits too."""

    done: int
    over: int
    total: int
    failed: int
    blocked: int
    fits_done: int
    fits_total: int

    @staticmethod
    def of(view: GridView) -> Progressed:
        """Counts a view's nodes."""
        runs = Counter(n.state for n in view.nodes.values() if n.kind == "run")
        fits = Counter(n.state for n in view.nodes.values() if n.kind != "run")
        return Progressed(
            done=runs["done"],
            over=runs["done"] + runs["failed"] + runs["blocked"],
            total=sum(runs.values()) - sum(runs[s] for s in LEFT_OUT),
            failed=runs["failed"] + fits["failed"],
            blocked=runs["blocked"],
            fits_done=fits["done"],
            fits_total=sum(fits.values()) - sum(fits[s] for s in LEFT_OUT),
        )
