"""Several posed views of one object or scene: what tasks of multiview equivariance are measured on.

Conventions (design section 6): pixel (i, j) covers [i, i+1), sizes are (W, H), cameras are OpenCV. The world of a set
may have any unit; `ViewSet.tolerance` says what counts as the same surface point in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench3d.contracts.data import Dataset

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class PosedView:
    """One photograph or rendering with its camera.

    Attributes:
        id: unique inside the set.
        image: path of the RGB image; `size` its (W, H).
        intrinsics: (3, 3) in pixels of the image.
        cam_T_world: (4, 4), rotation orthonormal.
        distortion: (k1, k2, p1, p2) of OpenCV's model, None for a pinhole camera.
        depth: gives (H, W) float32, z along the optical axis in world units at pixel centres, 0 where unknown;
            None where the set has no depth. Loaded lazily; DataError where the file is broken.
        mask: gives (H, W) bool of the object, None where the set has no masks. Loaded lazily.
    """

    id: str
    image: Path
    size: tuple[int, int]
    intrinsics: np.ndarray
    cam_T_world: np.ndarray
    distortion: tuple[float, float, float, float] | None = None
    depth: Callable[[], np.ndarray] | None = None
    mask: Callable[[], np.ndarray] | None = None


@dataclass(frozen=True, eq=False)
class Observations:
    """3D points that one view observes: `points` (N,) int64 ids, ascending and unique, and `xy` (N, 2) float64 pixels.

    Two views correspond where they observe the same id (the tracks of a structure-from-motion model).
    """

    points: np.ndarray
    xy: np.ndarray


@dataclass(frozen=True, eq=False)
class ViewSet:
    """All views of one object or scene.

    Attributes:
        id: unique inside the data set; intervals are drawn over it.
        views: in the data set's order.
        truth: where correspondences come from: "depth" (every view has `depth`) or "tracks" (`observations`).
        tolerance: a point is visible where its depth differs from the depth map by less than this (world units).
        relative_tolerance: further slack as a share of the depth (noisy sensors); the sum of both counts.
        observations: with truth "tracks": one entry per view, loaded lazily.
        object_category: of the object, where it is known (chooses a per-category artifact).
        attributes: anything for the record, such as {"missing_images": 2}.
    """

    id: str
    views: tuple[PosedView, ...]
    truth: str
    tolerance: float = 0.0
    relative_tolerance: float = 0.0
    observations: Callable[[], tuple[Observations, ...]] | None = None
    object_category: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)


class ViewSetDataset(Dataset, Protocol):
    """A data set of posed views. A data set without categories knows the one category "all".

    A data set with a training part of its own also has `training_sets(category)`, with the same arguments and answer as
    `view_sets`, which then leaves them out.
    """

    synthetic: bool

    def view_sets(self, category: str) -> Sequence[ViewSet]:
        """The sets in a fixed order; raises DataError with file and field. No image is decoded."""
