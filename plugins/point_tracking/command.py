"""`bench3d track`: points of a video of one's own, followed by a backbone's features and drawn over it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3d.errors import UsageError
from bench3d.plugins import load_registry, load_settings, parse_set

if TYPE_CHECKING:
    import numpy as np

TASK = "tapvid-davis"


class Device(str, Enum):
    """Where the features are computed."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def track(
    video: Annotated[Path, typer.Argument(metavar="VIDEO_OR_FOLDER", help="A video, a .gif, or a folder of frames.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="[X,Y]...", help="Further points.")] = None,
    backbone: Annotated[str, typer.Option(metavar="NAME", help="See `bench3d list backbones`.")] = "dinov2",
    points: Annotated[
        list[str] | None, typer.Option(metavar="X,Y", help="A point in pixels of the frame; several may follow.")
    ] = None,
    grid: Annotated[int | None, typer.Option(metavar="N", min=1, max=64, help="A grid of points, N in a row.")] = None,
    frame: Annotated[int, typer.Option(metavar="N", min=0, help="The frame that the points are given in.")] = 0,
    weights: Annotated[
        str, typer.Option(metavar="pretrained|random|FILE", help="Weights of the backbone.")
    ] = "pretrained",
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="A video (.mp4, .avi, .webm), a .gif, or a folder of frames.")
    ] = Path("overlay.mp4"),
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="A table of all positions as well.")] = None,
    frames: Annotated[str | None, typer.Option(metavar="A:B", help="Only these frames (B is not among them).")] = None,
    trail: Annotated[int, typer.Option(metavar="N", min=0, help="Frames that a trail reaches back.")] = 12,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SCOPE.KEY=VALUE", help="A setting of the backbone or of the tracker (task)."),
    ] = None,
    device: Annotated[Device, typer.Option(help="auto takes CUDA where it works.")] = Device.auto,
) -> None:
    """Follow points through a video of your own and draw them over it.

    Example: bench3d track clip.mp4 --points 120,80 200,90 --backbone dinov2 --out overlay.mp4 --csv tracks.csv
    """
    from bench3d_plugins.point_tracking.own_video import (
        Job,
        run,
    )  # loads torch: after the options are known to be right

    scopes = parse_set(settings or [])
    if strange := sorted(set(scopes) - {"backbone", "task"}):
        raise UsageError(f"There is no {strange[0]} here to set.", "Set backbone.KEY or task.KEY.")
    registry = load_registry()
    registration = registry.get("backbone", backbone)
    job = Job(
        video=video,
        points=parse_points([*(points or []), *(more or [])]),
        grid=grid,
        frame=frame,
        span=parse_span(frames),
        out=out,
        csv=csv,
        trail=trail,
        tracker=load_settings(registry.get("task", TASK), overrides=scopes.get("task")),
    )
    if len(job.points) == 0 and grid is None:
        raise UsageError("No point is given.", "Add --points X,Y, or --grid 8 for a grid of points.")
    chosen = load_settings(registration, overrides=scopes.get("backbone"), wanted={"stride": "half"})
    told = run(
        job,
        lambda where: registry.create("backbone", backbone, weights=weights, settings=chosen, device=where),
        device.value,
    )
    for line in told:
        typer.echo(line)


def parse_points(texts: list[str]) -> np.ndarray:
    """["10,20", "30,40 50,60"] as (N, 2) pixels.

    Raises:
        UsageError: not pairs of numbers.
    """
    import numpy as np

    found = []
    for text in " ".join(texts).replace(";", " ").split():
        try:
            x, y = (float(part) for part in text.split(","))
        except ValueError:
            raise UsageError(f"{text} is not a point x,y.", "In pixels of the frame, for example 120,80.") from None
        found.append((x, y))
    return np.array(found, dtype=np.float64).reshape(-1, 2)


def parse_span(text: str | None) -> tuple[int, int | None]:
    """The text "10:50" as (10, 50); either side may be left out.

    Raises:
        UsageError: not of that form, or empty.
    """
    if text is None:
        return 0, None
    first, colon, last = text.partition(":")
    try:
        span = (int(first or 0), int(last) if last else None)
    except ValueError:
        span = (-1, None)
    if not colon or span[0] < 0 or (span[1] is not None and span[1] <= span[0]):
        raise UsageError(f"--frames {text} is no range A:B of frames.", "For example 0:100.")
    return span
