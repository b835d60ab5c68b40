"""The JSON annotations of SPair-71k: of a pair and of an image, with every field checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from bench3d.errors import DataError

HINT = "Get the file again."
GROUPS = ("viewpoint_variation", "scale_variation", "truncation", "occlusion", "mirror")


@dataclass(frozen=True, eq=False)
class PairAnnotation:
    """One pair as annotated. Boxes are (x0, y0, x1, y1), sizes (W, H), keypoints (K, 2) float64, all in pixels."""

    source: str
    target: str
    source_size: tuple[int, int]
    target_size: tuple[int, int]
    source_box: np.ndarray
    target_box: np.ndarray
    source_xy: np.ndarray
    target_xy: np.ndarray
    keypoint_ids: tuple[str, ...]
    groups: dict[str, object]


@dataclass(frozen=True, eq=False)
class ImageAnnotation:
    """One image as annotated: name with suffix, (W, H), box, and (2,) pixels of the visible keypoints by id."""

    name: str
    size: tuple[int, int]
    box: np.ndarray
    keypoints: dict[str, np.ndarray]


def parse_pair(path: Path, content: bytes, official: str) -> PairAnnotation:
    """The annotation of a pair; DataError with file and field."""
    fields = _Fields(path, content)
    if fields.text("category") != official:
        fields.refuse("category", f"is {fields.text('category')!r}, not {official!r}")
    ids = fields.words("kps_ids")
    if not ids:
        fields.refuse("kps_ids", "is empty")
    if len(set(ids)) != len(ids):
        fields.refuse("kps_ids", "names a keypoint twice")
    return PairAnnotation(
        source=fields.file_name("src_imname"),
        target=fields.file_name("trg_imname"),
        source_size=fields.size("src_imsize"),
        target_size=fields.size("trg_imsize"),
        source_box=fields.box("src_bndbox"),
        target_box=fields.box("trg_bndbox"),
        source_xy=fields.points("src_kps", len(ids)),
        target_xy=fields.points("trg_kps", len(ids)),
        keypoint_ids=ids,
        groups={name: fields.whole(name) for name in GROUPS},
    )


def parse_image(path: Path, content: bytes) -> ImageAnnotation:
    """The annotation of an image; DataError with file and field."""
    fields = _Fields(path, content)
    keypoints = {}
    listed = fields.value("kps")
    if not isinstance(listed, dict):
        fields.refuse("kps", "is no table of keypoints")
    for name, at in listed.items():
        if at is None:
            continue
        point = _numbers(at)
        if point is None or point.shape != (2,):
            fields.refuse(f"kps.{name}", "does not hold two numbers")
        keypoints[name] = point
    return ImageAnnotation(
        name=fields.file_name("filename"),
        size=(fields.whole("image_width"), fields.whole("image_height")),
        box=fields.box("bndbox"),
        keypoints=keypoints,
    )


def _numbers(value: Any) -> np.ndarray | None:
    """A list of numbers as a float64 array; None where it is anything else, ragged or not finite."""
    if not isinstance(value, list):
        return None
    try:
        found = np.array(value)
    except ValueError:
        return None
    if found.size and found.dtype.kind not in "iuf":
        return None
    found = found.astype(np.float64)
    return found if np.isfinite(found).all() else None


class _Fields:
    """The top level of a JSON file; each reader refuses a wrong value in one sentence with file and field."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} is no readable JSON file ({error}).", HINT) from error
        if not isinstance(values, dict):
            raise DataError(f"{path} holds no JSON object.", HINT)
        self._values = values

    def refuse(self, name: str, what: str) -> NoReturn:
        raise DataError(f"{self._path}: field {name} {what}.", HINT)

    def value(self, name: str) -> Any:
        if name not in self._values:
            self.refuse(name, "is missing")
        return self._values[name]

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            self.refuse(name, "is no text")
        return value

    def file_name(self, name: str) -> str:
        value = self.text(name)
        if not value or value.startswith(".") or any(sign in value for sign in "/\\:\0"):
            self.refuse(name, f"is {value!r}, no plain file name")
        return value

    def whole(self, name: str) -> int:
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(name, "is no number")
        if not abs(value) < 1e9 or value != int(value):
            self.refuse(name, f"is {value}, no whole number")
        return int(value)

    def words(self, name: str) -> tuple[str, ...]:
        value = self.value(name)
        if not isinstance(value, list) or not all(isinstance(v, (str, int)) and not isinstance(v, bool) for v in value):
            self.refuse(name, "is no list of ids")
        return tuple(str(v) for v in value)

    def size(self, name: str) -> tuple[int, int]:
        value = _numbers(self.value(name))
        if value is None or value.ndim != 1 or len(value) < 2 or (value[:2] < 1).any() or (value[:2] > 1e6).any():
            self.refuse(name, "does not hold width and height")
        return int(value[0]), int(value[1])

    def box(self, name: str) -> np.ndarray:
        value = _numbers(self.value(name))
        if value is None or value.shape != (4,):
            self.refuse(name, "does not hold four numbers")
        if value[2] <= value[0] or value[3] <= value[1]:
            self.refuse(name, f"is {value.tolist()}, an empty box")
        return value

    def points(self, name: str, count: int) -> np.ndarray:
        value = _numbers(self.value(name))
        if value is None or value.shape != (count, 2):
            self.refuse(name, f"does not hold {count} points of two numbers, as many as kps_ids")
        return value
