"""`bench3d reproduce TARGET`: a published table beside what was measured."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3d.cli.data import CategoryOption, DataDirOption
from bench3d.cli.grid_options import RESULTS, EngineOptions, NamesOption, PlanOptions, with_options
from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.cli.runs import Device, OfflineOption
from bench3d.errors import UsageError

if TYPE_CHECKING:
    from bench3d.leaderboard.reproduce import Comparison
    from bench3d.leaderboard.targets import LoadedTarget

OUTSIDE = 1

EPILOG = """\b
Examples:
    bench3d reproduce
    bench3d reproduce cvpr25-table8 --plan
    bench3d reproduce iclr25-correlation --run --executor slurm --gpus-per-worker 1 --workers 8
    bench3d reproduce cvpr25-table8 --results lab1/ --results lab2/ --check
"""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What of a grid's options leaves a target's numbers what they are."""

    data: DataDirOption = None
    device: Annotated[Device | None, typer.Option(help="Of the runs of --run.")] = None
    offline: OfflineOption = False
    category: CategoryOption = None
    settings: Annotated[
        NamesOption, typer.Option("--set", metavar="data.KEY=VALUE", help="Where data stand; executor.KEY as well.")
    ] = None
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Jobs at once.")] = None

    def for_runs(self) -> dict[str, object]:
        """Those that only say how something is run."""
        return {"device": self.device, "category": self.category, "workers": self.workers}

    def for_grid(self, results: Path) -> PlanOptions:
        """As options of `grid run`."""
        for item in self.settings or ():
            if item.strip().partition(".")[0] not in ("data", "executor"):
                raise UsageError(
                    f"--set {item}: a target runs with the settings of its grid.",
                    "Only data.KEY and executor.KEY can be set; for anything else see `bench3d grid run`.",
                )
        return PlanOptions(results=results, **{f.name: getattr(self, f.name) for f in fields(self)})


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("reproduce", short_help="A published table beside what was measured.", epilog=EPILOG)(reproduce)


@with_options
def reproduce(
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help="A table or figure; without: a list.")] = None,
    *,
    results: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Folders of records; --run writes into the first.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what it needs: data, weights, time.")] = False,
    run: Annotated[bool, typer.Option("--run", help="Do the runs that are lacking first, as `grid run` does.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 where a measured cell is off.")] = False,
    include_synthetic: Annotated[
        bool, typer.Option("--include-synthetic", help="Show what does not count, apart: synthetic, random, limited.")
    ] = False,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Also as Markdown.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also as CSV, a line per cell.")] = None,
    options: RunOptions,
    engine: EngineOptions,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Set what was measured beside a published table, cell by cell, with tolerances and known reasons.

    Compares the records that are there; --plan shows what it takes, --run does it. Synthetic data, random weights and
    limited runs never count.
    """
    given = {f.name: getattr(engine, f.name) for f in fields(engine)} | options.for_runs()
    useless = [name for name, value in given.items() if value not in (None, False) and not run]
    if useless:
        raise UsageError(f"--{useless[0].replace('_', '-')} is for --run.")
    if target is None:
        if plan or run or check or markdown or csv:
            raise UsageError("This needs a target.", "See `bench3d reproduce`.")
        _list(as_json)
        return
    from bench3d.leaderboard.targets import load_target

    loaded = load_target(target)
    folders = list(results or [RESULTS])
    grid_options = options.for_grid(folders[0])
    if plan:
        from bench3d.cli.reproduce_plan import show_plan

        show_plan(loaded, grid_options, as_json)
        return
    failed = _run(loaded, grid_options, engine, as_json) if run else 0
    comparison = _compare(loaded, folders, explicit=results is not None)
    _write(comparison, markdown, csv)
    _show(comparison, include_synthetic, as_json)
    if failed:
        raise typer.Exit(failed)
    if check and comparison.count("outside"):
        raise typer.Exit(OUTSIDE)


def _list(as_json: bool) -> None:
    from bench3d.leaderboard.targets import load_target, target_names

    loaded = [load_target(name) for name in target_names()]
    if as_json:
        print_json([_summary(one) for one in loaded])
        return
    from bench3d.cli.reproduce_view import print_targets

    print_targets(loaded, console())


def _summary(loaded: LoadedTarget) -> dict[str, object]:
    target = loaded.target
    return {
        "name": loaded.name,
        "title": target.title,
        "source": loaded.short,
        "where": target.where,
        "cells": len({c.number for c in loaded.cells}),
        "comparable": len({c.number for c in loaded.cells if not c.block.cannot}),
        "grid": target.grid or None,
        "unavailable": target.unavailable or None,
    }


def _run(loaded: LoadedTarget, options: PlanOptions, engine: EngineOptions, as_json: bool) -> int:
    """Runs the target's grid as `grid run` does; its exit code. Its tables go to standard error beside JSON."""
    from bench3d.cli import grid

    if not loaded.target.grid:
        reason = loaded.target.unavailable or "none of its cells can be measured here yet."
        raise UsageError(f"{loaded.name} has no runs: {reason}", "See it with --plan.")
    values = {f.name: getattr(bundle, f.name) for bundle in (options, engine) for f in fields(bundle)}
    grid_run: Callable[..., None] = grid.run
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        try:
            grid_run(grid=loaded.target.grid, **values)
        except typer.Exit as leaving:
            return leaving.exit_code
    return 0


def _compare(loaded: LoadedTarget, folders: list[Path], explicit: bool) -> Comparison:
    from bench3d.leaderboard.entries import find_entries
    from bench3d.leaderboard.reproduce import compare_target

    there = folders if explicit else [f for f in folders if f.is_dir()]
    entries, refused = find_entries(there) if there else ([], [])
    for one in refused:
        print(f"{one.path}: {one.reason}", file=sys.stderr)
    return compare_target(loaded, entries)


def _write(comparison: Comparison, markdown: Path | None, csv: Path | None) -> None:
    from bench3d.files import write_text
    from bench3d.leaderboard.reproduce_files import comparison_csv, comparison_markdown

    if markdown is not None:
        write_text(markdown, comparison_markdown(comparison))
    if csv is not None:
        write_text(csv, comparison_csv(comparison))


def _show(comparison: Comparison, include_synthetic: bool, as_json: bool) -> None:
    if as_json:
        from bench3d.leaderboard.reproduce import comparison_values

        values = comparison_values(comparison)
        if not include_synthetic:
            for cell in values["cells"]:
                del cell["not_comparable"]
        print_json(values)
        return
    from bench3d.cli.reproduce_view import print_comparison

    print_comparison(comparison, console(), include_synthetic)
