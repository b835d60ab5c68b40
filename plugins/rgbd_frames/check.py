"""`bench3d data check` for RGB-D frames: every missing or broken file, without stopping at the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench3d.contracts import Problem
from bench3d.data.depth import load_depth
from bench3d.data.images import load_rgb
from bench3d.errors import Bench3DError
from bench3d_plugins.rgbd_frames.layout import Frame, frames_of, intrinsics_path

if TYPE_CHECKING:
    from bench3d_plugins.rgbd_frames.dataset import RgbdFrames


def check(dataset: RgbdFrames) -> Iterator[Problem]:
    """See `RgbdFrames.check`."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the frames there, or link to them.")
        return
    try:
        folders = dataset.folders()
    except Bench3DError as error:
        yield Problem(str(dataset.root), error.message, hint=error.hint)
        return
    for folder in folders:
        yield from _folder(dataset, folder)


def _folder(dataset: RgbdFrames, folder: Path) -> Iterator[Problem]:
    camera: np.ndarray | None = None
    try:
        camera = dataset.camera(folder)
    except Bench3DError as error:
        yield Problem(str(intrinsics_path(folder, dataset.root)), error.message, hint=error.hint)
    good = 0
    for frame in frames_of(folder):
        problems = list(_frame(frame, camera))
        good += not problems
        yield from problems
    if good < 2:
        yield Problem(str(folder), f"The folder has {good} usable frames: it is left out.")


def _frame(frame: Frame, camera: np.ndarray | None) -> Iterator[Problem]:
    from bench3d_plugins.rgbd_frames.dataset import read_pose

    for name in frame.missing:
        yield Problem(str(frame.color.with_name(name)), "The file is missing: the frame is left out.")
    try:
        pixels = load_rgb(frame.color)
        size = (pixels.shape[1], pixels.shape[0])
    except Bench3DError as error:
        yield Problem(str(frame.color), error.message, hint=error.hint)
        return
    if camera is not None and not (0 < camera[0, 2] < size[0] and 0 < camera[1, 2] < size[1]):
        yield Problem(
            str(frame.color),
            f"The principal point {camera[0, 2]:g}, {camera[1, 2]:g} lies outside the image of {size} pixels.",
            hint="The intrinsics must be those of the images as they are.",
        )
    try:
        if frame.depth.name not in frame.missing and not load_depth(frame.depth, 1.0, size).any():
            yield Problem(str(frame.depth), "No pixel has a depth.")
    except Bench3DError as error:
        yield Problem(str(frame.depth), error.message, hint=error.hint)
    try:
        if frame.pose.name not in frame.missing and read_pose(frame.pose) is None:
            yield Problem(str(frame.pose), "The pose is marked as lost: the frame is left out.", severity="warning")
    except Bench3DError as error:
        yield Problem(str(frame.pose), error.message, hint=error.hint)
