"""`bench3d predict`: the pose of an object in a photograph of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli.data import DataDirOption
from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.cli.runs import (
    NONE,
    AdapterOption,
    BackboneOption,
    Device,
    DeviceOption,
    OfflineOption,
    ResultsOption,
    SeedOption,
    SetOption,
    ShapeOption,
    SyntheticOption,
    WeightsOption,
    shape_model_for_short,
)
from bench3d.errors import UsageError
from bench3d.plugins import parse_set

if TYPE_CHECKING:
    from rich.console import Console

EXAMPLE = "Example: bench3d predict photo.jpg --category car --box 40,60,600,400 --backbone hog --adapter common3d"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "predict",
        short_help="The pose of an object in a photograph of your own.",
        epilog=f"{EXAMPLE} --out overlay.png",
    )(predict)


def predict(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Any image.")],
    category: Annotated[str, typer.Option(metavar="NAME", help="What it shows: a category that was trained.")],
    backbone: BackboneOption,
    box: Annotated[
        str | None, typer.Option(metavar="X0,Y0,X1,Y1", help="Around the object, in pixels (default: the whole image).")
    ] = None,
    adapter: AdapterOption = NONE,
    shape_model: ShapeOption = NONE,
    weights: WeightsOption = "pretrained",
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A fit's folder instead of the one under --results.")
    ] = None,
    focal: Annotated[
        float | None,
        typer.Option(metavar="PIXELS", min=1.0, help="Focal length in pixels of the photo (default: assumed)."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="PNG", help="The picture to write.")] = Path("overlay.png"),
    mesh: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the object's mesh: .glb, .ply or .obj.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Write the object's silhouette in the photo, hidden parts too.")
    ] = None,
    data: DataDirOption = None,
    synthetic: SyntheticOption = False,
    results: ResultsOption = Path("bench3d-results"),
    settings: SetOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = Device.auto,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Estimate the pose of one object in a photograph and draw it over the photograph."""
    from bench3d.cli.progress import progress_for
    from bench3d.runner.spec import PredictSpec

    adapter, shape_model = shape_model_for_short(adapter, shape_model)
    spec = PredictSpec(
        photo=photo,
        category=category,
        box=parse_box(box),
        backbone=backbone,
        shape_model=shape_model,
        adapter=adapter,
        weights=weights,
        out=out,
        mesh=mesh,
        mask=mask,
        settings=parse_set(settings or []),
        data=data,
        results=results,
        seed=seed,
        device=device.value,
        checkpoint=checkpoint,
        focal=focal,
        synthetic=synthetic,
        offline=offline,
    )
    from bench3d.runner import predict as estimate  # loads torch: after the options are known to be right

    with progress_for() as progress:
        found = estimate(spec, progress)
    if as_json:
        print_json(found)
        return
    _print(found, console())


def _print(found: dict[str, Any], out: Console) -> None:
    """The pose in words, other candidates, and where the picture is."""
    out.print(_pose(found), style="bold")
    for other in found.get("alternatives", [])[:3]:
        out.print(f"  or: {_pose(other)}", style="dim")
    x, y, z = found["translation"]
    out.print(f"translation {x:.3f}, {y:.3f}, {z:.3f} in units of half the object's longest side")
    assumed = " (assumed: give --focal where you know it)" if found.get("focal_assumed") else ""
    out.print(f"focal length {found['focal_pixels']:.0f} pixels{assumed}")
    for key, word in (("picture", "Picture"), ("mesh", "Mesh"), ("mask", "Mask")):
        if key in found:
            out.print(f"{word}: {found[key]}", soft_wrap=True)


def _pose(values: dict[str, Any]) -> str:
    azimuth = round(values["azimuth"]) % 360
    others = ", ".join(f"{name} {values[name]:.0f}°" for name in ("elevation", "theta"))
    return f"azimuth {azimuth}°, {others}, score {values['score']:.3f}"


def parse_box(text: str | None) -> tuple[float, float, float, float] | None:
    """The text "10,20,300,200" as (10.0, 20.0, 300.0, 200.0).

    Raises:
        UsageError: not four numbers, or an empty box.
    """
    if text is None:
        return None
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--box {text} is not four numbers x0,y0,x1,y1.", "In pixels of the photograph.") from None
    if not (x1 > x0 and y1 > y0):
        raise UsageError(f"--box {text} is empty: x1 must exceed x0, and y1 must exceed y0.")
    return x0, y0, x1, y1
