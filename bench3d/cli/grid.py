"""`bench3d grid ...`: many runs from one file: planned, run anywhere, watched, resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli import grid_logs, grid_watch
from bench3d.cli.grid_options import (
    EngineOptions,
    GridArgument,
    PlanOptions,
    again,
    executor_name,
    executor_settings,
    with_options,
)
from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.errors import UsageError
from bench3d.machine import usable_cores
from bench3d.plugins.logs import ask_for

if TYPE_CHECKING:
    from bench3d.grid.files import GridFile
    from bench3d.grid.model import GridPlan

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
SOME_FAILED, REFUSED, INTERRUPTED = 1, UsageError.exit_code, 130

AllOption = Annotated[bool, typer.Option("--all", help="A line for every run.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group.command("list", epilog="Example: bench3d grid list")(list_)
    group.command("show", epilog="Example: bench3d grid show demo")(show)
    group.command("plan", epilog="Example: bench3d grid plan demo --workers 2")(plan)
    group.command("run", epilog="Example: bench3d grid run demo --executor local --workers 2")(run)
    group.command("retry", epilog="Example: bench3d grid retry demo run-0123456789ab")(retry)
    grid_watch.register(group)
    grid_logs.register(group)
    app.add_typer(
        group,
        name="grid",
        help="Many runs from one file: planned, run anywhere, watched, resumed.",
        epilog="Example: bench3d grid plan demo",
    )


def list_(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the grids that ship with bench3d."""
    from rich.table import Table
    from rich.text import Text

    from bench3d.grid.files import shipped

    grids = shipped()
    if as_json:
        print_json([{"name": name, "summary": summary} for name, summary in grids])
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, summary in grids:
        table.add_row(name, Text(summary))
    out = console()
    out.print(table)
    out.print(Text("\nA grid of yours is a YAML file: bench3d grid plan FILE.yaml", style="dim"))


def show(grid: GridArgument, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Show a grid's file and how many cells each of its parts has."""
    from rich.text import Text

    from bench3d.grid.expand import Overrides, expand
    from bench3d.grid.files import read_grid

    read = read_grid(grid)
    text, out = grid_text(read), console()
    if not as_json:  # before anything in it is looked up: the file of a grid that cannot be expanded can be seen
        out.print(Text(text.rstrip()), soft_wrap=True)
    cells: dict[str, int] = {}
    for cell in expand(read, Overrides()):
        cells[cell.part] = cells.get(cell.part, 0) + 1
    total = sum(cells.values())
    if as_json:
        print_json({"name": read.name, "summary": read.summary, "text": text, "cells": total, "parts": cells})
        return
    out.print()
    for part, number in cells.items():
        if part:
            out.print(Text(f"{part}: ", style="bold").append(_cells(number), "default not bold"))
    out.print(Text(f"{_cells(total)} in all: bench3d grid plan {grid}", style="dim"))


def _cells(number: int) -> str:
    return f"{number:,} cell{'' if number == 1 else 's'}"


def grid_text(read: GridFile) -> str:
    """The file that a grid was read from, as it stands there."""
    from importlib.resources import files

    path = Path(read.source)
    place = path if path.is_file() else files("bench3d.configs") / "grids" / read.source
    return place.read_text(encoding="utf-8")


@with_options
def plan(
    grid: GridArgument,
    options: PlanOptions,
    everything: AllOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what a grid would do: done, to do, impossible and why, with time, memory and disk."""
    from bench3d.cli.grid_totals import plan_values, totals
    from bench3d.cli.grid_view import print_plan

    planned = make_plan(grid, options)
    workers = options.workers or usable_cores()
    if as_json:
        print_json(plan_values(planned, workers))
        return
    out = console()
    print_plan(planned, totals(planned, workers), out, everything)
    if not planned.problems and any(n.state == "todo" for n in planned.nodes):
        out.print(f"\nStart it: {again('run', grid, options.results)}, with the same options.", soft_wrap=True)


def make_plan(grid: str, options: PlanOptions) -> GridPlan:
    """Looks everything up; says that it is at it where that is a terminal."""
    from bench3d.grid.plan import plan_grid

    overrides = options.overrides()
    err = console(stderr=True)
    if not err.is_terminal:
        return plan_grid(grid, overrides)
    with err.status("Looking everything up"):
        return plan_grid(grid, overrides)


@with_options
def run(
    grid: GridArgument,
    options: PlanOptions,
    engine: EngineOptions,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Do what a grid still lacks. What has a record is done: run it again to go on after anything."""
    ask_for(engine.log or [])
    settings = executor_settings(engine, options.for_executor())
    _run(grid, make_plan(grid, options), options, engine, settings, as_json)


@with_options
def retry(
    grid: GridArgument,
    options: PlanOptions,
    engine: EngineOptions,
    nodes: Annotated[
        list[str] | None, typer.Argument(metavar="[NODE]...", help="Only these: the beginning of an id, or a title.")
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run what failed once more, then go on like `run`."""
    from bench3d.cli.grid_logs import find_nodes
    from bench3d.grid.control import forgive

    ask_for(engine.log or [])
    settings = executor_settings(engine, options.for_executor())
    planned = make_plan(grid, options)
    chosen = [n for word in nodes or () for n in find_nodes(planned, word)] if nodes else list(planned.nodes)
    failed = list(dict.fromkeys(n.id for n in chosen if n.state == "failed"))
    if nodes and not failed:
        raise UsageError("None of these has failed.", f"See {again('status', grid, options.results)}.")
    if failed:
        forgiven = forgive(planned, failed)
        print_note(f"{forgiven} that failed {'is' if forgiven == 1 else 'are'} tried again.")
        planned = make_plan(grid, options)
    _run(grid, planned, options, engine, settings, as_json)


def print_note(text: str) -> None:
    """A line on standard error."""
    from rich.text import Text

    console(stderr=True).print(Text(text))


def _run(
    grid: str,
    planned: GridPlan,
    options: PlanOptions,
    engine: EngineOptions,
    settings: dict[str, Any],
    as_json: bool,
) -> None:
    from bench3d.cli.grid_display import display_for
    from bench3d.cli.grid_end import print_end, result_values, results_of
    from bench3d.cli.grid_totals import plan_values, totals
    from bench3d.cli.grid_view import print_problems, totals_lines
    from bench3d.grid.engine import GridOutcome, run_grid

    err = console(stderr=True)
    if planned.problems:
        print_problems(planned, err)
        raise typer.Exit(REFUSED)
    workers = options.workers or usable_cores()
    ahead = any(n.state in ("todo", "running") for n in planned.nodes)
    if ahead:
        for line in totals_lines(planned, totals(planned, workers)):
            err.print(line)
        with display_for() as display:
            outcome = run_grid(
                planned,
                executor_name(engine),
                settings,
                display,
                workers=options.workers,
                device="auto" if options.device is None else options.device.value,
                detach=engine.detach,
            )
    else:
        outcome = GridOutcome(plan=planned, interrupted=False)
    if as_json:
        scores = result_values(results_of(outcome.plan.runs()))
        values = plan_values(outcome.plan, workers)
        print_json({**values, "interrupted": outcome.interrupted, "results_by_node": scores})
    else:
        print_end(outcome.plan, grid, options.results, console())
    _leave(grid, outcome.plan, outcome.interrupted, options, engine)


def _leave(grid: str, final: GridPlan, interrupted: bool, options: PlanOptions, engine: EngineOptions) -> None:
    """Ends with the exit code, and with a sentence where something is left."""
    left = sum(n.state in ("todo", "running") for n in final.nodes)
    if interrupted or (left and not engine.detach):
        go_on = again("run", grid, options.results)
        print_note(
            f"Stopped with {left} of {len(final.nodes)} jobs left. What is done is kept; it goes on with {go_on}"
        )
        raise typer.Exit(INTERRUPTED)
    if left:
        print_note(f"{left} jobs are handed over. See {again('status', grid, options.results)}")
    if _not_done(final.nodes):
        raise typer.Exit(SOME_FAILED)


def _not_done(nodes: Sequence[Any]) -> bool:
    return any(n.state in ("failed", "blocked", "missing") for n in nodes)
