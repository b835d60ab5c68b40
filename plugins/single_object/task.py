"""The task: per-sample rotation errors under a protocol, metrics and chance levels."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench3d.contracts import MetricSpec, Model, PoseEstimate, PoseSample, Protocol, Task
from bench3d.errors import CapabilityError
from bench3d.geometry.camera import viewpoint_angles
from bench3d.geometry.rotations import nearest_rotation
from bench3d.metrics import rotation_error_deg
from bench3d_plugins.single_object.chance import NAMES, Chance, key
from bench3d_plugins.single_object.protocol import Prepared, prepare
from bench3d_plugins.single_object.settings import Pascal3DPoseSettings

AZIMUTH_BIN = 30


# Of an image's error in degrees. The refinement is cut off, not converged: another batch size moved 3 of 120 images by
# over 0.1 and one by 1.04, features that differ by 1e-6 moved 12 of 120 and one by 3.99 (hog, twin), a second thread
# none. The start is the best of a fixed set: it changed with none of them.
TOLERANCE = {"rotation_error_deg": 5.0, "start_error_deg": 0.01}


def _accuracy(name: str, value: str, threshold: float, chance: bool = True) -> MetricSpec:
    return MetricSpec(
        name=name,
        value=value,
        reduce="fraction_below",
        threshold=threshold,
        unit="%",
        higher_is_better=True,
        chance={n: key(n, f"{threshold:.0f}") for n in NAMES} if chance else None,
        tolerance=TOLERANCE[value],
    )


METRICS = (
    _accuracy("accuracy@30deg", "rotation_error_deg", 30.0),
    _accuracy("accuracy@10deg", "rotation_error_deg", 10.0),
    MetricSpec(
        name="median error",
        value="rotation_error_deg",
        reduce="median",
        unit="deg",
        higher_is_better=False,
        chance={n: key(n, "median") for n in NAMES},
        tolerance=TOLERANCE["rotation_error_deg"],
    ),
    _accuracy("start accuracy@30deg", "start_error_deg", 30.0, chance=False),
    _accuracy("start accuracy@10deg", "start_error_deg", 10.0, chance=False),
)


class Pascal3DPose(Task):
    """Rotation of the annotated object. `metrics` are Common3D's (strict thresholds, protocol page section 6)."""

    metrics = METRICS

    def __init__(self, settings: Pascal3DPoseSettings, protocol: Protocol) -> None:
        self.settings = settings
        self.protocol = protocol
        self._chance: dict[str, Chance] = {}

    def samples(self, dataset: Any, category: str, limit: int | None) -> Sequence[PoseSample]:
        """The split's samples in its order; `limit` of them evenly spread."""
        every: Sequence[PoseSample] = dataset.samples(category, self.settings.split)
        if limit is None or limit >= len(every):
            return every
        return [every[n * len(every) // limit] for n in range(limit)]

    def prepare(self, model: Model, category: str, source: Any) -> None:
        """Chance levels of the category."""
        if "pose" not in model.capabilities:
            raise CapabilityError("pascal3d-pose needs a model that estimates poses.", "Add --shape-model NAME.")
        self._chance[category] = Chance.of(source, category)

    def prepared(self, model: Model, samples: Sequence[PoseSample]) -> Prepared:
        """The samples as the model sees them."""
        return prepare(samples, self.protocol, self.settings, model.canvas or self.settings.canvas)

    def evaluate(self, model: Model, samples: Sequence[PoseSample], device: str) -> Sequence[Mapping[str, Any]]:
        """One line of values per sample; see `_values`."""
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
        return [_values(n, sample, estimate, chance) | times for n, sample in enumerate(samples)]

    def pictures(
        self, model: Model, samples: Sequence[Any], values: Sequence[Mapping[str, Any]], out: Path, device: str
    ) -> Iterator[Path]:
        """Panels of samples, right and wrong ones, a contact sheet and the template from several sides."""
        from bench3d_plugins.single_object.pictures import pictures

        return pictures(self, model, samples, values, out, device)


def _values(n: int, sample: PoseSample, estimate: PoseEstimate, chance: Chance) -> dict[str, Any]:
    """Errors in degrees, angles in degrees, rotations row by row, translations in canonical units."""
    gt = sample.cam_T_obj[:3, :3]
    predicted = estimate.rotation[n].detach().double().cpu().numpy()
    values: dict[str, Any] = {
        "id": sample.id,
        "category": sample.category,
        "cluster": sample.cluster,
        "rotation_error_deg": float(rotation_error_deg(predicted, gt)),
        "score": _number(estimate.score[n]),
        "rotation": [[_number(v) for v in row] for row in predicted],
        "translation": [_number(v) for v in estimate.translation[n]],
        "true_rotation": [[float(v) for v in row] for row in gt],
        "true_translation": [float(v) for v in sample.cam_T_obj[:3, 3]],
        **_angles("true_", gt),
        **_angles("predicted_", predicted),
        "groups": _groups(sample),
        **chance.values(gt),
    }
    if estimate.start_rotation is not None:
        start = estimate.start_rotation[n].detach().double().cpu().numpy()
        values["start_error_deg"] = float(rotation_error_deg(start, gt))
    values |= {name: _number(extra[n]) for name, extra in estimate.extra.items() if name not in values}
    return values


def _angles(prefix: str, rotation: np.ndarray) -> dict[str, float | None]:
    names = [prefix + n for n in ("azimuth", "elevation", "theta")]
    if not np.isfinite(rotation).all():
        return dict.fromkeys(names)
    return dict(zip(names, viewpoint_angles(nearest_rotation(rotation)), strict=True))


def _groups(sample: PoseSample) -> dict[str, str]:
    azimuth, _, _ = viewpoint_angles(sample.cam_T_obj[:3, :3])
    centre = round(azimuth / AZIMUTH_BIN) % (360 // AZIMUTH_BIN) * AZIMUTH_BIN
    groups = {"azimuth": f"{(centre - AZIMUTH_BIN // 2) % 360:03d}-{(centre + AZIMUTH_BIN // 2) % 360:03d}"}
    for name in ("truncated", "occluded", "difficult"):
        if name in sample.attributes:
            groups[name] = "yes" if sample.attributes[name] else "no"
    return groups


def _number(value: Any) -> float | None:
    """A JSON number; None where it is not finite."""
    number = float(value)
    return number if np.isfinite(number) else None


def create(settings: Pascal3DPoseSettings, protocol: Protocol) -> Pascal3DPose:
    """The registration's factory."""
    return Pascal3DPose(settings, protocol)
