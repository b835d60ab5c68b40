"""The official pickle: a dictionary from DAVIS names to `video`, `points` (shares of the image) and `occluded`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts.tracks import TrackedVideo, VideoFrame
from bench3d.data.safe_pickle import PickledArray, load_pickle
from bench3d.errors import DataError

HINT = "Get the file again."


@dataclass(frozen=True)
class PickledFrame:
    """One frame of a video inside a pickle. Equal where file and place are."""

    video: PickledArray
    index: int

    def read(self) -> np.ndarray:
        """(H, W, 3) uint8; only this frame's bytes are read."""
        return self.video.row(self.index)


def read_official(path: Path) -> Iterator[TrackedVideo]:
    """The videos in the order of the file.

    Raises:
        DataError: names file, video and field.
    """
    found = load_pickle(path)
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path} holds no dictionary of videos.", HINT)
    for name, values in found.items():
        yield official_video(path, name, values)


def official_video(path: Path, name: Any, values: Any) -> TrackedVideo:
    """One entry of the dictionary; DataError names file, video and field."""
    if not isinstance(name, str) or not isinstance(values, dict):
        raise DataError(f"{path}: video {str(name)[:40]!r} is no dictionary with a name.", HINT)
    video = array(path, name, values, "video", 4)
    if video.dtype != np.uint8 or video.shape[3] != 3 or 0 in video.shape:
        raise refusal(path, name, "video", f"is {video.shape} {video.dtype}, not (T, H, W, 3) uint8")
    length, height, width = video.shape[:3]
    for field in ("points", "occluded"):
        require(path, name, values, field)
    points, occluded = tracks(path, name, values["points"], values["occluded"], length)
    frames = tuple(VideoFrame(path, (width, height), PickledFrame(video, t)) for t in range(length))
    return TrackedVideo(name, frames, points, (1.0, 1.0), occluded, cluster=name)


def require(path: Path, name: object, values: Mapping[str, Any], field: str) -> None:
    """Raises DataError where a field is not there."""
    if field not in values:
        raise refusal(path, name, field, "is missing")


def array(path: Path, name: object, values: Mapping[str, Any], field: str, axes: int) -> PickledArray:
    """A field that is an array."""
    require(path, name, values, field)
    found = values[field]
    if not isinstance(found, PickledArray) or len(found.shape) != axes:
        raise refusal(path, name, field, f"is no array of {axes} axes")
    return found


def numbers(path: Path, name: object, field: str, value: Any) -> np.ndarray:
    """An array, or nested lists, as numbers."""
    try:
        found = value.read() if isinstance(value, PickledArray) else np.array(_lists(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: video {name}: field {field} holds no regular array.", HINT) from error
    if found.dtype.kind not in "biuf":
        raise refusal(path, name, field, "holds something else than numbers")
    return found


def _lists(value: Any) -> Any:
    if isinstance(value, PickledArray):
        return value.read()
    return [_lists(one) for one in value] if isinstance(value, (list, tuple)) else value


def tracks(path: Path, name: object, points: Any, occluded: Any, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, T, 2) float32 points and (N, T) bool occlusion of `length` frames, checked against each other."""
    places = numbers(path, name, "points", points).astype(np.float32)
    flags = numbers(path, name, "occluded", occluded)
    if places.ndim != 3 or places.shape[1:] != (length, 2):
        raise refusal(path, name, "points", f"is {places.shape}, not (N, {length}, 2)")
    if flags.shape != places.shape[:2] or not np.isin(flags, (0, 1)).all():
        raise refusal(path, name, "occluded", f"is {flags.shape}, not {places.shape[:2]} flags")
    hidden = flags.astype(bool)
    if not np.isfinite(places[~hidden]).all():
        raise refusal(path, name, "points", "is not finite where the point is visible")
    return places, hidden


def refusal(path: Path, name: object, field: str, what: str) -> DataError:
    """The error that names file, video and field."""
    return DataError(f"{path}: video {name}: field {field} {what}.", HINT)
