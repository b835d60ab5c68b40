"""The tasks pascal3d-pose and objectnet3d-pose: per-sample rotation errors, metrics and chance levels."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench3d.contracts import MetricSpec, Model, PoseEstimate, PoseSample, Protocol
from bench3d.geometry.camera import viewpoint_angles
from bench3d.geometry.rotations import nearest_rotation
from bench3d.metrics import half_turn_flip, rotation_error_deg, symmetric_rotation_error_deg
from bench3d_plugins.single_object.base import SingleObjectTask, common_values, number
from bench3d_plugins.single_object.chance import NAMES, Chance, key
from bench3d_plugins.single_object.settings import CropSettings
from bench3d_plugins.single_object.symmetry import Symmetry, symmetry_of

# Of an image's error in degrees. The refinement is cut off, not converged: another batch size moved 3 of 120 images by
# over 0.1 and one by 1.04, features that differ by 1e-6 moved 12 of 120 and one by 3.99 (hog, twin), a second thread
# none. The start is the best of a fixed set: it changed with none of them.
TOLERANCE = {"rotation_error_deg": 5.0, "symmetric_error_deg": 5.0, "start_error_deg": 0.01}


def _accuracy(name: str, value: str, threshold: float, chance: str | None = "") -> MetricSpec:
    """`chance`: what stands before the threshold in the keys of its chance levels, None where it has none."""
    return MetricSpec(
        name=name,
        value=value,
        reduce="fraction_below",
        threshold=threshold,
        unit="%",
        higher_is_better=True,
        chance=None if chance is None else {n: key(n, f"{chance}{threshold:.0f}") for n in NAMES},
        tolerance=TOLERANCE[value],
    )


def _median(name: str, value: str, chance: str = "") -> MetricSpec:
    return MetricSpec(
        name=name,
        value=value,
        reduce="median",
        unit="deg",
        higher_is_better=False,
        chance={n: key(n, f"{chance}median") for n in NAMES},
        tolerance=TOLERANCE[value],
    )


METRICS = (
    _accuracy("accuracy@30deg", "rotation_error_deg", 30.0),
    _accuracy("accuracy@10deg", "rotation_error_deg", 10.0),
    _median("median error", "rotation_error_deg"),
    _accuracy("start accuracy@30deg", "start_error_deg", 30.0, chance=None),
    _accuracy("start accuracy@10deg", "start_error_deg", 10.0, chance=None),
    _accuracy("symmetric accuracy@30deg", "symmetric_error_deg", 30.0, chance="symmetric_"),
    _accuracy("symmetric accuracy@10deg", "symmetric_error_deg", 10.0, chance="symmetric_"),
    _median("symmetric median error", "symmetric_error_deg", chance="symmetric_"),
    MetricSpec(
        name="half-turn flips", value="half_turn_flip", reduce="mean", unit="%", higher_is_better=False, tolerance=1.0
    ),
)


class PoseTask(SingleObjectTask[CropSettings]):
    """Rotation of the annotated object. The first metrics are Common3D's (strict thresholds, protocol page, section 6).

    Those called symmetric take the least error over the turns about the up axis that map the annotated CAD model onto
    itself (`symmetry.symmetry_of`); a half-turn flip is an estimate that takes front for back.
    """

    metrics = METRICS
    needs = {"pose": "estimates poses"}

    def __init__(self, settings: CropSettings, protocol: Protocol) -> None:
        super().__init__(settings, protocol)
        self._chance: dict[str, Chance] = {}
        self._symmetries: dict[int, tuple[np.ndarray, Symmetry]] = {}

    def prepare(self, model: Model, category: str, source: Any) -> None:
        """Chance levels of the category."""
        self.require(model)
        self._chance[category] = Chance.of(source, category)

    def evaluate(self, model: Model, samples: Sequence[PoseSample], device: str) -> Sequence[Mapping[str, Any]]:
        """One line of values per sample; see `pose_values`."""
        begun = time.perf_counter()
        ready = self.prepared(model, samples)
        cropped = time.perf_counter()
        estimate = model.pose(ready.batch.to(device), ready.given)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        done = time.perf_counter()
        times = {
            "crop_ms": 1e3 * (cropped - begun) / len(samples),
            "pose_ms": 1e3 * (done - cropped) / len(samples),
        }
        chance = self._chance[samples[0].category]
        values = []
        for n, sample in enumerate(samples):
            symmetry = self.symmetry(sample)
            found = pose_values(n, sample, estimate, symmetry)
            values.append(found | chance.values(sample.cam_T_obj[:3, :3], symmetry) | times)
        return values

    def symmetry(self, sample: PoseSample) -> Symmetry:
        """Of the sample's CAD model; once for one that several samples share."""
        vertices, faces = sample.mesh()
        held = self._symmetries.get(id(vertices))
        if held is None or held[0] is not vertices:  # the array is held, so that its id stays its own
            held = self._symmetries[id(vertices)] = (vertices, symmetry_of(vertices, faces))
        return held[1]

    def pictures(
        self, model: Model, samples: Sequence[Any], values: Sequence[Mapping[str, Any]], out: Path, device: str
    ) -> Iterator[Path]:
        """Panels of samples, right and wrong ones, a contact sheet and the template from several sides."""
        from bench3d_plugins.single_object.pictures import pictures

        return pictures(self, model, samples, values, out, device)


def pose_values(n: int, sample: PoseSample, estimate: PoseEstimate, symmetry: Symmetry) -> dict[str, Any]:
    """Errors in degrees, angles in degrees, rotations row by row, translations in canonical units."""
    gt = sample.cam_T_obj[:3, :3]
    predicted = estimate.rotation[n].detach().double().cpu().numpy()
    values: dict[str, Any] = common_values(sample) | {
        "rotation_error_deg": float(rotation_error_deg(predicted, gt)),
        "symmetric_error_deg": float(symmetric_rotation_error_deg(predicted, gt, symmetry.turns)),
        "half_turn_flip": float(half_turn_flip(predicted, gt)),
        "symmetry_order": number(symmetry.order),
        "score": number(estimate.score[n]),
        **estimated(n, estimate),
        "true_rotation": [[float(v) for v in row] for row in gt],
        "true_translation": [float(v) for v in sample.cam_T_obj[:3, 3]],
        **_angles("true_", gt),
        **_angles("predicted_", predicted),
    }
    if estimate.start_rotation is not None:
        start = estimate.start_rotation[n].detach().double().cpu().numpy()
        values["start_error_deg"] = float(rotation_error_deg(start, gt))
    values |= {name: number(extra[n]) for name, extra in estimate.extra.items() if name not in values}
    return values


def estimated(n: int, estimate: PoseEstimate) -> dict[str, Any]:
    """The estimated pose as JSON: rotation row by row, translation in canonical units."""
    rotation = estimate.rotation[n].detach().double().cpu().numpy()
    return {
        "rotation": [[number(v) for v in row] for row in rotation],
        "translation": [number(v) for v in estimate.translation[n]],
    }


def _angles(prefix: str, rotation: np.ndarray) -> dict[str, float | None]:
    names = [prefix + n for n in ("azimuth", "elevation", "theta")]
    if not np.isfinite(rotation).all():
        return dict.fromkeys(names)
    return dict(zip(names, viewpoint_angles(nearest_rotation(rotation)), strict=True))


def create(settings: CropSettings, protocol: Protocol) -> PoseTask:
    """The registrations' factory."""
    return PoseTask(settings, protocol)
