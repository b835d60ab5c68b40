"""A sample of the task: one video and what is asked of it, in pixels of 256x256."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.contracts import TrackedVideo
from bench3d.errors import UsageError
from bench3d.metrics.tracking import SIDE, QueryMode, evaluated_frames, first_queries, strided_queries


@dataclass(frozen=True, eq=False)
class Sample:
    """One video with its queries.

    Attributes:
        points: (N, T, 2) true places of each query's point, pixels of 256x256. occluded: (N, T) bool.
        frames: (N,) frame of each query. evaluated: (N, T) bool, the frames that count.
    """

    id: str
    category: str
    video: TrackedVideo
    points: np.ndarray
    occluded: np.ndarray
    frames: np.ndarray
    evaluated: np.ndarray

    @property
    def asked(self) -> np.ndarray:
        """(N, 2) places of the queries, pixels of 256x256."""
        return np.asarray(self.points[np.arange(len(self.frames)), self.frames])


def make_sample(video: TrackedVideo, category: str, mode: QueryMode) -> Sample:
    """The sample of a video.

    Raises:
        UsageError: `first` of a video whose rows are strided queries already.
    """
    # In the precision of the annotation: a float32 product, as published for pixels of w and h.
    scale = np.array([SIDE / side for side in video.extent], dtype=np.float32)
    places = video.points * scale
    if video.query_frames is not None:
        if mode != "strided":
            raise UsageError(
                f"Video {video.id} comes with strided queries, and {mode} queries were asked for.",
                "Choose --protocol strided, or the official pickle (--set data.layout=official).",
            )
        rows, frames = np.arange(len(places)), video.query_frames
    else:
        drawn = strided_queries(video.occluded) if mode == "strided" else first_queries(video.occluded)
        rows, frames = drawn.tracks, drawn.frames
    return Sample(
        id=video.id,
        category=category,
        video=video,
        points=places[rows].astype(np.float64),
        occluded=video.occluded[rows],
        frames=frames,
        evaluated=evaluated_frames(frames, len(video.frames), mode),
    )


def motion(sample: Sample) -> np.ndarray:
    """(N,) largest distance in pixels of 256x256 between the query and the point where it is visible and counts."""
    away = np.linalg.norm(sample.points - sample.asked[:, None], axis=2)
    counts = sample.evaluated & ~sample.occluded
    return np.where(counts, away, 0.0).max(axis=1, initial=0.0)


def longest_occlusion(sample: Sample) -> np.ndarray:
    """(N,) most frames in a row, of those that count, in which the point is hidden."""
    run = best = np.zeros(len(sample.frames), dtype=np.int64)
    for frame in range(sample.occluded.shape[1]):
        hidden = sample.occluded[:, frame] & sample.evaluated[:, frame]
        run = np.where(hidden, run + 1, 0)
        best = np.maximum(best, run)
    return best


MOTION_BINS = ((8.0, "below 8 px"), (32.0, "8 to 32 px"), (np.inf, "32 px and more"))
OCCLUSION_BINS = ((1.0, "never hidden"), (5.0, "1 to 4 frames"), (np.inf, "5 frames and more"))
BINS = {"motion": (motion, MOTION_BINS), "occlusion": (longest_occlusion, OCCLUSION_BINS)}


def bin_names(sample: Sample, by: str) -> list[str]:
    """The bin of every query, by `motion` or `occlusion`."""
    measure, bins = BINS[by]
    return [next(name for end, name in bins if value < end) for value in measure(sample)]
