"""A grid from the outside: which engines are at it, asking them to stop, forgetting failures. No torch.

<grid>/engines/<token>.json    the claim of an engine
<grid>/engines/<token>.stop    "drain" or "now": what it is asked
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from bench3d.files import write_text
from bench3d.grid.model import GridPlan, Slot
from bench3d.grid.nodes import PROGRESS, claim_path, forget_failures, node_folder, read_note
from bench3d.records.claims import Holder, holder

ENGINES = "engines"
DRAIN, NOW = "drain", "now"


def engines(plan: GridPlan) -> list[Holder]:
    """The engines that are at a grid; of another machine also one that may be dead."""
    found = (holder(path) for path in sorted((plan.folder / ENGINES).glob("*.json")))
    return [h for h in found if h is not None]


def request_stop(plan: GridPlan, now: bool) -> int:
    """Asks every engine of a grid to begin nothing more, with `now` also to interrupt what runs; how many there are."""
    asked = 0
    for path in sorted((plan.folder / ENGINES).glob("*.json")):
        if holder(path) is not None:
            write_text(path.with_suffix(".stop"), NOW if now else DRAIN)
            asked += 1
    return asked


def forgive(plan: GridPlan, ids: Iterable[str]) -> int:
    """Forgets the failures of nodes; of how many."""
    return sum(forget_failures(plan.folder, node) for node in ids)


def slots(plan: GridPlan) -> list[Slot]:
    """What is being done now, by whichever engine or person, from claims and progress files."""
    found = []
    for node in plan.nodes:
        held = holder(claim_path(plan.results, node.id))
        if held is not None:
            found.append(slot_of(plan.folder, node_id=node.id, plan=plan, place=f"{held.host}:{held.pid}"))
    return found


def slot_of(grid: Path, node_id: str, plan: GridPlan, place: str, seconds: float | None = None) -> Slot:
    """A node that is being done, with what its progress file says."""
    node = next(n for n in plan.nodes if n.id == node_id)
    note = read_note(node_folder(grid, node_id) / PROGRESS)
    total, done = note.get("total"), note.get("done")
    return Slot(
        slot=place,
        node=node,
        seconds=_since(note.get("since")) if seconds is None else seconds,
        stage=str(note.get("stage", "")),
        done=done if isinstance(done, int) else 0,
        total=total if isinstance(total, int) else None,
    )


def _since(text: object) -> float:
    try:
        began = datetime.fromisoformat(str(text))
        return max(0.0, (datetime.now(timezone.utc) - began).total_seconds())
    except (ValueError, TypeError):
        return 0.0
