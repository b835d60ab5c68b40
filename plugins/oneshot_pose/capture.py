"""One object or scene with views whose poses are known, and views whose poses are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench3d.contracts import FeatureMap, ImageRequest, PosedView

if TYPE_CHECKING:
    from bench3d.contracts import Encoder
    from bench3d.features.bank import Bank

GRID_SIDE = 512
"""Thresholds in pixels are those of an image whose longer side is this."""
BINS = (0, 5, 10, 20, 40, 180)


@dataclass(frozen=True)
class Extent:
    """How large an object or scene is, by its ground truth.

    Attributes:
        corners: (8, 3) of a box around it, world units.
        centre: (3,) the point whose displacement is the translation error.
        size: what relative errors are divided by: the box's diagonal.
    """

    corners: np.ndarray
    centre: np.ndarray
    size: float


@dataclass(frozen=True, eq=False)
class Capture:
    """What a bank is built of and who is asked.

    Attributes:
        id: of the object or scene; cluster of its queries where there are several captures.
        references, queries: the views.
        extent: computed lazily, for it may load depth maps.
        build: makes the bank from the references' features.
        category: of the object, where it is known.
    """

    id: str
    references: tuple[PosedView, ...]
    queries: tuple[PosedView, ...]
    extent: Callable[[], Extent]
    build: Callable[[Encoder], Bank]
    category: str | None = None


@dataclass(frozen=True, eq=False)
class Query:
    """One view whose pose is asked.

    Attributes:
        index: into the capture's queries; `angle`: degrees to the nearest reference, between optical axes.
    """

    id: str
    category: str
    cluster: str
    capture: Capture
    index: int
    angle: float

    @property
    def view(self) -> PosedView:
        """The view itself."""
        return self.capture.queries[self.index]


def image_request(view: PosedView, category: str | None) -> ImageRequest:
    """The whole image of a view, as it is."""
    return ImageRequest(path=view.image, category=category, size=view.size)


def view_map(encoder: Encoder, view: PosedView, category: str | None) -> FeatureMap:
    """A view's feature map; several weighted ones are blended."""
    from bench3d.features.matching import blend

    return blend(encoder.maps(image_request(view, category)))


def pixel_scale(view: PosedView) -> float:
    """Pixels of a view's image per pixel of one whose longer side is GRID_SIDE."""
    return max(view.size) / GRID_SIDE


def queries_of(captures: Sequence[Capture], category: str, limit: int | None) -> list[Query]:
    """The queries of all captures, capture by capture; `limit` of them evenly spread over all."""
    found = []
    for capture in captures:
        angles = nearest_angles(capture.references, capture.queries)
        for index, view in enumerate(capture.queries):
            name = f"{capture.id}/{view.id}"
            cluster = capture.id if len(captures) > 1 else name
            found.append(Query(name, category, cluster, capture, index, float(angles[index])))
    if limit is None or limit >= len(found):
        return found
    return [found[k * len(found) // limit] for k in range(limit)]


def nearest_angles(references: Sequence[PosedView], queries: Sequence[PosedView]) -> np.ndarray:
    """(Q,) degrees between the optical axis of every query and that of the nearest reference; 180 without any."""
    if not references or not queries:
        return np.full(len(queries), 180.0)
    return axis_angles(queries, references).min(axis=1)


def axis_angles(a: Sequence[PosedView], b: Sequence[PosedView]) -> np.ndarray:
    """(A, B) degrees between the optical axes of views."""
    first, second = (np.stack([v.cam_T_world[2, :3] for v in views]) for views in (a, b))
    cross = np.linalg.norm(np.cross(first[:, None], second[None]), axis=-1)
    return np.rad2deg(np.arctan2(cross, first @ second.T))


def bin_name(angle: float) -> str:
    """Such as "010-020"."""
    high = next(k for k in range(1, len(BINS)) if angle < BINS[k] or k == len(BINS) - 1)
    return f"{BINS[high - 1]:03d}-{BINS[high]:03d}"


def box_of(points: np.ndarray) -> Extent:
    """The extent of points (N, 3): a box that holds all but the outermost 2 % along every axis."""
    low, high = np.percentile(points, (2.0, 98.0), axis=0)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (high - low) + low
    return Extent(corners, (low + high) / 2, float(np.linalg.norm(high - low)))


def spread(count: int, most: int | None) -> list[int]:
    """At most `most` indices of `count`, evenly from the first on."""
    if most is None or count <= most:
        return list(range(count))
    return [k * count // most for k in range(most)]
