"""Pictures of a run: a few frames of a video with predicted and true points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench3d.files import write_bytes
from bench3d_plugins.point_tracking.drawing import draw_frame, png
from bench3d_plugins.point_tracking.frames import frame_pixels
from bench3d_plugins.point_tracking.samples import Sample

if TYPE_CHECKING:
    from bench3d_plugins.point_tracking.task import PointTracking

VIDEOS, COLUMNS, POINTS, HEIGHT = 4, 4, 24, 240


def pictures(
    task: PointTracking, samples: Sequence[Sample], values: Sequence[Mapping[str, Any]], out: Path
) -> Iterator[Path]:
    """Writes NN-<AJ>-<video>.png for videos from the worst to the best."""
    scored = [n for n, value in enumerate(values) if value["AJ"] is not None]
    ordered = sorted(scored, key=lambda n: (values[n]["AJ"], samples[n].id))
    chosen = (
        [ordered[i] for i in sorted({round(k) for k in np.linspace(0, len(ordered) - 1, VIDEOS)})] if ordered else []
    )
    for number, n in enumerate(chosen, start=1):
        with torch.inference_mode():
            places, hidden, _ = task.predict(samples[n])
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in samples[n].id)
        path = out / f"{number:02d}-AJ{100 * values[n]['AJ']:.0f}-{name}.png"
        write_bytes(path, png(strip(samples[n], places, hidden)))
        yield path


def strip(sample: Sample, places: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: frames side by side; points of the first query frame, a line from each to its true place."""
    first = int(sample.frames.min())
    rows = np.flatnonzero(sample.frames == first)[:POINTS]
    shown = np.linspace(first, len(sample.video.frames) - 1, COLUMNS).round().astype(int)
    parts = []
    for frame in shown:
        pixels = frame_pixels(sample.video.frames[frame])
        scale = np.array([pixels.shape[1], pixels.shape[0]]) / 256
        truth = np.where(sample.occluded[rows, frame, None], np.nan, sample.points[rows, frame]) * scale
        parts.append(draw_frame(pixels, places[rows, frame] * scale, hidden[rows, frame], height=HEIGHT, truth=truth))
    return np.concatenate(parts, axis=1)
