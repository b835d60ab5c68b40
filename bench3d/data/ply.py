"""Point clouds in PLY files: ascii and binary, any extra properties; the writer makes binary little-endian ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench3d.errors import DataError
from bench3d.files import write_bytes

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
MAX_HEADER = 1 << 16


@dataclass
class _Element:
    name: str
    count: int
    properties: list[tuple[str, str]] = field(default_factory=list)
    has_list: bool = False


def read_ply_points(path: Path) -> np.ndarray:
    """Vertex positions (N, 3) float64 of a PLY file; points that are not finite are dropped.

    Raises:
        DataError: missing, not PLY, truncated, without x, y and z, or with list properties before the vertices.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"The point cloud {path} is missing.", "Complete the data set.") from None
    except OSError as error:
        raise DataError(f"The point cloud {path} cannot be read ({error.strerror or error}).") from error
    try:
        points = _parse(content)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"The point cloud {path} is broken: {error}.", "Get the file again.") from error
    return points[np.isfinite(points).all(axis=1)]


def write_ply_points(path: Path, points: np.ndarray, colours: np.ndarray | None = None) -> None:
    """Writes points (N, 3) as float32, with colours (N, 3) uint8 where given; atomically."""
    fields = [(name, "<f4") for name in "xyz"]
    names = ["property float x", "property float y", "property float z"]
    if colours is not None:
        fields += [(name, "u1") for name in ("red", "green", "blue")]
        names += ["property uchar red", "property uchar green", "property uchar blue"]
    rows = np.zeros(len(points), dtype=fields)
    for axis, name in enumerate("xyz"):
        rows[name] = points[:, axis]
    if colours is not None:
        for axis, name in enumerate(("red", "green", "blue")):
            rows[name] = colours[:, axis]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *names, "end_header"]
    write_bytes(path, ("\n".join(header) + "\n").encode("ascii") + rows.tobytes())


def _parse(content: bytes) -> np.ndarray:
    order, elements, start = _header(content)
    skipped: list[_Element] = []
    for element in elements:
        if element.name == "vertex":
            break
        skipped.append(element)
    else:
        raise ValueError("it has no vertices")
    columns = [name for name, _ in element.properties]
    if element.has_list or not {"x", "y", "z"} <= set(columns):
        raise ValueError("its vertices have no plain x, y and z")
    if order == "ascii":
        first = sum(before.count for before in skipped)
        rows = content[start:].decode("ascii").split("\n")[first : first + element.count]
        if len(rows) < element.count or (element.count and not rows[-1].strip()):
            raise ValueError(f"it ends before the last of {element.count} vertices")
        values = np.array([row.split()[: len(columns)] for row in rows], dtype=np.float64).reshape(-1, len(columns))
        return values[:, [columns.index(axis) for axis in "xyz"]]
    if any(before.has_list for before in skipped):
        raise ValueError(f"lists stand before its vertices ({skipped[0].name})")
    for before in skipped:
        start += before.count * _dtype(before, order).itemsize
    dtype = _dtype(element, order)
    if len(content) - start < element.count * dtype.itemsize:
        raise ValueError(f"it ends before the last of {element.count} vertices")
    table = np.frombuffer(content, dtype=dtype, count=element.count, offset=start)
    return np.stack([table[axis].astype(np.float64) for axis in "xyz"], axis=1)


def _dtype(element: _Element, order: str) -> np.dtype:
    return np.dtype([(name, ORDERS[order] + kind) for name, kind in element.properties])


def _header(content: bytes) -> tuple[str, list[_Element], int]:
    end = content[:MAX_HEADER].find(b"end_header")
    if not content.startswith(b"ply") or end < 0:
        raise ValueError("it has no PLY header")
    newline = content.find(b"\n", end)
    start = len(content) if newline < 0 else newline + 1
    order = ""
    elements: list[_Element] = []
    for line in content[:end].decode("ascii", errors="replace").splitlines():
        words = line.split()
        if not words or words[0] in ("ply", "comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) > 1:
            order = words[1]
        elif words[0] == "element" and len(words) == 3:
            elements.append(_Element(words[1], int(words[2])))
        elif words[0] == "property" and elements:
            _property(elements[-1], words)
        else:
            raise ValueError(f"header line {line!r}")
    if order not in ORDERS:
        raise ValueError(f"format {order!r}")
    if any(element.count < 0 for element in elements):
        raise ValueError("a negative count")
    return order, elements, start


def _property(element: _Element, words: list[str]) -> None:
    if len(words) == 5 and words[1] == "list":
        element.has_list = True
    elif len(words) == 3 and words[1] in TYPES:
        element.properties.append((words[2], TYPES[words[1]]))
    else:
        raise ValueError(f"property {' '.join(words[1:])!r}")
