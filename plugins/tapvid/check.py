"""`bench3d data check` for TAP-Vid DAVIS: files, videos and fields, without stopping at the first problem."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bench3d.contracts import Problem
from bench3d.contracts.tracks import TrackedVideo
from bench3d.data.images import load_rgb
from bench3d.data.safe_pickle import load_pickle
from bench3d.errors import Bench3DError
from bench3d_plugins.tapvid.official import official_video
from bench3d_plugins.tapvid.strided import strided_video

if TYPE_CHECKING:
    from bench3d_plugins.tapvid.dataset import TapVidDavis

PUBLISHED = 30
SLACK = 0.01  # shares of the image that a visible point may lie outside of it


def check(dataset: TapVidDavis) -> Iterator[Problem]:
    """See `TapVidDavis.check`."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    path = dataset.pickle
    try:
        found = load_pickle(path)
    except Bench3DError as error:
        yield Problem(str(path), error.message, hint=error.hint)
        return
    official = dataset.layout == "official"
    if not isinstance(found, dict) or (not official and not isinstance(found.get("videos"), (list, tuple))):
        yield Problem(str(path), "It holds no videos.", field=None if official else "videos", hint="Get it again.")
        return
    videos = list(found.items()) if official else list(enumerate(found["videos"]))
    for name, values in videos:
        try:
            video = official_video(path, name, values) if official else strided_video(path, dataset.root, values)
        except Bench3DError as error:
            yield Problem(str(path), error.message, field=_field(error.message), hint=error.hint)
            continue
        yield from _content(str(path), video)
    if len(videos) != PUBLISHED and not dataset.synthetic:
        message = f"There are {len(videos)} videos, {PUBLISHED} are published."
        yield Problem(str(path), message, severity="warning")


def _content(path: str, video: TrackedVideo) -> Iterator[Problem]:
    """Frames that cannot be decoded, and points that cannot be."""
    for frame in video.frames:
        try:
            if frame.pixels is None:
                load_rgb(frame.path, frame.size)
            else:
                frame.pixels.read()
        except Bench3DError as error:
            yield Problem(str(frame.path), error.message, hint=error.hint)
    shares = video.points[~video.occluded] / np.array(video.extent)
    if len(shares) and (shares.min() < -SLACK or shares.max() > 1 + SLACK):
        message = f"Video {video.id}: a visible point lies outside the image."
        yield Problem(path, message, field="points", severity="warning")


def _field(message: str) -> str | None:
    found = message.partition(": field ")[2]
    return found.split()[0] if found else None
