"""Class names of PASCAL3D+ and of bench3d, paths of the official layout, and the protocol's constants."""

from __future__ import annotations

from bench3d.errors import UsageError

# bench3d name -> PASCAL3D+ class; the other official classes keep their official names.
CLASSES = {
    "aeroplane": "aeroplane",
    "bicycle": "bicycle",
    "boat": "boat",
    "bottle": "bottle",
    "bus": "bus",
    "car": "car",
    "chair": "chair",
    "couch": "sofa",
    "diningtable": "diningtable",
    "motorcycle": "motorbike",
    "train": "train",
    "tv": "tvmonitor",
}
# A split's list file is <class>_imagenet_<list>.txt. "plain" is what tasks ask of a twin; "hard" only a twin has.
LISTS = {"train": "train", "val": "val", "plain": "val", "hard": "hard"}
CADS = "CAD"
"""Folder of the CAD models below the root."""


def official_class(category: str) -> str:
    """PASCAL3D+ class of a category, by either name; UsageError for an unknown one."""
    if category in CLASSES:
        return CLASSES[category]
    if category in CLASSES.values():
        return category
    raise UsageError(f"PASCAL3D+ has no category {category!r}.", f"It has {', '.join(CLASSES)}.")


def canonical_category(official: str) -> str:
    """bench3d's name of an official class; an unknown one is returned as it is."""
    return next((ours for ours, theirs in CLASSES.items() if theirs == official), official)


def list_name(split: str) -> str:
    """The word that a split's list file ends in; UsageError for an unknown split."""
    if split not in LISTS:
        raise UsageError(f"PASCAL3D+ has no split {split!r}.", f"It has {', '.join(LISTS)}.")
    return LISTS[split]


def list_path(official: str, listed: str) -> str:
    """Path of a list of image names below the root."""
    return f"Image_sets/{official}_imagenet_{listed}.txt"


def annotation_path(official: str, name: str) -> str:
    """Path of an annotation below the root."""
    return f"Annotations/{official}_imagenet/{name}.mat"


def image_path(official: str, name: str) -> str:
    """Path of an image below the root; the suffix is in capitals, as published."""
    return f"Images/{official}_imagenet/{name}.JPEG"
