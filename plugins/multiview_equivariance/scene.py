"""One set of views at work: what its pairs share is loaded, lifted and prepared once, however many pairs there are."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from bench3d.contracts import Encoder, FeatureMap, ImageRequest, PosedView, ViewSet
from bench3d.errors import DataError, UsageError
from bench3d.features.lattice import Lattice
from bench3d.features.matching import Target, blend, cell_argmax, dense_argmax, sample_at
from bench3d.metrics.points import PointChance
from bench3d_plugins.multiview_equivariance.settings import EquivarianceSettings
from bench3d_plugins.multiview_equivariance.truth import Correspondences, Lifted, lift, on_mask, tracked, visible

T = TypeVar("T")
BUDGET = 2 << 30
"""Bytes of depth maps, masks and chance tables that are kept of one set; more are loaded again when needed."""


@dataclass(frozen=True)
class Domain:
    """Where a match may lie in one target view.

    Attributes:
        lattice: the candidates, in cell coordinates of the target's feature map.
        xs, ys: (W,), (H,) original pixels of its columns and rows.
        valid: (H, W) bool, None where every candidate may be taken.
    """

    lattice: Lattice
    xs: np.ndarray
    ys: np.ndarray
    valid: np.ndarray | None

    @property
    def empty(self) -> bool:
        """Whether there is no candidate: the mask is empty."""
        return self.valid is not None and not self.valid.any()


class Scene:
    """The views of one set, as pairs of them are asked for."""

    def __init__(self, views: ViewSet, settings: EquivarianceSettings, encoder: Encoder) -> None:
        self.views = views
        self.settings = settings
        self.encoder = encoder
        self._kept: dict[tuple[str, Any], Any] = {}
        self._bytes = 0

    def request(self, index: int) -> ImageRequest:
        """The image of a view as the encoder is asked for it."""
        return image_request(self.views, index)

    def correspondences(self, source: int, target: int) -> Correspondences:
        """What two views both show, at most `max_queries` of it."""
        a, b = self.views.views[source], self.views.views[target]
        if self.views.truth == "depth":
            tolerance, relative = tolerances(self.views, self.settings)
            found = visible(self._lifted(source), b, self._depth(target), tolerance, relative)
        else:
            every = self._once("tracks", 0, self._observations)
            found = tracked(every[source], every[target], a, b)
        if self.settings.query_region == "mask":
            # Of lifted points the source end lies on its mask already; of tracks neither does.
            for index, view, ends in ((source, a, "source"), (target, b, "target")):
                if view.mask is not None:
                    found = found.kept(on_mask(getattr(found, ends), self._mask(index)))
        most = self.settings.max_queries
        if most is not None and len(found) > most:
            name = f"{self.views.id}/{a.id}/{b.id}"
            rng = np.random.default_rng([self.settings.seed, zlib.crc32(name.encode())])
            found = found.kept(np.sort(rng.choice(len(found), most, replace=False)))
        return found

    def match(self, source: int, target: int, xy: np.ndarray) -> np.ndarray:
        """Where pixels (N, 2) of one view are found in another: (N, 2) original pixels, NaN where features are NaN."""
        features = self._map(source)
        queries = sample_at(features.values[0], features.geometry[0].original_to_cell(xy))
        domain = self.domain(target)
        if self.settings.features == "points":
            found = cell_argmax(queries, self._target(target), cosine=True, valid=domain.valid)
        else:
            found = dense_argmax(queries, self._target(target), domain.lattice, cosine=True, mask=domain.valid)
        index = found.index.cpu().numpy()
        answers = np.stack([domain.xs[index[:, 0]], domain.ys[index[:, 1]]], axis=1)
        answers[index[:, 0] < 0] = np.nan
        return answers

    def domain(self, target: int) -> Domain:
        """The candidates in a view."""
        return self._once("domain", target, lambda: self._make_domain(target))

    def chance(self, target: int) -> PointChance:
        """What a random candidate of a view scores."""
        domain = self.domain(target)
        key = target if domain.valid is not None else (domain.xs.tobytes(), domain.ys.tobytes())

        def make() -> PointChance:
            if domain.valid is None:
                return PointChance.rectangle(domain.xs, domain.ys)
            return PointChance(domain.valid, domain.xs, domain.ys)

        return self._once("chance", key, make)

    def length(self, target: int) -> float:
        """What errors in a view are divided by, in pixels."""
        view = self.views.views[target]
        if self.settings.norm != "bbox":
            return float(min(view.size) if self.settings.norm == "short_edge" else max(view.size))
        mask = self._needed_mask(target, "norm=bbox")
        sides = [np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1)]
        return float(max((s[-1] + 1 - s[0] for s in sides if len(s)), default=min(view.size)))

    def _make_domain(self, target: int) -> Domain:
        features, view = self._map(target), self.views.views[target]
        geometry = features.geometry[0]
        if self.settings.features == "points":
            height, width = features.values.shape[2:]
            lattice = Lattice.cells((width, height))
        else:
            lattice = Lattice.pixels(geometry, stride=self.settings.search_stride)
        xs = geometry.cell_to_original(np.stack([lattice.x, np.zeros_like(lattice.x)], axis=1))[:, 0]
        ys = geometry.cell_to_original(np.stack([np.zeros_like(lattice.y), lattice.y], axis=1))[:, 1]
        inside_x, inside_y = (xs >= 0) & (xs < view.size[0]), (ys >= 0) & (ys < view.size[1])
        valid = inside_y[:, None] & inside_x
        if self.settings.search == "mask":
            mask = self._needed_mask(target, "search=mask")
            columns = np.clip(np.floor(xs).astype(np.int64), 0, view.size[0] - 1)
            rows = np.clip(np.floor(ys).astype(np.int64), 0, view.size[1] - 1)
            valid &= mask[rows[:, None], columns]
        return Domain(lattice, xs, ys, None if valid.all() else valid)

    def _map(self, index: int) -> FeatureMap:
        """The view's map; several weighted ones are blended."""
        return self._once("map", index, lambda: blend(self.encoder.maps(self.request(index))))

    def _target(self, index: int) -> Target:
        """The view's map, prepared to be searched."""
        return self._once("target", index, lambda: Target(self._map(index).values[0]))

    def _lifted(self, index: int) -> Lifted:
        def load() -> Lifted:
            view = self.views.views[index]
            masked = self.settings.query_region == "mask" and view.mask is not None
            mask = self._mask(index) if masked else None
            return lift(view, self._depth(index), mask, self.settings.query_stride)

        return self._once("lifted", index, load)

    def _observations(self) -> Any:
        if self.views.observations is None:
            raise DataError(f"The set {self.views.id} has no tracks and no depth.", "Check the data set.")
        return self.views.observations()

    def _depth(self, index: int) -> np.ndarray:
        view = self.views.views[index]
        if view.depth is None:
            raise DataError(f"The view {self.views.id}/{view.id} has no depth.", "Complete the data set.")
        return self._once("depth", index, lambda: _sized(view, view.depth, "depth"))

    def _mask(self, index: int) -> np.ndarray:
        view = self.views.views[index]
        return self._once("mask", index, lambda: _sized(view, view.mask, "mask").astype(bool))

    def _needed_mask(self, index: int, why: str) -> np.ndarray:
        if self.views.views[index].mask is None:
            raise UsageError(
                f"task.{why} needs masks, and the set {self.views.id} has none.",
                "Use --set task.search=image and task.norm=short_edge.",
            )
        return self._mask(index)

    def _once(self, what: str, key: Any, make: Callable[[], T]) -> T:
        """Makes a thing once while there is room. None is thrown out: a cycle over many views would lose them all."""
        found = self._kept.get((what, key))
        if found is not None:
            return found  # type: ignore[no-any-return]
        made = make()
        size = _bytes(made)
        if self._bytes + size <= BUDGET:
            self._bytes += size
            self._kept[what, key] = made
        return made


def image_request(views: ViewSet, index: int) -> ImageRequest:
    """The whole image of a view, as it is."""
    view = views.views[index]
    return ImageRequest(path=view.image, category=views.object_category, size=view.size)


def tolerances(views: ViewSet, settings: EquivarianceSettings) -> tuple[float, float]:
    """(absolute, relative) depth tolerance: the set's own unless the settings say another."""
    absolute = views.tolerance if settings.tolerance is None else settings.tolerance
    relative = views.relative_tolerance if settings.relative_tolerance is None else settings.relative_tolerance
    return absolute, relative


def _sized(view: PosedView, load: Callable[[], np.ndarray] | None, what: str) -> np.ndarray:
    assert load is not None
    values = load()
    if values.shape != view.size[::-1]:
        raise DataError(
            f"The {what} of {view.image} has {values.shape[1]}x{values.shape[0]} pixels, the image "
            f"{view.size[0]}x{view.size[1]}.",
            "Use the files as published, not resized.",
        )
    return values


def _bytes(thing: Any) -> int:
    """Bytes of the arrays and tensors that a thing holds directly."""
    parts = [thing, *vars(thing).values()] if hasattr(thing, "__dict__") else [thing]
    return sum(int(getattr(part, "nbytes", 0) or 0) for part in parts)
