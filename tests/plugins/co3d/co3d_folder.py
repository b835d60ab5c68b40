"""A CO3D folder made by hand: gzipped JSON, images, masks, depths and clouds in the official format."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
from PIL import Image

from bench3d.data.ply import write_ply_points

WIDTH, HEIGHT = 60, 40
# World = raw frame. A 4 x 2 x 2 box around (10, 0, 0); the cameras look at it from distance 20 along the world's z.
CORNERS = np.array([[10 + 2 * x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
ALIGN = [[0.0, -3.0, 0.0, 5.0], [3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


def write_jgz(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as handle:
        json.dump(value, handle)


class Folder:
    """The official layout with a category `toybus` of two sequences of three frames."""

    def __init__(self, root: Path) -> None:
        self.root, self.place = root, root / "toybus"
        self.frames: list[dict] = []
        self.sequences: list[dict] = []
        for name in ("1_2_3", "4_5_6"):
            self._sequence(name)
        self.alignment({"toybus": {"1_2_3": ALIGN, "4_5_6": ALIGN}})
        self.save()

    def _sequence(self, name: str) -> None:
        cloud = np.concatenate([CORNERS, CORNERS * 0.99 + [0.1, 0, 0], [[30.0, 30.0, 0.0], [10.0, -30.0, 0.0]]])
        write_ply_points(self.place / name / "pointcloud.ply", cloud)
        self.sequences.append({
            "sequence_name": name, "category": "toybus", "video": None, "viewpoint_quality_score": 1.0,
            "point_cloud": {"path": f"toybus/{name}/pointcloud.ply", "quality_score": 1.0, "n_points": len(cloud)},
        })  # fmt: skip
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[10:30, 15:45] = 255
        depth = np.full((HEIGHT, WIDTH), 7.0, np.float16)
        for number in range(3):
            stem = f"frame{number + 1:06d}"
            self._image(f"{name}/images/{stem}.jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
            self._image(f"{name}/masks/{stem}.png", mask)
            self._image(f"{name}/depths/{stem}.jpg.geometric.png", depth.view(np.uint16))
            self._image(f"{name}/depth_masks/{stem}.png", mask)
            self.frames.append({
                "sequence_name": name, "frame_number": number, "frame_timestamp": 0.1 * number,
                "image": {"path": f"toybus/{name}/images/{stem}.jpg", "size": [HEIGHT, WIDTH]},
                "mask": {"path": f"toybus/{name}/masks/{stem}.png", "mass": 600},
                "depth": {"path": f"toybus/{name}/depths/{stem}.jpg.geometric.png", "scale_adjustment": 2.0,
                          "mask_path": f"toybus/{name}/depth_masks/{stem}.png"},
                # Row vectors: x_cam = x R + T. The world's (10, 0, 0) lands at (0, 0, 20).
                "viewpoint": {"R": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "T": [-10.0, 0.0, 20.0 + number],
                              "focal_length": [5.0, 5.0], "principal_point": [0.0, 0.0],
                              "intrinsics_format": "ndc_isotropic"},
                "meta": {"frame_type": "train_known"},
            })  # fmt: skip

    def _image(self, path: str, values: np.ndarray) -> None:
        (self.place / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(self.place / path)

    def alignment(self, table) -> None:
        (self.root / "alignment.json").write_text(json.dumps(table))

    def save(self) -> None:
        write_jgz(self.place / "frame_annotations.jgz", self.frames)
        write_jgz(self.place / "sequence_annotations.jgz", self.sequences)
