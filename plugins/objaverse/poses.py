"""The camera of the renderings: 42 fixed views of a sphere, one lens.

Facts: protocol page tasks.md, section a. The object is moved, the camera stays: a pose is object-to-camera, OpenCV
axes, its translation always (0, 0, 2). Camera centres are the vertices of a once subdivided icosahedron, z up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench3d.data.poses import pose_problem, rigid
from bench3d.errors import DataError

SIZE = 512
FOCAL = 560.0  # pixels at SIZE: a lens of 35 mm on a sensor of 32 mm
DISTANCE = 2.0
POSES_FILE = "obj_poses.npy"
MAX_VIEWS = 10_000
# fmt: off
DIRECTIONS = (
    (0.0000000, 0.0000000, 1.0000000), (0.1624556, 0.4999953, 0.8506544), (0.1624556, -0.4999953, 0.8506544),
    (-0.4253227, -0.3090114, 0.8506542), (-0.4253227, 0.3090114, 0.8506542), (0.5257297, 0.0000000, 0.8506516),
    (-0.2628688, -0.8090117, 0.5257377), (-0.2628688, 0.8090117, 0.5257377), (0.6881893, 0.4999969, 0.5257362),
    (0.6881893, -0.4999969, 0.5257362), (-0.8506478, 0.0000000, 0.5257359), (0.2763880, 0.8506492, 0.4472198),
    (0.2763880, -0.8506492, 0.4472198), (-0.7236073, -0.5257253, 0.4472195), (-0.7236073, 0.5257253, 0.4472195),
    (0.8944262, 0.0000000, 0.4472156), (0.5877856, 0.8090167, 0.0000000), (0.9510579, 0.3090126, 0.0000000),
    (0.9510579, -0.3090126, 0.0000000), (0.5877856, -0.8090167, 0.0000000), (0.0000000, -1.0000000, 0.0000000),
    (-0.5877856, -0.8090167, 0.0000000), (-0.9510579, -0.3090126, 0.0000000), (-0.9510579, 0.3090126, 0.0000000),
    (-0.5877856, 0.8090167, 0.0000000), (0.0000000, 1.0000000, 0.0000000), (-0.8944262, 0.0000000, -0.4472156),
    (0.7236073, 0.5257253, -0.4472195), (0.7236073, -0.5257253, -0.4472195), (-0.2763880, -0.8506492, -0.4472198),
    (-0.2763880, 0.8506492, -0.4472198), (0.8506478, 0.0000000, -0.5257359), (-0.6881893, -0.4999969, -0.5257362),
    (-0.6881893, 0.4999969, -0.5257362), (0.2628688, 0.8090117, -0.5257377), (0.2628688, -0.8090117, -0.5257377),
    (-0.5257297, 0.0000000, -0.8506516), (0.4253227, 0.3090114, -0.8506542), (0.4253227, -0.3090114, -0.8506542),
    (-0.1624556, -0.4999953, -0.8506544), (-0.1624556, 0.4999953, -0.8506544), (0.0000000, 0.0000000, -1.0000000),
)
# fmt: on
"""Viewing directions in the object's frame, in the published order. A table, because the sphere that the published
poses were made with is rounded (1e-5 off the exact icosahedron) and its order follows no rule."""


def published_poses() -> np.ndarray:
    """The 42 poses (42, 4, 4), cam_T_obj: z is up in every image; straight down and up, x points left and right."""
    forward = np.array(DIRECTIONS)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    vertical = np.abs(forward[:, 2]) > 1 - 1e-9
    right[vertical] = np.outer(-forward[vertical, 2], (1.0, 0.0, 0.0))
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    poses = np.tile(np.eye(4), (len(forward), 1, 1))
    poses[:, :3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    poses[:, 2, 3] = DISTANCE
    return poses


def folder_poses(root: Path) -> np.ndarray:
    """Poses (N, 4, 4) of a folder of renderings: of its own `obj_poses.npy`, else the published ones.

    Raises:
        DataError: the file is no array of rigid poses; names the pose.
    """
    path = root / POSES_FILE
    if not path.exists():
        return published_poses()
    try:
        poses = np.load(path, allow_pickle=False, mmap_mode="r")
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not 1 <= len(poses) <= MAX_VIEWS or poses.dtype.kind != "f":
            raise ValueError(f"shape {poses.shape}, type {poses.dtype}")
        poses = np.array(poses, dtype=np.float64)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise DataError(
            f"{path} is no array of poses (N, 4, 4): {error}.", "Get the file again, or remove it."
        ) from error
    for number, pose in enumerate(poses):
        if problem := pose_problem(pose):
            raise DataError(f"{path}: pose {number} {problem}.", "Get the file again, or remove it.")
    return np.stack([rigid(pose) for pose in poses])


def intrinsics(size: int) -> np.ndarray:
    """(3, 3) in pixels of a square rendering of `size`."""
    focal = FOCAL * size / SIZE
    return np.array([[focal, 0.0, size / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]])
