"""Point clouds of the outer surface, as a reconstruction of a video sees it."""

from __future__ import annotations

import numpy as np

from bench3d.geometry.camera import viewpoint_pose
from bench3d.synth.instances import Instance
from bench3d.synth.scene import raster_view

VIEWS, RESOLUTION, DISTANCE, FOCAL = 26, 160, 6.0, 272.0


def surface_points(instance: Instance, n: int, rng: np.random.Generator, noise: float = 0.0) -> np.ndarray:
    """Points (n, 3) float32 on what can be seen of an instance from outside, spread evenly over the area.

    Pixels of views all around (the underside included) are taken back to 3D. A face gets points by the area that the
    view which sees most of it sees, so that hidden faces get none. noise: sigma of a Gaussian, canonical units.
    """
    k = np.array([[FOCAL, 0, RESOLUTION / 2], [0, FOCAL, RESOLUTION / 2], [0, 0, 1.0]])
    corners = instance.vertices[instance.faces].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = 0.5 * np.linalg.norm(normal, axis=1)
    normal /= 2 * area[:, None] + 1e-20
    points, owner, visible = [], [], np.zeros(len(area))
    for direction in _sphere(VIEWS):
        azimuth = np.rad2deg(np.arctan2(direction[0], -direction[1]))
        pose = viewpoint_pose(float(azimuth), float(np.rad2deg(np.arcsin(direction[2]))), 0.0, DISTANCE)
        raster = raster_view(instance.vertices, instance.faces, pose, k, (RESOLUTION, RESOLUTION))
        hit = raster[..., 3] > 0
        u, v, face = raster[hit][:, 0], raster[hit][:, 1], raster[hit][:, 3].astype(np.int64) - 1
        points.append(np.einsum("nk,nkc->nc", np.stack([u, v, 1 - u - v], axis=1), corners[face]))
        owner.append(face)
        # What this view sees of each face, in square units.
        slant = np.maximum(np.abs(normal @ direction), 0.2)
        pixels = np.bincount(face, minlength=len(area))
        visible = np.maximum(visible, pixels * (DISTANCE / FOCAL) ** 2 / slant)
    candidates, faces = np.concatenate(points), np.concatenate(owner)
    share = np.minimum(area, visible)[faces] / np.bincount(faces, minlength=len(area))[faces]
    out = candidates[rng.choice(len(candidates), n, p=share / share.sum())]
    if noise > 0:
        out = out + rng.normal(0.0, noise, out.shape)
    return out.astype(np.float32)


def _sphere(count: int) -> np.ndarray:
    """Directions (count, 3) spread over the sphere (a spiral)."""
    k = np.arange(count) + 0.5
    up = 1 - 2 * k / count
    turn = k * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - up**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), up], axis=1)
