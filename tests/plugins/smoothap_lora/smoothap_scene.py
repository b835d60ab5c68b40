"""Balls of diameter 1 with coloured spots, seen by cameras around them: images, masks and exact depth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from bench3d.contracts import PosedView, ViewSet
from bench3d.geometry.rotations import so3_exp

SIZE = 48
INTRINSICS = np.array([[1.5 * SIZE, 0, SIZE / 2], [0, 1.5 * SIZE, SIZE / 2], [0, 0, 1]])
RADIUS, DISTANCE = 0.5, 2.0


class Balls:
    """A data set of `objects` balls with `views` views each, `step` degrees apart, in a world of `unit`."""

    synthetic = True

    def __init__(self, root: Path, objects: int = 3, views: int = 6, step: float = 20.0, unit: float = 1.0) -> None:
        self.sets = [ball(root / f"ball-{n}", f"ball-{n}", n, views, step, unit) for n in range(objects)]

    def view_sets(self, category: str = "all") -> Sequence[ViewSet]:
        return self.sets


def pose(degrees: float, unit: float = 1.0) -> np.ndarray:
    """A camera at DISTANCE, turned about the vertical axis."""
    matrix = np.eye(4)
    matrix[:3, :3] = so3_exp(np.deg2rad([0.0, degrees, 0.0]))
    matrix[2, 3] = DISTANCE * unit
    return matrix


def ball(folder: Path, name: str, seed: int, views: int, step: float, unit: float) -> ViewSet:
    folder.mkdir(parents=True, exist_ok=True)
    spots = np.random.default_rng(seed).normal(size=(40, 3))
    spots /= np.linalg.norm(spots, axis=1, keepdims=True)
    shades = np.random.default_rng(seed + 1).integers(40, 255, (40, 3))
    posed = []
    for n in range(views):
        camera = pose(n * step, unit)
        rgb, depth = draw(camera, spots, shades, unit)
        image = folder / f"{n}.png"
        if not image.exists():
            Image.fromarray(rgb).save(image)
        posed.append(
            PosedView(
                id=str(n),
                image=image,
                size=(SIZE, SIZE),
                intrinsics=INTRINSICS,
                cam_T_world=camera,
                depth=partial(np.copy, depth),
                mask=partial(np.greater, depth, 0),
            )
        )
    return ViewSet(id=name, views=tuple(posed), truth="depth", tolerance=0.02 * unit)


def draw(camera: np.ndarray, spots: np.ndarray, shades: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 and (H, W) float32 depth of a ball around the world's origin."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(INTRINSICS).T
    centre = camera[:3, 3]
    a, b = (rays**2).sum(-1), rays @ centre
    root = b**2 - a * (centre @ centre - (RADIUS * unit) ** 2)
    hit = root > 0
    depth = np.where(hit, (b - np.sqrt(np.maximum(root, 0))) / a, 0.0)
    world = ((rays * depth[..., None]) - centre) @ camera[:3, :3]
    nearest = (world / (RADIUS * unit) @ spots.T).argmax(-1)
    rgb = np.where(hit[..., None], shades[nearest], 0).astype(np.uint8)
    return rgb, depth.astype(np.float32)
