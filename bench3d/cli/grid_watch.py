"""A grid from another shell: `bench3d grid status` and `stop`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli.grid_options import RESULTS, GridArgument, again
from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.cli.runs import ResultsOption

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from bench3d.grid.model import GridPlan, GridView
    from bench3d.records.claims import Holder

LOOK_SECONDS = 2.0
LEFT = 130


def register(group: typer.Typer) -> None:
    """Adds the commands."""
    group.command("status", epilog="Example: bench3d grid status demo --watch")(status)
    group.command("stop", epilog="Example: bench3d grid stop demo --now")(stop)


@dataclass(frozen=True)
class Look:
    """A grid as another shell sees it at one moment."""

    plan: GridPlan
    view: GridView
    engines: Sequence[Holder]

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return not any(n.state in ("todo", "running") for n in self.plan.nodes)


def saved(grid: str, results: Path) -> GridPlan:
    """The last plan of a grid, by its name or its file's."""
    from bench3d.grid.plan import saved_plan

    name = Path(grid).stem if grid.endswith((".yaml", ".yml")) else grid
    return saved_plan(name, results)


def look(grid: str, results: Path) -> Look:
    """Reads plan, claims and progress files."""
    from bench3d.grid.control import engines, slots
    from bench3d.grid.model import GridView
    from bench3d.grid.remaining import left_seconds

    plan = saved(grid, results)
    at_work, holders = tuple(slots(plan)), engines(plan)
    left = left_seconds(plan.nodes, at_work)
    spans = [span for span in map(seconds_at_it, holders) if span is not None]
    nodes = {n.id: n for n in plan.nodes}
    view = GridView(nodes=nodes, slots=at_work, seconds=max(spans, default=0.0), left_seconds=left)
    return Look(plan, view, holders)


def seconds_at_it(holder: Holder) -> float | None:
    """For how long an engine is at it; None for one on another machine, whose clock may go wrong."""
    try:
        began = datetime.fromisoformat(holder.since.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
    return max(0.0, time.time() - began) if holder.here else None


def status(
    grid: GridArgument,
    results: ResultsOption = RESULTS,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until nothing is left to do.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show how far a grid is, what runs now and where, what failed, and the time left; from any shell."""
    if as_json:
        print_json(look_values(look(grid, results)))
        return
    out = console()
    if not watch:
        out.print(look_lines(look(grid, results), grid, results))
        return
    try:
        _watch(grid, results, out)
    except KeyboardInterrupt:
        raise typer.Exit(LEFT) from None  # the way to leave it, and nothing was interrupted


def _watch(grid: str, results: Path, out: Console) -> None:
    from rich.live import Live

    from bench3d.cli.grid_display import PlainDisplay

    seen = look(grid, results)
    if out.is_terminal:
        with Live(console=out, auto_refresh=False, transient=True) as live:
            while not seen.is_over:
                live.update(look_lines(seen, grid, results, out.height), refresh=True)
                time.sleep(LOOK_SECONDS)
                seen = look(grid, results)
    else:
        display = PlainDisplay()
        while not seen.is_over:
            display.tick(seen.view)
            time.sleep(LOOK_SECONDS)
            seen = look(grid, results)
    out.print(look_lines(seen, grid, results))


def look_values(seen: Look) -> dict[str, Any]:
    """A look as JSON."""
    from bench3d.cli.grid_totals import count_states, node_values, slot_values

    keep = ("id", "kind", "title", "state", "reason", "hint", "part", "varied", "folder")
    return {
        "name": seen.plan.name,
        "folder": str(seen.plan.folder),
        "results": str(seen.plan.results),
        "over": seen.is_over,
        "runs": count_states(seen.plan.runs()),
        "fits": count_states(n for n in seen.plan.nodes if n.kind != "run"),
        "left_seconds": seen.view.left_seconds,
        "engines": [{"host": h.host, "pid": h.pid, "since": h.since} for h in seen.engines],
        "slots": [slot_values(s) for s in seen.view.slots],
        "nodes": [{k: v for k, v in node_values(n).items() if k in keep} for n in seen.plan.nodes],
    }


def look_lines(seen: Look, grid: str, results: Path, height: int = 0) -> RenderableType:
    """Counts, what is being done, engines and failures; no more failures than a terminal of `height` lines holds."""
    from rich.console import Group
    from rich.text import Text

    from bench3d.cli.grid_display import slot_table, total_line
    from bench3d.cli.grid_totals import count_states
    from bench3d.cli.grid_view import states_text

    title = Text(f"{seen.plan.name}  ", style="bold cyan").append("runs: ", "default not bold")
    lines: list[RenderableType] = [title.append_text(states_text(count_states(seen.plan.runs())))]
    fits = count_states(n for n in seen.plan.nodes if n.kind != "run")
    if fits:
        lines.append(Text("Fits and twins: ").append_text(states_text(fits)))
    room = max(3, height - 8) if height else len(seen.view.slots)
    if seen.view.slots:
        lines.append(slot_table(seen.view.slots[:room]))
    if len(seen.view.slots) > room:
        lines.append(Text(f"... and {len(seen.view.slots) - room} more at work", style="dim"))
    if not seen.is_over:
        lines += [total_line(seen.view), _engines_line(seen, grid, results)]
    failed = [n for n in seen.plan.nodes if n.state == "failed"]
    most = max(1, height - len(lines) - min(room, len(seen.view.slots)) - 4) if height else len(failed)
    for node in failed[:most]:
        lines.append(Text("failed  ", style="bold red").append(f"{node.title}: {node.reason}", "default not bold"))
        if not height:
            lines.append(Text(f"        {again('logs', grid, results, node.id)}", style="cyan"))
    if len(failed) > most:
        lines.append(Text(f"... and {len(failed) - most} more failed", style="red"))
    return Group(*lines)


def _engines_line(seen: Look, grid: str, results: Path) -> RenderableType:
    from rich.text import Text

    from bench3d.cli.output import duration

    if not seen.engines:
        return Text(f"No engine is at it: {again('run', grid, results)} goes on.", style="yellow")
    words = []
    for holder in seen.engines:
        span = seconds_at_it(holder)
        since = f"since {holder.since} by its clock" if span is None else f"for {duration(span)}"
        words.append(f"{holder.host} process {holder.pid}, {since}")
    return Text(f"At it: {'; '.join(words)}", style="dim")


def stop(
    grid: GridArgument,
    results: ResultsOption = RESULTS,
    now: Annotated[bool, typer.Option("--now", help="Interrupt what runs; its samples are kept.")] = False,
    debug: DebugOption = False,
) -> None:
    """Ask every engine at a grid to begin nothing more, and to leave when what runs is done."""
    from bench3d.grid.control import request_stop

    asked = request_stop(saved(grid, results), now)
    out = console()
    if not asked:
        out.print("Nothing is at work on this grid.")
        return
    what = "what runs is interrupted" if now else "what runs is finished first (--now interrupts it)"
    out.print(f"{asked} engine{' was' if asked == 1 else 's were'} asked to stop: {what}.")
