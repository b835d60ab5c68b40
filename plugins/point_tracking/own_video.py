"""The work of `bench3d track`: features frame by frame, the tracker, then the video once more with points drawn."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench3d.contracts import ImageBatch, Model
from bench3d.errors import UsageError
from bench3d.files import write_text
from bench3d.geometry.pixels import PixelGeometry
from bench3d.machine import choose_device
from bench3d_plugins.point_tracking.drawing import draw_frame
from bench3d_plugins.point_tracking.features import VideoFeatures, video_features
from bench3d_plugins.point_tracking.settings import TrackerSettings
from bench3d_plugins.point_tracking.trackers import follow
from bench3d_plugins.point_tracking.video_files import Film, open_film, open_sink

LARGEST_BYTES = 12 << 30
"""Features that are held at once."""


@dataclass(frozen=True, eq=False)
class Job:
    """What a person asked for. `points` (N, 2) pixels; `grid` points in a row, None for none; `span` of frames."""

    video: Path
    points: np.ndarray
    grid: int | None
    frame: int
    span: tuple[int, int | None]
    out: Path
    csv: Path | None
    trail: int
    tracker: TrackerSettings


def run(job: Job, make: Callable[[str], Model], device: str) -> list[str]:
    """Follows the points and writes what was asked for; returns lines for the person.

    Raises:
        DataError: the video cannot be read. UsageError: points or frames that it does not have.
        OutputError: the overlay cannot be written. WeightsError: see the backbone.
    """
    film = open_film(job.video)
    asked = _points(job, film)
    with open_sink(job.out, film.size, film.fps) as sink:  # before the work: a codec may be missing
        where = choose_device(device)
        model = make(where)
        with _bars() as bars:
            video = _features(job, film, model, where, bars)
            start = job.frame - job.span[0]
            if not 0 <= start < video.length:
                last = job.span[0] + video.length - 1
                raise UsageError(f"--frame {job.frame}: the frames are {job.span[0]} to {last}.", "They count from 0.")
            with torch.inference_mode():
                places, hidden = follow(video, np.full(len(asked), start), asked, job.tracker)
            work = bars.add_task("drawing", total=video.length)
            past: deque[np.ndarray] = deque(maxlen=max(1, job.trail))
            gone: deque[np.ndarray] = deque(maxlen=max(1, job.trail))
            for number, pixels in enumerate(film.frames(*job.span)):
                trail = (np.stack(past, axis=1), np.stack(gone, axis=1)) if past and job.trail else (None, None)
                now, off = places[:, number], hidden[:, number]
                sink.add(draw_frame(pixels, now, off, past=trail[0], past_hidden=trail[1]))
                past.append(now)
                gone.append(off)
                bars.advance(work)
    if job.csv is not None:
        write_text(job.csv, table(places, hidden, job.span[0]))
    return _told(job, places, hidden, model)


def _points(job: Job, film: Film) -> np.ndarray:
    """The points given and those of the grid, (N, 2) pixels."""
    width, height = film.size
    outside = [p for p in job.points if not (0 <= p[0] < width and 0 <= p[1] < height)]
    if outside:
        x, y = outside[0]
        raise UsageError(f"The point {x:g},{y:g} lies outside the frame of {width}x{height} pixels.")
    if job.grid is None:
        return job.points
    rows = max(1, round(job.grid * height / width))
    x, y = np.meshgrid((np.arange(job.grid) + 0.5) * width / job.grid, (np.arange(rows) + 0.5) * height / rows)
    return np.concatenate([job.points, np.stack([x.ravel(), y.ravel()], axis=1)])


def _features(job: Job, film: Film, model: Model, device: str, bars: Progress) -> VideoFeatures:
    """Features of all frames of the span, one at a time through the model."""
    total = film.count - job.span[0] if job.span[1] is None else job.span[1] - job.span[0]
    work = bars.add_task("features", total=total if total > 0 else None)
    geometry = PixelGeometry.identity(film.size)
    found, held = [], 0
    for number, pixels in enumerate(film.frames(*job.span)):
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float().div_(255.0)[None].to(device)
        batch = ImageBatch(image, torch.ones_like(image[:, :1]), (geometry,), (str(number),))
        with torch.inference_mode():
            found.append(model.features(batch))
        held += sum(m.map.values.numel() * 4 for m in found[-1])
        if held > LARGEST_BYTES:
            raise UsageError(
                f"The features of {len(found)} frames fill {held / 2**30:.0f} GiB.",
                "Take fewer frames (--frames 0:200), or a coarser grid (--set backbone.grid=16).",
            )
        bars.advance(work)
    if not found:
        raise UsageError(f"There is no frame {job.span[0]} in {film.path}.", "Frames count from 0.")
    return video_features(found)


def table(places: np.ndarray, hidden: np.ndarray, first: int) -> str:
    """CSV: point, frame, x, y in pixels (the first pixel's centre is 0.5), visible 0 or 1."""
    text = io.StringIO()
    text.write("point,frame,x,y,visible\n")
    for point, frame in np.ndindex(*hidden.shape):
        x, y = places[point, frame]
        text.write(f"{point},{first + frame},{x:.3f},{y:.3f},{int(not hidden[point, frame])}\n")
    return text.getvalue()


def _told(job: Job, places: np.ndarray, hidden: np.ndarray, model: Model) -> list[str]:
    count, length = hidden.shape
    lines = [f"{count} points in {length} frames, visible in {100 * (1 - hidden.mean()):.0f} % of them: {job.out}"]
    if job.csv is not None:
        lines.append(f"Table: {job.csv}")
    if model.random_weights:
        lines.append("The weights are random: tracks show what the network's structure alone can do.")
    return lines


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
