"""The picture of `bench3d shape show`: the template from all sides, and what each latent direction does to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench3d.contracts import FeatureMesh
from bench3d.files import atomic_path, make_folder
from bench3d.geometry.camera import viewpoint_pose
from bench3d.render.shade import panel, shaded
from bench3d.runner.look_picture import with_caption
from bench3d.runner.shapes import FittedShape, feature_colours, walks

TILE = 220
AZIMUTHS = (0, 45, 90, 135, 180, 225, 270, 315)
SIGMAS = (-2.0, -1.0, 0.0, 1.0, 2.0)
WALK_AZIMUTHS = (45, 90)
DIRECTIONS = 3
ELEVATION = 20.0


def write_shape_picture(shape: FittedShape, out: Path) -> dict[str, Any]:
    """Writes the PNG.

    Returns:
        path, category, backbone, vertices, faces, watertight, extent (x, y, z in canonical units), directions (of
        the latent walk that were drawn).
    """
    template = shape.model.template(shape.category)
    walked = walks(shape, SIGMAS, DIRECTIONS)
    every = [template, *(mesh for walk in walked for mesh in walk)]
    looks = dict(zip(map(id, every), feature_colours(every), strict=True))
    reach = max(float(mesh.vertices.norm(dim=1).max()) for mesh in every)
    tiles = [_seen(template, looks[id(template)], azimuth, reach) for azimuth in AZIMUTHS]
    labels = [f"template, azimuth {azimuth}°" for azimuth in AZIMUTHS]
    parts = [panel(tiles, labels, columns=4)]
    for number, walk in enumerate(walked):
        tiles = [_seen(mesh, looks[id(mesh)], azimuth, reach) for azimuth in WALK_AZIMUTHS for mesh in walk]
        labels = [f"direction {number + 1}, {sigma:+.0f} sigma" for _ in WALK_AZIMUTHS for sigma in SIGMAS]
        parts.append(panel(tiles, labels, columns=len(SIGMAS)))
    features = "colours: three principal components of the surface features" if template.features is not None else ""
    on = f" on {shape.backbone}" if shape.backbone else ""
    title = f"{shape.category}: {shape.name}{on}"
    picture = with_caption(_stacked(parts), title, features or "no surface features")
    make_folder(out.parent)
    with atomic_path(out) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
    return {"path": str(out), "backbone": shape.backbone, "directions": len(walked), **_facts(template)}


def _facts(mesh: FeatureMesh) -> dict[str, Any]:
    import trimesh

    solid = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)
    extent = np.ptp(mesh.vertices.numpy(), axis=0)
    return {
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "watertight": bool(solid.is_watertight),
        "extent": [round(float(v), 4) for v in extent],
    }


def _seen(mesh: FeatureMesh, colour: np.ndarray, azimuth: float, reach: float) -> np.ndarray:
    """The mesh from slightly above; all tiles share distance and focal length, so that sizes compare."""
    distance = 4.0 * reach
    focal = 0.9 * TILE / 2 * distance / reach
    camera = np.array([[focal, 0, TILE / 2], [0, focal, TILE / 2], [0, 0, 1]])
    pose = viewpoint_pose(azimuth, ELEVATION, 0.0, distance)
    return shaded(mesh.vertices.double().numpy(), mesh.faces.numpy(), pose, camera, (TILE, TILE), colour)


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    width = max(part.shape[1] for part in parts)
    padded = [np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in parts]
    return np.concatenate(padded)
