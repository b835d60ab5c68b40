"""`bench3d data prepare`: what a reader does when its data are first read, done ahead and in parallel."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, duration, print_json
from bench3d.contracts import DatasetRegistration
from bench3d.errors import DataError, UsageError
from bench3d.machine import usable_cores
from bench3d.plugins import load_registry, load_settings, parse_set
from bench3d.plugins.names import resolve

if TYPE_CHECKING:
    from bench3d.contracts.videos import Preparer, PrepareReport


def register(group: typer.Typer) -> None:
    """Adds the command to the group `data`."""
    group.command("prepare", epilog="Example: bench3d data prepare co3d --category car,bus --workers 4")(prepare)


def prepare(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A data set that can be prepared.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Data root instead of BENCH3D_DATA, or a twin."),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option("--category", metavar="NAME", help="Only these categories: repeat, or separate by commas."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="data.KEY=VALUE", help="As for the run that comes, e.g. data.filters=published."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes (default: the cores of this process).")
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Filter and clean sequences ahead of training, and keep the result. Broken off, it goes on where it stopped.

    Exit code 3 when files are missing or broken: their sequences are left out.
    """
    from bench3d.cli.data import split_categories
    from bench3d.cli.progress import progress_for
    from bench3d.data.root import data_root, dataset_folder

    registration = load_registry().get("dataset", dataset)
    assert isinstance(registration, DatasetRegistration)
    if registration.prepare is None:
        raise UsageError(f"{dataset} needs no preparation.", "Only what reads videos does.")
    scopes = parse_set(settings or [])
    if wrong := sorted(set(scopes) - {"data"}):
        raise UsageError(f"--set {wrong[0]}.…: only settings of the data set count here.", "Use --set data.KEY=VALUE.")
    chosen = load_settings(registration, overrides=scopes.get("data"))
    folder = dataset_folder(registration, data_root(data))
    preparer = cast("Preparer", resolve(registration.prepare, f"dataset {registration.name}"))
    with progress_for() as progress:
        reports = list(
            preparer(folder, chosen, split_categories(category) or None, progress, workers or usable_cores())
        )
    if not reports:
        raise DataError(f"No category of {dataset} is in {folder}.", f"bench3d data fetch {dataset} --category NAME")
    if as_json:
        print_json({"dataset": dataset, "folder": str(folder), "categories": [dataclasses.asdict(r) for r in reports]})
    else:
        _print(reports)
    if any(report.problems for report in reports):
        raise typer.Exit(DataError.exit_code)


def _print(reports: Sequence[PrepareReport]) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("category")
    for heading in ("sequences", "left out", "new", "points", "meshes", "time"):
        table.add_column(heading, justify="right")
    for one in reports:
        values = (one.kept, sum(one.left_out.values()), one.made, f"{one.points:,}", one.meshes)
        table.add_row(one.category, *map(str, values), duration(one.seconds))
    out.print(table)
    for one in reports:
        for reason, count in sorted(one.left_out.items()):
            out.print(Text(f"{one.category}: left out {count} with {reason}", style="yellow"), soft_wrap=True)
        if one.empty_frames:
            out.print(Text(f"{one.category}: left out {one.empty_frames} frames with an empty mask", style="yellow"))
        for problem in one.problems:
            out.print(Text(f"{one.category}: {problem}", style="red"), soft_wrap=True)
