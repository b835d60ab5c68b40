"""COLMAP binary models: cameras.bin, images.bin and points3D.bin, read without trust.

Facts: the format as COLMAP documents it (https://colmap.github.io/format.html). Little-endian, no padding. COLMAP
puts the centre of the upper left pixel at (0.5, 0.5), as bench3d does; a pose is world-to-camera in OpenCV axes.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from bench3d.contracts import Observations
from bench3d.data.names import stays_inside
from bench3d.errors import DataError

HINT = "Get the file again."
MODELS = {
    0: ("SIMPLE_PINHOLE", 3), 1: ("PINHOLE", 4), 2: ("SIMPLE_RADIAL", 4), 3: ("RADIAL", 5), 4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8), 6: ("FULL_OPENCV", 12), 7: ("FOV", 5), 8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5), 10: ("THIN_PRISM_FISHEYE", 12), 11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
}  # fmt: skip
READ = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
NO_POINT = -1
LONGEST_NAME = 4096
LARGEST_SIDE = 1_000_000
_KEYPOINTS = np.dtype([("xy", "<f8", (2,)), ("point", "<i8")])
_POINT = struct.Struct("<q3d3Bd")


@dataclass(frozen=True, eq=False)
class ColmapCamera:
    """One camera: size (W, H), intrinsics (3, 3) in its pixels, distortion (k1, k2, p1, p2) or None for a pinhole."""

    model: str
    size: tuple[int, int]
    intrinsics: np.ndarray
    distortion: tuple[float, float, float, float] | None


@dataclass(frozen=True, eq=False)
class ColmapImage:
    """One registered image: name below the image folder, camera, cam_T_world (4, 4).

    `keypoints` are the observed points of tracks; None where they were not asked for.
    """

    name: str
    camera: ColmapCamera
    cam_T_world: np.ndarray
    keypoints: Observations | None


def read_cameras(path: Path) -> dict[int, ColmapCamera]:
    """Cameras by id.

    Raises:
        DataError: missing, truncated, corrupt, or a camera model that is not read; names file and record.
    """
    with _Records(path, "camera", 24) as records:
        found = {}
        for _ in records:
            number = records.number("<i")
            found[number] = _camera(records)
        return found


def read_images(path: Path, cameras: dict[int, ColmapCamera], keypoints: bool = True) -> list[ColmapImage]:
    """Registered images sorted by name. Without `keypoints` only poses are read, and most of the file is not touched.

    Raises:
        DataError: missing, truncated, corrupt, an unknown camera, or a name that leads out of the image folder.
    """
    with _Records(path, "image", 73) as records:
        return sorted((_image(records, cameras, keypoints) for _ in records), key=lambda image: image.name)


def read_points(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids (N,) int64, ascending, and positions (N, 3) float64 of the triangulated points.

    Raises:
        DataError: missing, truncated or corrupt; names file and record.
    """
    ids, positions = [], []
    with _Records(path, "point", _POINT.size + 8) as records:
        for _ in records:
            number, *rest = records.take(_POINT)
            if number < 0 or not np.isfinite(rest[:3]).all():
                raise records.error("it is no point with an id")
            ids.append(number)
            positions.append(rest[:3])
            records.skip(8 * records.number("<Q"))
    order = np.argsort(np.array(ids, dtype=np.int64))
    return np.array(ids, dtype=np.int64)[order], np.array(positions, dtype=np.float64).reshape(-1, 3)[order]


class _Records:
    """The records of a file, walked one after the other; every complaint names file and record."""

    def __init__(self, path: Path, what: str, smallest: int) -> None:
        self.path, self.what, self.smallest = path, what, smallest
        self.index, self.offset = -1, 0

    def __enter__(self) -> _Records:
        self._stack = contextlib.ExitStack()
        try:
            handle = self._stack.enter_context(open(self.path, "rb"))
            self.content = self._stack.enter_context(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
        except FileNotFoundError:
            raise DataError(f"The file {self.path} is missing.", "Complete the data set.") from None
        except (OSError, ValueError) as error:
            self._stack.close()
            raise DataError(f"{self.path} cannot be read ({error}).", HINT) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[int]:
        count = self.number("<Q")
        if count * self.smallest > len(self.content) - self.offset:
            raise DataError(f"{self.path} is truncated: it cannot hold {count} {self.what}s.", HINT)
        for self.index in range(count):
            yield self.index

    def error(self, what: str) -> DataError:
        """The error to raise about the current record."""
        where = f"{self.what} {self.index}" if self.index >= 0 else "its head"
        return DataError(f"{self.path}, {where}: {what}.", HINT)

    def take(self, layout: struct.Struct) -> tuple:
        """The next numbers."""
        start = self.offset
        self.skip(layout.size)
        return layout.unpack_from(self.content, start)

    def number(self, kind: str) -> int:
        """The next number."""
        return int(self.take(struct.Struct(kind))[0])

    def skip(self, count: int) -> None:
        """Passes over bytes."""
        if count > len(self.content) - self.offset:
            raise self.error("the file ends in it")
        self.offset += count

    def text(self) -> str:
        """The next zero-terminated string."""
        end = self.content.find(b"\0", self.offset, self.offset + LONGEST_NAME)
        if end < 0:
            raise self.error("the name does not end")
        raw = self.content[self.offset : end]
        self.offset = end + 1
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error("the name is no UTF-8") from error


def _camera(records: _Records) -> ColmapCamera:
    kind = records.number("<i")
    width, height = records.take(struct.Struct("<QQ"))
    if kind not in MODELS:
        raise records.error(f"camera model {kind} is unknown")
    model, count = MODELS[kind]
    values = np.array(records.take(struct.Struct(f"<{count}d")))
    if model not in READ:
        raise DataError(
            f"{records.path}, camera {records.index}: camera model {model} is not read, only {', '.join(READ)}.",
            "Undistort the images with `colmap image_undistorter`.",
        )
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise records.error(f"the size {width}x{height} is none of an image")
    if not np.isfinite(values).all() or values[0] <= 0:
        raise records.error("the parameters are no camera's")
    one_focal = model in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
    fx, fy, cx, cy = (values[0], *values[:3]) if one_focal else values[:4]
    if fy <= 0:
        raise records.error("the focal length is not positive")
    k1, k2, p1, p2 = [float(v) for v in [*values[3 if one_focal else 4 :], 0.0, 0.0, 0.0, 0.0][:4]]
    return ColmapCamera(
        model,
        (width, height),
        np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
        (k1, k2, p1, p2) if any((k1, k2, p1, p2)) else None,
    )


def _image(records: _Records, cameras: dict[int, ColmapCamera], keypoints: bool) -> ColmapImage:
    _, *pose, camera = records.take(struct.Struct("<i7di"))
    name = records.text()
    if not stays_inside(name):
        raise records.error(f"the name {name[:80]!r} is none of a file in the image folder")
    if camera not in cameras:
        raise records.error(f"camera {camera} is not in cameras.bin")
    count = records.number("<Q")
    start = records.offset
    records.skip(count * _KEYPOINTS.itemsize)
    found = None
    if keypoints:
        table = np.frombuffer(records.content[start : records.offset], dtype=_KEYPOINTS)
        found = _observed(records, table, cameras[camera].size)
    return ColmapImage(name, cameras[camera], _pose(records, np.array(pose)), found)


def _observed(records: _Records, table: np.ndarray, size: tuple[int, int]) -> Observations:
    """The keypoints that belong to a point of the model and lie in the image; of several to one point the first."""
    table = table[table["point"] != NO_POINT]
    if not np.isfinite(table["xy"]).all() or (table["point"] < 0).any():
        raise records.error("a keypoint is no point of the image")
    table = table[(table["xy"] >= 0).all(axis=1) & (table["xy"] < size).all(axis=1)]
    points, first = np.unique(table["point"], return_index=True)
    return Observations(points=points.astype(np.int64), xy=table["xy"][first].astype(np.float64))


def _pose(records: _Records, values: np.ndarray) -> np.ndarray:
    """cam_T_world of a quaternion (w, x, y, z) and a translation."""
    if not np.isfinite(values).all() or np.abs(values[:4]).max() > 2.0 or np.abs(values[:4]).max() < 0.1:
        raise records.error("the pose is no quaternion and translation")
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(values[[1, 2, 3, 0]]).as_matrix()
    pose[:3, 3] = values[4:7]
    return pose
