"""A PF-PASCAL folder made by hand in the published layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

SIZE = (50, 40)
HEADER = "source_image,target_image,class,XA,YA,XB,YB"
NAN = np.nan


def row(source: str, target: str, number: object = 14, xa="1.5;2", ya="3;4", xb="5;6", yb="7;8.25") -> str:
    images = [f"PF-dataset-PASCAL/JPEGImages/{name}.jpg" for name in (source, target)]
    return ",".join([*images, str(number), xa, ya, xb, yb])


class Folder:
    """The published layout under a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)

    def list(self, *rows: str, name: str = "test_pairs_pf_pascal.csv", header: str = HEADER) -> Path:
        path = self.root / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    def picture(self, name: str) -> Path:
        return self.root / f"JPEGImages/{name}.jpg"

    def image(self, *names: str) -> None:
        for name in names:
            self.picture(name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((SIZE[1], SIZE[0], 3), np.uint8)).save(self.picture(name))

    def mat(self, name: str, kps, official: str = "motorbike", **values) -> Path:
        path = self.root / f"Annotations/{official}/{name}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(
            path,
            {
                "kps": np.array(kps, dtype=float) if isinstance(kps, list) else kps,
                "bbox": np.array([[1.0, 2.0, 30.0, 20.0]]),
            }
            | values,
        )
        return path
