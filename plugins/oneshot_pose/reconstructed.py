"""Captures of posed views: reference and query half, and the bank that the reference half gives.

`triangulate`: every cell of a reference view is looked for in neighbouring reference views, kept where the way back
ends where it began, and triangulated with the known poses; a point is what enough views agree on. Points of different
views that are each other's matches and lie together become one. `depth`: cells are lifted by the depth map.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from bench3d.contracts import FeatureMap, PosedView, ViewSet
from bench3d.errors import DataError
from bench3d.features.bank import Bank, empty_bank, kept_rows, merged
from bench3d.features.lattice import Lattice
from bench3d.features.matching import Target, dense_argmax, sample_at
from bench3d.geometry.triangulate import Sightings, triangulate
from bench3d.geometry.unproject import project, unproject
from bench3d_plugins.oneshot_pose.capture import Capture, axis_angles, pixel_scale, spread, view_map
from bench3d_plugins.oneshot_pose.extent import extent_of
from bench3d_plugins.oneshot_pose.settings import CaptureSettings

if TYPE_CHECKING:
    from bench3d.contracts import Encoder

SEARCH_STRIDE = 2  # pixels of a reference view between candidates of a match


@dataclass(frozen=True, eq=False)
class Anchors:
    """The cells of one reference view that stand on the object.

    Attributes:
        features, target: the view's map.
        cells: (N, 2) continuous cell coordinates; xy: (N, 2) pixels; descriptors: (N, C) of unit length.
        number: (h, w) int64 row of every cell's anchor, -1 where it is none.
        valid: (H, W) bool lattice points that may be matched, None for all; lattice: these points.
    """

    view: PosedView
    features: FeatureMap
    target: Target
    cells: np.ndarray
    xy: np.ndarray
    descriptors: torch.Tensor
    number: np.ndarray
    lattice: Lattice
    columns: np.ndarray
    rows: np.ndarray
    valid: np.ndarray | None


def capture_of(views: ViewSet, settings: CaptureSettings) -> Capture:
    """The set's halves."""
    count = len(views.views)
    if settings.split == "alternate":
        reference = np.arange(count) % 2 == 0
    else:
        rng = np.random.default_rng([settings.seed, zlib.crc32(views.id.encode())])
        reference = np.zeros(count, dtype=bool)
        reference[rng.permutation(count)[: -(-count // 2)]] = True
    known, asked = (np.flatnonzero(which) for which in (reference, ~reference))
    kept = [int(known[k]) for k in spread(len(known), settings.max_references)]
    references = tuple(views.views[k] for k in kept)
    queries = tuple(views.views[int(asked[k])] for k in spread(len(asked), settings.max_queries))
    make = triangulated if settings.bank == "triangulate" else lifted
    return Capture(
        id=views.id,
        references=references,
        queries=queries,
        extent=cache(partial(extent_of, views, kept)),
        build=partial(make, references, views.object_category, settings),
        category=views.object_category,
    )


def anchors_of(encoder: Encoder, view: PosedView, category: str | None, settings: CaptureSettings) -> Anchors:
    """The centres of a view's cells inside the image and, where wanted and given, on its mask."""
    features = view_map(encoder, view, category)
    geometry = features.geometry[0]
    height, width = features.values.shape[2:]
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    cells = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5
    xy = geometry.cell_to_original(cells)
    mask = _mask(view) if settings.reference_mask and view.mask is not None else None
    inside = (xy >= 0).all(axis=1) & (xy < view.size).all(axis=1)
    if mask is not None:
        column, row = np.floor(np.where(inside[:, None], xy, 0)).astype(np.int64).T
        inside &= mask[row, column]
    kept = np.flatnonzero(inside)
    number = np.full(height * width, -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    lattice = Lattice.pixels(geometry, stride=SEARCH_STRIDE)
    return Anchors(
        view=view,
        features=features,
        target=Target(features.values[0]),
        cells=cells[kept],
        xy=xy[kept],
        descriptors=sample_at(features.values[0], cells[kept]),
        number=number.reshape(height, width),
        lattice=lattice,
        columns=np.arange(0, view.size[0], SEARCH_STRIDE) + 0.5,
        rows=np.arange(0, view.size[1], SEARCH_STRIDE) + 0.5,
        valid=None if mask is None else mask[::SEARCH_STRIDE, ::SEARCH_STRIDE],
    )


def lifted(
    references: tuple[PosedView, ...], category: str | None, settings: CaptureSettings, encoder: Encoder
) -> Bank:
    """The bank of the reference views' cells at their depths. Merged: one row per cube of a cell's width.

    Raises:
        DataError: a view has no depth.
    """
    points, descriptors, widths = [], [], []
    for view in references:
        if view.depth is None:
            raise DataError(f"The view {view.id} has no depth.", "Take the protocol default, which triangulates.")
        anchors = anchors_of(encoder, view, category, settings)
        column, row = np.floor(anchors.xy).astype(np.int64).T
        depth = view.depth()[row, column].astype(np.float64)
        known = np.isfinite(depth) & (depth > 0)
        world = unproject(view, anchors.xy[known], depth[known])
        held = np.isfinite(world).all(axis=1)
        points.append(world[held])
        descriptors.append(anchors.descriptors[torch.from_numpy(np.flatnonzero(known)[held])])
        cell = view.size[0] / anchors.number.shape[1]
        widths.append(depth[known][held] * cell / view.intrinsics[0, 0])
    bank = Bank(np.concatenate(points), torch.cat(descriptors)) if points else empty_bank()
    bank = _capped(bank, settings)
    if not settings.merge or not len(bank):
        return bank
    cube = np.floor(bank.points / max(float(np.median(np.concatenate(widths))), 1e-12)).astype(np.int64)
    _, groups = np.unique(cube, axis=0, return_inverse=True)
    return merged(bank, groups.ravel())


def triangulated(
    references: tuple[PosedView, ...], category: str | None, settings: CaptureSettings, encoder: Encoder
) -> Bank:
    """The bank of what the reference views' own matches give; see the module."""
    anchors = [anchors_of(encoder, view, category, settings) for view in references]
    starts = np.concatenate([[0], np.cumsum([len(a.xy) for a in anchors])]).astype(np.int64)
    track, view, xy, linked = [], [], [], []
    for i, own in enumerate(anchors):
        track.append(starts[i] + np.arange(len(own.xy)))
        view.append(np.full(len(own.xy), i))
        xy.append(own.xy)
        for j in neighbours(references, i, settings):
            rows, found, cell = matches(own, anchors[j], settings.cycle)
            track.append(starts[i] + rows)
            view.append(np.full(len(rows), j))
            xy.append(found)
            held = cell >= 0
            linked.append(np.stack([starts[i] + rows[held], starts[j] + cell[held]], axis=1))
    if not linked:
        return empty_bank()
    order = np.argsort(np.concatenate(track), kind="stable")
    seen = Sightings(*(np.concatenate(parts)[order] for parts in (track, view, xy)))
    pixels = settings.track_error * max(pixel_scale(v) for v in references)
    solved = triangulate(
        seen, references, pixels=pixels, min_views=settings.min_views, min_angle=settings.min_angle, seed=settings.seed
    )
    groups = joined(
        solved.points, np.concatenate(linked), references, starts, np.concatenate([a.xy for a in anchors]), pixels
    )
    points, descriptors, names = [], [], []
    for i, own in enumerate(anchors):
        rows = np.flatnonzero(solved.inlier & (seen.view == i))
        cells = own.features.geometry[0].original_to_cell(seen.xy[rows])
        points.append(solved.points[seen.track[rows]])
        descriptors.append(sample_at(own.features.values[0], cells))
        names.append(groups[seen.track[rows]])
    bank, name = Bank(np.concatenate(points), torch.cat(descriptors)), np.concatenate(names)
    rows = kept_rows(len(bank), settings.max_rows, (settings.seed, 1))
    bank = Bank(bank.points[rows], bank.descriptors[torch.from_numpy(rows)])
    return merged(bank, name[rows]) if settings.merge and len(bank) else bank


def neighbours(references: tuple[PosedView, ...], i: int, settings: CaptureSettings) -> list[int]:
    """Views that the i-th is matched with: every second of the nearest by angle, nearest first, as many as wanted."""
    angles = axis_angles(references[i : i + 1], references)[0]
    order = [int(j) for j in np.argsort(angles, kind="stable") if j != i and angles[j] <= settings.neighbour_angle]
    wide = order[: 2 * settings.neighbours]
    step = 2 if len(wide) > settings.neighbours else 1
    return wide[step - 1 :: step][: settings.neighbours]


def matches(own: Anchors, other: Anchors, cycle: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anchors that are found in another view and found back: their rows (K,), the pixels (K, 2), and the other view's
    anchors (K,) in whose cells these lie (-1: none).
    """
    nothing = np.zeros(0, dtype=np.int64), np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    if not len(own.xy) or not len(other.xy):
        return nothing
    there = _best(own.descriptors, other)
    rows = np.flatnonzero(np.isfinite(there).all(axis=1))
    there = there[rows]
    cells = other.features.geometry[0].original_to_cell(there)
    back = _best(sample_at(other.features.values[0], cells), own)
    cell_back = own.features.geometry[0].original_to_cell(back)
    with np.errstate(invalid="ignore"):
        kept = np.abs(cell_back - own.cells[rows]).max(axis=1, initial=0.0) <= cycle
    height, width = other.number.shape
    column, row = (np.clip(np.floor(cells[:, a]).astype(np.int64), 0, n - 1) for a, n in enumerate((width, height)))
    return rows[kept], there[kept], other.number[row, column][kept]


def joined(
    points: np.ndarray,
    linked: np.ndarray,
    references: tuple[PosedView, ...],
    starts: np.ndarray,
    xy: np.ndarray,
    pixels: float,
) -> np.ndarray:
    """(T,) names of the groups of tracks that are one point.

    Two linked tracks are one where the point of the second also projects onto the first one's anchor.
    """
    a, b = linked.T
    near = np.zeros(len(a), dtype=bool)
    for i, view in enumerate(references):
        mine = np.flatnonzero((a >= starts[i]) & (a < starts[i + 1]) & np.isfinite(points[a]).all(axis=1))
        seen, _ = project(view, points[b[mine]])
        with np.errstate(invalid="ignore"):
            near[mine] = np.linalg.norm(seen - xy[a[mine]], axis=1) <= pixels
    graph = coo_matrix((np.ones(int(near.sum())), (a[near], b[near])), shape=(len(points), len(points)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _best(descriptors: torch.Tensor, other: Anchors) -> np.ndarray:
    """(N, 2) pixels of a view where descriptors match best, NaN where nothing could be compared."""
    found = dense_argmax(descriptors, other.target, other.lattice, cosine=True, mask=other.valid)
    index = found.index.cpu().numpy()
    xy = np.stack([other.columns[index[:, 0]], other.rows[index[:, 1]]], axis=1)
    xy[index[:, 0] < 0] = np.nan
    return xy


def _capped(bank: Bank, settings: CaptureSettings) -> Bank:
    rows = kept_rows(len(bank), settings.max_rows, (settings.seed, 1))
    return Bank(bank.points[rows], bank.descriptors[torch.from_numpy(rows)])


def _mask(view: PosedView) -> np.ndarray:
    assert view.mask is not None
    mask = view.mask()
    if mask.shape != view.size[::-1]:
        raise DataError(f"The mask of {view.image} is not of the image's size.", "Use the files as published.")
    return mask.astype(bool)
