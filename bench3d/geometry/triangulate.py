"""Points of the world from where several posed views see them: all tracks at once, robust against wrong sightings.

A track is a set of sightings (view, pixel) of one point. Two sightings, drawn anew in every round, give a hypothesis
(the point nearest to both rays); the hypothesis that most sightings of the track agree with wins and is solved again
over those. Rays and centres are in world coordinates; pixels are continuous, pixel (i, j) covers [i, i+1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench3d.geometry.unproject import project, undistort

if TYPE_CHECKING:
    from bench3d.contracts import PosedView

ROUNDS = 12
SOLVES = 3


@dataclass(frozen=True)
class Sightings:
    """Where tracks were seen: (N,) rows.

    Attributes:
        track: (N,) int64, ascending numbers of the tracks from 0.
        view: (N,) int64 rows of the views.
        xy: (N, 2) pixels.
    """

    track: np.ndarray
    view: np.ndarray
    xy: np.ndarray


@dataclass(frozen=True)
class Triangulated:
    """What became of T tracks and their N sightings.

    Attributes:
        points: (T, 3), NaN where a track was given up.
        inlier: (N,) bool: the sightings that agree with their track's point.
        angle: (T,) largest angle in degrees between the rays of the inliers.
    """

    points: np.ndarray
    inlier: np.ndarray
    angle: np.ndarray


def triangulate(
    sightings: Sightings,
    views: Sequence[PosedView],
    *,
    pixels: float,
    min_views: int = 2,
    min_angle: float = 2.0,
    seed: int = 0,
) -> Triangulated:
    """The points of tracks.

    Args:
        sightings: of T tracks (T is one more than the largest number).
        views: that they refer to.
        pixels: largest reprojection error of an inlier.
        min_views: a track is given up where fewer different views agree.
        min_angle: and where no two rays of its inliers differ by so many degrees.
        seed: of the pairs that are drawn.
    """
    track, count = sightings.track, int(sightings.track.max(initial=-1)) + 1
    if not count:
        return Triangulated(np.zeros((0, 3)), np.zeros(0, dtype=bool), np.zeros(0))
    order = np.argsort(track, kind="stable")
    track, view, xy = track[order], sightings.view[order], sightings.xy[order]
    centres, rays = view_rays(views, view, xy)
    measure = _Errors(views, view, xy, track)
    points = _best_pairs(track, count, centres, rays, measure, pixels, np.random.default_rng(seed))
    for _ in range(SOLVES):
        inlier = measure(points) <= pixels
        points = nearest_to_rays(track, count, centres, rays, inlier.astype(np.float64))
    inlier = measure(points) <= pixels
    angle = widest_angle(track, count, rays, inlier)
    kept = (
        (views_seen(track, count, view, inlier) >= min_views) & (angle >= min_angle) & np.isfinite(points).all(axis=1)
    )
    points[~kept] = np.nan
    back = np.empty(len(order), dtype=bool)
    back[order] = inlier & kept[track]
    return Triangulated(points, back, angle)


def view_rays(views: Sequence[PosedView], view: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Camera centres (N, 3) and unit rays (N, 3) through pixels (N, 2) of the views; a ray is NaN where none is met."""
    centres, rays = np.zeros((len(xy), 3)), np.full((len(xy), 3), np.nan)
    for index in np.unique(view):
        rows, own = np.flatnonzero(view == index), views[int(index)]
        plane = np.concatenate([xy[rows], np.ones((len(rows), 1))], axis=1) @ np.linalg.inv(own.intrinsics).T
        plane = plane[:, :2] / plane[:, 2:]
        if own.distortion is not None:
            plane = undistort(plane, own.distortion)
        rotation, translation = own.cam_T_world[:3, :3], own.cam_T_world[:3, 3]
        direction = np.concatenate([plane, np.ones((len(rows), 1))], axis=1) @ rotation
        rays[rows] = direction / np.linalg.norm(direction, axis=1, keepdims=True)
        centres[rows] = -rotation.T @ translation
    return centres, rays


def nearest_to_rays(
    track: np.ndarray, count: int, centres: np.ndarray, rays: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """(count, 3): of every track the point with the least weighted sum of squared distances to its rays (N, 3).

    Solves sum w (I - r r^T) (x - c) = 0; NaN where the rays are parallel or there are none.
    """
    usable = np.isfinite(rays).all(axis=1) & (weight > 0)
    weighted = np.where(usable, weight, 0.0)[:, None]
    safe = np.where(usable[:, None], rays, 0.0)
    matrix, vector = np.zeros((count, 3, 3)), np.zeros((count, 3))
    # A far origin would cost digits: each track is solved around the first of its centres.
    first = np.searchsorted(track, np.arange(count)).clip(max=max(len(track) - 1, 0))
    origin = centres[first]
    local = centres - origin[track]
    along = (safe * local).sum(axis=1, keepdims=True)
    for a in range(3):
        np.add.at(vector[:, a], track, (weighted * (local - safe * along))[:, a])
        for b in range(3):
            value = (float(a == b) - safe[:, a] * safe[:, b]) * weighted[:, 0]
            np.add.at(matrix[:, a, b], track, value)
    # The smallest eigenvalue is about the squared angle between the rays: below it, nothing is known of the depth.
    held = np.linalg.eigvalsh(matrix)[:, 0] > 1e-9
    points = np.full((count, 3), np.nan)
    points[held] = np.linalg.solve(matrix[held], vector[held][..., None])[..., 0] + origin[held]
    return points


def views_seen(track: np.ndarray, count: int, view: np.ndarray, inlier: np.ndarray) -> np.ndarray:
    """(count,) number of different views among the inliers of every track."""
    pairs = np.unique(np.stack([track[inlier], view[inlier]], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=count)


def widest_angle(track: np.ndarray, count: int, rays: np.ndarray, inlier: np.ndarray) -> np.ndarray:
    """(count,) largest angle in degrees between two rays of a track's inliers, 0 with fewer than two."""
    widest = np.zeros(count)
    rows = np.flatnonzero(inlier & np.isfinite(rays).all(axis=1))
    starts = np.searchsorted(track[rows], np.arange(count + 1))
    longest = int(np.diff(starts).max(initial=0))
    for step in range(1, longest):  # every pair of rows that lie `step` apart, of all tracks at once
        a, b = rows[:-step], rows[step:]
        same = track[a] == track[b]
        a, b = a[same], b[same]
        sine = np.linalg.norm(np.cross(rays[a], rays[b]), axis=1)
        np.maximum.at(widest, track[a], np.rad2deg(np.arctan2(sine, (rays[a] * rays[b]).sum(axis=1))))
    return widest


class _Errors:
    """Reprojection errors of points (T, 3) at every sighting, infinite where a point is behind the view or NaN."""

    def __init__(self, views: Sequence[PosedView], view: np.ndarray, xy: np.ndarray, track: np.ndarray) -> None:
        self._track, self._xy = track, xy
        self._rows = [(views[int(i)], np.flatnonzero(view == i)) for i in np.unique(view)]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        error = np.full(len(self._xy), np.inf)
        for view, rows in self._rows:
            pixels, _ = project(view, points[self._track[rows]])
            error[rows] = np.linalg.norm(pixels - self._xy[rows], axis=1)
        return np.where(np.isfinite(error), error, np.inf)


def _best_pairs(
    track: np.ndarray,
    count: int,
    centres: np.ndarray,
    rays: np.ndarray,
    measure: _Errors,
    pixels: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """(count, 3): of every track the hypothesis from two sightings with the most inliers, then the smallest error."""
    starts = np.searchsorted(track, np.arange(count))
    length = np.bincount(track, minlength=count)
    best, score = np.full((count, 3), np.nan), np.full(count, np.inf)
    for _ in range(ROUNDS):
        a = (rng.random(count) * length).astype(np.int64)
        b = (a + 1 + (rng.random(count) * np.maximum(length - 1, 1)).astype(np.int64)) % np.maximum(length, 1)
        weight = np.zeros(len(track))
        paired = length > 1
        weight[starts[paired] + a[paired]] = weight[starts[paired] + b[paired]] = 1.0
        points = nearest_to_rays(track, count, centres, rays, weight)
        # Truncated squares: counts inliers first and then how well they agree.
        cost = np.minimum(measure(points) / pixels, 1.0) ** 2
        total = np.bincount(track, weights=cost, minlength=count)
        better = total < score
        best[better], score[better] = points[better], total[better]
    return best
