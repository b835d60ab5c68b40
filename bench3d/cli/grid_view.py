"""What `bench3d grid plan` shows: runs, fits, what cannot be done and why, and the sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from bench3d.cli.grid_totals import AHEAD, WORDS, Totals, count_states, expected
from bench3d.cli.output import duration, gigabytes
from bench3d.grid.model import GridPlan, Node, State

if TYPE_CHECKING:
    from rich.console import Console

STYLES: Mapping[State, str] = {
    "done": "green",
    "running": "cyan",
    "todo": "",
    "failed": "bold red",
    "blocked": "red",
    "missing": "bold yellow",
    "incompatible": "dim",
}
MOST_LINES, MOST_GROUPS, MOST_REASONS = 40, 60, 12


@dataclass(frozen=True)
class Group:
    """Nodes that share a line: their label, and what they differ in."""

    part: str
    label: str
    nodes: tuple[Node, ...]
    differ: str = ""


def count(number: int, what: str) -> str:
    """1 run, 2 runs."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def label_of(node: Node, coarse: bool = False) -> str:
    """What a node's group is called: backbone and task of a run, the fitted components of a fit."""
    spec = node.spec
    if node.kind == "data":
        return "synthetic twins"
    if node.kind == "run":
        components = (spec.backbone, spec.adapter, spec.shape_model, str(spec.task))
        return str(spec.task) if coarse else " · ".join(name for name in components if name != "none")
    fitted = " + ".join(name for name in (spec.adapter, spec.shape_model) if name != "none")
    return f"fits of {fitted}" if coarse else f"{spec.backbone} · fits of {fitted}"


def grouped(nodes: Sequence[Node], everything: bool = False) -> list[Group]:
    """A line per node where there are few, else a line per part, backbone and task, else one per part and task."""
    if everything or len(nodes) <= MOST_LINES:
        return [Group(n.part, n.title, (n,)) for n in nodes]
    groups: dict[tuple[str, str], list[Node]] = {}
    for coarse in (False, True):
        groups = {}
        for node in nodes:
            groups.setdefault((node.part, label_of(node, coarse)), []).append(node)
        if len(groups) <= MOST_GROUPS:
            break
    parts = list(dict.fromkeys(part for part, _ in groups))
    ordered = sorted(groups.items(), key=lambda item: parts.index(item[0][0]))
    return [Group(part, label, tuple(mine), _differences(mine)) for (part, label), mine in ordered]


def _differences(nodes: Sequence[Node]) -> str:
    """How many values of what a group holds: "3 x adapter, 10 x seed"; what its label says is left out."""
    values: dict[str, set[str]] = {}
    for node in nodes:
        for key, value in node.varied.items():
            values.setdefault(key, set()).add(str(value))
    shown = {key: len(found) for key, found in values.items() if len(found) > 1 and key not in ("part", "task")}
    return ", ".join(f"{number} x {key.replace('_', ' ')}" for key, number in shown.items())


def states_text(counts: Mapping[str, int]) -> Text:
    """3 done · 12 to do · 1 failed."""
    text = Text()
    for state, number in counts.items():
        text.append(" · " if text else "")
        text.append(f"{number:,} {WORDS[state]}", style=STYLES[state])  # type: ignore[index]
    return text


def node_table(nodes: Sequence[Node], everything: bool) -> Table:
    """State, what, and time and memory of what is to do: a line per group, under their parts; dim times are guesses."""
    groups = grouped(nodes, everything)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("state", no_wrap=all(len(g.nodes) == 1 for g in groups), max_width=24)
    table.add_column("what", overflow="fold", ratio=1)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    part = ""
    for group in groups:
        if group.part != part:
            part = group.part
            table.add_row("", Text(part, style="bold"))
        ahead = [n for n in group.nodes if n.state in AHEAD]
        memory = max((n.memory_bytes for n in ahead if n.memory_bytes is not None), default=None)
        what = Text(group.label)
        if group.differ:
            what.append(f"  {group.differ}", style="dim")
        one = group.nodes[0]
        state = (
            Text(WORDS[one.state], style=STYLES[one.state])
            if len(group.nodes) == 1
            else states_text(count_states(group.nodes))
        )
        table.add_row(state, what, _time(ahead), gigabytes(memory))
    return table


def _time(ahead: Sequence[Node]) -> Text:
    """The sum of what is to do; dim where it is no measurement."""
    times = expected(ahead)
    if not ahead or not times:
        return Text("")
    measured = all(n.measured for n in ahead)
    return Text(duration(sum(times.values())), style="" if measured else "dim")


def print_plan(plan: GridPlan, sums: Totals, out: Console, everything: bool = False) -> None:
    """The whole plan, as `bench3d grid plan` shows it."""
    title = Text(plan.name, style="bold cyan")
    title.append(f"  {plan.summary}" if plan.summary else "", style="default not bold")
    out.print(title)
    shown = [n for n in plan.runs() if everything or n.state not in ("incompatible", "missing")]
    if shown:
        out.print(node_table(shown, everything))
    before = [n for n in plan.nodes if n.kind != "run"]
    if before:
        out.print(Text("\nFits and synthetic twins, each made once and shared", style="bold"))
        out.print(node_table(before, everything))
    print_reasons(plan.nodes, out, everything)
    out.print()
    for line in totals_lines(plan, sums):
        out.print(line)
    print_problems(plan, out)


def print_reasons(nodes: Iterable[Node], out: Console, everything: bool = False) -> None:
    """What cannot be done or was not, by reason, with the command that helps."""
    headings: dict[State, str] = {
        "missing": "Missing data or weights",
        "incompatible": "Incompatible",
        "failed": "Failed before",
        "blocked": "Blocked",
    }
    every = list(nodes)
    for state, heading in headings.items():
        reasons: dict[tuple[str, str], list[Node]] = {}
        for node in every:
            if node.state == state:
                reasons.setdefault((node.reason, node.hint), []).append(node)
        if not reasons:
            continue
        out.print(Text(f"\n{heading}", style=STYLES[state] if state != "incompatible" else "bold"))
        for (reason, hint), mine in list(reasons.items())[: None if everything else MOST_REASONS]:
            what = mine[0].title if len(mine) == 1 else _counted(mine)
            line = Text(f"{what}: ", style="bold")
            line.append(reason or "no reason is known", style="default not bold")
            out.print(line)
            if hint:
                out.print(Text(f"  {hint}", style="cyan"))
        if not everything and len(reasons) > MOST_REASONS:
            out.print(f"... and {len(reasons) - MOST_REASONS} more reasons (--all)")


def _counted(nodes: Sequence[Node]) -> str:
    words = {"run": "run", "fit": "fit", "data": "twin"}
    kinds = [(words[k], sum(n.kind == k for n in nodes)) for k in words]
    return ", ".join(count(number, word) for word, number in kinds if number)


def totals_lines(plan: GridPlan, sums: Totals) -> list[Text]:
    """The sums, a line each."""
    line = Text("Runs: ", style="bold").append_text(states_text(sums.states) if sums.states else Text("none"))
    cells, runs = sum(n.cells for n in plan.runs()), len(plan.runs())
    if cells > runs:
        line.append(f"  ({count(cells, 'cell')}, equal ones once)", style="dim")
    lines = [line]
    if sums.fits:
        lines.append(Text("Fits and twins: ", style="bold").append_text(states_text(sums.fits)))
    if any(n.state in AHEAD for n in plan.nodes):
        lines.append(_time_line(sums))
    if sums.memory_bytes is not None:
        lines.append(Text("Memory: ", style="bold").append(f"{gigabytes(sums.memory_bytes)} for the largest job", ""))
    need = [f"{gigabytes(sums.disk_bytes)} needed"] if sums.disk_bytes else []
    free = [f"{gigabytes(sums.disk_free)} free"] if sums.disk_free is not None else []
    if need or free:
        lines.append(Text("Disk: ", style="bold").append(", ".join(need + free), "default not bold"))
    if plan.download_bytes:
        text = f"{gigabytes(plan.download_bytes)} of weights will be fetched"
        lines.append(Text("Downloads: ", style="bold").append(text, "default not bold"))
    return lines


def _time_line(sums: Totals) -> Text:
    line = Text("Time: ", style="bold")
    if sums.seconds is None or sums.span_seconds is None:
        return line.append("not known before the first run is done", "default not bold")
    line.append(f"about {duration(sums.span_seconds)} with {count(sums.workers, 'worker')}", "default not bold")
    hours = [f"{hours_text(sums.gpu_seconds)} GPU-hours"] if sums.gpu_seconds else []
    hours += [f"{hours_text(sums.core_seconds)} core-hours"] if sums.core_seconds else []
    if hours:
        line.append(f"; {' and '.join(hours)} of work", "default not bold")
    if sums.unknown:
        line.append(f"  ({sums.unknown:,} without an estimate count as the mean of the others)", "dim not bold")
    return line


def hours_text(seconds: float) -> str:
    """0.04, 1.3 or 250 hours."""
    hours = seconds / 3600
    return f"{hours:.0f}" if hours >= 20 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"


def print_problems(plan: GridPlan, out: Console) -> None:
    """What keeps the grid from starting, in red."""
    for problem in plan.problems:
        out.print(Text(f"\n{problem}", style="bold red"))
