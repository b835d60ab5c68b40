"""Objects that were seen once: posed reference views with a sparse reconstruction, and views whose pose is asked.

Conventions (design section 6): pixel (i, j) covers [i, i+1), cameras are OpenCV, `cam_T_world` is the object's pose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bench3d.contracts.data import Dataset
from bench3d.contracts.views import Observations, PosedView

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What structure from motion made of the reference views.

    Attributes:
        points: (M, 3) float64 in world units.
        observations: one entry per reference view: which points it saw where. Ids are rows of `points`, in the files'
            order; a view may see a point twice.
    """

    points: np.ndarray
    observations: tuple[Observations, ...]


@dataclass(frozen=True, eq=False)
class OneShotObject:
    """One object of a data set of one-shot pose.

    Attributes:
        id: unique inside the data set; intervals are drawn over it.
        references: views of the reference sequence that the reconstruction names.
        queries: views of the other sequence, in the data set's order.
        corners: (8, 3) of the object's box in world units.
        reconstruction: loaded lazily; DataError with file and field.
        attributes: anything for the record.
    """

    id: str
    references: tuple[PosedView, ...]
    queries: tuple[PosedView, ...]
    corners: np.ndarray
    reconstruction: Callable[[], Reconstruction]
    attributes: Mapping[str, object] = field(default_factory=dict)


class OneShotDataset(Dataset, Protocol):
    """A data set of one-shot pose; its world is in metres."""

    synthetic: bool

    def objects(self, category: str) -> Sequence[OneShotObject]:
        """The objects in a fixed order; DataError with file and field. No image is decoded."""
