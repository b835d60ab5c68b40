"""CO3D v2 annotations: gzipped JSON lists, validated field by field.

Facts: protocol pages common3d.md 1.1 and tasks.md g. Paths in the annotations are relative to the data set's root.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from bench3d.errors import DataError
from bench3d.geometry.camera import from_pytorch3d, ndc_intrinsics

HINT = "Get the file again."
MAX_BYTES = 8 << 30  # of unpacked JSON; far above the largest category, far below a gzip bomb
FRAMES = "frame_annotations.jgz"
SEQUENCES = "sequence_annotations.jgz"


@dataclass(frozen=True)
class Frame:
    """One frame. Camera in OpenCV axes and pixels, world units of its own sequence; paths below the root."""

    sequence: str
    number: int
    image: str
    size: tuple[int, int]
    mask: str
    depth: str | None
    depth_mask: str | None
    depth_scale: float
    cam_T_raw: np.ndarray
    intrinsics: np.ndarray


@dataclass(frozen=True)
class Sequence:
    """One video. `cloud` is its point cloud's path below the root, `quality` its score; None where CO3D has none."""

    name: str
    cloud: str | None
    quality: float | None = None


class CameraError(DataError):
    """A camera of values that are none: NaN, no rotation, no focal length. CO3D has a few."""


def read_jgz(path: Path) -> list[Any]:
    """The JSON list in a gzipped file; DataError where it is missing, corrupt, truncated or no list."""
    blocks, total = [], 0
    try:
        with gzip.open(path, "rb") as handle:
            while block := handle.read(1 << 22):
                total += len(block)
                if total > MAX_BYTES:
                    raise DataError(f"{path} unpacks to more than {MAX_BYTES >> 30} GB.", HINT)
                blocks.append(block)
        value = json.loads(b"".join(blocks))
    except FileNotFoundError:
        raise DataError(f"The annotation {path} is missing.", "Complete the data set.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file ({error}).", HINT) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} holds no valid JSON ({error}).", HINT) from error
    if not isinstance(value, list):
        raise DataError(f"{path} holds no list but a {type(value).__name__}.", HINT)
    return value


def read_sequences(path: Path) -> dict[str, Sequence]:
    """Sequences by name, in file order."""
    entries = (Entry(path, number, raw) for number, raw in enumerate(read_jgz(path)))
    found: dict[str, Sequence] = {}
    for entry in entries:
        name = entry.get("sequence_name", str)
        cloud = entry.get("point_cloud", dict, optional=True)
        if cloud is None:
            found[name] = Sequence(name, None)
        else:
            quality = entry.get("point_cloud.quality_score", object, optional=True)
            known = isinstance(quality, (int, float)) and not isinstance(quality, bool) and np.isfinite(quality)
            found[name] = Sequence(name, entry.path_of("point_cloud.path"), float(quality) if known else None)
    return found


def frame_entries(path: Path) -> Iterator[Entry]:
    """The entries of a frame annotation file, unparsed."""
    return (Entry(path, number, raw) for number, raw in enumerate(read_jgz(path)))


def parse_frame(entry: Entry) -> Frame:
    """One frame; DataError names file, entry and field, CameraError where it is a camera's value."""
    height, width = entry.vector("image.size", 2)
    if height < 1 or width < 1:
        raise entry.error("image.size", "is not positive")
    size = (int(width), int(height))
    rotation, translation, intrinsics = _camera(entry, size)
    has_depth = entry.get("depth", dict, optional=True) is not None
    return Frame(
        sequence=entry.get("sequence_name", str),
        number=int(entry.number("frame_number")),
        image=entry.path_of("image.path"),
        size=size,
        mask=entry.path_of("mask.path"),
        depth=entry.path_of("depth.path") if has_depth else None,
        depth_mask=entry.path_of("depth.mask_path", optional=True) if has_depth else None,
        depth_scale=entry.number("depth.scale_adjustment") if has_depth else 1.0,
        cam_T_raw=from_pytorch3d(rotation, translation),
        intrinsics=intrinsics,
    )


def _camera(entry: Entry, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation (3, 3) and translation (3,) as PyTorch3D has them, and intrinsics (3, 3) in pixels."""
    kind = entry.get("viewpoint.intrinsics_format", str, optional=True) or "ndc_norm_image_bounds"
    rows = [entry.vector(f"viewpoint.R.{row}", 3, CameraError) for row in range(3)]
    translation = entry.vector("viewpoint.T", 3, CameraError)
    focal = entry.vector("viewpoint.focal_length", 2, CameraError)
    principal = entry.vector("viewpoint.principal_point", 2, CameraError)
    rotation = np.array(rows)
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-2 or np.linalg.det(rotation) < 0:
        raise entry.error("viewpoint.R", "is no rotation", CameraError)
    if min(focal) <= 0:
        raise entry.error("viewpoint.focal_length", "is not positive", CameraError)
    try:
        return rotation, np.array(translation), ndc_intrinsics(np.array(focal), np.array(principal), size, kind)
    except ValueError as error:
        raise entry.error("viewpoint.intrinsics_format", f"is unknown ({error})") from error


class Entry:
    """One entry of an annotation list; every getter raises DataError with file, entry number and field."""

    def __init__(self, file: Path, index: int, raw: Any) -> None:
        self.file, self.index, self.raw = file, index, raw

    def error(self, name: str, what: str, kind: type[DataError] = DataError) -> DataError:
        """The error to raise for a field."""
        return kind(f"{self.file}, entry {self.index}: field {name} {what}.", HINT)

    def get(self, name: str, kind: type, optional: bool = False) -> Any:
        """A dotted field of a type; None where it is optional and missing or null."""
        value = self.raw
        for part in name.split("."):
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (KeyError, IndexError, ValueError, TypeError):
                value = None
                break
        if value is None and optional:
            return None
        if value is None:
            raise self.error(name, "is missing")
        if not isinstance(value, kind):
            raise self.error(name, f"is no {kind.__name__}")
        return value

    def number(self, name: str, kind: type[DataError] = DataError) -> float:
        """A finite number; an error of `kind` where it is none."""
        value = self.get(name, object, optional=kind is not DataError)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
            raise self.error(name, "is no finite number", kind)
        return float(value)

    def vector(self, name: str, length: int, kind: type[DataError] = DataError) -> list[float]:
        """A list of `length` finite numbers; an error of `kind` where one is none."""
        if len(self.get(name, list)) != length:
            raise self.error(name, f"does not hold {length} numbers")
        return [self.number(f"{name}.{i}", kind) for i in range(length)]

    def path_of(self, name: str, optional: bool = False) -> Any:
        """A path below the root; one that leaves the root is refused."""
        value = self.get(name, str, optional)
        if value is not None and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
            raise self.error(name, f"({value}) leads out of the data set")
        return value
