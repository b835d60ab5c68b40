"""`bench3d features`: look at a backbone's features of photographs of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.cli.runs import BackboneOption, Device, DeviceOption, OfflineOption, WeightsOption
from bench3d.plugins import parse_set

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

EXAMPLE = "Example: bench3d features a.jpg b.jpg --backbone hog --pca out.png"
COLUMNS = (
    ("norm_mean", "norm", "length of the cells' vectors, mean ± standard deviation"),
    ("cosine_neighbours", "next", "mean cosine of cells that touch"),
    ("cosine_all", "any", "mean cosine of any two cells"),
    ("dimensions", "spread", "directions that share the variance (participation ratio)"),
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("features", short_help="Look at the features of images of your own.", epilog=EXAMPLE)(features)


def features(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files, or folders of images.")],
    backbone: BackboneOption,
    weights: WeightsOption = "pretrained",
    pca: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Write a picture: the first three principal components as colours."),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="In the picture, only what component 1 parts from the background.")
    ] = False,
    npz: Annotated[Path | None, typer.Option(metavar="NPZ", help="Write the features and their geometry.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="backbone.KEY=VALUE", help="E.g. backbone.grid=48 or backbone.layer=-3."),
    ] = None,
    device: DeviceOption = Device.auto,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Extract dense features of images, say what they are like, and draw them: one basis of colours for all images."""
    from bench3d.cli.progress import progress_for
    from bench3d.runner.look import LookSpec, look

    spec = LookSpec(
        images=tuple(images),
        backbone=backbone,
        weights=weights,
        settings=parse_set(settings or []),
        device=device.value,
        offline=offline,
        picture=pca,
        foreground=foreground,
        npz=npz,
    )
    with progress_for() as progress:
        found = look(spec, progress)
    if as_json:
        print_json(found)
    else:
        _print(found, console())


def _print(found: dict[str, Any], out: Console) -> None:
    """A line for each image, what the columns mean, and what was written."""
    from rich.text import Text

    images = found["images"]
    channels = "/".join(str(c) for c in sorted({i["channels"] for i in images}))
    title = Text(f"{found['backbone']}: {channels} channels", style="bold cyan")
    if found["random_weights"]:
        title.append("  RANDOM WEIGHTS", style="bold yellow")
    out.print(title)
    out.print(_table(images))
    for _, heading, meaning in COLUMNS:
        out.print(Text(f"{heading}: {meaning}", style="dim"))
    if "picture" in found:
        shares = " + ".join(f"{100 * v:.0f}" for v in found["picture"]["explained"])
        out.print(Text(f"Picture: {found['picture']['path']} ({shares} % of the variance)"), soft_wrap=True)
    if "npz" in found:
        out.print(Text(f"Features: {found['npz']}"), soft_wrap=True)


def _table(images: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    rows = []
    for image in images:
        sizes = [f"{w}x{h}" for w, h in (image["size"], image["input_size"], image["grid"])]
        norm = f"{image['norm_mean']:#.3g} ± {image['norm_std']:#.2g}"
        cosines = [f"{image[key]:.3f}" for key in ("cosine_neighbours", "cosine_all")]
        spread = f"{image['dimensions']:.1f}"
        rows.append([*sizes, norm, *cosines, spread, f"{1000 * image['seconds']:.0f} ms"])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("image")
    headings = ("size", "input", "grid", *(heading for _, heading, _ in COLUMNS), "time")
    for heading, cells in zip(headings, zip(*rows, strict=True), strict=True):
        table.add_column(heading, justify="right", no_wrap=True, min_width=max(map(len, (heading, *cells))))
    for image, row in zip(images, rows, strict=True):
        # Where the line is too narrow the name gives way, not the numbers.
        table.add_row(Text(Path(image["path"]).name, no_wrap=True, overflow="ellipsis"), *row)
    return table
