"""Categories, splits and paths of the published layout, and the variants that unpacking tools make of a file name."""

from __future__ import annotations

import re

from bench3d.data.voc import VOC_CLASSES, voc_name
from bench3d.errors import UsageError

OFFICIAL = tuple(name for name in VOC_CLASSES if name not in ("diningtable", "sofa"))
SPLITS = {"test": "test", "val": "val", "trn": "trn", "train": "trn"}
SLOTS = 30
"""Keypoint ids of a category are the words "0" to "29"."""

NAMES_FILE = "spair_keypoint_names.csv"
COLONS = (":", "_", "-", "%3A", "%3a", "\uf03a", "\uff1a", "")
"""What stands for the colon of a pair's file name after unpacking with tools or on systems that know no colon."""

_PAIR = re.compile(r"(?P<number>\d+)-(?P<rest>[^/\\:]+):(?P<category>[a-z]+)")


def official_name(category: str) -> str:
    """The data set's own name of a category, by either name; UsageError for an unknown one."""
    return voc_name(category, OFFICIAL, "SPair-71k")


def split_name(split: str) -> str:
    """The published word for a split; UsageError for an unknown one."""
    if split not in SPLITS:
        raise UsageError(f"SPair-71k has no split {split!r}.", f"It has {', '.join(dict.fromkeys(SPLITS.values()))}.")
    return SPLITS[split]


def pair_category(line: str) -> str | None:
    """The category that a line of a list ends in; None where the line is no pair's name."""
    found = _PAIR.fullmatch(line)
    return found["category"] if found and ".." not in line else None


def pair_files(line: str) -> list[str]:
    """File names that a pair's annotation may have, the published one first."""
    head, _, category = line.rpartition(":")
    return [f"{head}{colon}{category}.json" for colon in COLONS]


def layout_path(layout: str, split: str) -> str:
    """Path of a list of pairs below the root."""
    return f"Layout/{layout}/{split}.txt"


def pair_folder(split: str) -> str:
    """Folder of the annotations of a split's pairs below the root."""
    return f"PairAnnotation/{split}"


def annotation_path(official: str, stem: str) -> str:
    """Path of an image's annotation below the root."""
    return f"ImageAnnotation/{official}/{stem}.json"


def image_path(official: str, name: str) -> str:
    """Path of an image below the root; `name` with its suffix."""
    return f"JPEGImages/{official}/{name}"


def mask_path(official: str, stem: str) -> str:
    """Path of an image's segmentation (VOC class numbers) below the root."""
    return f"Segmentation/{official}/{stem}.png"
