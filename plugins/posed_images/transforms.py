"""nerfstudio's `transforms.json`, validated field by field; every error names file and field.

Facts: https://docs.nerf.studio/quickstart/data_conventions.html. Camera fields may stand in a frame or once for all;
the frame's go first. A pose is camera-to-world in OpenGL axes (x right, y up, z backward). `applied_transform` says
how the world was turned before the file was written: poses and the cloud are already in the turned world, so it
changes no correspondence, and neither does `orientation_override`, which concerns nerfstudio's own display.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from bench3d.data.names import stays_inside
from bench3d.data.poses import inverse, pose_problem, rigid
from bench3d.data.resized import resize_factors, scale_intrinsics
from bench3d.errors import DataError

HINT = "Write the file again."
MAX_BYTES = 256 << 20
OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
CAMERA_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")
DEPTH_UNIT = 1e-3
"""World units of one step of a depth map where the file does not say: nerfstudio's default (millimetres)."""
DISTORTION = ("k1", "k2", "p1", "p2")
NOT_READ = ("k3", "k4", "k5", "k6")
LARGEST_SIDE = 1_000_000


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics (3, 3) in pixels of the image and OpenCV's (k1, k2, p1, p2), None for a pinhole."""

    intrinsics: np.ndarray
    distortion: tuple[float, float, float, float] | None


class Transforms:
    """One file. `frames` are sorted by file path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole = Fields(path, "", _read(path))
        self.cloud = self.whole.relative("ply_file_path")
        unit = self.whole.number("depth_unit_scale_factor")
        unit = self.whole.number("depth_unit") if unit is None else unit
        self.depth_unit = DEPTH_UNIT if unit is None else unit
        if self.depth_unit <= 0:
            raise self.whole.error("depth_unit_scale_factor", "is not positive")
        self._model()
        listed = self.whole.get("frames", list)
        if not listed:
            raise self.whole.error("frames", "is missing or empty")
        self.frames = sorted(
            (Frame(Fields(path, f"frames.{number}.", one), self.whole) for number, one in enumerate(listed)),
            key=lambda frame: frame.image,
        )

    def _model(self) -> None:
        model = self.whole.get("camera_model", str) or "OPENCV"
        if model not in CAMERA_MODELS or self.whole.get("is_fisheye", bool):
            raise self.whole.error(
                "camera_model",
                f"is {model}: fisheye, panorama and other lenses are not read, only {', '.join(CAMERA_MODELS)}",
            )


class Frame:
    """One entry of `frames`: paths below the file's folder, None where not named."""

    def __init__(self, own: Fields, whole: Fields) -> None:
        self.own, self.whole = own, whole
        image = own.relative("file_path")
        if image is None:
            raise own.error("file_path", "is missing")
        self.image = image
        self.depth = own.relative("depth_file_path")
        self.mask = own.relative("mask_path")

    def pose(self) -> np.ndarray:
        """cam_T_world (4, 4) in OpenCV axes; DataError where the matrix is no rigid pose."""
        rows = self.own.get("transform_matrix", list)
        if rows is None:
            raise self.own.error("transform_matrix", "is missing")
        try:
            matrix = np.array(rows, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.own.error("transform_matrix", "is no matrix of numbers") from error
        if matrix.shape == (3, 4):
            matrix = np.vstack([matrix, (0.0, 0.0, 0.0, 1.0)])
        if problem := pose_problem(matrix):
            raise self.own.error("transform_matrix", problem)
        return inverse(rigid(matrix) @ OPENGL_TO_OPENCV)

    def camera(self, size: tuple[int, int]) -> Camera:
        """The camera in pixels of an image of `size` (W, H), which may be scaled; DataError where a field is wrong."""
        width, height = (self.number(name) or float(side) for name, side in zip("wh", size, strict=True))
        if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
            raise self.own.error("w, h", "is no size of an image")
        factors = resize_factors(size, (round(width), round(height)))
        if factors is None:
            raise self.own.error(
                "w, h", f"({width:g}x{height:g}) is not the size of {self.image} ({size[0]}x{size[1]}), scaled evenly"
            )
        fx = self._focal("fl_x", "camera_angle_x", width)
        fy = self._focal("fl_y", "camera_angle_y", height) or fx
        fx = fx or fy
        if not fx or not fy:
            raise self.own.error("fl_x", "is missing, here and for all frames")
        cx, cy = self.number("cx"), self.number("cy")
        plain = np.array(
            [[fx, 0.0, width / 2 if cx is None else cx], [0.0, fy, height / 2 if cy is None else cy], [0.0, 0.0, 1.0]]
        )
        for name in NOT_READ:
            if self.number(name):
                raise self.own.error(name, "is not zero: of the lens distortion only k1, k2, p1 and p2 are read")
        k1, k2, p1, p2 = (self.number(name) or 0.0 for name in DISTORTION)
        return Camera(scale_intrinsics(plain, factors), (k1, k2, p1, p2) if any((k1, k2, p1, p2)) else None)

    def number(self, name: str) -> float | None:
        """A number of the frame, else the one for all frames."""
        own = self.own.number(name)
        return self.whole.number(name) if own is None else own

    def _focal(self, name: str, angle: str, side: float) -> float | None:
        focal, opening = self.number(name), self.number(angle)
        if focal is None and opening is not None and 0 < opening < math.pi:
            focal = side / 2 / math.tan(opening / 2)
        if focal is not None and focal <= 0:
            raise self.own.error(name, "is not positive")
        return focal


class Fields:
    """The fields of one JSON object; every getter raises DataError with file and field, or gives None."""

    def __init__(self, file: Path, prefix: str, value: Any) -> None:
        self.file, self.prefix = file, prefix
        if not isinstance(value, dict):
            raise DataError(f"{file}: field {prefix.rstrip('.') or 'root'} is no JSON object.", HINT)
        self.value = value

    def error(self, name: str, what: str) -> DataError:
        """The error to raise for a field."""
        return DataError(f"{self.file}: field {self.prefix}{name} {what}.", HINT)

    def get(self, name: str, kind: type) -> Any:
        """A field of a type; None where it is missing or null."""
        value = self.value.get(name)
        if value is not None and not isinstance(value, kind):
            raise self.error(name, f"is no {kind.__name__}")
        return value

    def number(self, name: str) -> float | None:
        """A finite number."""
        value = self.value.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e15:
            raise self.error(name, "is no finite number")
        return float(value)

    def relative(self, name: str) -> str | None:
        """A path below the folder, normalised; one that leaves the folder is refused."""
        value = self.get(name, str)
        if value is None:
            return None
        value = value.replace("\\", "/")
        if not stays_inside(value):
            raise self.error(name, f"({value[:80]!r}) leads out of the folder, or is no path")
        return PurePosixPath(value).as_posix()


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES >> 20} MB.", HINT)
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"The file {path} is missing.", "Complete the folder.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).", HINT) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} holds no valid JSON ({error}).", HINT) from error
