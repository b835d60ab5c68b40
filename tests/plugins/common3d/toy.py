"""A tiny in-memory MultiviewSource: videos of a two-box object, rendered into real image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from bench3d.contracts import FeatureMap, ImageBatch, Model, ObjectSequence, PosedFrame, WeightedMap
from bench3d.geometry.camera import clip_matrix, viewpoint_pose
from bench3d.render.raster import rasterize

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
CUBE_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]],
    dtype=np.int32,
)  # fmt: skip
FACE_COLOURS = np.array(
    [[220, 60, 60], [60, 200, 60], [60, 60, 220], [220, 200, 40], [40, 200, 210], [210, 60, 210]], dtype=np.float64
)
SIZE = 128


TINY = {
    "canvas": 64,
    "render_size": 16,
    "grid_cells": 4,
    "mlp_width": 32,
    "adapter_widths": (32, 32, 16),
    "adapter_dilation": (1, 2, 4),
    "adapter_upsample": False,
    "latent_width": 16,
    "latent_dim": 16,
    "feature_norm": "ordinary",
    "standardise": True,
    "surface_samples": 40,
    "chamfer_points": 100,
    "eikonal_points": 100,
    "views": "cached",
    "accumulate": 1,
    "batch": 6,
    "template_iterations": 6,
    "appearance_iterations": 8,
    "validate_every": 4,
    "validation_frames": 3,
    "learning_rate": 1e-3,
    "held_out": 0.25,
}


def two_boxes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces and face colours of a long box with a smaller one on its back; canonical units."""
    half = np.array([0.45, 1.0, 0.3]) * rng.uniform(0.9, 1.1, 3)
    top = np.array([0.3, 0.4, 0.25])
    lower = CUBE * half - [0, 0, 0.25]
    upper = CUBE * top + [0, 0.4, half[2] - 0.25 + top[2]]
    vertices = np.concatenate([lower, upper])
    vertices -= (vertices.min(0) + vertices.max(0)) / 2
    vertices /= np.abs(vertices).max()
    faces = np.concatenate([CUBE_FACES, CUBE_FACES + 8])
    colours = np.concatenate([np.repeat(FACE_COLOURS, 2, axis=0), np.repeat(FACE_COLOURS[::-1], 2, axis=0)])
    return vertices, faces, colours


def surface_points(vertices: np.ndarray, faces: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Random points on the faces, by area."""
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = corners[rng.choice(len(faces), count, p=area / area.sum())]
    weights = rng.dirichlet([1, 1, 1], count)
    return (chosen * weights[..., None]).sum(axis=1)


class ToySource:
    """`count` videos of `views` frames each, written under `root`."""

    def __init__(self, root: Path, count: int = 5, views: int = 6, seed: int = 0) -> None:
        self.list = [self._video(root, n, views, np.random.default_rng([seed, n])) for n in range(count)]

    def sequences(self, category: str) -> list[ObjectSequence]:
        return self.list

    def fingerprint(self, category: str) -> str:
        return "toy"

    def _video(self, root: Path, number: int, views: int, rng: np.random.Generator) -> ObjectSequence:
        vertices, faces, colours = two_boxes(rng)
        intrinsics = np.array([[160.0, 0, SIZE / 2], [0, 160.0, SIZE / 2], [0, 0, 1]])
        frames = []
        for view in range(views):
            azimuth = 360 * view / views + rng.uniform(0, 30)
            pose = viewpoint_pose(azimuth, rng.uniform(0, 40), rng.uniform(-5, 5), 4.0)
            pose[:2, 3] = rng.uniform(-0.1, 0.1, 2)
            clip = np.c_[vertices, np.ones(len(vertices))] @ (clip_matrix(intrinsics, (SIZE, SIZE)) @ pose).T
            triangle = rasterize(clip[None].astype(np.float32), faces, (SIZE, SIZE))[0, ..., 3].astype(int)
            image = rng.uniform(60, 120, (SIZE, SIZE, 3))
            image[triangle > 0] = colours[triangle[triangle > 0] - 1]
            stem = root / f"{number:02d}-{view:02d}"
            cv2.imwrite(f"{stem}.png", image[..., ::-1].astype(np.uint8))
            cv2.imwrite(f"{stem}-mask.png", (triangle > 0).astype(np.uint8) * 255)
            frames.append(
                PosedFrame(stem.name, Path(f"{stem}.png"), Path(f"{stem}-mask.png"), (SIZE, SIZE), intrinsics, pose)
            )
        points = surface_points(vertices, faces, 1000, rng)
        return ObjectSequence(f"seq{number:02d}", "toy", tuple(frames), lambda: points)


class ColourModel(Model):
    """Mean colours of `grid` x `grid` cells, their squares and a smoother copy: 9 channels."""

    def __init__(self, grid: int = 16) -> None:
        self.grid = grid

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        cells = torch.nn.functional.interpolate(batch.images, size=(self.grid, self.grid), mode="area")
        smooth = torch.nn.functional.avg_pool2d(cells, 3, stride=1, padding=1)
        stride = batch.images.shape[-1] / self.grid
        geometry = tuple(g.with_grid((self.grid, self.grid), (stride, stride)) for g in batch.geometry)
        return [WeightedMap(FeatureMap(torch.cat([cells, cells**2, smooth], dim=1), geometry))]
