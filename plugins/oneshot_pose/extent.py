"""How large an object or scene is, by its ground truth: what relative errors are divided by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench3d.contracts import ViewSet
from bench3d.errors import DataError
from bench3d.geometry.triangulate import Sightings, triangulate
from bench3d.geometry.unproject import unproject
from bench3d_plugins.oneshot_pose.capture import Extent, box_of, pixel_scale, spread

POINTS_A_VIEW = 1000
MOST_VIEWS = 12
MOST_TRACKS = 2000
TRACK_PIXELS = 8.0


def extent_of(views: ViewSet, references: Sequence[int]) -> Extent:
    """The box around what the reference views show, by their depth maps, or by tracks triangulated at the true poses.

    Raises:
        DataError: nothing is known of the scene.
    """
    points = _by_depth(views, references) if views.truth == "depth" else _by_tracks(views, references)
    if len(points) < 2:
        raise DataError(f"The set {views.id} has no surface: neither depths nor tracks say how large it is.")
    found = box_of(points)
    if found.size <= 0:
        raise DataError(f"The set {views.id} has no extent.")
    return found


def _by_depth(views: ViewSet, references: Sequence[int]) -> np.ndarray:
    parts = [np.zeros((0, 3))]
    for place in spread(len(references), MOST_VIEWS):
        view = views.views[references[place]]
        if view.depth is None:
            raise DataError(f"The view {views.id}/{view.id} has no depth.", "Complete the data set.")
        depth = view.depth()
        known = np.isfinite(depth) & (depth > 0)
        if view.mask is not None:
            known &= view.mask().astype(bool)
        row, column = np.nonzero(known)
        step = max(1, len(row) // POINTS_A_VIEW)
        row, column = row[::step], column[::step]
        world = unproject(view, np.stack([column, row], axis=1) + 0.5, depth[row, column])
        parts.append(world[np.isfinite(world).all(axis=1)])
    return np.concatenate(parts)


def _by_tracks(views: ViewSet, references: Sequence[int]) -> np.ndarray:
    if views.observations is None:
        raise DataError(f"The set {views.id} has no tracks and no depth.", "Check the data set.")
    seen = views.observations()
    names = np.unique(np.concatenate([o.points for o in seen]))
    names = names[:: max(1, len(names) // MOST_TRACKS)]
    track, view, xy = [], [], []
    for index, one in enumerate(seen):
        held = np.isin(one.points, names)
        track.append(np.searchsorted(names, one.points[held]))
        view.append(np.full(int(held.sum()), index))
        xy.append(np.asarray(one.xy, dtype=np.float64)[held])
    order = np.argsort(np.concatenate(track), kind="stable")
    sightings = Sightings(*(np.concatenate(parts)[order] for parts in (track, view, xy)))
    pixels = TRACK_PIXELS * max(pixel_scale(v) for v in views.views)
    points = triangulate(sightings, views.views, pixels=pixels, min_angle=1.0).points
    return points[np.isfinite(points).all(axis=1)]
