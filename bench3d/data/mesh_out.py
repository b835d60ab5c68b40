"""Meshes with colours as files that other programs open: glb, ply, obj. Written by trimesh, atomically.

A glb is y-up as glTF demands, turned from the object frame (x left, y back, z up): left stays +x, up becomes +y, and
the object's front looks along +z, so that viewers show it from the front. A ply or obj keeps the object frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench3d.errors import UsageError
from bench3d.files import atomic_path

SUFFIXES = (".glb", ".ply", ".obj")
TO_GLTF = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def checked_suffix(path: Path) -> str:
    """The format that a file name asks for.

    Raises:
        UsageError: none that can be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path} names no mesh format.", f"Let it end in {', '.join(SUFFIXES)}.")
    return suffix


def write_mesh(path: Path, vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray | None = None) -> Path:
    """Writes one mesh.

    Args:
        path: ends in .glb, .ply or .obj.
        vertices: (V, 3) in the object frame; faces: (F, 3), counter-clockwise from outside.
        colours: (V, 3) sRGB in [0, 1], None for plain grey.

    Raises:
        UsageError: another ending.
        OutputError: no space or no permission.
    """
    import trimesh

    suffix = checked_suffix(path)
    placed = np.asarray(vertices, dtype=np.float64) @ (TO_GLTF.T if suffix == ".glb" else np.eye(3))
    looks = None if colours is None else np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
    mesh = trimesh.Trimesh(placed, np.asarray(faces, dtype=np.int64), vertex_colors=looks, process=False)
    with atomic_path(path) as temporary:
        mesh.export(temporary, file_type=suffix[1:])
    return path
