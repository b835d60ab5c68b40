"""`bench3d data ...`: which data sets are there, whether they are whole, synthetic twins, rendered meshes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli import data_align, data_prepare, fetch, render
from bench3d.cli.output import DebugOption, JsonOption, console, gigabytes, print_json
from bench3d.contracts import DatasetRegistration, Problem
from bench3d.errors import DataError, UsageError
from bench3d.machine import usable_cores
from bench3d.plugins import load_registry, load_settings

if TYPE_CHECKING:
    from bench3d.contracts.data import TwinSpec

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
BROKEN = DataError.exit_code

DataDirOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data root instead of BENCH3D_DATA; or a folder of posed views."),
]
CategoryOption = Annotated[
    list[str] | None,
    typer.Option("--category", metavar="NAME", help="Only these categories: repeat, or separate by commas."),
]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group.command("list", epilog="Example: bench3d data list")(list_)
    group.command("describe", epilog="Example: bench3d data describe pascal3d")(describe_)
    group.command("check", epilog="Example: bench3d data check pascal3d --category car")(check)
    group.command("synth", epilog="Example: bench3d data synth --preset quickstart --sheet twin.png")(synth)
    fetch.register(group)
    data_prepare.register(group)
    render.register(group)
    data_align.register(group)
    app.add_typer(
        group,
        name="data",
        help="Data sets: which are there, whether they are whole, synthetic twins, meshes rendered.",
        epilog="Example: bench3d data list",
    )


def split_categories(words: list[str] | None) -> tuple[str, ...]:
    """["car,chair", "bus"] -> ("car", "chair", "bus"), each once, in order."""
    names = (name.strip() for word in words or () for name in word.split(","))
    return tuple(dict.fromkeys(n for n in names if n))


def datasets() -> list[DatasetRegistration]:
    """The registered data sets, by name."""
    return [r for r in load_registry().registrations("dataset") if isinstance(r, DatasetRegistration)]


def presence(registration: DatasetRegistration, data: Path | None = None) -> dict[str, Any]:
    """Where a data set stands: the official one, and the names of the twins that hold it."""
    from bench3d.data.root import data_root

    root = data_root(data)
    folder = root / registration.folder
    if root.name == registration.folder:
        folder = root
    return {
        "folder": str(folder),
        "official": folder.is_dir(),
        "twins": [t.name for t in twins(root) if (t / registration.folder).is_dir()],
    }


def twins(root: Path) -> list[Path]:
    """The folders of the synthetic twins under a data root, by name."""
    folder = root / "synthetic"
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def list_(data: DataDirOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the data sets: present or not, size, licence, synthetic twins."""
    from rich.table import Table
    from rich.text import Text

    from bench3d.data.root import data_root

    root = data_root(data)
    rows = [{"name": r.name, "bytes": r.bytes, "licence": r.licence, **presence(r, data)} for r in datasets()]
    if as_json:
        print_json({"root": str(root), "datasets": rows})
        return
    out = console()
    out.print(Text(f"Data root: {root}", style="dim"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("data set", "official", "twins", "size", "licence"):
        table.add_column(heading)
    for row in rows:
        there = Text("there", style="green") if row["official"] else Text("not there", style="yellow")
        table.add_row(
            row["name"], there, ", ".join(row["twins"]) or "-", gigabytes(row["bytes"]), Text(row["licence"] or "?")
        )
    out.print(table)
    missing = [r.name for r in datasets() if not presence(r, data)["official"]]
    if missing:
        out.print(f"\nHow to get one: bench3d data describe {missing[0]}. Without: bench3d data synth.")


def describe_(
    name: Annotated[str, typer.Argument(help="A data set.")],
    data: DataDirOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what a data set is, whether it is there, and how to get it."""
    from bench3d.cli.catalog import details, print_page

    registry = load_registry()
    registration = registry.find("dataset", name)
    assert isinstance(registration, DatasetRegistration)
    page = {**details(registry, registration), "present": presence(registration, data)}
    if as_json:
        print_json(page)
    else:
        print_page(page)


def check(
    dataset: Annotated[str | None, typer.Argument(help="A data set (default: all that are there).")] = None,
    data: DataDirOption = None,
    category: CategoryOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Look for missing and broken files: official data and twins. Exit code 3 when something is broken."""
    from bench3d.data.root import data_root, dataset_folder

    registry = load_registry()
    root = data_root(data)
    wanted = datasets()
    if dataset is not None:
        registry.find("dataset", dataset)
        wanted = [r for r in wanted if r.name == dataset]
    places = [(r, place) for place in (root, *twins(root)) for r in wanted if (place / r.folder).is_dir()]
    if dataset is not None and not places:
        places = [(wanted[0], dataset_folder(wanted[0], root).parent)]  # or its sentence on how to get it
    found: list[dict[str, Any]] = []
    for registration, place in places:
        for problem in _problems(registration, place, split_categories(category)):
            found.append({"dataset": registration.name, "place": _place(place, root), **dataclasses.asdict(problem)})
    errors = sum(p["severity"] == "error" for p in found)
    if as_json:
        checked = [{"dataset": r.name, "place": _place(p, root)} for r, p in places]
        print_json({"root": str(root), "checked": checked, "problems": found})
    else:
        _print_check([(r.name, _place(p, root)) for r, p in places], found, root)
    if errors:
        raise typer.Exit(BROKEN)


def _place(place: Path, root: Path) -> str:
    return "official" if place == root else f"twin {place.name}"


def _problems(registration: DatasetRegistration, place: Path, categories: tuple[str, ...]) -> list[Problem]:
    from bench3d.cli.progress import progress_for
    from bench3d.data.root import dataset_folder

    folder = dataset_folder(registration, place)
    reader = load_registry().create("dataset", registration.name, root=folder, settings=load_settings(registration))
    with progress_for() as progress:
        if hasattr(reader, "progress"):
            reader.progress = progress
        return list(reader.check(categories or None))


def _print_check(places: list[tuple[str, str]], found: list[dict[str, Any]], root: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    if not places:
        out.print(Text(f"No data set is under {root}: nothing to check.", style="yellow"))
        out.print("See `bench3d data list`, or make a twin with `bench3d data synth`.")
    for name, place in places:
        mine = [p for p in found if (p["dataset"], p["place"]) == (name, place)]
        errors = sum(p["severity"] == "error" for p in mine)
        verdict = Text(f"{name} ({place}): ", style="bold")
        if not mine:
            verdict.append("whole", style="green")
        else:
            verdict.append(f"{errors} errors, {len(mine) - errors} warnings", style="red" if errors else "yellow")
        out.print(verdict)
        if not mine:
            continue
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="dim")
        for heading in ("file", "field", "problem"):
            table.add_column(heading, overflow="fold")
        for p in mine:
            message = p["message"] + (f" {p['hint']}" if p["hint"] else "")
            style = "red" if p["severity"] == "error" else "yellow"
            table.add_row(Text(p["file"]), Text(p["field"] or ""), Text(message, style=style))
        out.print(table)


def synth(
    names: Annotated[list[str] | None, typer.Argument(help="Only these data sets (default: all with a twin).")] = None,
    preset: Annotated[str, typer.Option(help="quickstart or full.")] = "quickstart",
    category: CategoryOption = None,
    videos: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Training instances (videos) of a category.")
    ] = None,
    views: Annotated[int | None, typer.Option(metavar="N", min=1, help="Frames of a video.")] = None,
    test_images: Annotated[int | None, typer.Option(metavar="N", min=1, help="Test images of a category.")] = None,
    objects: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Objects of a category in multi-view renderings.")
    ] = None,
    pairs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Keypoint pairs of a category.")] = None,
    size: Annotated[int | None, typer.Option(metavar="N", min=32, help="Side of the images in pixels.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Another seed gives other instances.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Folder under DIR/synthetic (default: the preset, with a hash when changed).")
    ] = None,
    data: DataDirOption = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes (default: the cores of this process).")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(metavar="PNG", help="Also write a contact sheet of the twin.")] = None,
    debug: DebugOption = False,
) -> None:
    """Write a synthetic twin: generated data in the official layouts. What is there and whole is left alone."""
    from bench3d.cli.progress import progress_for
    from bench3d.data.root import data_root, twin_root
    from bench3d.data.twin import ensure_twin, twin_name, twin_spec

    changes: dict[str, Any] = {
        "categories": split_categories(category) or None,
        "train_instances": videos,
        "views": views,
        "test_images": test_images,
        "objects": objects,
        "pairs": pairs,
        "image_size": size,
        "seed": seed,
    }
    base = twin_spec(preset)
    spec = dataclasses.replace(base, **{k: v for k, v in changes.items() if v is not None})
    root = twin_root(data_root(data), name or twin_name(preset, spec))
    owners = _twin_owners(names)
    with progress_for() as progress:
        ensure_twin(root, spec, owners, progress, workers or usable_cores())
    out = console()
    out.print(f"The twin is in {root}: {_summary(spec)}.", soft_wrap=True)
    if name is None and (spec.categories == base.categories or not set(spec.categories) <= set(base.categories)):
        out.print(f"To use it: bench3d run ... {_run_options(preset, base, spec, data)}", soft_wrap=True)
    else:  # no --set of a run leads to this folder
        out.print(f"To use it: bench3d run ... --data {root}", soft_wrap=True)
    if sheet is not None:
        from bench3d.cli.sheet import write_sheet

        write_sheet(root, spec, owners, sheet)
        out.print(f"Contact sheet: {sheet}", soft_wrap=True)


def _twin_owners(names: list[str] | None) -> list[DatasetRegistration]:
    """The data sets that write a twin, or those of them that are named."""
    owners = [r for r in datasets() if r.synth]
    if not owners:
        raise UsageError("No registered data set can write a twin.", "See `bench3d doctor`.")
    for name in names or ():
        if load_registry().find("dataset", name) not in owners:
            raise UsageError(f"{name} has no synthetic twin.", f"There are {', '.join(r.name for r in owners)}.")
    return [r for r in owners if not names or r.name in names]


def _run_options(preset: str, base: TwinSpec, spec: TwinSpec, data: Path | None) -> str:
    """The options with which `run` takes this very twin."""
    words = ["--synthetic", f"--data {data}" if data else "", f"--set data.twin={preset}"]
    if spec.categories != base.categories:
        words.append(f"--category {','.join(spec.categories)}")
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if field.name != "categories" and value != getattr(base, field.name):
            words.append(f"--set data.{field.name}={value}")
    return " ".join(w for w in words if w)


def _summary(spec: TwinSpec) -> str:
    return (
        f"{', '.join(spec.categories)}; per category {spec.train_instances} videos x {spec.views} frames and "
        f"{spec.test_images} test images of {spec.image_size} px; seed {spec.seed}"
    )
