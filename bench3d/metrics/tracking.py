"""Metrics of point tracking as TAP-Vid defines them (Doersch et al., NeurIPS 2022; protocol page tasks.md c).

Conventions: pixels of an image of 256x256; a point counts as found where its squared distance is strictly below the
squared threshold (1, 2, 4, 8, 16 pixels); every frame but the query's (`strided`) or every later one (`first`) counts.
A video's measures are ratios of counts over all its points, a data set's the plain mean over videos. Without anything
to count a ratio is NaN, and so is what is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

THRESHOLDS = (1, 2, 4, 8, 16)
SIDE = 256
QUERY_EVERY = 5

QueryMode = Literal["strided", "first"]


@dataclass(frozen=True, eq=False)
class Queries:
    """What is asked: row n is track `tracks[n]`, given in frame `frames[n]`. Both (N,) integers."""

    tracks: np.ndarray
    frames: np.ndarray


def strided_queries(occluded: np.ndarray, every: int = QUERY_EVERY) -> Queries:
    """Every visible track in every so-many-th frame. occluded (N, T) bool. Frame by frame, tracks in order."""
    tracks, frames = [], []
    for frame in range(0, occluded.shape[1], every):
        seen = np.flatnonzero(~occluded[:, frame])
        tracks.append(seen)
        frames.append(np.full(len(seen), frame))
    return Queries(np.concatenate(tracks), np.concatenate(frames))


def first_queries(occluded: np.ndarray) -> Queries:
    """Every track in the first frame that shows it; tracks that are never seen are left out. occluded (N, T) bool."""
    seen = np.flatnonzero((~occluded).any(axis=1))
    return Queries(seen, (~occluded[seen]).argmax(axis=1))


def evaluated_frames(query_frames: np.ndarray, length: int, mode: QueryMode) -> np.ndarray:
    """(N, T) bool: which frames count for which query.

    Raises:
        ValueError: another mode.
    """
    frame, asked = np.arange(length)[None], np.asarray(query_frames)[:, None]
    if mode == "first":
        return np.asarray(frame > asked)
    if mode != "strided":
        raise ValueError(f"unknown query mode {mode}")
    return np.asarray(frame != asked)


@dataclass(frozen=True, eq=False)
class TrackCounts:
    """Counts per query over the frames that count, all integers.

    Attributes:
        frames, flags_right, visible: (N,) frames that count; those with the right occlusion flag; those that show the
            point.
        within: (N, 5) visible ones nearer than each threshold, whatever the predicted flag.
        hits: (N, 5) of those, predicted visible. false: (N, 5) predicted visible, and hidden or too far.
    """

    frames: np.ndarray
    flags_right: np.ndarray
    visible: np.ndarray
    within: np.ndarray
    hits: np.ndarray
    false: np.ndarray

    def of(self, chosen: np.ndarray) -> TrackCounts:
        """Those of some queries (mask or indices)."""
        return TrackCounts(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def count_tracks(
    evaluated: np.ndarray, occluded: np.ndarray, points: np.ndarray, said_occluded: np.ndarray, said: np.ndarray
) -> TrackCounts:
    """Compares predictions with the truth.

    Args:
        evaluated: (N, T) bool, see `evaluated_frames`.
        occluded: (N, T) bool; points: (N, T, 2) pixels. said_occluded, said: the same, predicted.
    """
    visible, shown = ~occluded, ~said_occluded
    squared = np.sum(np.square(said - points), axis=-1)
    within, hits, false = [], [], []
    for threshold in THRESHOLDS:
        near = squared < np.square(threshold)
        right = near & visible
        within.append(np.sum(right & evaluated, axis=1))
        hits.append(np.sum(right & shown & evaluated, axis=1))
        false.append(np.sum(((occluded & shown) | (~near & shown)) & evaluated, axis=1))
    return TrackCounts(
        frames=np.sum(evaluated, axis=1),
        flags_right=np.sum((said_occluded == occluded) & evaluated, axis=1),
        visible=np.sum(visible & evaluated, axis=1),
        within=np.stack(within, axis=1),
        hits=np.stack(hits, axis=1),
        false=np.stack(false, axis=1),
    )


@dataclass(frozen=True)
class VideoScores:
    """Fractions, NaN where nothing counts. `within` and `jaccard` belong to the thresholds.

    Attributes:
        average_jaccard: AJ; average_within: delta_avg, the mean of `within`; occlusion_accuracy: OA.
    """

    average_jaccard: float
    average_within: float
    occlusion_accuracy: float
    within: tuple[float, ...]
    jaccard: tuple[float, ...]


def video_scores(counts: TrackCounts) -> VideoScores:
    """The measures of one video, or of some of its queries: ratios of sums over queries and frames."""
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = np.sum(counts.flags_right) / np.sum(counts.frames)
        visible = np.sum(counts.visible)
        within = np.sum(counts.within, axis=0) / visible
        jaccard = np.sum(counts.hits, axis=0) / (visible + np.sum(counts.false, axis=0))
    return VideoScores(
        average_jaccard=float(np.mean(jaccard[None], axis=1)[0]),
        average_within=float(np.mean(within[None], axis=1)[0]),
        occlusion_accuracy=float(accuracy),
        within=tuple(float(v) for v in within),
        jaccard=tuple(float(v) for v in jaccard),
    )


def share_of_image_within(points: np.ndarray, radius: float, side: int = SIDE) -> np.ndarray:
    """Probability that a uniform draw from the square image lies strictly within `radius` of each point. (..., 2).

    Exact: the area of the disc inside [0, side] x [0, side].
    """
    x, y = np.asarray(points, dtype=np.float64)[..., 0], np.asarray(points, dtype=np.float64)[..., 1]
    area = np.zeros(np.broadcast(x, y).shape)
    for right, sign_x in ((side - x, 1.0), (-x, -1.0)):
        for bottom, sign_y in ((side - y, 1.0), (-y, -1.0)):
            area += sign_x * sign_y * _corner_area(right, bottom, radius)
    return np.clip(area / side**2, 0.0, 1.0)


def _corner_area(a: np.ndarray, b: np.ndarray, r: float) -> np.ndarray:
    """Signed area of {0 < x < a, 0 < y < b} (signs of a and b multiplied) inside the disc of radius r."""
    sign = np.sign(a) * np.sign(b)
    a, b = np.minimum(np.abs(a), r), np.minimum(np.abs(b), r)
    whole = a**2 + b**2 <= r**2
    # Where the circle cuts the rectangle's far corner: full height up to x0, then below the arc up to a.
    x0 = np.sqrt(np.maximum(r**2 - b**2, 0.0))

    def under_arc(x: np.ndarray) -> np.ndarray:
        return 0.5 * (x * np.sqrt(np.maximum(r**2 - x**2, 0.0)) + r**2 * np.arcsin(np.clip(x / r, -1.0, 1.0)))

    cut = b * x0 + under_arc(a) - under_arc(x0)
    return sign * np.where(whole, a * b, cut)
