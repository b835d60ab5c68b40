"""Writes COLMAP binary models as the format's documentation says, and a small scene to put into them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass
class Image:
    name: str
    camera: int
    cam_T_world: np.ndarray
    xy: np.ndarray
    points: np.ndarray  # -1 where a keypoint belongs to no point


@dataclass
class Model:
    cameras: dict[int, tuple[int, int, int, list[float]]]  # id -> model number, width, height, parameters
    images: list[Image] = field(default_factory=list)
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))


def write_model(folder: Path, model: Model) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    out = [struct.pack("<Q", len(model.cameras))]
    for number, (kind, width, height, parameters) in model.cameras.items():
        out.append(struct.pack(f"<iiQQ{len(parameters)}d", number, kind, width, height, *parameters))
    (folder / "cameras.bin").write_bytes(b"".join(out))
    out = [struct.pack("<Q", len(model.images))]
    for number, image in enumerate(model.images, start=1):
        x, y, z, w = Rotation.from_matrix(image.cam_T_world[:3, :3]).as_quat()
        out.append(struct.pack("<i7di", number, w, x, y, z, *image.cam_T_world[:3, 3], image.camera))
        out.append(image.name.encode() + b"\0" + struct.pack("<Q", len(image.xy)))
        out += [struct.pack("<ddq", *xy, int(p)) for xy, p in zip(image.xy, image.points, strict=True)]
    (folder / "images.bin").write_bytes(b"".join(out))
    out = [struct.pack("<Q", len(model.points))]
    for number, point in enumerate(model.points):
        seen = [
            (k, int(np.flatnonzero(i.points == number)[0])) for k, i in enumerate(model.images, 1) if number in i.points
        ]
        out.append(struct.pack("<Q3d3Bd", number, *point, 9, 9, 9, 0.5) + struct.pack("<Q", len(seen)))
        out += [struct.pack("<ii", *one) for one in seen]
    (folder / "points3D.bin").write_bytes(b"".join(out))


def look_at(eye: np.ndarray) -> np.ndarray:
    """cam_T_world of an OpenCV camera at `eye` that looks at the origin, z up."""
    forward = -np.asarray(eye, float) / np.linalg.norm(eye)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose


def scene(count: int = 3, points: int = 40, size: tuple[int, int] = (64, 48)) -> Model:
    """Cameras on a circle around random points; every view sees all of them, the last two keypoints are no points."""
    rng = np.random.default_rng(5)
    model = Model({7: (1, *size, [60.0, 62.0, size[0] / 2, size[1] / 2])}, points=rng.uniform(-0.4, 0.4, (points, 3)))
    for k in range(count):
        pose = look_at(np.array([2 * np.cos(0.3 * k), 2 * np.sin(0.3 * k), 0.5]))
        camera = model.points @ pose[:3, :3].T + pose[:3, 3]
        xy = camera[:, :2] / camera[:, 2:] * [60.0, 62.0] + np.array(size) / 2
        order = rng.permutation(points)
        xy = np.concatenate([xy[order], [[1.5, 2.5], [3.5, 4.5]]])
        model.images.append(Image(f"{k + 1:03d}.jpg", 7, pose, xy, np.concatenate([order, [-1, -1]])))
    return model
