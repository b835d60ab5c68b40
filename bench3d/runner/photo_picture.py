"""What `bench3d predict` writes beside its numbers: the picture and the mask of the object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts import FeatureMesh
from bench3d.errors import UsageError
from bench3d.files import atomic_path
from bench3d.runner.spec import PredictSpec

SHOWN = (400, 900)
"""Smallest and largest long side of the photograph in the picture, in pixels."""

ESTIMATE = (0.96, 0.62, 0.20)


def draw(spec: PredictSpec, photo: np.ndarray, box: np.ndarray, found: dict[str, Any]) -> None:
    """The photograph with its box, the mesh drawn over it, and the mesh alone, side by side."""
    from PIL import Image

    from bench3d.render.shade import draw_axes, overlay, panel, shaded

    size = (photo.shape[1], photo.shape[0])
    shrink = float(np.clip(max(size), *SHOWN)) / max(size)
    small = (max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink)))
    image = np.asarray(Image.fromarray(photo).resize(small, Image.Resampling.LANCZOS))
    camera = np.diag([small[0] / size[0], small[1] / size[1], 1.0]) @ _photo_camera(found)
    pose = _pose(found)
    tiles, labels = [_with_box(image, box * shrink)], [f"{spec.category}: photo and box"]
    mesh = found["_mesh"]
    if mesh is not None:
        rgba = shaded(vertices_of(mesh), mesh.faces.cpu().numpy(), pose, camera, small, ESTIMATE)
        tiles += [draw_axes(overlay(image, rgba, 0.8), pose, camera), rgba]
        labels.append(f"azimuth {found['azimuth'] % 360:.0f}°, elevation {found['elevation']:.0f}°")
        labels += ["the model's shape"]
    else:
        tiles.append(draw_axes(image, pose, camera))
        labels.append("estimate")
    with atomic_path(spec.out) as temporary:
        try:
            Image.fromarray(panel(tiles, labels, columns=len(tiles))).save(temporary)
        except ValueError as error:
            raise UsageError(f"{spec.out} cannot be written: {error}.", "Name a file that ends in .png.") from error


def vertices_of(mesh: FeatureMesh) -> np.ndarray:
    """(V, 3) float64."""
    vertices: np.ndarray = mesh.vertices.detach().double().cpu().numpy()
    return vertices


def _photo_camera(found: dict[str, Any]) -> np.ndarray:
    """(3, 3) intrinsics in pixels of the photograph."""
    scale, offset = found["crop_to_photo"]["scale"], found["crop_to_photo"]["offset"]
    to_photo = np.array([[1 / scale, 0, -offset[0] / scale], [0, 1 / scale, -offset[1] / scale], [0, 0, 1]])
    camera: np.ndarray = to_photo @ np.array(found["crop_intrinsics"])
    return camera


def _pose(found: dict[str, Any]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = found["rotation"], found["translation"]
    return pose


def write_mask(path: Path, photo: np.ndarray, mesh: FeatureMesh, found: dict[str, Any]) -> Path:
    """The mesh's silhouette at the estimated pose as a grey PNG of the photograph's size: 255 inside, soft edges."""
    from PIL import Image

    from bench3d.render.shade import shaded

    size = (photo.shape[1], photo.shape[0])
    rgba = shaded(vertices_of(mesh), mesh.faces.cpu().numpy(), _pose(found), _photo_camera(found), size)
    with atomic_path(path) as temporary:
        Image.fromarray(rgba[..., 3]).save(temporary, format="PNG")
    return path


def _with_box(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    from PIL import Image, ImageDraw

    drawn = Image.fromarray(image.copy())
    ImageDraw.Draw(drawn).rectangle(
        [float(v) for v in box], outline=(224, 60, 49), width=max(2, max(image.shape) // 250)
    )
    return np.asarray(drawn)
