"""One PASCAL3D+ annotation: which object the protocol uses, and its rules for leaving a frame out.

Facts: protocol page common3d.md 1.2. How a MATLAB record becomes plain values: `bench3d.data.viewpoint`.
"""

from __future__ import annotations

from pathlib import Path

from bench3d.data.viewpoint import (
    Annotation,
    annotation_of,
    field_of,
    is_struct,
    load_record,
    object_flags,
    structs,
    text,
    viewpoint_numbers,
)

__all__ = ["Annotation", "read_annotation"]

# Reasons why the protocol leaves a frame out.
NO_VIEWPOINT = "no object with a viewpoint"
OTHER_CLASS = "the object is of another class"
NO_KEYPOINTS = "no keypoint names"
INCOMPLETE = "viewpoint without fine angles or principal point"
PRINCIPAL_POINT = "negative principal point"
COARSE = "distance below 0.01 (coarse viewpoint only)"
NO_FOCAL = "focal * viewport is 0"


def read_annotation(path: Path, official: str, content: bytes | None = None) -> Annotation | str:
    """The annotation in `path` (or in its `content`), or the reason why the protocol leaves the frame out.

    The protocol uses the first object with a viewpoint.

    Raises:
        DataError: the file is missing or broken, or a field is missing or of a wrong kind; names file and field.
    """
    record = load_record(path, content)
    found = next((o for o in structs(field_of(record, "objects")) if is_struct(field_of(o, "viewpoint"))), None)
    if found is None:
        return NO_VIEWPOINT
    name = text(path, "class", field_of(found, "class"))
    if name != official:
        return OTHER_CLASS
    anchors = field_of(found, "anchors")
    if not (is_struct(anchors) and anchors._fieldnames):
        return NO_KEYPOINTS
    value = viewpoint_numbers(path, field_of(found, "viewpoint"))
    if (reason := _skip(value)) is not None:
        return reason
    known = {key: one for key, one in value.items() if one is not None}
    flags = {key: bool(flag) for key, flag in object_flags(path, found).items()}
    return annotation_of(path, record, found, name, known, flags)


def _skip(value: dict[str, float | None]) -> str | None:
    """The protocol's rules; an empty matrix in a number's place is treated like the unusable value it stands for."""
    if not (value["focal"] and value["viewport"]):
        return NO_FOCAL
    if value["distance"] is None or value["distance"] < 0.01:
        return COARSE
    if any(value[key] is None for key in ("azimuth", "elevation", "theta", "px", "py")):
        return INCOMPLETE
    if min(value["px"] or 0.0, value["py"] or 0.0) < 0:
        return PRINCIPAL_POINT
    return None
