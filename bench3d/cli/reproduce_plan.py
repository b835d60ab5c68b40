"""`bench3d reproduce TARGET --plan`: data, weights, time and disk of a target, and what is not possible yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from bench3d.cli.fetch_needs import find_needs
from bench3d.cli.grid_totals import free_bytes
from bench3d.cli.grid_view import hours_text
from bench3d.cli.output import console, gigabytes, print_json
from bench3d.cli.reproduce_view import print_cannot, print_heading, print_unavailable
from bench3d.data.root import data_root
from bench3d.leaderboard.target_plan import Cost, grid_cost, not_possible
from bench3d.leaderboard.targets import LoadedTarget
from bench3d.plugins import parse_set

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.cli.grid_options import PlanOptions

STYLES = {"there": "green", "given": "green", "missing": "bold yellow", "not given": "bold yellow"}


@dataclass(frozen=True)
class NeedLine:
    """One thing that a target needs: "there", "missing", "given", "not given" or "on first use", and how to get it.

    `part` says that `bytes` is the size of the whole, of which less is needed.
    """

    kind: str
    what: str
    state: str
    bytes: int | None
    how: str
    part: bool = False


def show_plan(loaded: LoadedTarget, options: PlanOptions, as_json: bool) -> None:
    """Prints what a target takes."""
    target = loaded.target
    lines = need_lines(loaded, options) if target.grid else []
    cost = grid_cost(target.grid, options.results, options.data) if target.grid else None
    if as_json:
        print_json(_values(loaded, lines, cost))
        return
    out = console()
    print_heading(loaded, out)
    if target.unavailable:
        print_unavailable(loaded, out)
        return
    if lines:
        out.print(Text("\nNeeds", style="bold"))
        out.print(_table(lines))
    out.print()
    for line in _cost_lines(loaded, cost, options.results):
        out.print(line)
    print_cannot(loaded.cells, out)
    if cost is not None:
        _print_next(loaded, lines, cost, out)


def need_lines(loaded: LoadedTarget, options: PlanOptions) -> list[NeedLine]:
    """Data sets, weights and further files, each with its state and what gets it."""
    root = data_root(options.data)
    needs = find_needs(loaded.target.grid, root, options.data, (), network=False)
    lines = []
    for plan in needs.datasets:
        names = f" --category {','.join(plan.categories)}" if _by_category(plan) else ""
        how = f"bench3d data fetch {plan.registration.name}{names}"
        state = "missing" if plan.todo else "there"
        size = plan.bytes if plan.bytes is not None else plan.registration.bytes
        part = plan.bytes is None and bool(names)
        lines.append(NeedLine("data set", plan.registration.name, state, size, how if plan.todo else "", part))
    for name, error in needs.by_hand:
        lines.append(NeedLine("data set", name, "missing", _whole(name), error.hint or error.message))
    for file in needs.files:
        state = "there" if file.there else "missing" if file.there is False else "on first use"
        how = "" if file.there else f"bench3d data fetch {loaded.target.grid}"
        size = None if file.there else file.bytes
        lines.append(NeedLine("weights", file.name.removeprefix("backbone "), state, size, how))
    given = parse_set(options.settings or ()).get("data", {})
    for need in loaded.target.needs:
        state = "given" if need.setting and need.setting.partition(".")[2] in given else "not given"
        lines.append(NeedLine("files", need.what, state, None, "" if state == "given" else need.how))
    return lines


def _by_category(plan: Any) -> bool:
    return any(item.download.categories for item in plan.items) and bool(plan.categories)


def _whole(name: str) -> int | None:
    from bench3d.cli.fetch_needs import dataset

    return dataset(name).bytes


def _table(lines: Sequence[NeedLine]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    how = ""
    for line in lines:
        size = f", {gigabytes(line.bytes)}{' as a whole' if line.part else ''}" if line.bytes else ""
        text = Text(line.what, style="bold").append(f" ({line.kind}{size})", style="default not bold")
        if line.how and line.how != how:
            text.append(f"\n{line.how}", style="cyan not bold")
        elif line.how:
            text.append("  the same command", style="dim not bold")
        how = line.how
        table.add_row(Text(line.state, style=STYLES.get(line.state, "")), text)
    return table


def _cost_lines(loaded: LoadedTarget, cost: Cost | None, results: Path) -> list[Text]:
    lines: list[Text] = []
    if cost is not None:
        done = cost.runs - cost.runs_left
        text = f"{cost.runs} (grid {loaded.target.grid}): {done} done, {cost.runs_left} to do"
        text += f", for which {cost.fits_left} models are trained" if cost.fits_left else ""
        lines.append(_line("Runs", text))
        if cost.runs_left:
            unknown = f"; {cost.unknown} runs without an estimate come on top" if cost.unknown else ""
            known = cost.unknown < cost.runs_left + cost.fits_left
            hours = f"about {hours_text(cost.seconds)}, estimated{unknown}" if known else "not known before a first run"
            lines.append(_line("GPU-hours", hours))
            free = free_bytes(results)
            room = f", {gigabytes(free)} free" if free is not None else ""
            disk = gigabytes(cost.disk_bytes) if cost.disk_bytes else "not known"
            lines.append(_line("Disk", f"{disk} for results and features{room}"))
    if loaded.target.hours:
        lines.append(_line("Published", loaded.target.hours))
    can = len({c.number for c in loaded.cells if not c.block.cannot})
    lines.append(_line("Cells", f"{can} of {len({c.number for c in loaded.cells})} printed ones can be measured here"))
    return lines


def _line(name: str, text: str) -> Text:
    return Text(f"{name}: ", style="bold").append(text, style="default not bold")


def _print_next(loaded: LoadedTarget, lines: Sequence[NeedLine], cost: Cost, out: Console) -> None:
    flags = [f"--set {n.setting}=..." for n in loaded.target.needs if n.setting]
    out.print()
    if cost.runs_left:
        missing = any(line.state in ("missing", "not given") for line in lines)
        first = "When that is there" if missing else "Start it"
        out.print(Text(f"{first}: bench3d reproduce {' '.join([loaded.name, '--run', *flags])}", style="dim"))
    out.print(Text(f"Compare what is there: bench3d reproduce {loaded.name}", style="dim"))


def _values(loaded: LoadedTarget, lines: Sequence[NeedLine], cost: Cost | None) -> dict[str, Any]:
    return {
        "target": loaded.name,
        "title": loaded.target.title,
        "grid": loaded.target.grid or None,
        "unavailable": loaded.target.unavailable or None,
        "needs": [vars(line) for line in lines],
        "cost": None if cost is None else {**vars(cost), "gpu_hours": cost.seconds / 3600},
        "published_hours": loaded.target.hours or None,
        "not_possible": {reason: len(cells) for reason, cells in not_possible(loaded.cells).items()},
    }
