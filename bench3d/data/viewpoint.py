"""Objects with a viewpoint, as PASCAL3D+ and ObjectNet3D annotate them: a MATLAB record to plain values.

Both releases nest their records alike (protocol page tasks.md f). MATLAB files turn up with a single object as a struct
and several as an array, and with empty matrices for what is unknown; both are read here and nowhere else. Which object
counts, and which frames are left out, is each data set's own rule.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from bench3d.errors import DataError

HINT = "Get the file again, or take its name off the list."
CAD_SCALE = 2 / 0.85
"""CAD models of both releases are about 0.85 wide: this brings them, and distances, to max |coordinate| of about 1
(protocol page common3d.md 1.2)."""

VIEWPOINT = ("azimuth", "elevation", "theta", "distance", "focal", "viewport", "px", "py")
FLAGS = ("truncated", "occluded", "difficult")


@dataclass(frozen=True)
class Annotation:
    """The object that a protocol uses. Angles in degrees, distance in CAD units.

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

    def intrinsics(self) -> np.ndarray:
        """(3, 3): f_x = f_y = focal * viewport, principal point (px, py)."""
        return np.array([[self.focal, 0.0, self.principal[0]], [0.0, self.focal, self.principal[1]], [0.0, 0.0, 1.0]])


def load_record(path: Path, content: bytes | None = None) -> Any:
    """The struct `record` of an annotation file, or of its `content`.

    Raises:
        DataError: the file is missing or broken, or holds no such struct; names the file.
    """
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
    if not is_struct(mat.get("record")):
        raise DataError(f"{path}: field record is missing.", HINT)
    return mat["record"]


def is_struct(value: Any) -> bool:
    """Whether a value is a MATLAB struct."""
    return hasattr(value, "_fieldnames")


def field_of(struct: Any, name: str) -> Any:
    """A field, None where it does not exist or is an empty matrix."""
    value = getattr(struct, name, None)
    return None if isinstance(value, np.ndarray) and value.size == 0 else value


def structs(value: Any) -> list[Any]:
    """A single struct or an array of them as a list."""
    return [item for item in np.atleast_1d(np.asarray(value, dtype=object)).ravel() if is_struct(item)]


def text(path: Path, name: str, value: Any) -> str:
    """A text; DataError with file and field where it is none."""
    if not isinstance(value, str):
        raise DataError(f"{path}: field {name} is no text.", HINT)
    return value


def number(path: Path, name: str, value: Any) -> float | None:
    """A finite number, None where it is empty; DataError with file and field for anything else."""
    if value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{path}: field {name} is no number.", HINT) from None
    if not np.isfinite(found):
        raise DataError(f"{path}: field {name} is {found}.", HINT)
    return found


def vector(path: Path, name: str, value: Any, length: int) -> list[float]:
    """`length` finite numbers; DataError with file and field for anything else."""
    try:
        found = np.asarray([] if value is None else value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        found = np.empty(0)
    if len(found) != length or not np.isfinite(found).all():
        raise DataError(f"{path}: field {name} does not hold {length} numbers.", HINT)
    return [float(one) for one in found]


def viewpoint_numbers(path: Path, view: Any, names: tuple[str, ...] = VIEWPOINT) -> dict[str, float | None]:
    """Fields of a `viewpoint` struct, None for what is empty or not there; DataError as `number`."""
    return {name: number(path, f"viewpoint.{name}", field_of(view, name)) for name in names}


def object_flags(path: Path, found: Any) -> dict[str, bool | None]:
    """truncated, occluded and difficult of an object, None for what is empty or not there; DataError as `number`."""
    values = {name: number(path, name, field_of(found, name)) for name in FLAGS}
    return {name: None if value is None else bool(value) for name, value in values.items()}


def annotation_of(
    path: Path, record: Any, found: Any, official: str, view: Mapping[str, float], flags: Mapping[str, bool]
) -> Annotation:
    """The annotation of one object of a record, whose viewpoint's numbers (`VIEWPOINT`) are all there.

    Raises:
        DataError: a box or CAD index is missing or of a wrong kind; names file and field.
    """
    box = vector(path, "bbox", field_of(found, "bbox"), 4)
    index = number(path, "cad_index", field_of(found, "cad_index"))
    if index is None or index != int(index) or index < 1:
        raise DataError(f"{path}: field cad_index is {index}, not a number from 1 on.", HINT)
    return Annotation(
        official=official,
        size=record_size(path, record),
        cad_index=int(index),
        box=(box[0], box[1], box[2], box[3]),
        azimuth=view["azimuth"],
        elevation=view["elevation"],
        theta=view["theta"],
        distance=view["distance"],
        focal=view["focal"] * view["viewport"],
        principal=(view["px"], view["py"]),
        flags=dict(flags),
    )


def record_size(path: Path, record: Any) -> tuple[int, int] | None:
    """(W, H) from `size`, else from `imgsize`, which stands width first; None where neither is there."""
    size = field_of(record, "size")
    if is_struct(size):
        width = number(path, "size.width", field_of(size, "width"))
        height = number(path, "size.height", field_of(size, "height"))
        if width and height:
            return int(width), int(height)
    if field_of(record, "imgsize") is not None:
        values = np.asarray(field_of(record, "imgsize"), dtype=np.float64).ravel()
        if len(values) >= 2 and np.isfinite(values[:2]).all():
            return int(values[0]), int(values[1])
    return None
