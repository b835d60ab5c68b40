"""`bench3d data render`: pictures of one's own textured meshes in the layout of a data set of renderings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.contracts import DatasetRegistration
from bench3d.errors import DataError, UsageError
from bench3d.machine import usable_cores
from bench3d.plugins import load_registry
from bench3d.plugins.names import did_you_mean, resolve

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.contracts.data import RenderReport

EXAMPLE = "Example: bench3d data render objaverse meshes/ chair.glb --workers 4"
MOST_NAMED = 20


def register(group: typer.Typer) -> None:
    """Adds the command to the group `data`."""
    group.command("render", short_help="Render textured meshes in a data set's layout.", epilog=EXAMPLE)(render)


def render(
    dataset: Annotated[str, typer.Argument(help="Data set in whose layout to write, or the beginning of its name.")],
    meshes: Annotated[
        list[Path], typer.Argument(metavar="MESH", help="Files glb, gltf, obj, ply, stl, off; or folders of them.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write (default: its place in the data root)."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes (default: the cores of this process).")
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Side of the pictures in pixels (default: as published).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Render again what is there.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Data root instead of BENCH3D_DATA or the user's cache folder."),
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Render textured meshes into the files of a data set: one folder an object, named after its mesh file.

    What is there and whole is left alone, what a killed run left is completed. A mesh that cannot be read is named at
    the end; the exit code is 3 only where no mesh could be rendered.
    """
    from bench3d.cli.progress import progress_for
    from bench3d.data.mesh_names import find_meshes
    from bench3d.data.root import data_root

    registration = _owner(dataset)
    root = out.expanduser() if out is not None else data_root(data) / registration.folder
    found = find_meshes(meshes)
    write = resolve(str(registration.render), f"data set {registration.name}")
    with progress_for() as progress:
        report = write(root, found, progress, workers or usable_cores(), size=size, force=force)
    if as_json:
        lists = {"rendered": list(report.rendered), "there": list(report.there)}
        notes = {name: list(words) for name, words in report.notes.items()}
        print_json({"folder": str(root), **lists, "failed": dict(report.failed), "notes": notes})
    else:
        _print(report, root, console())
    if not (report.rendered or report.there):
        raise typer.Exit(DataError.exit_code)


def _owner(name: str) -> DatasetRegistration:
    """The one data set that renders meshes and is called `name`, or whose name begins so."""
    every = [r for r in load_registry().registrations("dataset") if isinstance(r, DatasetRegistration) and r.render]
    exact = [r for r in every if r.name == name]
    found = exact or [r for r in every if name and r.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if not found and name in load_registry().names("dataset"):
        raise UsageError(f"{name} is no data set of rendered meshes.", f"There is {_names(every)}.")
    if not found:
        known = [r.name for r in every]
        raise UsageError(f"There is no data set of rendered meshes named {name}.", did_you_mean(name, known))
    raise UsageError(f"{name} may be {_names(found)}.", "Write more of the name.")


def _names(registrations: list[DatasetRegistration]) -> str:
    return " or ".join(r.name for r in registrations)


def _print(report: RenderReport, root: Path, out: Console) -> None:
    """One line on all, then the meshes with something to say."""
    from rich.text import Text

    counts = [f"{len(report.rendered)} rendered", f"{len(report.there)} there already"]
    if report.failed:
        counts.append(f"{len(report.failed)} could not be rendered")
    out.print(Text(f"{', '.join(counts)}: {root}", style="yellow" if report.failed else "green"), soft_wrap=True)
    lines = [(name, reason, "red") for name, reason in report.failed.items()]
    lines += [(name, "; ".join(words), "yellow") for name, words in report.notes.items()]
    for name, words, style in lines[:MOST_NAMED]:
        out.print(Text(f"  {name}: ", style=style).append(words, style="default"), soft_wrap=True)
    if len(lines) > MOST_NAMED:
        out.print(f"  and {len(lines) - MOST_NAMED} more: --json has them all.")
