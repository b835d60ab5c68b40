"""Appearances of the vertices of a mesh: features of the frames in which each is seen, and how two appearances differ.

Source: protocol page common3d.md 7.2a (list of features per vertex, distance "min_avg").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench3d.contracts import ObjectSequence, PosedFrame, Renderer
from bench3d.data.images import load_mask, load_rgb
from bench3d.errors import DataError
from bench3d.geometry.camera import clip_matrix, project
from bench3d.geometry.crops import mask_zoom
from bench3d.morphable.alignment_settings import AlignmentSettings

if TYPE_CHECKING:
    from bench3d.contracts import WeightedMap
    from bench3d.features.extract import Extractor
    from bench3d.geometry.pixels import PixelGeometry

BATCH = 8
CHUNK = 1 << 23
"""Distances between features that are held at a time."""


@dataclass(frozen=True, eq=False)
class Appearance:
    """Features of a mesh's vertices, one for each frame in which a vertex is seen.

    Attributes:
        values: (K, C) float32, vertex by vertex; starts: (V + 1,) where each vertex's begin.
        frames: how many frames were looked at.
    """

    values: np.ndarray
    starts: np.ndarray
    frames: int

    @property
    def counts(self) -> np.ndarray:
        """(V,) features of each vertex."""
        return np.diff(self.starts)


def appearance(
    sequence: ObjectSequence,
    mesh: tuple[np.ndarray, np.ndarray],
    extractor: Extractor,
    renderer: Renderer,
    settings: AlignmentSettings,
) -> Appearance:
    """The features of every vertex of a mesh in the frames of its sequence.

    Args:
        sequence: with its frames' cameras in the frame of the mesh, whatever that is.
        mesh: vertices (V, 3) and faces (F, 3).
        extractor: of the model; several maps are joined, each times the root of its weight.

    Raises:
        DataError: no frame has a mask with anything in it, or no vertex is seen; or a broken image.
    """
    vertices, faces = mesh
    found: list[tuple[np.ndarray, np.ndarray]] = []
    looked = 0
    frames = spread(sequence.frames, settings.max_frames)
    for first in range(0, len(frames), BATCH):
        crops = [c for f in frames[first : first + BATCH] if (c := _crop(f, vertices, settings)) is not None]
        if not crops:
            continue
        looked += len(crops)
        maps = _features([f for f, _ in crops], [g for _, g in crops], sequence.category, extractor)
        for i, (frame, geometry) in enumerate(crops):
            seen, pixels = seen_vertices(frame, geometry, vertices, faces, renderer, settings.raster)
            found.append((seen, _sample(maps, i, pixels[seen], settings.normalise)))
    if looked == 0:
        raise DataError(f"No frame of sequence {sequence.name} has a mask with anything in it.", "Check its masks.")
    owner = np.concatenate([seen for seen, _ in found])
    if len(owner) == 0:
        raise DataError(f"No vertex of sequence {sequence.name} is seen in any frame.", "Check its cameras.")
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=len(vertices))
    values = np.concatenate([values for _, values in found])[order]
    return Appearance(values, np.concatenate([[0], np.cumsum(counts)]), looked)


def spread(frames: Sequence[PosedFrame], most: int | None) -> list[PosedFrame]:
    """At most `most` frames, evenly spaced from the first to the last; one alone is the middle one."""
    if most is None or len(frames) <= most:
        return list(frames)
    if most == 1:
        return [frames[len(frames) // 2]]
    return [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, most).round().astype(int))]


def seen_vertices(
    frame: PosedFrame,
    geometry: PixelGeometry,
    vertices: np.ndarray,
    faces: np.ndarray,
    renderer: Renderer,
    raster: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the vertices seen in a crop, and the original pixels (V, 2) of all.

    A vertex is seen where a face of it is drawn in a `raster` x `raster` picture of the crop and it lies inside both
    the crop and the image.
    """
    import torch

    pixels, depth = project(vertices, frame.cam_T_obj, frame.intrinsics)
    canvas = geometry.input_size
    middle = float(np.median(depth))
    seen = np.zeros(len(vertices), dtype=bool)
    if middle > 0:
        intrinsics = geometry.input_intrinsics(frame.intrinsics)
        matrix = clip_matrix(intrinsics, canvas, near=middle / 100, far=middle * 100) @ frame.cam_T_obj
        clip = vertices @ matrix[:, :3].T + matrix[:, 3]
        drawn = renderer.rasterize(
            torch.from_numpy(clip[None].astype(np.float32)),
            torch.from_numpy(np.ascontiguousarray(faces, dtype=np.int32)),
            (raster, raster),
        )
        ids = np.unique(drawn[0, :, :, 3].cpu().numpy().astype(np.int64))
        seen[faces[ids[ids > 0] - 1]] = True
    cropped = geometry.original_to_input(pixels)
    inside = (cropped >= 0).all(axis=1) & (cropped < np.array(canvas)).all(axis=1)
    inside &= (pixels >= 0).all(axis=1) & (pixels < np.array(frame.size)).all(axis=1)
    return np.flatnonzero(seen & inside & (depth > 0)), pixels


def min_avg_distance(a: Appearance, b: Appearance) -> np.ndarray:
    """Distances (V_a, V_b) of appearances, inf where one of the two was never seen.

    The mean over all features of both vertices of the Euclidean distance to the other vertex's nearest feature.
    """
    import torch

    out = np.full((len(a.counts), len(b.counts)), np.inf)
    has_a, has_b = np.flatnonzero(a.counts), np.flatnonzero(b.counts)
    if len(has_a) == 0 or len(has_b) == 0:
        return out
    starts_b = b.starts[has_b]
    values_b = torch.from_numpy(b.values)
    for rows in _blocks(a.counts[has_a], max(1, CHUNK // len(b.values))):
        chosen = has_a[rows]
        first, last = a.starts[chosen[0]], a.starts[chosen[-1] + 1]
        apart = torch.cdist(torch.from_numpy(a.values[first:last]), values_b).numpy()
        starts_a = a.starts[chosen] - first
        to_b = np.add.reduceat(np.minimum.reduceat(apart, starts_b, axis=1), starts_a, axis=0, dtype=np.float64)
        to_a = np.add.reduceat(np.minimum.reduceat(apart, starts_a, axis=0), starts_b, axis=1, dtype=np.float64)
        out[np.ix_(chosen, has_b)] = (to_a + to_b) / (a.counts[chosen][:, None] + b.counts[has_b])
    return out


def _blocks(counts: np.ndarray, most: int) -> list[np.ndarray]:
    """Consecutive vertices with at most `most` features together (one vertex at least)."""
    blocks, current, held = [], [0], int(counts[0])
    for i in range(1, len(counts)):
        if held + counts[i] > most:
            blocks.append(np.array(current))
            current, held = [], 0
        current.append(i)
        held += int(counts[i])
    return [*blocks, np.array(current)]


def _crop(
    frame: PosedFrame, vertices: np.ndarray, settings: AlignmentSettings
) -> tuple[PosedFrame, PixelGeometry] | None:
    """The frame with its crop around the mesh's middle, scaled to its mask; None where the mask is empty."""
    mask = load_mask(frame.mask, frame.size)
    if not mask.any():
        return None
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    centre = project(middle[None], frame.cam_T_obj, frame.intrinsics)[0][0]
    return frame, mask_zoom(mask, centre, settings.canvas)


def _features(
    frames: list[PosedFrame], geometries: list[PixelGeometry], category: str, extractor: Extractor
) -> list[WeightedMap]:
    from bench3d.data.batches import crop_batch

    images = [load_rgb(frame.image, frame.size) for frame in frames]
    return list(extractor(crop_batch(images, geometries, [frame.id for frame in frames], category)))


def _sample(maps: list[WeightedMap], index: int, pixels: np.ndarray, normalise: bool) -> np.ndarray:
    """(N, C) float32 features at original pixels (N, 2) of one image of a batch."""
    import torch
    import torch.nn.functional as F

    from bench3d.contracts import FeatureMap

    parts = []
    for weighted in maps:
        whole, weight = weighted.map, weighted.weight
        one = FeatureMap(whole.values[index : index + 1].float(), whole.geometry[index : index + 1])
        values = one.sample(torch.from_numpy(pixels[None]))[0]
        parts.append((F.normalize(values, dim=1) if normalise else values) * weight**0.5)
    return torch.cat(parts, dim=1).cpu().numpy()
