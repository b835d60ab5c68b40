"""Class names of PASCAL3D+ and of bench3d, paths of the official layout, and the protocol's constants."""

from __future__ import annotations

from bench3d.data.class_names import ClassNames

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

NAMES = ClassNames("PASCAL3D+", CLASSES, LISTS)
official_class, canonical_category, list_name = NAMES.official_class, NAMES.canonical_category, NAMES.list_name


def list_path(official: str, listed: str) -> str:
    """Path of a list of image names below the root."""
    return f"Image_sets/{official}_imagenet_{listed}.txt"


def annotation_path(official: str, name: str) -> str:
    """Path of an annotation below the root."""
    return f"Annotations/{official}_imagenet/{name}.mat"


def image_path(official: str, name: str) -> str:
    """Path of an image below the root; the suffix is in capitals, as published."""
    return f"Images/{official}_imagenet/{name}.JPEG"
