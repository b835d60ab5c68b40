"""`bench3d data align`: the videos of a category brought into one frame, or a published alignment imported."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.errors import UsageError
from bench3d.machine import usable_cores
from bench3d.plugins import parse_set

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.runner.aligning import AlignSpec

EXAMPLE = "Example: bench3d data align co3d --category bicycle --labels labels.yaml"
MOST_NAMED = 10
SCOPE = "align."


class Device(str, Enum):
    """Where the features are made."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def register(group: typer.Typer) -> None:
    """Adds the command to the group `data`."""
    group.command("align", short_help="Bring videos of a category into one frame.", epilog=EXAMPLE)(align)


def align(
    dataset: Annotated[str, typer.Argument(help="A data set of videos: co3d.")],
    category: Annotated[
        list[str] | None,
        typer.Option("--category", metavar="NAME", help="Only these categories: repeat, or separate by commas."),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            "--reference", metavar="SEQ|r0..r4|all", help="Video whose frame to use: repeat for a table of several."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="JSON or YAML with the labelled rotation of the reference."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Its features decide what looks alike (default: the published one)."),
    ] = None,
    weights: Annotated[
        str, typer.Option(metavar="pretrained|random|FILE", help="Weights of the backbone.")
    ] = "pretrained",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The table (default: DIR/alignments/....json).")
    ] = None,
    import_folder: Annotated[
        Path | None,
        typer.Option("--import", metavar="DIR", help="Import the published alignment of your clone of uns-obj-pose3d."),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --import: which of the published alignments.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SCOPE.KEY=VALUE", help="E.g. align.max_frames=40, backbone.grid=48."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Data root instead of BENCH3D_DATA or the user's cache folder."),
    ] = None,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="On the synthetic twin; it is made where missing.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes (default: the cores of this process).")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Every random draw derives from it.")] = 0,
    device: Annotated[Device, typer.Option(help="auto takes CUDA where it works.")] = Device.auto,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network: only weights that are cached.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Align videos that stand each in a frame of its own to a reference video, without labels.

    A killed run goes on where it stopped. Training reads the table with --set data.alignment=FILE. One label per
    category turns it into the axes of the benchmarks; without, the command says what to write.
    """
    from bench3d.cli.data import split_categories
    from bench3d.runner.aligning import AlignSpec

    if import_folder is not None:
        _import(dataset, import_folder, variant, out, data, as_json)
        return
    if variant is not None:
        raise UsageError("--variant chooses among published alignments.", "Add --import DIR.")
    own = [item.strip() for item in settings or () if item.strip().startswith(SCOPE)]
    others = parse_set([item for item in settings or () if not item.strip().startswith(SCOPE)])
    unused = sorted(set(others) - {"backbone", "data"})
    if unused:
        raise UsageError(f"Aligning has no settings of the scope {unused[0]}.", "It has align, backbone and data.")
    spec = AlignSpec(
        dataset=dataset,
        backbone=backbone,
        categories=split_categories(category),
        references=split_categories(reference),
        labels=labels,
        weights=weights,
        settings={**others, "align": _pairs(own)},
        data=data,
        synthetic=synthetic,
        out=out,
        workers=workers or usable_cores(),
        seed=seed,
        device=device.value,
        offline=offline,
    )
    _align(spec, as_json)


def _pairs(items: list[str]) -> dict[str, Any]:
    pairs = {}
    for item in items:
        key, equals, value = item[len(SCOPE) :].partition("=")
        if not (equals and key.strip()):
            raise UsageError(f"--set {item} is not of the form align.key=value.")
        pairs[key.strip()] = value.strip()
    return pairs


def _align(spec: AlignSpec, as_json: bool) -> None:
    from bench3d.cli.progress import progress_for
    from bench3d.runner.aligning import align

    with progress_for() as progress:
        found = align(spec, progress)
    if as_json:
        print_json(found)
    else:
        _print(found, console())


def _import(
    dataset: str, folder: Path, variant: str | None, out: Path | None, data: Path | None, as_json: bool
) -> None:
    from bench3d.runner.align_import import import_published

    found = import_published(dataset, folder, variant, out, data)
    if as_json:
        print_json(found)
        return
    from rich.text import Text

    out_to = console()
    if found["table"]:
        out_to.print(f"{found['alignments']} alignments ({found['variant']}) in {found['table']}", soft_wrap=True)
        out_to.print(f"To train with it: --set data.alignment={found['table']} --set data.reference=r0", soft_wrap=True)
    if found["labels"]:
        out_to.print(f"{found['labelled']} labelled rotations in {found['labels']}", soft_wrap=True)
        out_to.print(f"To align to them: bench3d data align {dataset} --labels {found['labels']}", soft_wrap=True)
    for reason in list(found["skipped"].values())[:MOST_NAMED]:
        out_to.print(Text(f"  left out: {reason}", style="yellow"), soft_wrap=True)


def _print(found: dict[str, Any], out: Console) -> None:
    """A line per category, what was left out, where things are, and what to write where there is no label."""
    from rich.table import Table
    from rich.text import Text

    truth = any("within_30_degrees" in one for one in found["categories"])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("category")
    table.add_column("reference")
    headings = ["aligned", "left out", "score", "spread", "doubtful", "s each"]
    for heading in headings + (["within 30°"] if truth else []):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found["categories"]:
        counts = [str(one["aligned"]), str(sum(one["skipped"].values()))]
        figures = [_number(one["score"], 3), _number(one["spread"], 1, "°"), _percent(one["doubtful"])]
        cells = [*counts, *figures, _number(one["seconds_per_sequence"], 1)]
        table.add_row(one["category"], one["reference"], *cells, *([_percent(one.get("within_30_degrees"))] * truth))
    out.print(table)
    out.print(
        Text(
            "spread: angle to the ten best hypotheses; doubtful: a rotation more than 30° away scores nearly as well",
            style="dim",
        )
    )
    for one in found["categories"]:
        for turn, count in one.get("errors", {}).items():
            out.print(Text(f"  {one['category']}: {count} wrong: {turn}", style="yellow"))
        for name, reason in list(one["left_out"].items())[:MOST_NAMED]:
            out.print(Text(f"  {one['category']} left out {name}: {reason}", style="yellow"), soft_wrap=True)
    out.print(f"Table: {found['table']}", soft_wrap=True)
    out.print(f"Report: {found['report']}", soft_wrap=True)
    for one in found["categories"]:
        out.print(f"Picture: {one['picture']}", soft_wrap=True)
    _say_unlabelled(found, out)
    keyed = any(one["key"] for one in found["categories"])
    use = f"--set data.alignment={found['table']}" + (" --set data.reference=r0" if keyed else "")
    out.print(f"To train with it: bench3d train ... {use}", soft_wrap=True)


def _say_unlabelled(found: dict[str, Any], out: Console) -> None:
    from rich.text import Text

    from bench3d.morphable.alignment_labels import advice

    if not found["unlabelled"]:
        return
    names = ", ".join(found["unlabelled"])
    out.print(
        Text(
            f"No label: the table of {names} is in the reference's own frame. Every pose learnt from it will be "
            "wrong by one constant rotation. Label the reference once (six points, in the units of its pointcloud.ply) "
            "and run again with --labels labels.yaml; what is done is not done again. labels.yaml:",
            style="yellow",
        )
    )
    for category, references in found["unlabelled"].items():
        out.print(Text(advice(category, references), style="cyan"), soft_wrap=True)


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
