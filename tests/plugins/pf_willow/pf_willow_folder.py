"""A PF-WILLOW folder made by hand in the published layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

SIZE = (60, 40)
HEADER = "imageA,imageB," + ",".join(f"{name}{i}" for name in ("XA", "YA", "XB", "YB") for i in range(1, 11))
POINTS = np.arange(20.0).reshape(2, 10)  # x 0 to 9, y 10 to 19


def row(first: str, second: str, a=POINTS, b=POINTS + 5, folder="motorbike(S)") -> str:
    images = [f"PF-dataset/{folder}/{name}.png" for name in (first, second)]
    return ",".join([*images, *[f"{value:g}" for points in (a, b) for value in points.ravel()]])


class Folder:
    """The published layout under a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)

    def image(self, name: str, folder: str = "motorbike(S)", points=POINTS, **values) -> Path:
        """A picture with its annotation; returns the latter's path."""
        path = self.root / folder / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((SIZE[1], SIZE[0], 3), np.uint8)).save(path)
        savemat(path.with_suffix(".mat"), {"pts_coord": points} | values)
        return path.with_suffix(".mat")

    def list(self, *rows: str, name: str = "test_pairs_pf.csv", header: str = HEADER) -> Path:
        path = self.root / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return path
