"""Whether what a reader lists is of the declared shapes and in the conventions of design section 6.

A wrong axis seldom shows in a shape. So geometry that the data hold twice is compared: a mesh at its pose with the
annotated box, a point cloud with the mask, and the depth maps of two views with each other.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.data.images import load_mask, load_rgb
from bench3d.geometry.camera import project
from bench3d.geometry.unproject import unproject, visible
from bench3d.testing.readers import Listed
from bench3d.testing.subjects import require

ORTHONORMAL = 1e-4
LEAST_OVERLAP = 0.4
"""Intersection over union of a projected mesh and the annotated box; CAD models of real data only resemble."""
LEAST_INSIDE = 0.6
LEAST_SHARED = 0.1
AXES = "Cameras are OpenCV (x right, y down, z forward), cam_T_obj (4, 4); objects are x left, y back, z up."
_POINTS = 400
_SEEN = 6


def check_listed(found: Sequence[Listed]) -> None:
    """Shapes and conventions of the first few of a list.

    Raises:
        CheckFailed: which one, which field, and what is expected.
    """
    chosen = found[:_SEEN]
    for one in chosen:
        for path, size in one.images:
            _image(one.id, path, size)
    checks = {"samples": _samples, "pairs": _pairs, "view_sets": _view_sets, "videos": _videos, "sequences": _sequences}
    checks[chosen[0].what]([one.value for one in chosen])


def _image(owner: str, path: Path, size: Any) -> None:
    require(isinstance(path, Path), f"{owner}: image is {type(path).__name__}, not a Path.")
    require(
        isinstance(size, tuple) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size),
        f"{owner}: size is {size!r}, not (width, height) in pixels.",
    )
    load_rgb(path, size)


def _samples(samples: Sequence[Any]) -> None:
    overlaps = []
    for one in samples:
        _intrinsics(one.id, one.intrinsics)
        _pose(one.id, "cam_T_obj", one.cam_T_obj)
        require(one.cam_T_obj[2, 3] > 0, f"{one.id}: the object lies behind the camera.", AXES)
        box = np.asarray(one.box, dtype=np.float64)
        require(
            box.shape == (4,) and bool((box[:2] < box[2:]).all()),
            f"{one.id}: box is {one.box!r}, not (x0, y0, x1, y1) in pixels.",
        )
        _json(one.id, one.attributes)
        vertices, faces = one.mesh()
        _mesh(one.id, vertices, faces)
        pixels, _ = project(np.asarray(vertices, dtype=np.float64), one.cam_T_obj, one.intrinsics)
        overlaps.append(_overlap(_clipped(pixels, one.size), box))
    median = float(np.median(overlaps))
    require(
        median >= LEAST_OVERLAP,
        f"Meshes at their poses overlap with the boxes by {median:.0%} (median of {len(overlaps)}): "
        "pose, camera or mesh is in another frame.",
        AXES,
    )


def _clipped(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    pixels = np.clip(pixels, 0.0, np.array(size, dtype=np.float64))
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.clip(high - low, 0.0, None)))
    return shared / max(float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared, 1e-9)


def _videos(videos: Sequence[Any]) -> None:
    for one in videos:
        points, hidden = np.asarray(one.points), np.asarray(one.occluded)
        require(
            hidden.dtype == bool and hidden.ndim == 2 and hidden.shape[1] == len(one.frames),
            f"{one.id}: occluded is {hidden.shape} {hidden.dtype}, not (N, {len(one.frames)}) bool.",
        )
        require(points.shape == (*hidden.shape, 2), f"{one.id}: points are {points.shape}, not (N, T, 2).")
        shares = points[~hidden] / np.asarray(one.extent, dtype=np.float64)
        require(
            bool(np.isfinite(shares).all()) and bool((np.abs(shares - 0.5) <= 0.51).all()),
            f"{one.id}: a visible point lies outside the image.",
            "points are in raster coordinates: (0, 0) is the top left corner, `extent` the bottom right one.",
        )
        for frame in one.frames[:_SEEN]:
            if frame.pixels is not None:
                pixels = frame.pixels.read()
                good = pixels.dtype == np.uint8 and pixels.shape == (frame.size[1], frame.size[0], 3)
                require(good, f"{one.id}: a frame is {pixels.shape} {pixels.dtype}, not (H, W, 3) uint8.")
        _json(one.id, one.attributes)


def _sequences(sequences: Sequence[Any]) -> None:
    for one in sequences:
        points = np.asarray(one.points())
        require(
            points.ndim == 2 and points.shape[1] == 3 and len(points) > 0 and bool(np.isfinite(points).all()),
            f"{one.name}: points are {points.shape}, not (N, 3) finite.",
        )
        require(
            0.3 <= float(np.abs(points).max()) <= 3.0,
            f"{one.name}: the largest coordinate of its points is {np.abs(points).max():.2g}; canonical: about 1.",
        )
        inside = []
        for frame in one.frames[:_SEEN]:
            _intrinsics(frame.id, frame.intrinsics)
            _pose(frame.id, "cam_T_obj", frame.cam_T_obj)
            mask = load_mask(frame.mask, frame.size)
            pixels, depth = project(_some(points), frame.cam_T_obj, frame.intrinsics)
            inside.append(_share_inside(pixels, depth, mask))
        require(
            float(np.median(inside)) >= LEAST_INSIDE,
            f"{one.name}: {np.median(inside):.0%} of its points fall into the masks: "
            "cameras and points are not in one frame.",
            AXES,
        )


def _share_inside(pixels: np.ndarray, depth: np.ndarray, mask: np.ndarray) -> float:
    height, width = mask.shape
    column, row = np.floor(pixels).astype(np.int64).T
    there = (depth > 0) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
    return float(mask[row[there], column[there]].sum()) / len(pixels)


def _some(points: np.ndarray) -> np.ndarray:
    return points[:: max(1, len(points) // _POINTS)]


def _view_sets(sets: Sequence[Any]) -> None:
    for one in sets:
        require(len(one.views) > 1, f"{one.id}: one view is no set.")
        require(one.truth in ("depth", "tracks"), f"{one.id}: truth is {one.truth!r}, not depth or tracks.")
        _unique_views(one)
        _json(one.id, one.attributes)
        for view in one.views:
            _intrinsics(f"{one.id}/{view.id}", view.intrinsics)
            _pose(f"{one.id}/{view.id}", "cam_T_world", view.cam_T_world)
        if one.truth == "tracks":
            _tracks(one)
        else:
            _depths(one)


def _unique_views(one: Any) -> None:
    ids = [view.id for view in one.views]
    require(len(set(ids)) == len(ids), f"{one.id}: two of its views have one id.")


def _tracks(one: Any) -> None:
    require(one.observations is not None, f"{one.id}: truth is tracks, and observations is None.")
    seen = one.observations()
    require(len(seen) == len(one.views), f"{one.id}: {len(seen)} observations for {len(one.views)} views.")
    for view, points in zip(one.views, seen, strict=True):
        require(
            bool((np.diff(points.points) > 0).all()) and points.xy.shape == (len(points.points), 2),
            f"{one.id}/{view.id}: the ids of its observations are not ascending and unique, or xy is not (N, 2).",
        )
    shared = max(len(np.intersect1d(a.points, b.points)) for a, b in itertools.pairwise(seen))
    require(shared > 0, f"{one.id}: no two neighbouring views observe a common point.")


def _depths(one: Any) -> None:
    first = one.views[0]
    mask = None if first.mask is None else first.mask()
    width, height = first.size
    require(
        mask is None or (mask.dtype == bool and mask.shape == (height, width)),
        f"{one.id}/{first.id}: mask is no (H, W) bool of the image's size.",
    )
    depth = _depth(one, first)
    row, column = np.nonzero(depth)
    require(len(row) > 0, f"{one.id}/{first.id}: its depth map is empty.")
    step = max(1, len(row) // _POINTS)
    row, column = row[::step], column[::step]
    world = unproject(first, np.stack([column, row], axis=1) + 0.5, depth[row, column])
    slack = (one.tolerance + _pixel(first, depth), one.relative_tolerance)
    best = max(float(visible(v, world, _depth(one, v), *slack)[1].mean()) for v in one.views[1:])
    require(
        best >= LEAST_SHARED,
        f"{one.id}: no other view shows more than {best:.0%} of the points of view {first.id} at their depth: "
        "cameras, depth (along z, in world units) or sizes do not agree.",
        AXES,
    )


def _pixel(view: Any, depth: np.ndarray) -> float:
    """The width of a pixel on the surface: what a slanted surface's depth differs by from pixel to pixel."""
    return float(np.median(depth[depth > 0]) / view.intrinsics[0, 0])


def _depth(one: Any, view: Any) -> np.ndarray:
    require(view.depth is not None, f"{one.id}/{view.id}: truth is depth, and this view has none.")
    depth = np.asarray(view.depth())
    require(
        depth.dtype == np.float32 and depth.shape == (view.size[1], view.size[0]) and bool((depth >= 0).all()),
        f"{one.id}/{view.id}: depth is {depth.dtype} {depth.shape}, not float32 (H, W) with 0 where unknown.",
    )
    return depth


def _pairs(pairs: Sequence[Any]) -> None:
    for one in pairs:
        count = len(one.source_xy)
        for field in ("source_xy", "target_xy"):
            xy = getattr(one, field)
            require(
                isinstance(xy, np.ndarray) and xy.dtype == np.float64 and xy.shape == (count, 2),
                f"{one.id}: {field} is no float64 array ({count}, 2).",
            )
        require(count > 0, f"{one.id}: it has no keypoint.")
        require(
            len(one.keypoint_ids) in (0, count) and len(set(one.keypoint_ids)) == len(one.keypoint_ids),
            f"{one.id}: {len(one.keypoint_ids)} keypoint ids for {count} keypoints, or one of them twice.",
        )
        _json(one.id, one.attributes)
        for side, xy in ((one.source, one.source_xy), (one.target, one.target_xy)):
            inside = ((xy > -1.0) & (xy < np.array(side.size) + 1.0)).all(axis=1)
            require(
                float(inside.mean()) > 0.5,
                f"{one.id}: most keypoints of {side.id} lie outside its {side.size[0]}x{side.size[1]} pixels.",
                "Keypoints are (x, y) in pixels of the original image.",
            )


def _intrinsics(owner: str, matrix: Any) -> None:
    held = isinstance(matrix, np.ndarray) and matrix.shape == (3, 3) and matrix[0, 0] > 0 and matrix[1, 1] > 0
    require(
        held and bool(np.allclose(matrix[2], (0.0, 0.0, 1.0))),
        f"{owner}: intrinsics are no (3, 3) in pixels with the last row 0 0 1.",
    )


def _pose(owner: str, field: str, matrix: Any) -> None:
    require(
        isinstance(matrix, np.ndarray) and matrix.shape == (4, 4) and bool(np.isfinite(matrix).all()),
        f"{owner}: {field} is no finite (4, 4) array.",
    )
    require(bool(np.allclose(matrix[3], (0.0, 0.0, 0.0, 1.0))), f"{owner}: the last row of {field} is not 0 0 0 1.")
    rotation = matrix[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    require(
        error <= ORTHONORMAL and float(np.linalg.det(rotation)) > 0,
        f"{owner}: the rotation of {field} is off an orthonormal one by {error:.1e}, determinant "
        f"{np.linalg.det(rotation):+.3f}.",
        "Take scale and mirroring out of the rotation. " + AXES,
    )


def _mesh(owner: str, vertices: Any, faces: Any) -> None:
    require(
        getattr(vertices, "ndim", 0) == 2 and vertices.shape[1] == 3 and len(vertices) > 0,
        f"{owner}: the vertices of its mesh are no (V, 3) array.",
    )
    largest = float(np.abs(vertices).max())
    require(
        0.3 <= largest <= 3.0,
        f"{owner}: the largest coordinate of its mesh is {largest:.2g}, in canonical units about 1.",
    )
    require(
        getattr(faces, "ndim", 0) == 2 and faces.shape[1] == 3 and np.issubdtype(faces.dtype, np.integer)
        and int(faces.min()) >= 0 and int(faces.max()) < len(vertices),
        f"{owner}: the faces of its mesh are no (F, 3) indices of its vertices.",
    )  # fmt: skip


def _json(owner: str, attributes: Any) -> None:
    try:
        json.dumps(dict(attributes), allow_nan=False)
    except (TypeError, ValueError) as error:
        require(False, f"{owner}: its attributes are no JSON ({error}).", "They go into the record.")
