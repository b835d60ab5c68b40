"""Class names of ObjectNet3D and of bench3d, and paths of the official layout."""

from __future__ import annotations

from bench3d.data.class_names import ClassNames

# bench3d name -> ObjectNet3D class: the 20 of its 100 classes that CO3D has too (protocol page common3d.md 1.4).
CLASSES = {
    "backpack": "backpack",
    "bench": "bench",
    "bicycle": "bicycle",
    "bus": "bus",
    "car": "car",
    "cellphone": "cellphone",
    "chair": "chair",
    "couch": "sofa",
    "cup": "cup",
    "hairdryer": "hair_dryer",
    "keyboard": "keyboard",
    "laptop": "laptop",
    "microwave": "microwave",
    "motorcycle": "motorbike",
    "mouse": "mouse",
    "remote": "remote_control",
    "suitcase": "suitcase",
    "toaster": "toaster",
    "toilet": "toilet",
    "tv": "tvmonitor",
}
# A split's list file is Image_sets/<list>.txt, for all classes. "test" is the published split; "plain" is what tasks
# ask of a twin; "hard" only a twin has.
LISTS = {"train": "train", "val": "val", "test": "test", "plain": "test", "hard": "hard"}
CADS = "CAD/off"
"""Folder of the CAD models below the root."""
ANNOTATIONS = "Annotations"

NAMES = ClassNames("ObjectNet3D", CLASSES, LISTS, known="Read are")
official_class, canonical_category, list_name = NAMES.official_class, NAMES.canonical_category, NAMES.list_name


def list_path(listed: str) -> str:
    """Path of a list of image names below the root."""
    return f"Image_sets/{listed}.txt"


def annotation_path(name: str) -> str:
    """Path of an annotation below the root."""
    return f"{ANNOTATIONS}/{name}.mat"


def image_path(name: str) -> str:
    """Path of an image below the root; the suffix is in capitals, as published."""
    return f"Images/{name}.JPEG"
