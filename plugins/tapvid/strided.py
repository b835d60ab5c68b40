"""DINO-Tracker's pickle: videos by number with queries every few frames, in pixels of `w` and `h`; frames as images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts.tracks import TrackedVideo, VideoFrame
from bench3d.data.images import image_size
from bench3d.data.safe_pickle import load_pickle
from bench3d.errors import DataError
from bench3d_plugins.tapvid.layout import frame_folder
from bench3d_plugins.tapvid.official import HINT, refusal, require, tracks

GROUPS = ("query_points", "target_points", "occluded")
SUFFIXES = (".jpg", ".jpeg", ".png")


def read_strided(path: Path, root: Path) -> Iterator[TrackedVideo]:
    """The videos in the order of the file; a video's id is its number.

    Raises:
        DataError: names file, video and field, or the folder of frames that is missing.
    """
    found = load_pickle(path)
    videos = found.get("videos") if isinstance(found, dict) else None
    if not isinstance(videos, (list, tuple)) or not videos:
        raise DataError(f"{path}: field videos is no list of videos.", HINT)
    for values in videos:
        yield strided_video(path, root, values)


def strided_video(path: Path, root: Path, values: Any) -> TrackedVideo:
    """One entry of the list; DataError names file, video and field."""
    if not isinstance(values, dict):
        raise DataError(f"{path}: field videos holds something else than dictionaries.", HINT)
    number = values.get("video_idx")
    if type(number) is not int or number < 0:
        raise DataError(f"{path}: a video has no number: field video_idx is {str(number)[:40]!r}.", HINT)
    extent = (_side(path, number, values, "w"), _side(path, number, values, "h"))
    folder = frame_folder(root, number)
    names = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not names:
        raise DataError(f"The frames of video {number} are missing: {folder}.", "Put DINO-Tracker's frames there.")
    size = image_size(names[0])
    frames = tuple(VideoFrame(name, size) for name in names)
    points, occluded, asked = _queries(path, number, values, len(frames))
    return TrackedVideo(str(number), frames, points, extent, occluded, asked, cluster=str(number))


def _side(path: Path, number: int, values: dict[Any, Any], field: str) -> float:
    side = values.get(field)
    if isinstance(side, (int, float)) and not isinstance(side, bool) and 0 < side < 1e5:
        return float(side)
    raise refusal(path, number, field, f"is {str(side)[:40]!r}, not a size in pixels")


def _queries(path: Path, number: int, values: dict[Any, Any], length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, T, 2), occlusion (N, T) and query frames (N,) of all groups, in the file's order of groups."""
    for field in GROUPS:
        require(path, number, values, field)
        if not isinstance(values[field], dict):
            raise refusal(path, number, field, "is no dictionary of frames")
    places, hidden, asked = [], [], []
    for frame, queries in values["query_points"].items():
        if type(frame) is not int or not 0 <= frame < length:
            raise refusal(path, number, "query_points", f"has the frame {str(frame)[:20]}; there are {length}")
        for field in GROUPS[1:]:
            if frame not in values[field]:
                raise refusal(path, number, field, f"lacks the frame {frame} of query_points")
        group, flags = tracks(path, number, values["target_points"][frame], values["occluded"][frame], length)
        count = queries.shape[0] if hasattr(queries, "shape") else len(queries)
        if count != len(group):
            raise refusal(
                path, number, "query_points", f"has {count} points in frame {frame}, target_points {len(group)}"
            )
        if flags[:, frame].any():
            raise refusal(path, number, "occluded", f"hides a query point in its own frame {frame}")
        places.append(group)
        hidden.append(flags)
        asked.append(np.full(len(group), frame))
    if not places:
        raise refusal(path, number, "query_points", "is empty")
    return np.concatenate(places), np.concatenate(hidden), np.concatenate(asked)
