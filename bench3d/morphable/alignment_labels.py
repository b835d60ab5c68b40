"""The one labelled rotation of a category: read from a file, made of six clicked points, or asked for in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench3d.errors import DataError
from bench3d.geometry.rotations import nearest_rotation

AXES = (("left", "right"), ("back", "front"), ("top", "bottom"))
FORM = (
    "Each entry is a 3x3 rotation from the sequence's own frame to x left, y back, z up (or a 4x4 with it), or six "
    "points on the object in the sequence's own frame: left, right, back, front, top, bottom: [x, y, z]."
)


def read_labels(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Category -> sequence -> rotation (3, 3) from the sequence's frame to the labelled axes; JSON or YAML.

    Raises:
        DataError: names file, category and sequence of what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError:
        raise DataError(f"There is no label file {path}.", "Check --labels.") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"The label file {path} cannot be read ({error}).", "Mend the file.") from error
    if not isinstance(table, dict) or not all(isinstance(v, dict) for v in table.values()):
        raise DataError(f"The label file {path} is no table {{category: {{sequence: label}}}}.", FORM)
    wrong = next((name for row in table.values() for name in row if not isinstance(name, str)), None)
    if wrong is not None:
        raise DataError(
            f"The label file {path} holds {wrong!r}, which is no text.", "Quote the names: YAML reads 1_2 as 12."
        )
    return {
        str(category): {name: label_rotation(value, f"{path}, {category}, {name}") for name, value in row.items()}
        for category, row in table.items()
    }


def label_rotation(value: Any, where: str) -> np.ndarray:
    """A label as rotation (3, 3); DataError naming `where`."""
    if isinstance(value, Mapping):
        return rotation_of_points(_points(value, where), where)
    matrix = _array(value)
    if matrix.shape not in ((3, 3), (4, 4)) or not np.isfinite(matrix).all():
        raise DataError(f"The label in {where} is neither a 3x3 nor a 4x4 matrix.", FORM)
    turn = matrix[:3, :3]
    scale = np.cbrt(np.linalg.det(turn))
    if scale <= 0:
        raise DataError(f"The label in {where} mirrors the object or flattens it.", FORM)
    if np.abs(turn @ turn.T / scale**2 - np.eye(3)).max() > 1e-2:
        raise DataError(f"The label in {where} shears or stretches: it is no rotation.", FORM)
    return nearest_rotation(turn)


def rotation_of_points(points: np.ndarray, where: str) -> np.ndarray:
    """The rotation whose rows are nearest to the three axes between clicked points (3, 2, 3).

    points[0] is left and right, points[1] back and front, points[2] top and bottom: x is left, y back, z up.

    Raises:
        DataError: two points of an axis coincide, or the three axes are left-handed or in a plane.
    """
    axes = points[:, 0] - points[:, 1]
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    if not np.isfinite(axes).all() or (lengths <= 0).any():
        raise DataError(f"Two points of an axis in {where} are the same.", FORM)
    axes = axes / lengths
    if np.linalg.det(axes) < 0.1:
        raise DataError(
            f"The axes in {where} are left-handed or nearly in one plane.", "Exchange left and right, or click again."
        )
    return nearest_rotation(axes)


def advice(category: str, sequences: Sequence[str]) -> str:
    """What to write in a label file, ready to be filled in."""
    points = ", ".join(f"{name}: [x, y, z]" for axis in AXES for name in axis)
    return "\n".join([f"{category}:", *(f'  "{name}": {{{points}}}' for name in sequences)])


def _points(value: Mapping[str, Any], where: str) -> np.ndarray:
    names = [name for axis in AXES for name in axis]
    missing = [name for name in names if name not in value]
    if missing:
        raise DataError(f"The label in {where} has no point {missing[0]}.", FORM)
    points = [_array(value[name]) for name in names]
    wrong = next((n for n, p in zip(names, points, strict=True) if p.shape != (3,) or not np.isfinite(p).all()), None)
    if wrong is not None:
        raise DataError(f"The point {wrong} in {where} is not three numbers.", FORM)
    return np.stack(points).reshape(3, 2, 3)


def _array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)
