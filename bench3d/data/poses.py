"""Matrices in text files, and poses as others write them: parsed, judged, made exactly rigid."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from bench3d.errors import DataError
from bench3d.geometry.rotations import nearest_rotation

ORTHONORMAL = 1e-2
"""How far a rotation's product with its transpose may be from the identity: files round to a few digits."""
MAX_BYTES = 1 << 16
# Old C runtimes print "-1.#IND", "1.#QNAN" and "1.#INF": no numbers, but no broken file either.
_NOT_A_NUMBER = re.compile(r"[+-]?1\.#(IND|QNAN|SNAN|INF)\w*([eE][+-]?\d+)?")


def read_matrix(path: Path, shapes: tuple[tuple[int, int], ...]) -> np.ndarray:
    """A matrix from a text file of numbers, float64; it may hold NaN and infinities (see `pose_problem`).

    Args:
        path: the file; white space separates numbers, lines mean nothing.
        shapes: allowed (rows, columns), told apart by the count of numbers.

    Raises:
        DataError: missing, unreadable, not numbers, or another count of numbers.
    """
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            words = handle.read(MAX_BYTES).replace(",", " ").split()
        values = np.array([np.nan if _NOT_A_NUMBER.fullmatch(word) else float(word) for word in words])
    except FileNotFoundError:
        raise DataError(f"The file {path} is missing.", "Complete the data set.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no text file of numbers ({error}).", "Get the file again.") from error
    for rows, columns in shapes:
        if len(values) == rows * columns:
            return values.reshape(rows, columns)
    wanted = " or ".join(f"{rows}x{columns}" for rows, columns in shapes)
    raise DataError(f"{path} holds {len(values)} numbers, not {wanted}.", "Get the file again.")


def pose_problem(pose: np.ndarray, tolerance: float = ORTHONORMAL) -> str | None:
    """Why a (4, 4) matrix is no rigid pose, as the end of a sentence ("is not finite"); None where it is one."""
    if pose.shape != (4, 4):
        return f"is no 4x4 matrix but {pose.shape}"
    if not np.isfinite(pose).all():
        return "is not finite"
    if not pose[:3, :3].any():
        return "is all zero"
    off = float(np.abs(pose[:3, :3] @ pose[:3, :3].T - np.eye(3)).max())
    if off > tolerance:
        return f"has no rotation (off by {off:.2g})"
    if np.linalg.det(pose[:3, :3]) < 0:
        return "is a reflection"
    if np.abs(pose[3] - (0.0, 0.0, 0.0, 1.0)).max() > tolerance:
        return "does not end in the row 0 0 0 1"
    return None


def rigid(pose: np.ndarray) -> np.ndarray:
    """The pose (4, 4) with the nearest rotation in place of a rounded one (in the Frobenius norm), last row exact."""
    out = np.eye(4)
    out[:3, :3] = nearest_rotation(pose[:3, :3])
    out[:3, 3] = pose[:3, 3]
    return out


def inverse(pose: np.ndarray) -> np.ndarray:
    """Inverse of a rigid pose (4, 4)."""
    out = np.eye(4)
    out[:3, :3] = pose[:3, :3].T
    out[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return out
