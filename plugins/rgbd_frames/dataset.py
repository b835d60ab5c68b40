"""The reader of posed RGB-D frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench3d.contracts import PosedView, Problem, ViewSet
from bench3d.data.depth import load_depth
from bench3d.data.hashing import Digest
from bench3d.data.images import image_size
from bench3d.data.poses import inverse, pose_problem, read_matrix, rigid
from bench3d.data.twin import is_synthetic
from bench3d.errors import DataError, UsageError
from bench3d_plugins.rgbd_frames.layout import COLOR_INTRINSICS, Frame, frame_folders, frames_of, intrinsics_path
from bench3d_plugins.rgbd_frames.registered import registered_depth
from bench3d_plugins.rgbd_frames.settings import RgbdSettings

UNIT = 1e-3  # metres of one step of the depth files
TOLERANCE = 0.02
"""Metres. With RELATIVE_TOLERANCE it holds 94 % of the re-projected points of ten real Kinect frames at 1 to 3 m, whose
depths differ by 8 to 14 mm (median, growing with the distance); most of the rest are hidden in the other view."""
RELATIVE_TOLERANCE = 0.01
FEWEST_VIEWS = 2
MISSING = "missing_files"
NO_POSE = "invalid_poses"


class RgbdFrames:
    """Folders of RGB-D frames. There is one category, "all"; the world is in metres.

    Where depth is not registered to the colour images, `settings.color_intrinsics` or a color-intrinsics.txt says so.

    A set is a folder with frames: `root` itself or a subfolder. Frames without depth or pose file, and those whose
    pose is marked as lost (not finite, all zero, or no rotation), are left out and counted in the attributes.
    """

    def __init__(self, root: Path, settings: RgbdSettings | None = None) -> None:
        self.root = Path(root)
        self.settings = settings or RgbdSettings()
        self.synthetic = is_synthetic(self.root)
        self._sets: list[ViewSet] | None = None

    def view_sets(self, category: str = "all") -> Sequence[ViewSet]:
        """One set a folder, sorted by name, frames sorted by name. Reads poses and image headers; decodes no image.

        Raises:
            DataError: no frames, fewer than two good ones in all, or missing or broken intrinsics; names the file.
            UsageError: a category other than "all".
        """
        _one_category(category)
        if self._sets is None:
            everything = [self.folder_set(folder) for folder in self.folders()]
            kept = [one for one in everything if len(one.views) >= FEWEST_VIEWS]
            if not kept:
                reasons = ", ".join(
                    f"{count} {why.replace('_', ' ')}" for one in everything for why, count in one.attributes.items()
                )
                raise DataError(
                    f"No folder in {self.root} has two usable frames ({reasons or 'there is one frame'}).",
                    "Run `bench3d data check` on it.",
                )
            self._sets = kept
        return list(self._sets)

    def folders(self) -> list[Path]:
        """Folders with frames; DataError where there is none."""
        try:
            found = frame_folders(self.root)
        except OSError as error:
            raise DataError(f"The folder {self.root} cannot be read ({error.strerror or error}).") from error
        if not found:
            raise DataError(f"There are no frames (NAME.color.png) in {self.root}.", "Name the folder that holds them.")
        return found

    def camera(self, folder: Path) -> np.ndarray:
        """(3, 3) intrinsics of a folder's depth maps; DataError where they are missing or no camera's."""
        path = intrinsics_path(folder, self.root)
        if not path.exists():
            raise DataError(
                f"The file {path} is missing.", "Write the 3x3 intrinsics of the depth images into it, in pixels."
            )
        return _read_camera(path)

    def color_camera(self, folder: Path) -> np.ndarray | None:
        """(3, 3) intrinsics of a folder's colour images where depth is not registered to them, else None."""
        path = self.settings.color_intrinsics
        if path is None:
            path = intrinsics_path(folder, self.root, COLOR_INTRINSICS)
            if not path.exists():
                return None
        if not path.is_file():
            raise DataError(f"The file {path} is missing.", "It is named by data.color_intrinsics.")
        return _read_camera(path)

    def folder_set(self, folder: Path) -> ViewSet:
        """The set of one folder; it may hold fewer than two views."""
        camera, color, left_out = self.camera(folder), self.color_camera(folder), Counter[str]()
        views = []
        for frame in frames_of(folder):
            pose = None if frame.missing else read_pose(frame.pose)
            if pose is None:
                left_out[MISSING if frame.missing else NO_POSE] += 1
            else:
                views.append(_view(frame, camera, color, pose))
        return ViewSet(
            id=folder.name if folder != self.root else self.root.resolve().name,
            views=tuple(views),
            truth="depth",
            tolerance=TOLERANCE,
            relative_tolerance=RELATIVE_TOLERANCE,
            attributes=dict(left_out),
        )

    def fingerprint(self, category: str = "all") -> str:
        """SHA-256 over intrinsics, poses and the contents of the depth maps, which decide what is visible."""
        _one_category(category)
        digest = Digest()
        for one in self.view_sets():
            for view in one.views:
                pose = np.concatenate([view.cam_T_world.ravel(), view.intrinsics.ravel()]).round(9)
                digest.add(f"{one.id}/{view.id}", pose.tobytes() + repr(view.size).encode())
                digest.add_file("depth", view.image.with_name(f"{view.id}.depth.png"))
        return digest.hexdigest()

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file, without stopping at the first; decodes everything."""
        from bench3d_plugins.rgbd_frames.check import check

        for category in categories or ():
            _one_category(category)
        return check(self)


def read_pose(path: Path) -> np.ndarray | None:
    """cam_T_world (4, 4) of a camera-to-world file, its rotation made orthonormal; None where the pose is lost."""
    pose = read_matrix(path, ((4, 4), (3, 4)))
    if len(pose) == 3:
        pose = np.vstack([pose, (0.0, 0.0, 0.0, 1.0)])
    return None if pose_problem(pose) else inverse(rigid(pose))


def _read_camera(path: Path) -> np.ndarray:
    camera = read_matrix(path, ((3, 3), (4, 4)))[:3, :3].copy()
    if not np.isfinite(camera).all() or min(camera[0, 0], camera[1, 1]) <= 0 or abs(camera[2, 2] - 1) > 1e-6:
        raise DataError(f"{path} holds no camera's intrinsics.", "It must read fx 0 cx, 0 fy cy, 0 0 1 in pixels.")
    return camera


def _view(frame: Frame, camera: np.ndarray, color: np.ndarray | None, cam_T_world: np.ndarray) -> PosedView:
    size = image_size(frame.color)
    depth = partial(load_depth, frame.depth, UNIT, size)
    if color is not None:
        depth = partial(registered_depth, frame.depth, UNIT, size, camera, color)
    return PosedView(
        id=frame.name,
        image=frame.color,
        size=size,
        intrinsics=camera if color is None else color,
        cam_T_world=cam_T_world,
        depth=depth,
    )


def _one_category(category: str) -> None:
    if category != "all":
        raise UsageError(f"RGB-D frames have no category {category!r}.", 'They know one, "all".')
