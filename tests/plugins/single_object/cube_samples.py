"""A cube before a camera, and a model that knows its pose: what the tests of the tasks on single objects share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench3d.contracts import FeatureMesh, Given, ImageBatch, Model, PoseEstimate, PoseSample
from bench3d.geometry.camera import viewpoint_pose
from bench3d.metrics import about_up
from bench3d.plugins import load_registry

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]], dtype=np.int32,
)  # fmt: skip


def sample(folder: Path, n: int, azimuth: float, **changes: Any) -> PoseSample:
    """A cube 20 units away seen by a 1000 px camera with its origin at (80, 60) of a 160x120 image: 105 px wide."""
    path = folder / f"{n}.png"
    Image.fromarray(np.full((120, 160, 3), 40, dtype=np.uint8)).save(path)
    values = {
        "id": f"s{n}", "category": "car", "image": path, "size": (160, 120),
        "intrinsics": np.array([[1000.0, 0, 80], [0, 1000, 60], [0, 0, 1]]),
        "cam_T_obj": viewpoint_pose(azimuth, 0.0, 0.0, 20.0), "box": np.array([27.0, 7.0, 133.0, 113.0]),
        "cluster": f"c{n}", "mesh": lambda: (CUBE, FACES), "attributes": {"occluded": False},
    }  # fmt: skip
    return PoseSample(**(values | changes))


class Knowing(Model):
    """Answers the true rotation turned about the object's up axis by `error` degrees, and a mask of its own making."""

    capabilities = frozenset({"features", "pose", "mask", "shape"})
    canvas = 64

    def __init__(self, samples: list[PoseSample], error: float = 0.0, size: float = 1.0) -> None:
        self.poses = {s.id: s.cam_T_obj for s in samples}
        self.error, self.size = error, size
        self.masked: list[PoseEstimate] = []
        self.given = Given()
        self.drawn = torch.zeros(64, 64)

    def pose(self, batch: ImageBatch, given: Given) -> PoseEstimate:
        """The truth, turned."""
        self.given = given
        true = np.stack([self.poses[i] for i in batch.ids])
        rotation = torch.from_numpy(true[:, :3, :3] @ about_up(np.array(self.error))).float()
        return PoseEstimate(rotation, torch.from_numpy(true[:, :3, 3]).float() + 3.0, torch.ones(len(true)))

    def mask(self, batch: ImageBatch, given: Given, pose: PoseEstimate) -> torch.Tensor:
        """`drawn` for every image; keeps the poses that it was asked for."""
        self.masked.append(pose)
        return self.drawn.repeat(len(batch), 1, 1)

    def shape(self, batch: ImageBatch, given: Given) -> tuple[torch.Tensor, torch.Tensor]:
        """The cube, `size` times as large."""
        self.given = given
        return self.size * torch.from_numpy(CUBE)[None].expand(len(batch), -1, -1), torch.from_numpy(FACES)

    def template(self, category: str) -> FeatureMesh:
        """The cube, half as large."""
        return FeatureMesh(0.5 * torch.from_numpy(CUBE), torch.from_numpy(FACES))


def make(name: str, protocol: str = "paper", **settings: Any) -> Any:
    """A task of the plugin."""
    registry = load_registry()
    registration = registry.get("task", name)
    chosen = next(p for p in registration.protocols if p.name == protocol)
    from bench3d.plugins import load_settings

    return registry.create("task", name, settings=load_settings(registration, overrides=settings), protocol=chosen)
