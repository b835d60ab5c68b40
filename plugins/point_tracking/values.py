"""From predictions to the values of a sample, and the metrics that read them.

A Jaccard index is a ratio of sums, so the average over thresholds (AJ) belongs to a video: it is a value of the sample,
and one of each bin of motion and occlusion. Everything else is a weighted mean over the video's queries, which are the
sample's parts, and the host makes the bins.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench3d.contracts import MetricSpec
from bench3d.metrics.tracking import (
    SIDE,
    THRESHOLDS,
    TrackCounts,
    count_tracks,
    share_of_image_within,
    video_scores,
)
from bench3d_plugins.point_tracking.samples import BINS, Sample, bin_names

ORDER = "frames and queries of a video > mean over videos"
STILL, RANDOM = "still_point", "random_point"
DIGITS = 7
# Another batch of images, device or thread count moves features by about 1e-6, and an argmax that is nearly a tie to
# another cell: one query in one frame. A share of a video moves by one over its queries times frames.
TOLERANCE = 0.02


def _metric(name: str, value: str, **more: Any) -> MetricSpec:
    return MetricSpec(
        name=name, value=value, reduce="mean", unit="%", higher_is_better=True, order=ORDER, tolerance=TOLERANCE, **more
    )


def metrics() -> tuple[MetricSpec, ...]:
    """AJ, delta_avg and OA, then Jaccard index and share of found points at each threshold."""
    return (
        _metric("AJ", "AJ", chance={STILL: f"{STILL}_AJ"}),
        _metric(
            "delta_avg",
            "delta_avg",
            weight="visible",
            chance={STILL: f"{STILL}_delta_avg", RANDOM: f"{RANDOM}_delta_avg"},
        ),
        _metric("OA", "OA", weight="frames", chance={"always_visible": "always_visible"}),
        *(_metric(f"J@{t}", f"jaccard@{t}", weight=f"jaccard_weight@{t}") for t in THRESHOLDS),
        *(_metric(f"d@{t}", f"delta@{t}", weight="visible") for t in THRESHOLDS),
    )


def sample_values(sample: Sample, said: np.ndarray, said_occluded: np.ndarray) -> dict[str, Any]:
    """Values of one video.

    Args:
        said: (N, T, 2) predicted pixels of 256x256. said_occluded: (N, T) bool.
    """
    counts = count_tracks(sample.evaluated, sample.occluded, sample.points, said_occluded, said)
    still = np.broadcast_to(sample.asked[:, None], sample.points.shape)
    shown = np.zeros_like(sample.occluded)
    unmoved = count_tracks(sample.evaluated, sample.occluded, sample.points, shown, still)
    groups = {by: bin_names(sample, by) for by in BINS}
    values: dict[str, Any] = {
        "id": sample.id,
        "category": sample.category,
        "cluster": sample.video.cluster or sample.id,
        "queries": len(sample.frames),
        "length": len(sample.video.frames),
        "AJ": number(video_scores(counts).average_jaccard),
        f"{STILL}_AJ": number(video_scores(unmoved).average_jaccard),
    }
    values["binned"] = {by: _binned(np.array(names), counts, unmoved) for by, names in groups.items()}
    values["parts"] = {**_columns(sample, counts, unmoved), "groups": groups}
    return values


def _binned(names: np.ndarray, counts: TrackCounts, unmoved: TrackCounts) -> dict[str, dict[str, float | None]]:
    """AJ and its chance level over the queries of each bin."""
    return {
        str(name): {
            "AJ": number(video_scores(counts.of(names == name)).average_jaccard),
            f"{STILL}_AJ": number(video_scores(unmoved.of(names == name)).average_jaccard),
        }
        for name in np.unique(names)
    }


def _columns(sample: Sample, counts: TrackCounts, unmoved: TrackCounts) -> dict[str, list[Any]]:
    """One row per query."""
    seen = sample.evaluated & ~sample.occluded
    columns: dict[str, list[Any]] = {
        "query_frame": sample.frames.tolist(),
        "frames": counts.frames.tolist(),
        "visible": counts.visible.tolist(),
        "OA": _ratio(counts.flags_right, counts.frames),
        "always_visible": _ratio(counts.visible, counts.frames),
        "delta_avg": _ratio(counts.within.mean(axis=1), counts.visible),
        f"{STILL}_delta_avg": _ratio(unmoved.within.mean(axis=1), counts.visible),
        f"{RANDOM}_delta_avg": _ratio(_random_within(sample, seen), counts.visible),
    }
    for number_, threshold in enumerate(THRESHOLDS):
        weight = counts.visible + counts.false[:, number_]
        columns[f"delta@{threshold}"] = _ratio(counts.within[:, number_], counts.visible)
        columns[f"jaccard@{threshold}"] = _ratio(counts.hits[:, number_], weight)
        columns[f"jaccard_weight@{threshold}"] = weight.tolist()
    return columns


def _random_within(sample: Sample, seen: np.ndarray) -> np.ndarray:
    """(N,) expected count, mean over the thresholds, of visible points that a uniform draw from the image finds."""
    shares = [share_of_image_within(sample.points, t, SIDE) for t in THRESHOLDS]
    return np.where(seen, np.mean(shares, axis=0), 0.0).sum(axis=1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> list[float | None]:
    """Shares, None where there is nothing to count."""
    return [round(float(p / w), DIGITS) if w > 0 else None for p, w in zip(part, whole, strict=True)]


def number(value: float) -> float | None:
    """A JSON number, None for NaN."""
    return None if math.isnan(value) else float(value)
