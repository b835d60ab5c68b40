"""The features of a video's frames, and what trackers ask of them: samples and similarities, many points at a time.

Places are cells: the centre of the first one is (0.5, 0.5). A similarity map is upsampled never, features neither: a
tracker reads the map around its peak.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from bench3d.contracts import WeightedMap
from bench3d.features.backbone import full_precision
from bench3d.geometry.pixels import PixelGeometry

TINY = 1e-8
MAP_BYTES = 1 << 28
"""Similarity maps that are held at once."""


class VideoFeatures:
    """Features of T frames.

    Attributes:
        values: (T, C, h, w) float32. geometry: pixels of a frame to cells, the same for all.
    """

    def __init__(self, values: torch.Tensor, geometry: PixelGeometry) -> None:
        self.values, self.geometry = values, geometry
        self._flat = values.flatten(2)
        self._scale = 1.0 / torch.linalg.vector_norm(self._flat, dim=1).clamp_min(TINY)

    @property
    def length(self) -> int:
        """Number of frames."""
        return int(self.values.shape[0])

    @property
    def grid(self) -> tuple[int, int]:
        """(w, h) cells."""
        return int(self.values.shape[3]), int(self.values.shape[2])

    def sample(self, cells: torch.Tensor) -> torch.Tensor:
        """Bilinear features (T, N, C) at places (T, N, 2) of every frame; border cells are extended."""
        return self._sample(self.values, cells)

    def at(self, frames: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """Features (N, C) at places (N, 2), each of its own frame (N,)."""
        found = torch.empty(len(cells), self.values.shape[1], device=self.values.device)
        for frame in frames.unique().tolist():
            mine = frames == frame
            found[mine] = self._sample(self.values[frame : frame + 1], cells[mine][None])[0]
        return found

    def similarity(self, features: torch.Tensor, frame: int) -> torch.Tensor:
        """Cosines (N, h * w) of features (N, C) with every cell of a frame."""
        with full_precision():
            return F.normalize(features, dim=1, eps=TINY) @ self._flat[frame] * self._scale[frame]

    def chunk(self) -> int:
        """Points whose maps fit into `MAP_BYTES`."""
        return max(1, MAP_BYTES // (4 * self._flat.shape[2]))

    def _sample(self, values: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        size = cells.new_tensor(self.grid)
        grid = (2 * cells / size - 1)[:, None]
        found = F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return found[:, :, 0].transpose(1, 2)


def video_features(frames: Sequence[Sequence[WeightedMap]]) -> VideoFeatures:
    """One map per frame of what the encoder gave; several weighted ones become one whose cosine is their weighted sum.

    Frames are of one size, so their geometries are equal.
    """
    values = torch.stack([_joined(maps) for maps in frames])
    return VideoFeatures(values, frames[0][0].map.geometry[0])


def _joined(maps: Sequence[WeightedMap]) -> torch.Tensor:
    first = maps[0].map.values
    if len(maps) == 1:
        return first[0]
    size = (first.shape[2], first.shape[3])
    parts = []
    for one in maps:
        values = F.normalize(one.map.values, dim=1, eps=TINY)
        if values.shape[2:] != size:
            values = F.normalize(
                F.interpolate(values, size=size, mode="bilinear", align_corners=False), dim=1, eps=TINY
            )
        parts.append(values * one.weight**0.5)
    return torch.cat(parts, dim=1)[0]
