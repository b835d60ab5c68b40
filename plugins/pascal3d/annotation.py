"""One PASCAL3D+ annotation: a MATLAB file to plain values, and the protocol's rules for leaving a frame out.

Facts: protocol page common3d.md 1.2. MATLAB files turn up with a single object as a struct and several as an array,
and with empty matrices for what is unknown; both are read here and nowhere else.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from bench3d.errors import DataError

HINT = "Get the file again, or take its name off the list."
# Reasons why the protocol leaves a frame out.
NO_VIEWPOINT = "no object with a viewpoint"
OTHER_CLASS = "the object is of another class"
NO_KEYPOINTS = "no keypoint names"
INCOMPLETE = "viewpoint without fine angles or principal point"
PRINCIPAL_POINT = "negative principal point"
COARSE = "distance below 0.01 (coarse viewpoint only)"
NO_FOCAL = "focal * viewport is 0"


@dataclass(frozen=True)
class Annotation:
    """The object that the protocol uses: the first with a viewpoint. Angles in degrees, distance in CAD units.

    `size` is the annotated (W, H) or None; `box` (x0, y0, x1, y1), `principal` and `focal` (already times viewport)
    are in pixels, taken as they stand (no shift for MATLAB's one-based pixels, as in the published evaluation).
    """

    official: str
    size: tuple[int, int] | None
    cad_index: int
    box: tuple[float, float, float, float]
    azimuth: float
    elevation: float
    theta: float
    distance: float
    focal: float
    principal: tuple[float, float]
    flags: dict[str, bool]


def read_annotation(path: Path, official: str, content: bytes | None = None) -> Annotation | str:
    """The annotation in `path` (or in its `content`), or the reason why the protocol leaves the frame out.

    Raises:
        DataError: the file is missing or broken, or a field is missing or of a wrong kind; names file and field.
    """
    record = _load(path, content)
    found = next((o for o in _structs(_get(record, "objects")) if _is_struct(_get(o, "viewpoint"))), None)
    if found is None:
        return NO_VIEWPOINT
    name = _text(path, "class", _get(found, "class"))
    if name != official:
        return OTHER_CLASS
    anchors = _get(found, "anchors")
    if not (_is_struct(anchors) and anchors._fieldnames):
        return NO_KEYPOINTS
    view = _get(found, "viewpoint")
    value = {key: _number(path, f"viewpoint.{key}", _get(view, key)) for key in VIEWPOINT}
    if (reason := _skip(value)) is not None:
        return reason
    box = _vector(path, "bbox", _get(found, "bbox"), 4)
    index = _number(path, "cad_index", _get(found, "cad_index"))
    if index is None or index != int(index) or index < 1:
        raise DataError(f"{path}: field cad_index is {index}, not a number from 1 on.", HINT)
    known = {key: number for key, number in value.items() if number is not None}
    return Annotation(
        official=name,
        size=_size(path, record),
        cad_index=int(index),
        box=(box[0], box[1], box[2], box[3]),
        azimuth=known["azimuth"],
        elevation=known["elevation"],
        theta=known["theta"],
        distance=known["distance"],
        focal=known["focal"] * known["viewport"],
        principal=(known["px"], known["py"]),
        flags={key: bool(_number(path, key, _get(found, key))) for key in ("truncated", "occluded", "difficult")},
    )


VIEWPOINT = ("azimuth", "elevation", "theta", "distance", "focal", "viewport", "px", "py")


def _skip(value: dict[str, float | None]) -> str | None:
    """The protocol's rules; an empty matrix in a number's place is treated like the unusable value it stands for."""
    if not (value["focal"] and value["viewport"]):
        return NO_FOCAL
    if value["distance"] is None or value["distance"] < 0.01:
        return COARSE
    if any(value[key] is None for key in ("azimuth", "elevation", "theta", "px", "py")):
        return INCOMPLETE
    if min(value["px"] or 0.0, value["py"] or 0.0) < 0:
        return PRINCIPAL_POINT
    return None


def _load(path: Path, content: bytes | None) -> Any:
    try:
        source = io.BytesIO(path.read_bytes() if content is None else content)
    except FileNotFoundError:
        raise DataError(f"The annotation {path} is missing.", HINT) from None
    except OSError as error:
        raise DataError(f"The annotation {path} cannot be read ({error.strerror or error}).", HINT) from error
    try:
        mat = loadmat(source, squeeze_me=True, struct_as_record=False, variable_names=["record"])
    except Exception as error:
        # Broken files make scipy raise anything from TypeError to zlib.error.
        raise DataError(f"The annotation {path} is no readable MATLAB 5 file ({error}).", HINT) from error
    if not _is_struct(mat.get("record")):
        raise DataError(f"{path}: field record is missing.", HINT)
    return mat["record"]


def _is_struct(value: Any) -> bool:
    return hasattr(value, "_fieldnames")


def _get(struct: Any, name: str) -> Any:
    """A field, None where it does not exist or is an empty matrix."""
    value = getattr(struct, name, None)
    return None if isinstance(value, np.ndarray) and value.size == 0 else value


def _structs(value: Any) -> list[Any]:
    """A single struct or an array of them as a list."""
    return [item for item in np.atleast_1d(np.asarray(value, dtype=object)).ravel() if _is_struct(item)]


def _text(path: Path, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(f"{path}: field {name} is no text.", HINT)
    return value


def _number(path: Path, name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{path}: field {name} is no number.", HINT) from None
    if not np.isfinite(number):
        raise DataError(f"{path}: field {name} is {number}.", HINT)
    return number


def _vector(path: Path, name: str, value: Any, length: int) -> list[float]:
    try:
        vector = np.asarray([] if value is None else value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        vector = np.empty(0)
    if len(vector) != length or not np.isfinite(vector).all():
        raise DataError(f"{path}: field {name} does not hold {length} numbers.", HINT)
    return vector.tolist()


def _size(path: Path, record: Any) -> tuple[int, int] | None:
    """(W, H) from `size`, else from `imgsize`, which stands width first; None where neither is there."""
    size = _get(record, "size")
    if _is_struct(size):
        width = _number(path, "size.width", _get(size, "width"))
        height = _number(path, "size.height", _get(size, "height"))
        if width and height:
            return int(width), int(height)
    if _get(record, "imgsize") is not None:
        values = np.asarray(_get(record, "imgsize"), dtype=np.float64).ravel()
        if len(values) >= 2 and np.isfinite(values[:2]).all():
            return int(values[0]), int(values[1])
    return None
