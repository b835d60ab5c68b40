"""Pose of a camera from matches between points of the world and pixels: PnP within RANSAC, by OpenCV or PoseLib.

Conventions: OpenCV axes, `cam_T_world` (4, 4), pixel (i, j) covers [i, i+1). The pose does not depend on where the
centre of a pixel is said to lie, as long as pixels and intrinsics say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from bench3d.errors import UsageError
from bench3d.geometry.rotations import nearest_rotation
from bench3d.geometry.unproject import undistort

Estimator = Literal["epnp", "magsac", "poselib"]
UNIT = 1000.0
"""OpenCV's EPnP has absolute tolerances: scenes are brought to this extent before (3DCorrEnhance: metres to mm)."""
FEWEST = 4
LO_ITERATIONS, LO_SAMPLE, POLISH = 10, 50, 5


@dataclass(frozen=True)
class PoseOptions:
    """How a pose is estimated.

    Attributes:
        estimator: `epnp`: OpenCV's solvePnPRansac with EPnP, as OnePose and 3DCorrEnhance call it; `magsac`: OpenCV's
            USAC with the MAGSAC++ score, local optimisation and polishing; `poselib`: LO-RANSAC of the package PoseLib.
        pixels: largest reprojection error of an inlier.
        iterations: at most so many; `confidence` ends earlier.
        min_inliers: a pose needs more inliers than this.
        refine: minimise the reprojection error over the inliers afterwards (Levenberg-Marquardt).
        scale: the points are multiplied with this for the estimator; None: so that their extent is UNIT.
        seed: of `magsac` and `poselib`; OpenCV's epnp draws the same numbers in every call.
    """

    estimator: Estimator = "magsac"
    pixels: float = 8.0
    iterations: int = 100_000
    confidence: float = 0.99999
    min_inliers: int = 5
    refine: bool = True
    scale: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class PoseMatches:
    """A pose and the matches that agree with it.

    Attributes:
        cam_T_world: (4, 4), None where too few matches agree.
        inliers: (K,) int64 rows of the matches; empty where there is no pose.
    """

    cam_T_world: np.ndarray | None
    inliers: np.ndarray


NOTHING = PoseMatches(None, np.zeros(0, dtype=np.int64))


def pose_from_matches(
    points: np.ndarray,
    xy: np.ndarray,
    intrinsics: np.ndarray,
    options: PoseOptions,
    distortion: tuple[float, float, float, float] | None = None,
) -> PoseMatches:
    """The pose that most matches agree with; deterministic.

    Args:
        points: (N, 3) of the world.
        xy: (N, 2) pixels where they were found; outliers are expected.
        intrinsics: (3, 3).
        options: how.
        distortion: (k1, k2, p1, p2) of the image; the pixels are then taken back to a pinhole camera first.

    Raises:
        UsageError: PoseLib is asked for and not installed.
    """
    points, xy = np.asarray(points, dtype=np.float64), np.asarray(xy, dtype=np.float64)
    if distortion is not None:
        xy = pinhole_pixels(xy, intrinsics, distortion)
    usable = np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(xy).all(axis=1))
    if len(usable) < FEWEST:
        return NOTHING
    points, xy = points[usable], xy[usable]
    # EPnP as published sees the points where they are; ours sees them around their middle.
    middle = np.zeros(3) if options.scale is not None else np.median(points, axis=0)
    scale = options.scale or UNIT / max(float(np.abs(points - middle).max()), 1e-12)
    solve = {"epnp": _epnp, "magsac": _magsac, "poselib": _poselib}[options.estimator]
    found = solve((points - middle) * scale, xy, intrinsics, options)
    if found is None or len(found[2]) <= options.min_inliers:
        return NOTHING
    rotation, translation, inliers = found
    if options.refine:
        rotation, translation = _refined((points - middle) * scale, xy, intrinsics, rotation, translation, inliers)
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = translation / scale - rotation @ middle
    if not np.isfinite(pose).all():
        return NOTHING
    return PoseMatches(pose, usable[inliers])


def pinhole_pixels(xy: np.ndarray, intrinsics: np.ndarray, distortion: tuple[float, float, float, float]) -> np.ndarray:
    """Where a camera without distortion would see what is seen at pixels (N, 2); NaN where no ray meets one."""
    rays = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ np.linalg.inv(intrinsics).T
    plane = undistort(rays[:, :2] / rays[:, 2:], distortion)
    return (np.concatenate([plane, np.ones((len(plane), 1))], axis=1) @ intrinsics.T)[:, :2]


def reprojection_error(
    points: np.ndarray, xy: np.ndarray, intrinsics: np.ndarray, cam_T_world: np.ndarray
) -> np.ndarray:
    """(N,) pixels between where points (N, 3) project and `xy` (N, 2); infinite behind the camera."""
    camera = points @ cam_T_world[:3, :3].T + cam_T_world[:3, 3]
    ahead = camera[:, 2] > 0
    pixels = camera @ intrinsics.T
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.linalg.norm(pixels[:, :2] / pixels[:, 2:] - xy, axis=1)
    return np.where(ahead & np.isfinite(error), error, np.inf)


_Found = tuple[np.ndarray, np.ndarray, np.ndarray]


def _epnp(points: np.ndarray, xy: np.ndarray, intrinsics: np.ndarray, options: PoseOptions) -> _Found | None:
    try:
        _, vector, translation, inliers = cv2.solvePnPRansac(
            points, xy, intrinsics, None, reprojectionError=options.pixels, iterationsCount=options.iterations,
            confidence=options.confidence, flags=cv2.SOLVEPNP_EPNP,
        )  # fmt: skip
    except cv2.error:  # degenerate samples can end in an assertion
        return None
    if inliers is None:
        return None
    return cv2.Rodrigues(vector)[0], translation.ravel(), inliers.ravel().astype(np.int64)


def _magsac(points: np.ndarray, xy: np.ndarray, intrinsics: np.ndarray, options: PoseOptions) -> _Found | None:
    parameters = cv2.UsacParams()
    parameters.confidence = options.confidence
    parameters.maxIterations = options.iterations
    parameters.threshold = options.pixels
    parameters.score = cv2.SCORE_METHOD_MAGSAC
    parameters.loMethod = cv2.LOCAL_OPTIM_SIGMA
    parameters.loIterations, parameters.loSampleSize = LO_ITERATIONS, LO_SAMPLE
    parameters.sampler = cv2.SAMPLING_UNIFORM
    parameters.final_polisher = cv2.LSQ_POLISHER
    parameters.final_polisher_iterations = POLISH
    parameters.isParallel = False
    parameters.randomGeneratorState = options.seed
    try:
        # OpenCV may write into the camera matrix of this overload.
        found, _, vector, translation, _ = cv2.solvePnPRansac(points, xy, intrinsics.copy(), None, params=parameters)
    except cv2.error:
        return None
    if not found or vector is None:
        return None
    rotation, translation = cv2.Rodrigues(vector)[0], translation.ravel()
    return rotation, translation, _agreeing(points, xy, intrinsics, rotation, translation, options.pixels)


def _poselib(points: np.ndarray, xy: np.ndarray, intrinsics: np.ndarray, options: PoseOptions) -> _Found | None:
    try:
        import poselib
    except ImportError as error:
        raise UsageError("The estimator poselib needs the package PoseLib.", "pip install poselib") from error
    focal = (float(intrinsics[0, 0]), float(intrinsics[1, 1]), float(intrinsics[0, 2]), float(intrinsics[1, 2]))
    camera = {"model": "PINHOLE", "width": 0, "height": 0, "params": list(focal)}
    ransac: dict[str, Any] = {
        "max_reproj_error": options.pixels,
        "max_iterations": options.iterations,
        "min_iterations": min(100, options.iterations),
        "success_prob": options.confidence,
        "seed": options.seed,
    }
    pose, _ = poselib.estimate_absolute_pose(xy, points, camera, ransac, {})
    rotation, translation = np.asarray(pose.R), np.asarray(pose.t)
    if not (np.isfinite(rotation).all() and np.isfinite(translation).all()):
        return None
    return rotation, translation, _agreeing(points, xy, intrinsics, rotation, translation, options.pixels)


def _agreeing(
    points: np.ndarray,
    xy: np.ndarray,
    intrinsics: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    pixels: float,
) -> np.ndarray:
    """Rows within the threshold: USAC's own list is that of its best hypothesis before polishing."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, translation
    return np.flatnonzero(reprojection_error(points, xy, intrinsics, pose) <= pixels)


def _refined(
    points: np.ndarray,
    xy: np.ndarray,
    intrinsics: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    inliers: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Levenberg-Marquardt over the inliers; what it was given where that fails."""
    try:
        vector, moved = cv2.solvePnPRefineLM(
            points[inliers], xy[inliers], intrinsics, None, cv2.Rodrigues(rotation)[0], translation[:, None].copy()
        )
    except cv2.error:
        return rotation, translation
    if not (np.isfinite(vector).all() and np.isfinite(moved).all()):
        return rotation, translation
    return nearest_rotation(cv2.Rodrigues(vector)[0]), moved.ravel()
