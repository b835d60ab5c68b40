"""OFF meshes (Object File Format, Geomview), read robustly and written exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench3d.errors import DataError
from bench3d.files import write_text

HEADERS = ("OFF", "COFF", "NOFF")


def read_off(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) float64 and triangles (F, 3) int32; polygons become fans, extra columns are dropped.

    Counts may follow "OFF" on its own line; comments (#) and blank lines are skipped.

    Raises:
        DataError: missing, not OFF, counts that do not fit, an index out of range, a value that is no number.
    """
    try:
        text = path.read_text(encoding="ascii", errors="strict")
    except FileNotFoundError:
        raise DataError(f"The mesh {path} is missing.", "Complete the data set.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The mesh {path} cannot be read ({error}).", "Get the file again.") from error
    rows = [row for line in text.splitlines() if (row := line.split("#", 1)[0].split())]
    try:
        return _parse(rows)
    except (ValueError, IndexError) as error:
        raise DataError(f"The mesh {path} is broken: {error}.", "Get the file again.") from error


def write_off(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Writes a triangle mesh atomically; coordinates keep nine significant digits."""
    lines = ["OFF", f"{len(vertices)} {len(faces)} 0"]
    lines += [f"{x:.9g} {y:.9g} {z:.9g}" for x, y, z in vertices.tolist()]
    lines += [f"3 {a} {b} {c}" for a, b, c in faces.tolist()]
    write_text(path, "\n".join(lines) + "\n")


def _parse(rows: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    if not rows or not rows[0][0].upper().startswith(HEADERS):
        raise ValueError("it does not begin with OFF")
    head, rest = rows[0][0].upper(), rows[0][1:]
    header = next(name for name in HEADERS if head.startswith(name))
    if glued := head[len(header) :]:  # "OFF490926 ..." occurs in the wild
        rest = [glued, *rest]
    counts, body = (rest, rows[1:]) if rest else (rows[1] if len(rows) > 1 else [], rows[2:])
    if len(counts) < 2:
        raise ValueError("the line with the counts is missing")
    vertex_count, face_count = int(counts[0]), int(counts[1])
    if vertex_count < 1 or face_count < 0:
        raise ValueError(f"{vertex_count} vertices and {face_count} faces")
    if len(body) < vertex_count + face_count:
        raise ValueError(f"it ends after {len(body)} of {vertex_count + face_count} lines")
    short = next((i for i, row in enumerate(body[:vertex_count]) if len(row) < 3), None)
    if short is not None:
        raise ValueError(f"vertex {short} has fewer than three coordinates")
    vertices = np.array([row[:3] for row in body[:vertex_count]], dtype=np.float64)
    if not np.isfinite(vertices).all():
        raise ValueError("a coordinate is not finite")
    return vertices, _faces(body[vertex_count : vertex_count + face_count], vertex_count)


def _faces(rows: list[list[str]], vertex_count: int) -> np.ndarray:
    if all(row[0] == "3" and len(row) >= 4 for row in rows):
        faces = np.array([row[1:4] for row in rows], dtype=np.int64).reshape(-1, 3)
    else:
        triangles: list[tuple[int, int, int]] = []
        for number, row in enumerate(rows):
            corners = int(row[0])
            if corners < 1 or len(row) < corners + 1:
                raise ValueError(f"face {number} names {len(row) - 1} of its {corners} vertices")
            index = [int(value) for value in row[1 : corners + 1]]
            triangles += [(index[0], index[i], index[i + 1]) for i in range(1, corners - 1)]
        faces = np.array(triangles, dtype=np.int64).reshape(-1, 3)
    if faces.size and (faces.min() < 0 or faces.max() >= vertex_count):
        raise ValueError(f"a face names vertex {int(faces.max())} of {vertex_count}")
    return faces.astype(np.int32)
