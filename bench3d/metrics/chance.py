"""What a pose estimator that never looks at the image would score. Exact expectations, never one random draw."""

from __future__ import annotations

import numpy as np

from bench3d.metrics.rotation import pairwise_rotation_error_deg

_CHUNK = 512


def fraction_within_strict(gt: np.ndarray, draws: np.ndarray, threshold_deg: float) -> np.ndarray:
    """Probability that a uniform draw is closer than the threshold to each truth. (N, 3, 3), (M, 3, 3) -> (N,).

    The mean over samples is the expected accuracy of guessing from `draws` (the starts, or the training poses).
    """
    return (pairwise_rotation_error_deg(gt, draws) < threshold_deg).mean(axis=1)


def median_error_deg(gt: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Median error of a uniform draw for each ground truth, in degrees. (N, 3, 3), (M, 3, 3) -> (N,)."""
    return np.median(pairwise_rotation_error_deg(gt, draws), axis=1)


def best_constant_rotation(
    candidates: np.ndarray, training: np.ndarray, threshold_deg: float = 30.0
) -> tuple[np.ndarray, float]:
    """The one rotation to answer always: it is chosen on the training poses and never sees a test pose.

    Args:
        candidates: (M, 3, 3), usually the training poses and the starts; ties take the first.
        training: (N, 3, 3).
        threshold_deg: the accuracy that is maximised.

    Returns:
        the rotation (3, 3) and its accuracy on the training poses.

    Raises:
        ValueError: for no candidates or no training poses.
    """
    if len(candidates) == 0 or len(training) == 0:
        raise ValueError("best_constant_rotation needs candidates and training poses")
    hits = np.concatenate(
        [
            (pairwise_rotation_error_deg(candidates[at : at + _CHUNK], training) < threshold_deg).mean(axis=1)
            for at in range(0, len(candidates), _CHUNK)
        ]
    )
    best = int(hits.argmax())
    return np.asarray(candidates[best]), float(hits[best])
