"""Class names of PASCAL VOC and of bench3d; several data sets of image pairs use the VOC names and numbers."""

from __future__ import annotations

from bench3d.errors import UsageError

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""In alphabetical order; a class's number in VOC counts from 1."""

_OURS = {"motorbike": "motorcycle", "sofa": "couch", "tvmonitor": "tv"}


def canonical_name(official: str) -> str:
    """bench3d's name of a VOC class; a name that is the same in both, or unknown, is returned as it is."""
    return _OURS.get(official, official)


def voc_name(category: str, known: tuple[str, ...], dataset: str) -> str:
    """VOC's name of a category given by either name; UsageError where `known` (VOC names) of `dataset` lacks it."""
    official = next((theirs for theirs, ours in _OURS.items() if ours == category), category)
    if official not in known:
        names = ", ".join(canonical_name(name) for name in known)
        raise UsageError(f"{dataset} has no category {category!r}.", f"It has {names}.")
    return official


def voc_number(official: str) -> int:
    """A VOC class's number, from 1 on."""
    return VOC_CLASSES.index(official) + 1
