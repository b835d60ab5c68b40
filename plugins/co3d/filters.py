"""Which sequences are worth training on: the published filters, each a function of its own (protocol page 1.1).

Cameras are cam_T_raw (F, 4, 4), OpenCV, in the raw frame and unit of their sequence.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence as Listing
from pathlib import PurePosixPath

import numpy as np

from bench3d.geometry.camera import project
from bench3d_plugins.co3d.annotations import Frame
from bench3d_plugins.co3d.settings import CO3DSettings

CELLS = 5
NUMBER = re.compile(r"\d+")


def ray_centre(cam_T_raw: np.ndarray) -> np.ndarray | None:
    """(3,) the point nearest to all optical axes in the least squares sense; None where they are all parallel."""
    axes = cam_T_raw[:, 2, :3]
    positions = -np.einsum("fji,fj->fi", cam_T_raw[:, :3, :3], cam_T_raw[:, :3, 3])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    system = across.sum(axis=0)
    if np.linalg.cond(system) > 1e9:
        return None
    return np.linalg.solve(system, np.einsum("fij,fj->i", across, positions))


def viewpoint_coverage(cam_T_raw: np.ndarray) -> float:
    """Share of 38 directions that are nearest to some camera's direction from the ray centre.

    The directions are the points of a 5x5x5 grid on [-1, 1]^3 whose norm is within 1/5 of 1.
    """
    centre = ray_centre(cam_T_raw)
    if centre is None:
        return 0.0
    steps = np.linspace(-1.0, 1.0, CELLS)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    grid = grid[np.abs(np.linalg.norm(grid, axis=1) - 1) < 1 / CELLS]
    positions = -np.einsum("fji,fj->fi", cam_T_raw[:, :3, :3], cam_T_raw[:, :3, 3])
    seen = positions - centre
    seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-12)
    nearest = np.linalg.norm(seen[:, None] - grid, axis=2).argmin(axis=1)
    return len(np.unique(nearest)) / len(grid)


def centred_share(
    cam_T_raw: np.ndarray, intrinsics: np.ndarray, sizes: Listing[tuple[int, int]], offset: float
) -> float:
    """Share of frames whose projected ray centre is within `offset` image sizes of the image's centre in both axes."""
    centre = ray_centre(cam_T_raw)
    if centre is None:
        return 0.0
    inside = 0
    for pose, camera, size in zip(cam_T_raw, intrinsics, sizes, strict=True):
        pixels, _ = project(centre[None], pose, camera)
        inside += bool((np.abs(pixels[0] - np.array(size) / 2) / np.array(size) < offset).all())
    return inside / len(cam_T_raw)


def missing_frames(images: Listing[str]) -> int:
    """How often the last number in the names of consecutive images does not grow by one."""
    numbers = [int((NUMBER.findall(PurePosixPath(name).stem) or ["0"])[-1]) for name in images]
    return sum(after - before != 1 for before, after in itertools.pairwise(numbers))


def camera_reason(frames: Listing[Frame], settings: CO3DSettings) -> str | None:
    """Why the published filters that need no mask leave a sequence out; None where they do not."""
    poses = np.stack([frame.cam_T_raw for frame in frames])
    if viewpoint_coverage(poses) < settings.min_viewpoint_coverage:
        return "too few viewpoints"
    cameras = np.stack([frame.intrinsics for frame in frames])
    centred = centred_share(poses, cameras, [frame.size for frame in frames], settings.centre_offset)
    if centred < settings.min_centred:
        return "an object off the centre"
    if missing_frames([frame.image for frame in frames]) > settings.max_missing_frames:
        return "missing frames"
    return None


def by_quality(names: Listing[str], quality: dict[str, float | None]) -> list[str]:
    """Names by the quality score of their point clouds, best first; those without one last, ties as they stand."""
    score = {name: -np.inf if quality[name] is None else float(quality[name] or 0.0) for name in names}
    return sorted(names, key=lambda name: -score[name])
