"""The task pascal3d-shape: the mesh that a model sees in one image against the annotated CAD model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts import MetricSpec, Model, PoseSample, Protocol
from bench3d.errors import CapabilityError
from bench3d.metrics import SurfaceDistances, canonical_box, sample_surface
from bench3d_plugins.single_object.base import SingleObjectTask, common_values
from bench3d_plugins.single_object.chance import training_sequences
from bench3d_plugins.single_object.settings import SurfaceSettings

WORST = 2.0
"""Chamfer distance of a mesh without surface, in canonical units: the whole length of an object."""

CLOUD_POINTS = 1000
NAMES = ("template", "constant_shape")
# The mesh follows the features; canonical units and shares of points.
TOLERANCE = {
    "chamfer": 0.005,
    "normalised_chamfer": 0.005,
    "f_score": 0.05,
    "f_score_double": 0.05,
    "self_chamfer": 1e-9,
}


def _metric(name: str, value: str, better: bool, levels: Sequence[str] = NAMES, grouped: bool = True) -> MetricSpec:
    return MetricSpec(
        name=name,
        value=value,
        reduce="mean",
        unit="%",
        higher_is_better=better,
        chance={n: f"chance_{n}_{value}" for n in levels} or None,
        grouped=grouped,
        tolerance=TOLERANCE[value],
    )


METRICS = (
    _metric("chamfer", "chamfer", False),
    _metric("F-score", "f_score", True),
    _metric("F-score, double threshold", "f_score_double", True),
    _metric("normalised chamfer", "normalised_chamfer", False),
    _metric("chamfer of the truth with itself", "self_chamfer", False, (), False),
)


class ShapeTask(SingleObjectTask[SurfaceSettings]):
    """Distance of surfaces in the canonical frame (x left, y back, z up; units of half of the longest side).

    Chamfer is the mean of the two one-sided mean distances (L2, not squared), in % of the canonical unit. Nothing is
    aligned: CAD models stand as annotated, enlarged by 2/0.85; `normalised` centres and scales both boxes first.
    """

    metrics = METRICS
    needs = {"shape": "sees the shape of an object"}

    def __init__(self, settings: SurfaceSettings, protocol: Protocol) -> None:
        super().__init__(settings, protocol)
        self._points: dict[str, dict[str, np.ndarray | None]] = {}

    def prepare(self, model: Model, category: str, source: Any) -> None:
        """What the category's template, and one training object, score for every image."""
        self.require(model)
        self._points[category] = {
            "template": self._template(model, category),
            "constant_shape": None if source is None else constant_cloud(source, category, self.settings.points),
        }

    def evaluate(self, model: Model, samples: Sequence[PoseSample], device: str) -> Sequence[Mapping[str, Any]]:
        """One line of values per sample: distances in canonical units, F-scores in [0, 1]."""
        begun = time.perf_counter()
        ready = self.prepared(model, samples)
        cropped = time.perf_counter()
        vertices, faces = model.shape(ready.batch.to(device), ready.given)
        meshes = vertices.detach().double().cpu().numpy(), faces.detach().cpu().numpy()
        done = time.perf_counter()
        times = {
            "crop_ms": 1e3 * (cropped - begun) / len(samples),
            "shape_ms": 1e3 * (done - cropped) / len(samples),
        }
        return [self._values(sample, meshes[0][n], meshes[1]) | times for n, sample in enumerate(samples)]

    def drawn(self, vertices: np.ndarray, faces: np.ndarray, seed: int = 0) -> np.ndarray | None:
        """Points of a mesh; None where it has no surface."""
        try:
            return sample_surface(vertices, faces, self.settings.points, np.random.default_rng(seed))
        except (ValueError, IndexError):
            return None

    def _values(self, sample: PoseSample, vertices: np.ndarray, faces: np.ndarray) -> dict[str, Any]:
        truth = self.drawn(*sample.mesh(), seed=1)
        again = self.drawn(*sample.mesh(), seed=2)
        values = common_values(sample)
        if truth is None or again is None:  # a CAD model without surface says nothing of any prediction
            return values
        values |= self.distances(self.drawn(vertices, faces), truth)
        values["self_chamfer"] = SurfaceDistances.of(again, truth).chamfer()
        for name, points in self._points[sample.category].items():
            if points is not None:
                found = self.distances(points, truth)
                values |= {f"chance_{name}_{key}": value for key, value in found.items()}
        return values

    def distances(self, points: np.ndarray | None, truth: np.ndarray) -> dict[str, float]:
        """Values of predicted points (N, 3) against true ones (M, 3); the worst where there are none."""
        if points is None:
            return {"chamfer": WORST, "f_score": 0.0, "f_score_double": 0.0, "normalised_chamfer": WORST}
        found = SurfaceDistances.of(points, truth)
        boxes = [canonical_box(p) for p in (points, truth)]
        normal = [(p - centre) / max(half, 1e-9) for p, (centre, half) in zip((points, truth), boxes, strict=True)]
        return {
            "chamfer": min(found.chamfer(), WORST),
            "f_score": found.f_score(self.settings.threshold),
            "f_score_double": found.f_score(2 * self.settings.threshold),
            "normalised_chamfer": min(SurfaceDistances.of(normal[0], normal[1]).chamfer(), WORST),
        }

    def _template(self, model: Model, category: str) -> np.ndarray | None:
        try:
            template = model.template(category)
        except CapabilityError:
            return None
        vertices, faces = template.vertices.detach().double().cpu().numpy(), template.faces.detach().cpu().numpy()
        return self.drawn(vertices, faces)

    def pictures(
        self, model: Model, samples: Sequence[Any], values: Sequence[Mapping[str, Any]], out: Path, device: str
    ) -> Iterator[Path]:
        """Panels from the best to the worst: image, predicted mesh, CAD model, template, from the true viewpoint."""
        from bench3d_plugins.single_object.shape_pictures import pictures

        return pictures(self, model, samples, values, out, device)


def constant_cloud(source: Any, category: str, count: int) -> np.ndarray | None:
    """(N, 3) points, at most `count`, of the training object closest to all others: the one shape to answer always.

    Closest by the mean chamfer distance of 1,000 points of its cloud to the others'; it never sees a test image. None
    where no cloud has points.
    """
    rng = np.random.default_rng(0)
    clouds = []
    for sequence in training_sequences(source, category):
        points = np.asarray(sequence.points(), dtype=np.float64)
        points = points[np.isfinite(points).all(axis=1)]
        if len(points):
            clouds.append(points[rng.permutation(len(points))[:count]])
    if not clouds:
        return None
    total = np.zeros(len(clouds))
    for i, one in enumerate(clouds):
        for j in range(i):
            distance = SurfaceDistances.of(one[:CLOUD_POINTS], clouds[j][:CLOUD_POINTS]).chamfer()
            total[[i, j]] += distance
    return clouds[int(total.argmin())]


def create(settings: SurfaceSettings, protocol: Protocol) -> ShapeTask:
    """The registration's factory."""
    return ShapeTask(settings, protocol)
