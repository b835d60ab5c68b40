"""The SfM outputs of an object: 3D points, and which of them every reference image saw where. Parsed and judged."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts import Observations
from bench3d.errors import DataError

MAKE = "Make it with OnePose++'s run.py (+preprocess=sfm_inference_lowtexture.yaml), or get it again."
MOST_BYTES = 512 << 20
CENTRE = 0.5
"""The files put a pixel's centre at whole numbers (LoFTR's matches and OpenCV's crops do); here it lies at +0.5."""


def read_points(path: Path) -> np.ndarray:
    """`keypoints3d` (M, 3) float64 in metres of an anno_3d_average.npz.

    Raises:
        DataError: missing, no npz, or a field that is not what it should be; pickled contents are refused.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "keypoints3d" not in archive:
                raise DataError(f"{path}: field keypoints3d is missing.", MAKE)
            # A header may promise any size: what the archive holds says how much there is.
            if archive.zip.getinfo("keypoints3d.npy").file_size > MOST_BYTES:
                raise DataError(f"{path}: field keypoints3d is larger than {MOST_BYTES >> 20} MiB.", MAKE)
            points = archive["keypoints3d"]
    except FileNotFoundError:
        raise DataError(f"The SfM points {path} are missing.", MAKE) from None
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, SyntaxError, zipfile.BadZipFile, MemoryError) as error:
        raise DataError(f"{path} is no npz file of arrays ({error}).", MAKE) from error
    except AttributeError as error:  # a bare npy has no `zip`
        raise DataError(f"{path} is no npz file of arrays.", MAKE) from error
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "fiu" or not len(points):
        raise DataError(f"{path}: field keypoints3d is {points.dtype} {points.shape}, not numbers (m, 3).", MAKE)
    points = points.astype(np.float64)
    if not np.isfinite(points).all():
        raise DataError(f"{path}: field keypoints3d holds numbers that are not finite.", MAKE)
    return points


def read_observations(path: Path, points: int) -> Observations:
    """What a reference image saw, of its json: rows of the 3D points and pixels, in the file's order.

    Args:
        path: the file.
        points: how many 3D points there are.

    Raises:
        DataError: missing, no JSON, or a field that is not what it should be.
    """
    content = _load(path)
    keypoints = _array(path, content, "keypoints2d", 2)
    assigned = _array(path, content, "assign_matrix", None)
    if assigned.size == 0:
        return Observations(np.zeros(0, dtype=np.int64), np.zeros((0, 2)))
    if assigned.ndim != 2 or assigned.shape[0] != 2:
        raise DataError(f"{path}: field assign_matrix has the shape {assigned.shape}, not (2, k).", MAKE)
    rows = assigned.astype(np.int64)
    if (rows != assigned).any():
        raise DataError(f"{path}: field assign_matrix holds numbers that are not whole.", MAKE)
    for row, limit, what in ((rows[0], len(keypoints), "keypoints2d"), (rows[1], points, "keypoints3d")):
        if row.min() < 0 or row.max() >= limit:
            raise DataError(f"{path}: field assign_matrix names {what} {row.min()} to {row.max()} of {limit}.", MAKE)
    return Observations(rows[1], keypoints[rows[0]] + CENTRE)


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path} is larger than {MOST_BYTES >> 20} MiB.", MAKE)
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"The annotation {path} is missing.", MAKE) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON file ({error}).", MAKE) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is no JSON object.", MAKE)
    return content


def _array(path: Path, content: dict[str, Any], field: str, columns: int | None) -> np.ndarray:
    if field not in content:
        raise DataError(f"{path}: field {field} is missing.", MAKE)
    try:
        values = np.array(content[field], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: field {field} is no array of numbers ({error}).", MAKE) from error
    if columns is not None and values.size == 0:
        return np.zeros((0, columns))
    if columns is not None and (values.ndim != 2 or values.shape[1] != columns):
        raise DataError(f"{path}: field {field} has the shape {values.shape}, not (n, {columns}).", MAKE)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: field {field} holds numbers that are not finite.", MAKE)
    return values
