"""Chance levels of a category: what answers without looking at the image score, as exact expectations per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench3d.geometry.camera import start_rotations
from bench3d.metrics import (
    about_up,
    best_constant_rotation,
    fraction_within_strict,
    median_error_deg,
    pairwise_rotation_error_deg,
    symmetric_rotation_error_deg,
)
from bench3d_plugins.single_object.symmetry import NONE, Symmetry

HELD_OUT = 0.1
THRESHOLDS = (30.0, 10.0)
NAMES = ("random_start", "training_pose", "constant_pose")


def training_sequences(source: Any, category: str) -> Sequence[Any]:
    """The sequences that a shape model is trained on: all but the last tenth."""
    sequences: Sequence[Any] = source.sequences(category)
    return sequences[: max(1, int((1 - HELD_OUT) * len(sequences) + 1e-9))]


def training_rotations(source: Any, category: str) -> np.ndarray:
    """(N, 3, 3) of every frame that a shape model is trained on."""
    kept = training_sequences(source, category)
    return np.array([frame.cam_T_obj[:3, :3] for s in kept for frame in s.frames]).reshape(-1, 3, 3)


@dataclass(frozen=True)
class Chance:
    """Draws of a category: the starts, and where there is training data its poses and the best constant answer.

    The constant is the start or training pose with the highest accuracy at 30 degrees on the *training* poses.
    """

    draws: Mapping[str, np.ndarray]

    @staticmethod
    def of(source: Any, category: str) -> Chance:
        """From a MultiviewSource, or from the starts alone where it is None."""
        starts = start_rotations()
        if source is None:
            return Chance({"random_start": starts})
        training = training_rotations(source, category)
        constant, _ = best_constant_rotation(np.concatenate([training, starts]), training, THRESHOLDS[0])
        return Chance({"random_start": starts, "training_pose": training, "constant_pose": constant[None]})

    def values(self, gt: np.ndarray, symmetry: Symmetry = NONE) -> dict[str, float]:
        """Of one ground truth (3, 3), per name of the draws.

        chance_<name>_<threshold> (probability) and chance_<name>_median (degrees), and the same with `symmetric_`
        before the threshold or `median`, for errors up to the object's symmetry.
        """
        found: dict[str, float] = {}
        for name, draws in self.draws.items():
            for threshold in THRESHOLDS:
                found[key(name, f"{threshold:.0f}")] = float(fraction_within_strict(gt[None], draws, threshold)[0])
            found[key(name, "median")] = float(median_error_deg(gt[None], draws)[0])
            errors = _symmetric_errors(gt, draws, symmetry)
            for threshold in THRESHOLDS:
                found[key(name, f"symmetric_{threshold:.0f}")] = float((errors < threshold).mean())
            found[key(name, "symmetric_median")] = float(np.median(errors))
        return found


def _symmetric_errors(gt: np.ndarray, draws: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """(M,) degrees of draws (M, 3, 3); as `symmetric_rotation_error_deg`, by matrix products."""
    if symmetry.turns is None:
        return symmetric_rotation_error_deg(draws, np.broadcast_to(gt, draws.shape), None)
    least: np.ndarray = pairwise_rotation_error_deg(gt @ about_up(symmetry.turns), draws).min(axis=0)
    return least


def key(name: str, what: str) -> str:
    """Name of the per-sample value."""
    return f"chance_{name}_{what}"
