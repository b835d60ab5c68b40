"""One ObjectNet3D annotation: which object the protocol uses, and its rules for leaving a frame out.

Facts: protocol pages common3d.md 1.4 and tasks.md f. How a MATLAB record becomes plain values:
`bench3d.data.viewpoint`.

The published evaluation uses the first object with focal != 0; its class is the frame's category. Where fine azimuth
or elevation is empty, both coarse values are taken. Where any other number of any object is empty, or an object has no
viewpoint, the authors' reader leaves the whole frame out, and so does this one. (The data set's toolbox draws such
objects at defaults: theta 0, distance 5, focal 1, viewport 2000, the box's centre. They are nobody's measurement, and
translation and camera are given to the model in the published protocol: a guess would be scored as truth.) Two more
are left out that the authors keep with a camera or pose of zeros: viewport 0 and distance 0.

At elevations of exactly 90 or -90 degrees the authors' look-at, in single precision, turns the azimuth by 180 degrees;
here it is the annotated one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.data.viewpoint import (
    VIEWPOINT,
    Annotation,
    annotation_of,
    field_of,
    is_struct,
    load_record,
    number,
    object_flags,
    structs,
    text,
    viewpoint_numbers,
)
from bench3d.errors import DataError

FINE = ("azimuth", "elevation")
MATLAB_73 = b"\x89HDF\r\n\x1a\n"
HEADER = 512  # bytes before the HDF5 signature of a MATLAB 7.3 file

# Reasons why the protocol leaves a frame out; LACKS is completed by the field's name.
NO_OBJECT = "no object"
NO_FOCAL = "focal is 0 for all objects"
NO_VIEWPORT = "viewport is 0, so there is no camera"
NO_DISTANCE = "distance is not above 0, so there is no pose"
HDF5 = "a MATLAB 7.3 file, which the published reader does not read"
LACKS = "an object lacks {}"


@dataclass(frozen=True)
class Frame:
    """What an annotation file says to the protocol.

    Attributes:
        official: class of the first object with focal != 0; where no object has one, of the first; None where no class
            can be read.
        found: the object that is used; None where the frame is left out or broken.
        reason: why the protocol leaves the frame out.
        error: which field is broken, in a sentence that names the file.
        objects: how many objects are annotated.
        coarse: whether the object has coarse angles only.
        one_lens: whether all objects with focal != 0 are annotated with the same focal length.
    """

    official: str | None = None
    found: Annotation | None = None
    reason: str | None = None
    error: str | None = None
    objects: int = 0
    coarse: bool = False
    one_lens: bool = True


class _LeftOutError(Exception):
    """The protocol leaves the frame out; the argument says why."""


def read_frame(path: Path, content: bytes | None = None) -> Frame:
    """The frame of the annotation in `path` (or of its `content`).

    Raises:
        DataError: the file is missing, or no MATLAB file with a record; names the file.
    """
    if content is not None and content[HEADER : HEADER + len(MATLAB_73)] == MATLAB_73:
        return Frame(reason=HDF5)
    record = load_record(path, content)
    objects = structs(field_of(record, "objects"))
    official = _frame_class(objects)
    try:
        return _used_object(path, record, objects, official)
    except _LeftOutError as reason:
        return Frame(official, reason=str(reason), objects=len(objects))
    except DataError as error:
        return Frame(official, error=error.message, objects=len(objects))


def _frame_class(objects: Sequence[Any]) -> str | None:
    """See `Frame.official`; broken fields are passed over."""
    classes = [(field_of(one, "class"), field_of(field_of(one, "viewpoint"), "focal")) for one in objects]
    named = [(name, focal) for name, focal in classes if isinstance(name, str)]
    return next((name for name, focal in named if focal is not None and focal != 0), named[0][0] if named else None)


def _used_object(path: Path, record: Any, objects: Sequence[Any], official: str | None) -> Frame:
    if not objects:
        raise _LeftOutError(NO_OBJECT)
    usable = []
    for one in objects:
        view, is_coarse = _viewpoint(path, one)
        if view["focal"] != 0:
            if field_of(one, "bbox") is None:
                raise _LeftOutError(LACKS.format("bbox"))
            usable.append((one, view, is_coarse))
    if not usable:
        raise _LeftOutError(NO_FOCAL)
    found, view, is_coarse = usable[0]
    if view["viewport"] == 0:
        raise _LeftOutError(NO_VIEWPORT)
    if view["distance"] <= 0:
        raise _LeftOutError(NO_DISTANCE)
    flags = {name: flag for name, flag in object_flags(path, found).items() if flag is not None}
    name = text(path, "class", field_of(found, "class"))
    return Frame(
        official=official,
        found=annotation_of(path, record, found, name, view, flags),
        objects=len(objects),
        coarse=is_coarse,
        one_lens=len({view["focal"] * view["viewport"] for _, view, _ in usable}) == 1,
    )


def _viewpoint(path: Path, one: Any) -> tuple[dict[str, float], bool]:
    """Every number of an object's viewpoint, and whether its angles are the coarse ones."""
    for name in ("class", "cad_index"):
        if field_of(one, name) is None:
            raise _LeftOutError(LACKS.format(name))
    view = field_of(one, "viewpoint")
    if not is_struct(view):
        raise _LeftOutError(LACKS.format("viewpoint"))
    found = viewpoint_numbers(path, view)
    is_coarse = any(found[name] is None for name in FINE)
    if is_coarse:
        for name in FINE:
            found[name] = number(path, f"viewpoint.{name}_coarse", field_of(view, f"{name}_coarse"))
    known = {name: value for name, value in found.items() if value is not None}
    for name in VIEWPOINT:
        if name not in known:
            raise _LeftOutError(LACKS.format(f"viewpoint.{name}" + ("_coarse" if name in FINE else "")))
    return known, is_coarse
