"""From an estimated pose to the values of a sample, with those of chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench3d.contracts import MetricSpec
from bench3d.metrics.pose import both_below, camera_centre_error, pose_errors
from bench3d_plugins.oneshot_pose.capture import Query

DIGITS = 9
RANDOM = "random_reference"
IDENTITY = "identity"
CM = 100.0  # of a metre
WORST = 180.0  # degrees


@dataclass(frozen=True)
class Threshold:
    """An accuracy: both errors strictly below. `distance` in the unit of the translation's value."""

    degrees: float
    distance: float
    name: str

    @property
    def key(self) -> str:
        """Of the samples' values."""
        return f"hit_{self.degrees:g}_{self.distance:g}"


ONEPOSE = tuple(Threshold(k, k, f"accuracy@{k}cm{k}deg") for k in (1, 3, 5))
CAPTURE = tuple(Threshold(k, k, f"accuracy@{k}%{k}deg") for k in (5, 10))


def onepose_metrics() -> Iterator[MetricSpec]:
    """Of onepose-lowtexture: translations in centimetres; a failed frame is scored as the identity pose."""
    order = "frame > object > unweighted mean over objects"
    chance = (IDENTITY, RANDOM)
    for one in ONEPOSE:
        yield _accuracy(one, order, chance)
    yield from _medians("translation_cm", "cm", chance)
    yield _failed(order)


def capture_metrics() -> Iterator[MetricSpec]:
    """Of oneshot-pose: translations in per cent of the size of object or scene; a failed frame is a wrong one."""
    order = "frame > capture > unweighted mean over captures"
    for one in CAPTURE:
        yield _accuracy(one, order, (RANDOM,))
    yield from _medians("translation_percent", "% of size", (RANDOM,))
    for name, value in (("median translation error (units)", "translation"), ("median camera error (units)", "camera")):
        yield MetricSpec(
            name=name, value=value, reduce="median", unit="world units", higher_is_better=False, order=FRAMES
        )
    yield _failed(order)


FRAMES = "frame > unweighted median over frames"


def _accuracy(one: Threshold, order: str, chance: tuple[str, ...]) -> MetricSpec:
    return MetricSpec(
        name=one.name,
        value=one.key,
        reduce="mean",
        unit="%",
        higher_is_better=True,
        over="clusters",
        order=order,
        chance={name: f"{name}_{one.key}" for name in chance},
    )


def _medians(translation: str, unit: str, chance: tuple[str, ...]) -> Iterator[MetricSpec]:
    for name, value, its_unit in (
        ("median rotation error", "rotation_deg", "deg"),
        ("median translation error", translation, unit),
    ):
        yield MetricSpec(
            name=name,
            value=value,
            reduce="median",
            unit=its_unit,
            higher_is_better=False,
            order=FRAMES,
            chance={level: f"{level}_{value}" for level in chance},
        )


def _failed(order: str) -> MetricSpec:
    return MetricSpec(
        name="failed frames",
        value="failed",
        reduce="mean",
        unit="%",
        higher_is_better=False,
        over="clusters",
        order=order,
    )


def onepose_values(query: Query, pose: np.ndarray | None) -> dict[str, Any]:
    """Errors in degrees and centimetres, hits, and those of the identity and of a random reference pose."""
    gt = query.view.cam_T_world
    rotation, metres = pose_errors(np.eye(4) if pose is None else pose, gt)
    values = _hits(ONEPOSE, rotation, metres * CM)
    values |= {"rotation_deg": float(rotation), "translation_cm": float(metres * CM)}
    for name, draws in ((IDENTITY, np.eye(4)[None]), (RANDOM, _references(query))):
        own_rotation, own_metres = pose_errors(draws, gt)
        values |= _chance(name, ONEPOSE, own_rotation, own_metres * CM, "translation_cm")
    return _rounded(values)


def capture_values(query: Query, pose: np.ndarray | None) -> dict[str, Any]:
    """Errors in degrees, units and per cent, hits, and those of a random reference pose.

    Without a pose the rotation is off by 180 degrees, and the translation by the distance of the object (or the middle
    of the scene) from the camera, as if it stood in the camera.
    """
    gt, extent = query.view.cam_T_world, query.capture.extent()
    if pose is None:
        away = float(np.linalg.norm(gt[:3, :3] @ extent.centre + gt[:3, 3]))
        rotation, units, camera = np.float64(WORST), np.float64(away), np.float64(away)
    else:
        rotation, units = pose_errors(pose, gt, extent.centre)
        camera = camera_centre_error(pose, gt)
    percent = 100.0 / extent.size
    values = _hits(CAPTURE, rotation, units * percent)
    values |= {"rotation_deg": float(rotation), "translation": float(units), "camera": float(camera)}
    values |= {"translation_percent": float(units * percent), "size": extent.size}
    own_rotation, own_units = pose_errors(_references(query), gt, extent.centre)
    values |= _chance(RANDOM, CAPTURE, own_rotation, own_units * percent, "translation_percent")
    return _rounded(values)


def _references(query: Query) -> np.ndarray:
    return np.stack([view.cam_T_world for view in query.capture.references])


def _hits(thresholds: tuple[Threshold, ...], rotation: np.ndarray, translation: np.ndarray) -> dict[str, Any]:
    return {t.key: int(both_below(rotation, translation, t.degrees, t.distance)) for t in thresholds}


def _chance(
    name: str, thresholds: tuple[Threshold, ...], rotation: np.ndarray, translation: np.ndarray, value: str
) -> dict[str, Any]:
    """Probabilities of a hit over equally likely poses, and their median errors."""
    hits = {
        f"{name}_{t.key}": float(both_below(rotation, translation, t.degrees, t.distance).mean()) for t in thresholds
    }
    return hits | {f"{name}_rotation_deg": float(np.median(rotation)), f"{name}_{value}": float(np.median(translation))}


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: round(value, DIGITS) if isinstance(value, float) else value for key, value in values.items()}
