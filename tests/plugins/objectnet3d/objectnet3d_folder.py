"""An ObjectNet3D folder made by hand with scipy.io.savemat, in the release's nesting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from bench3d.data.off import write_off
from bench3d.synth.posed_images import struct_array

SIZE = (40, 30)
EMPTY = np.empty((0, 0))


def viewpoint(**changes):
    values = dict(
        azimuth_coarse=0.0, elevation_coarse=0.0, azimuth=90.0, elevation=0.0, theta=0.0, distance=5.0, focal=1.0,
        px=20.0, py=12.0, viewport=2000.0, error=0.0, interval_azimuth=5.0, interval_elevation=5.0, num_anchor=2.0,
    )  # fmt: skip
    return values | changes


def thing(name="sofa", view=None, **changes):
    """One object with the official fields that are read; `view` changes its viewpoint."""
    values = dict(
        bbox=np.array([[5.0, 4.0, 35.0, 25.0]]), difficult=0.0, truncated=1.0, occluded=0.0, subtype="",
        viewpoint=viewpoint(**(view or {})), cad_index=1.0,
    )  # fmt: skip
    return {"class": name} | values | changes


class Folder:
    """The release's layout under a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        corners = np.array([[-0.4, -0.2, -0.1], [0.4, -0.2, -0.1], [0.0, 0.2, 0.1]])
        for name in ("sofa", "car"):
            for index in (1, 2):
                write_off(root / "CAD/off" / name / f"{index:02d}.off", corners * index, np.array([[0, 1, 2]]))

    def annotation(self, name: str) -> Path:
        return self.root / f"Annotations/{name}.mat"

    def image(self, name: str) -> Path:
        return self.root / f"Images/{name}.JPEG"

    def add(self, name: str, *things, listed="test", pixels=SIZE, **record) -> None:
        for folder in ("Annotations", "Images", "Image_sets"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        values = dict(
            filename=f"{name}.JPEG", database="ImageNet", imgsize=np.array([[*pixels, 3]]),
            objects=struct_array(things) if things else EMPTY,
            size=dict(width=float(pixels[0]), height=float(pixels[1]), depth=3.0),
        )  # fmt: skip
        savemat(self.annotation(name), {"record": values | record})
        Image.fromarray(np.zeros((SIZE[1], SIZE[0], 3), np.uint8)).save(self.image(name), format="JPEG")
        self.list(name, listed)

    def list(self, name: str, listed="test") -> None:
        with open(self.root / f"Image_sets/{listed}.txt", "a") as handle:
            handle.write(name + "\n")
