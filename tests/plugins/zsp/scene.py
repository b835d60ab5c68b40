"""A scene in which features are exact: the colours of a picture are canonical coordinates."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from bench3d.contracts import FeatureMap, ImageBatch, Model, ObjectSequence, PosedFrame, WeightedMap
from bench3d.geometry.camera import clip_matrix, viewpoint_pose
from bench3d.render.raster import rasterize

SIZE = 128
INTRINSICS = np.array([[160.0, 0, SIZE / 2], [0, 160.0, SIZE / 2], [0, 0, 1]])
VERTICES = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * np.array([0.6, 1.0, 0.4])
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]],
    dtype=np.int32,
)  # fmt: skip


def picture(pose: np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """RGB (S, S, 3) uint8 and depth (S, S) float32 of the box; `scale` times as large as the canonical one."""
    vertices = VERTICES * scale
    clip = np.c_[vertices, np.ones(len(vertices))] @ (clip_matrix(INTRINSICS, (SIZE, SIZE)) @ pose).T
    raster = rasterize(clip[None].astype(np.float32), FACES, (SIZE, SIZE))[0]
    hit = raster[..., 3] > 0
    corners = FACES[raster[hit][:, 3].astype(int) - 1]
    u, v = raster[hit][:, 0:1], raster[hit][:, 1:2]
    weights = np.stack([u, v, 1 - u - v])
    canonical = (VERTICES[corners].transpose(1, 0, 2) * weights).sum(axis=0)
    rgb, depth = np.zeros((SIZE, SIZE, 3), np.uint8), np.zeros((SIZE, SIZE), np.float32)
    rgb[hit] = np.rint((canonical + 1) / 2 * 255)
    depth[hit] = (canonical * scale) @ pose[2, :3] + pose[2, 3]
    return rgb, depth


class CoordinateModel(Model):
    """Features that tell colours apart: sines and cosines of the mean colour of 16 x 16 cells."""

    grid = 16

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        cells = torch.nn.functional.interpolate(batch.images, size=(self.grid, self.grid), mode="area")
        angles = 2 * cells
        stride = batch.images.shape[-1] / self.grid
        geometry = tuple(g.with_grid((self.grid, self.grid), (stride, stride)) for g in batch.geometry)
        return [WeightedMap(FeatureMap(torch.cat([angles.sin(), angles.cos()], dim=1), geometry))]


@dataclass
class Videos:
    """Sequences of frames around the box, written under a folder; `depth` as a CO3D reader gives it."""

    list: list[ObjectSequence] = field(default_factory=list)
    depths: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, root: Path, name: str, azimuths: list[float], with_depth: bool = True) -> None:
        frames = []
        for number, azimuth in enumerate(azimuths):
            pose = viewpoint_pose(azimuth, 25, 0, 4.0)
            rgb, depth = picture(pose)
            stem = root / f"{name}-{number:02d}"
            cv2.imwrite(f"{stem}.png", rgb[..., ::-1])
            cv2.imwrite(f"{stem}-mask.png", (depth > 0).astype(np.uint8) * 255)
            self.depths[stem.name] = depth
            image, mask = Path(f"{stem}.png"), Path(f"{stem}-mask.png")
            frames.append(
                PosedFrame(stem.name, image, mask, (SIZE, SIZE), INTRINSICS, pose, image if with_depth else None)
            )
        self.list.append(ObjectSequence(name, "box", tuple(frames), lambda: VERTICES))

    def sequences(self, category: str) -> list[ObjectSequence]:
        return self.list

    def fingerprint(self, category: str) -> str:
        return "scene"

    def depth(self, frame: PosedFrame) -> np.ndarray:
        return self.depths[frame.id]
