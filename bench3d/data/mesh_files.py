"""Mesh files with their textures -> `bench3d.render.textured.TexturedMesh`, by trimesh. Files are read, never executed.

Axes are Blender's, as its importers make them: glTF and OBJ are taken for y-up and turned, (x, y, z) -> (x, -z, y);
PLY, STL and OFF stay as stored. The formats but glTF state no axes: an OBJ that was modelled z-up lies on its back.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from bench3d.data.mesh_folder import MAX_BYTES, MeshFolder
from bench3d.data.mesh_looks import Look, Looks
from bench3d.errors import DataError
from bench3d.render.raster import MAX_FACES
from bench3d.render.textured import Surface, TexturedMesh, smooth_normals

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off")
Y_UP = (".glb", ".gltf", ".obj")
GLTF = (".glb", ".gltf")
TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
MAX_ELEMENTS = 10**9
"""Numbers that the arrays of a glTF file may announce: a broken count must not take all memory."""

MAX_UV = 1e4
"""Repetitions of a texture; single precision knows no place in a texture far beyond."""

HINT = "Export it again, for example as glb from Blender."
UNREADABLE = {
    "KHR_draco_mesh_compression": "DracoPy",
    "EXT_meshopt_compression": None,
    "KHR_meshopt_compression": None,
    "KHR_mesh_quantization": None,
}
"""glTF extensions without which the geometry is not to be had, and the module that reads them, if any."""


@dataclass(frozen=True, eq=False)
class MeshFile:
    """A mesh and a few words on each texture that could not be had."""

    mesh: TexturedMesh
    problems: tuple[str, ...]


def load_mesh(path: Path) -> MeshFile:
    """Reads a glb, gltf, obj, ply, stl or off file as one mesh: the parts of its scene in their places.

    Units and place are the file's, axes z-up (see the module). Textures come from inside the file or from beside it;
    one that is missing, broken, or outside the mesh's folder is left out and named in `problems`. Faces with a vertex
    that is not finite, and faces without area, are dropped.

    Raises:
        DataError: missing, broken, compressed in a way that cannot be read, without faces, or too large; one sentence.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path} is no mesh file that can be read.", f"Known: {', '.join(SUFFIXES)}.")
    content = _content(path)
    header = _gltf_header(path, content) if suffix in GLTF else {}
    folder, looks = MeshFolder(path.parent), Looks(linear=suffix in GLTF)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scene = trimesh.load_scene(BytesIO(content), file_type=suffix[1:], resolver=folder, process=False)
            parts = _parts(path, scene, looks)
        except DataError:
            raise
        except Exception as error:
            # trimesh's readers assert, index and unpack: whatever they raise, the file is at fault.
            why = folder.problems[0] if folder.problems else f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise DataError(f"{path} is no readable mesh ({why[:200]}).", HINT) from error
    if not parts:
        raise DataError(f"{path} holds no faces.", "Points and lines alone cannot be rendered.")
    mesh = _joined(path, parts, TO_Z_UP if suffix in Y_UP else np.eye(3))
    return MeshFile(mesh, tuple(dict.fromkeys([*folder.problems, *looks.problems, *_lost(header, scene)])))


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise DataError(f"{path} is missing, or no file.")
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES / 1e9:.0f} GB.", "Simplify the mesh.")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


def _gltf_header(path: Path, content: bytes) -> dict[str, Any]:
    """The JSON of a glTF file, after a look at what it demands."""
    try:
        if path.suffix.lower() == ".glb":
            if content[:4] != b"glTF" or content[16:20] != b"JSON":
                raise ValueError("no glTF 2 header")
            content = content[20 : 20 + int.from_bytes(content[12:16], "little")]
        header = json.loads(content.decode("utf-8-sig"))
        if not isinstance(header, dict):
            raise ValueError("no JSON object")
        demands = {str(word) for word in header.get("extensionsRequired") or ()}
        sizes = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
        numbers = sum(int(a["count"]) * sizes[a["type"]] for a in header.get("accessors") or ())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is no readable glTF file ({type(error).__name__}: {error}).", HINT) from error
    for extension, module in UNREADABLE.items():
        if extension in demands and (module is None or importlib.util.find_spec(module) is None):
            step = f"Install {module}, or export" if module else "Export"
            raise DataError(f"{path} is compressed with {extension}.", f"{step} it without compression.")
    if numbers > MAX_ELEMENTS:
        raise DataError(f"{path} announces {numbers} numbers, more than can be read ({MAX_ELEMENTS}).", HINT)
    return header


def _parts(path: Path, scene: Any, looks: Looks) -> list[tuple[Any, np.ndarray, Look]]:
    """(mesh, its transform (4, 4), its look) of every visible part of a scene that has faces."""
    found, faces = [], 0
    for node in sorted(scene.graph.nodes_geometry):
        transform, name = scene.graph[node]
        part = scene.geometry[name]
        if not isinstance(part, trimesh.Trimesh) or not len(part.faces):
            continue
        faces += len(part.faces)
        if faces > MAX_FACES:
            raise DataError(f"{path} has more than {MAX_FACES} faces.", "Simplify the mesh.")
        look = looks.of(part)
        if look.surface is not None:
            found.append((part, np.asarray(transform, dtype=np.float64), look))
    return found


def _joined(path: Path, parts: list[tuple[Any, np.ndarray, Look]], turn: np.ndarray) -> TexturedMesh:
    """All parts as one mesh in the frame that `turn` (3, 3) leads to."""
    surfaces: list[Surface] = []
    columns: dict[str, list[np.ndarray]] = {k: [] for k in ("vertices", "faces", "normals", "uv", "colours", "owner")}
    start = 0
    for part, transform, look in parts:
        assert look.surface is not None
        points = np.asarray(part.vertices, dtype=np.float64).reshape(-1, 3)
        faces = np.asarray(part.faces, dtype=np.int64)
        if faces.min() < 0 or faces.max() >= len(points):
            raise DataError(f"{path} has a face with a vertex that is not there.", HINT)
        linear = turn @ transform[:3, :3]
        with np.errstate(all="ignore"):
            points = points @ linear.T + turn @ transform[:3, 3]
            keep = _sound(points, faces)
        if not keep.any():
            continue
        points = np.where(np.isfinite(points), points, 0.0)
        faces = faces[keep]
        normals = _normals(part, points, keep, faces, linear)
        uv = np.zeros((len(points), 2)) if look.uv is None else np.clip(np.nan_to_num(look.uv), -MAX_UV, MAX_UV)
        colours = np.ones((len(points), 3)) if look.colours is None else look.colours
        if look.face_colours is not None:
            points, uv = points[faces].reshape(-1, 3), uv[faces].reshape(-1, 2)
            colours = np.repeat(look.face_colours[keep], 3, axis=0)
            faces = np.arange(len(points)).reshape(-1, 3)
        number = next((n for n, s in enumerate(surfaces) if s is look.surface), len(surfaces))
        if number == len(surfaces):
            surfaces.append(look.surface)
        owner = np.full(len(faces), number)
        for name, values in zip(columns, (points, faces + start, normals, uv, colours, owner), strict=True):
            columns[name].append(values)
        start += len(points)
    if not surfaces:
        raise DataError(f"{path} has no face with an area and finite vertices.", HINT)
    types = ("f8", "i4", "f4", "f4", "f4", "i4")
    joined = {n: np.concatenate(c).astype(t) for (n, c), t in zip(columns.items(), types, strict=True)}
    return TexturedMesh(surfaces=tuple(surfaces), **joined)


def _sound(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) bool: the face's vertices are finite and span an area."""
    corners = points[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return np.isfinite(corners).all(axis=(1, 2)) & np.isfinite(area) & (area > 0.0)


def _normals(part: Any, points: np.ndarray, keep: np.ndarray, faces: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """(F, 3, 3) unit normals at the corners of the kept faces: the file's own where it has them, else computed."""
    stated = part.vertex_normals if "vertex_normals" in getattr(part, "_cache", ()) else None
    if stated is None or np.shape(stated) != (len(points), 3):
        return smooth_normals(points, faces)
    with np.errstate(all="ignore"):
        turned = np.asarray(stated, dtype=np.float64) @ np.linalg.pinv(linear)
        length = np.linalg.norm(turned, axis=1, keepdims=True)
        unit = turned / length
    normals = unit[faces]
    broken = ~np.isfinite(normals).all(axis=(1, 2))
    if broken.any():
        normals[broken] = smooth_normals(points, faces[broken])
    return normals


def _lost(header: dict[str, Any], scene: Any) -> list[str]:
    """Materials that name a texture in the glTF header and have none in the scene."""
    try:
        wanted = {m["name"] for m in header.get("materials", ()) if "baseColorTexture" in m["pbrMetallicRoughness"]}
    except (KeyError, TypeError):
        return []
    lost = set()
    for part in scene.geometry.values():
        material = getattr(part.visual, "material", None)
        if material is not None and material.name in wanted and getattr(material, "baseColorTexture", 1) is None:
            lost.add(f"the texture of {material.name!r} cannot be read")
    return sorted(lost)
