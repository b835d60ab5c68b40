"""A PASCAL3D+ folder made by hand with scipy.io.savemat, in the release's nesting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from bench3d.data.off import write_off

SIZE = (40, 30)


def viewpoint(**changes):
    values = dict(
        azimuth_coarse=0.0, elevation_coarse=0.0, azimuth=90.0, elevation=0.0, theta=0.0, distance=5.0, focal=1.0,
        px=20.0, py=12.0, viewport=3000.0, error=0.0, interval_azimuth=5.0, interval_elevation=5.0, num_anchor=2.0,
    )  # fmt: skip
    return values | changes


def thing(name="car", **changes):
    """One object with every official field."""
    values = dict(
        view="", bbox=np.array([[5.0, 4.0, 35.0, 25.0]]), difficult=0.0, truncated=1.0, occluded=0.0,
        anchors=dict(wheel=dict(location=np.array([[1.0, 2.0]]), status=1.0), lamp=dict(location=[], status=2.0)),
        viewpoint=viewpoint(), cad_index=1.0,
    )  # fmt: skip
    return {"class": name} | values | changes


def objects(*things):
    """A 1xN struct array, as MATLAB stores several objects; objects may lack fields of others (then empty)."""
    names = list(dict.fromkeys(key for one in things for key in one))
    array = np.empty((1, len(things)), dtype=[(name, object) for name in names])
    for column, one in enumerate(things):
        for name in names:
            array[0, column][name] = one.get(name, np.empty((0, 0)))
    return array


class Folder:
    """The release's layout under a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        corners = np.array([[-0.4, -0.2, -0.1], [0.4, -0.2, -0.1], [0.0, 0.2, 0.1]])
        for index in (1, 2):
            write_off(root / "CAD/car" / f"{index:02d}.off", corners * index, np.array([[0, 1, 2]]))

    def annotation(self, name: str) -> Path:
        return self.root / "Annotations/car_imagenet" / f"{name}.mat"

    def image(self, name: str) -> Path:
        return self.root / "Images/car_imagenet" / f"{name}.JPEG"

    def add(self, name: str, found, pixels=SIZE, **record) -> None:
        path = self.annotation(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        values = dict(
            filename=f"{name}.JPEG", database="ImageNet", objects=found, imgsize=np.array([[*pixels, 3]]),
            size=dict(width=float(pixels[0]), height=float(pixels[1]), depth=3.0),
        )  # fmt: skip
        savemat(path, {"record": values | record})
        self.image(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((SIZE[1], SIZE[0], 3), np.uint8)).save(self.image(name), format="JPEG")
        listing = self.root / "Image_sets/car_imagenet_val.txt"
        listing.parent.mkdir(exist_ok=True)
        with open(listing, "a") as handle:
            handle.write(name + "\n")
