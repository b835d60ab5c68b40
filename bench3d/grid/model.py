"""The words of a grid: cells, nodes, the plan, and what is seen while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench3d.runner.spec import RunSpec

Kind = Literal["data", "fit", "run"]
State = Literal["done", "running", "todo", "failed", "blocked", "missing", "incompatible"]
OVER: frozenset[State] = frozenset({"done", "failed", "blocked", "missing", "incompatible"})
"""States in which a grid has nothing more to do about a node."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of a grid file, before anything is looked up.

    Attributes:
        spec: the run.
        part: the name of the grid's part that it came from, "" where the grid has one part.
        varied: what tells it from the others, for people: {"backbone": "hog", "adapter.rank": "4"}.
    """

    spec: RunSpec
    part: str = ""
    varied: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One piece of work of a plan.

    Attributes:
        id: "run-<identity[:12]>", "fit-<recipe[:12]>", "data-<name>"; "cell-<hash>" where no identity can be computed.
        title: for people.
        state: as the results folder had it when it was planned (or looked at again).
        reason: why it is incompatible, missing, blocked or failed.
        hint: the command that helps.
        needs: ids of the nodes that it waits for.
        spec: the run (of a fit or a twin: one of the runs that need it).
        key: identity of a run, recipe of a fit, folder of a twin.
        folder: where its result stands or will stand.
        cells: how many cells of the grid are this node.
        varied: as in Cell.
        seconds, memory_bytes, disk_bytes: estimates; `measured` where they come from earlier records.
    """

    id: str
    kind: Kind
    title: str
    state: State
    reason: str = ""
    hint: str = ""
    needs: tuple[str, ...] = ()
    spec: RunSpec = field(repr=False)
    key: str = ""
    folder: Path | None = None
    cells: int = 1
    part: str = ""
    varied: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    memory_bytes: float | None = None
    disk_bytes: float | None = None
    measured: bool = False


@dataclass(frozen=True, kw_only=True)
class GridPlan:
    """A grid with everything looked up: nodes in an order in which every need comes first.

    Attributes:
        folder: <results>/grids/<name>-<digits>, where this grid keeps its plan, logs and notes.
        problems: sentences (with the next step) that keep it from starting: licences, disk.
        download_bytes: of weights that will be fetched.
    """

    name: str
    summary: str
    folder: Path
    results: Path
    nodes: tuple[Node, ...]
    problems: tuple[str, ...] = ()
    download_bytes: float = 0.0

    def runs(self) -> tuple[Node, ...]:
        """The nodes that leave a record."""
        return tuple(n for n in self.nodes if n.kind == "run")

    def count(self, state: State, kind: Kind | None = None) -> int:
        """How many nodes are in a state."""
        return sum(n.state == state and kind in (None, n.kind) for n in self.nodes)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A job that is being done, as a display shows it: `done` of `total` steps of `stage`."""

    slot: str
    node: Node
    seconds: float
    stage: str = ""
    done: int = 0
    total: int | None = None


@dataclass(frozen=True, kw_only=True)
class GridView:
    """How far a grid is, at one moment. `left_seconds` is None before anything can be said."""

    nodes: Mapping[str, Node]
    slots: tuple[Slot, ...]
    seconds: float
    left_seconds: float | None = None
    stopping: bool = False


class GridWatcher:
    """What an engine tells while it works; the base class is silent."""

    def event(self, node: Node, what: str, detail: str = "") -> None:
        """`what`: "started", "done", "failed", "retried", "waiting" (another process is at it), "blocked"."""

    def tick(self, view: GridView) -> None:
        """Called about twice a second."""

    def say(self, message: str) -> None:
        """A line that stays."""
