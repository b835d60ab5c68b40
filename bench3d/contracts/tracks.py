"""Videos with tracks of points: what tasks of point tracking are measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench3d.contracts.data import Dataset

if TYPE_CHECKING:
    import numpy as np

    from bench3d.contracts.encoding import PixelSource


@dataclass(frozen=True)
class VideoFrame:
    """One frame: an image file, or `pixels` inside a larger file `path`. `size` is its (W, H)."""

    path: Path
    size: tuple[int, int]
    pixels: PixelSource | None = None


@dataclass(frozen=True, eq=False)
class TrackedVideo:
    """One video and its annotated points. Nothing of it is decoded before it is asked for.

    Attributes:
        id: unique in the data set.
        frames: T frames in order, of one size.
        points: (N, T, 2) float32, x and y in `extent`: raster coordinates, so that (0, 0) is the top left corner of the
            image and `extent` the bottom right one. What is not visible may lie anywhere.
        extent: (W, H) of the image in the unit of `points`: (1, 1) where they are shares of it.
        occluded: (N, T) bool.
        query_frames: (N,) frame that each row is asked for in, where the data set says so (strided queries: one track
            may be several rows); None where rows are tracks, and queries are still to be drawn.
        cluster: what is drawn together in a bootstrap.
        attributes: for groups.
    """

    id: str
    frames: tuple[VideoFrame, ...]
    points: np.ndarray
    extent: tuple[float, float]
    occluded: np.ndarray
    query_frames: np.ndarray | None = None
    cluster: str = ""
    attributes: Mapping[str, object] = field(default_factory=dict)


class TrackedVideoDataset(Dataset, Protocol):
    """A data set of tracked videos. Its one category is "all"."""

    synthetic: bool

    def videos(self, category: str = "all") -> Sequence[TrackedVideo]:
        """Videos in a fixed order; DataError with file, video and field, UsageError for another category."""
