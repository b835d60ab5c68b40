"""Cameras of the twins: orbits as in CO3D videos, single views as PASCAL3D+ annotates them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.geometry.camera import project, viewpoint_pose
from bench3d.synth.seeds import Seed, rng_of

CAD_TO_CANONICAL = 2 / 0.85
"""PASCAL3D+ CAD units to canonical ones: the CAD's max |coordinate| of 0.425 becomes 1."""


@dataclass(frozen=True)
class Photo:
    """A PASCAL3D+ viewpoint: angles in degrees, distance in CAD units (canonical = CAD * 2/0.85), px, py in pixels."""

    azimuth: float
    elevation: float
    theta: float
    distance: float
    focal: float
    viewport: float
    px: float
    py: float

    def pose(self) -> np.ndarray:
        """cam_T_obj (4, 4) in canonical units."""
        return viewpoint_pose(self.azimuth, self.elevation, self.theta, self.distance * CAD_TO_CANONICAL)

    def intrinsics(self) -> np.ndarray:
        """(3, 3) with focal length focal * viewport."""
        f = self.focal * self.viewport
        return np.array([[f, 0.0, self.px], [0.0, f, self.py], [0.0, 0.0, 1.0]])


def orbit(n: int, seed: Seed, size: tuple[int, int], vertices: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cameras of a video around an object: n pairs of cam_T_obj (4, 4) and intrinsics (3, 3); size is (W, H).

    Azimuth runs over a full turn or a large arc with jitter, elevation wanders in -10 to 50 degrees, roll has sigma
    4 degrees, the distance lies in 3 to 5 units. One focal length per video, chosen so that the object (vertices
    (V, 3)) fills 50 to 85 % of the image on average; the object is slightly off-centre.
    """
    rng = rng_of(seed, 11)
    arc = 360.0 if rng.random() < 0.7 else rng.uniform(200, 330)
    step = arc / n * rng.choice([-1, 1])
    azimuths = rng.uniform(0, 360) + step * (np.arange(n) + rng.uniform(-0.3, 0.3, n))
    base, swing, phase, waves = rng.uniform(2, 34), rng.uniform(4, 14), rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 2.5)
    wander = base + swing * np.sin(phase + waves * 2 * np.pi * np.arange(n) / n)
    elevations = np.clip(wander + rng.normal(0, 1.5, n), -10, 50)
    thetas = np.clip(rng.normal(0, 4, n), -12, 12)
    distances = np.clip(rng.uniform(3.2, 4.8) * (1 + rng.normal(0, 0.03, n)), 3.0, 5.0)
    # No camera below the ground that the object stands on.
    elevations = np.maximum(elevations, np.rad2deg(np.arcsin((vertices[:, 2].min() + 0.12) / distances)))
    poses = [viewpoint_pose(*view) for view in zip(azimuths, elevations, thetas, distances, strict=True)]
    extents = [_extent(vertices, pose, np.eye(3)).max() for pose in poses]
    focal = rng.uniform(0.55, 0.78) * min(size) / float(np.median(extents))
    out = []
    for pose, shift in zip(poses, rng.uniform(-0.035, 0.035, (n, 2)), strict=True):
        # A camera that looks slightly past the object: the principal point stays at the image centre, as CO3D's does.
        moved = pose.copy()
        moved[:2, 3] += shift * np.asarray(size) / focal * pose[2, 3]
        k = np.array([[focal, 0.0, size[0] / 2], [0.0, focal, size[1] / 2], [0.0, 0.0, 1.0]])
        fill = _fill(vertices, moved, k, size)
        if fill > 0.9:  # close to the image's border: step back
            moved[:3, 3] *= fill / 0.9
        out.append((moved, k))
    return out


def photo(
    seed: Seed, size: tuple[int, int], vertices: np.ndarray, hard: bool = False, category: str | None = None
) -> Photo:
    """A single view: azimuth uniform, elevation about -2 to 35 by category, object 40 to 80 % of the image.

    PASCAL3D+'s viewport of 3000 and focal 1 make it nearly affine. Hard: shorter focal length (strong perspective),
    larger roll, wider elevations, and a principal point that pushes part of the object out of the image.
    """
    rng = rng_of(seed, 12)
    azimuth = float(rng.uniform(0, 360))
    low, high = {"tv": (-8, 25), "bus": (-2, 25), "chair": (0, 40), "couch": (0, 35)}.get(category or "", (-2, 35))
    elevation = float(np.clip(rng.normal((low + high) / 2 - 3, (high - low) / 3.2), low, high))
    theta = float(np.clip(rng.normal(0, 4), -15, 15))
    focal, viewport = 1.0, 3000.0
    if hard:
        elevation = float(rng.uniform(-8, 50))
        theta = float(np.clip(rng.normal(0, 12), -35, 35))
        focal = float(rng.uniform(0.1, 0.35) * max(size) / 256)
    fill = float(rng.uniform(0.45, 0.8))
    distance = _distance(vertices, (azimuth, elevation, theta), focal * viewport, fill, size)
    pose = viewpoint_pose(azimuth, elevation, theta, distance)
    k = np.diag([focal * viewport, focal * viewport, 1.0])
    points, _ = project(vertices, pose, k)
    box_low, box_high = points.min(0), points.max(0)
    extent = box_high - box_low
    # Room that is left around the box lets the object stand off-centre without being cut.
    free = np.maximum(np.asarray(size) - extent, 0) * 0.3
    centre = np.asarray(size) / 2 + rng.uniform(-1, 1, 2) * free
    if hard and rng.random() < 0.6:
        axis, sign = int(rng.integers(2)), float(rng.choice([-1, 1]))
        cut = rng.uniform(0.05, 0.3) * extent[axis]
        edge = np.asarray(size)[axis] if sign > 0 else 0.0
        centre[axis] = edge - sign * (extent[axis] / 2 - cut)
    at = centre - (box_low + box_high) / 2
    # The object's origin stays inside the image, as readers of PASCAL3D+ skip px or py below zero.
    at = np.clip(at, 1.0, np.asarray(size) - 1.0)
    return Photo(azimuth, elevation, theta, distance / CAD_TO_CANONICAL, focal, viewport, float(at[0]), float(at[1]))


def _extent(vertices: np.ndarray, pose: np.ndarray, k: np.ndarray) -> np.ndarray:
    points, _ = project(vertices, pose, k)
    return points.max(0) - points.min(0)


def _fill(vertices: np.ndarray, pose: np.ndarray, k: np.ndarray, size: tuple[int, int]) -> float:
    """Largest reach of the object from the image centre, as a share of the half image."""
    points, _ = project(vertices, pose, k)
    return float((np.abs(points - np.asarray(size) / 2) / (np.asarray(size) / 2)).max())


def _distance(
    vertices: np.ndarray, angles: tuple[float, float, float], focal: float, fill: float, size: tuple[int, int]
) -> float:
    """Distance at which the object's box fills the share `fill` of the image, by bisection."""
    low, high = 2.4, 400.0
    for _ in range(40):
        middle = (low + high) / 2
        extent = _extent(vertices, viewpoint_pose(*angles, middle), np.diag([focal, focal, 1.0]))
        low, high = (middle, high) if (extent / np.asarray(size)).max() > fill else (low, middle)
    return high
