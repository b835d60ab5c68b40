"""`bench3d shape ...`: fitted shape models as meshes and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.cli.runs import ResultsOption
from bench3d.errors import UsageError

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A shape model, such as common3d.")]
CategoryArgument = Annotated[str, typer.Option("--category", metavar="NAME", help="A category that was fitted.")]
FittedOnOption = Annotated[
    str | None, typer.Option("--backbone", metavar="NAME", help="What it was fitted on, where there are several fits.")
]
CheckpointOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A fit's folder instead of one under --results.")
]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    example = "bench3d shape export common3d --category car --out car.glb"
    group.command("export", epilog=f"Example: {example}")(export)
    group.command("show", epilog="Example: bench3d shape show common3d --category car --out car.png")(show)
    app.add_typer(group, name="shape", help="Fitted shape models: meshes and pictures.", epilog=f"Example: {example}")


def export(
    name: NameArgument,
    category: CategoryArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .glb, .ply or .obj file to write.")],
    walk: Annotated[
        int | None,
        typer.Option(metavar="K", min=1, help="Also meshes along the K-th principal direction of the latents."),
    ] = None,
    sigmas: Annotated[
        str, typer.Option(metavar="S,S,...", help="Where on the walk, in standard deviations.")
    ] = "-2,-1,0,1,2",
    backbone: FittedOnOption = None,
    checkpoint: CheckpointOption = None,
    results: ResultsOption = Path("bench3d-results"),
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write the template of a category, and a walk through its shapes, coloured by surface features.

    A glb is y-up and shows the front; ply and obj keep the object frame (x left, y back, z up).
    """
    from bench3d.runner.shapes import ShapeSpec, export_shape

    spec = ShapeSpec(name, category, results, backbone, checkpoint)
    written = export_shape(spec, out, walk, parse_sigmas(sigmas))
    if as_json:
        print_json(written)
        return
    for one in written:
        place = "template" if one["sigma"] is None else f"{one['sigma']:+g} sigma"
        line = f"Written: {one['path']} ({place}, {one['vertices']:,} vertices, {one['faces']:,} faces)"
        console().print(line, soft_wrap=True)


def show(
    name: NameArgument,
    category: CategoryArgument,
    out: Annotated[Path, typer.Option(metavar="PNG", help="The picture to write.")] = Path("shape.png"),
    backbone: FittedOnOption = None,
    checkpoint: CheckpointOption = None,
    results: ResultsOption = Path("bench3d-results"),
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw the template of a category from all sides, and what its latent directions change."""
    from bench3d.runner.shape_picture import write_shape_picture
    from bench3d.runner.shapes import ShapeSpec, load_shape

    shape = load_shape(ShapeSpec(name, category, results, backbone, checkpoint))
    found = write_shape_picture(shape, out)
    if as_json:
        print_json(found)
        return
    screen = console()
    size = " x ".join(f"{v:.2f}" for v in found["extent"])
    closed = "closed" if found["watertight"] else "not closed"
    screen.print(f"{category}: {found['vertices']:,} vertices, {found['faces']:,} faces, {closed}, extent {size}")
    drawn = found["directions"]
    walked = f"{drawn} latent directions" if drawn else "no latent walk (this model has none, or was fitted before it)"
    screen.print(f"Picture: {found['path']} ({walked})", soft_wrap=True)


def parse_sigmas(text: str) -> list[float]:
    """The text "-2,0,2" as [-2.0, 0.0, 2.0].

    Raises:
        UsageError: not numbers.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--sigmas {text} is no list of numbers.", "Write --sigmas -2,0,2.") from None
    if not found or not all(abs(s) < 100 for s in found):
        raise UsageError(f"--sigmas {text}: each must be a number of standard deviations.", "Write --sigmas -2,0,2.")
    return found
