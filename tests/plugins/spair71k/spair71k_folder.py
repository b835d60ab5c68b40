"""An SPair-71k folder made by hand in the published layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (50, 40)


def image_note(name: str, category: str = "motorbike", **changes):
    slots = {str(i): None for i in range(30)} | {"0": [10, 11], "3": [20, 21], "7": [30, 31]}
    values = dict(
        filename=f"{name}.jpg", src_database="PASCAL VOC 2012", src_annotation="", src_image="", image_width=SIZE[0],
        image_height=SIZE[1], image_depth=3, category=category, pose="Left", truncated=0, occluded=1, difficult=0,
        bndbox=[5, 6, 45, 36], kps=slots, azimuth_id=2,
    )  # fmt: skip
    return values | changes


def pair_note(number: int, source: str, target: str, category: str = "motorbike", **changes):
    values = dict(
        pair_id=number, filename=f"{number:06d}-{source}-{target}:{category}", src_imname=f"{source}.jpg",
        trg_imname=f"{target}.jpg", src_imsize=[*SIZE, 3], trg_imsize=[*SIZE, 3], src_bndbox=[5, 6, 45, 36],
        trg_bndbox=[5, 6, 45, 36], category=category, src_pose="Left", trg_pose="Left", src_kps=[[10, 11], [30, 31]],
        trg_kps=[[10, 11], [30, 31]], kps_ids=["0", "7"], mirror=0, viewpoint_variation=2, scale_variation=1,
        truncation=3, occlusion=0,
    )  # fmt: skip
    return values | changes


class Folder:
    """The published layout under a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def note(self, name: str, category: str = "motorbike") -> Path:
        return self.root / f"ImageAnnotation/{category}/{name}.json"

    def picture(self, name: str, category: str = "motorbike") -> Path:
        return self.root / f"JPEGImages/{category}/{name}.jpg"

    def image(self, name: str, category: str = "motorbike", **changes) -> None:
        self.write(f"ImageAnnotation/{category}/{name}.json", json.dumps(image_note(name, category, **changes)))
        for path, kind in ((self.picture(name, category), "JPEG"), (self.mask(name, category), "PNG")):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((SIZE[1], SIZE[0]), np.uint8)).save(path, format=kind)

    def mask(self, name: str, category: str = "motorbike") -> Path:
        return self.root / f"Segmentation/{category}/{name}.png"

    def pair(self, number, source, target, split="test", category="motorbike", colon=":", **changes) -> Path:
        """Writes a pair's annotation and appends it to the list of its split."""
        stem = f"{number:06d}-{source}-{target}"
        note = pair_note(number, source, target, category, **changes)
        listing = self.root / f"Layout/large/{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        with open(listing, "a") as handle:
            handle.write(f"{stem}:{category}\n")
        return self.write(f"PairAnnotation/{split}/{stem}{colon}{category}.json", json.dumps(note))
