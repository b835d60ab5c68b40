"""Pictures for people: soft shading, overlays, object axes, labelled panels. Images are uint8, (H, W, ...)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numba import njit
from PIL import Image, ImageDraw, ImageFont

from bench3d.geometry.camera import clip_matrix, project
from bench3d.render.raster import rasterize

CREASE = np.cos(np.deg2rad(50.0))
"""Faces that meet at a sharper angle keep an edge between them; flatter ones are shaded as one smooth surface."""

GAMMA = 2.2
KEY_LIGHT = np.array([-0.45, -0.75, -0.5])
AXIS_COLOURS = ((224, 60, 49), (62, 160, 66), (46, 104, 214))


def shaded(
    vertices: np.ndarray,
    faces: np.ndarray,
    cam_T_obj: np.ndarray,
    intrinsics: np.ndarray,
    size: tuple[int, int],
    colour: Sequence[float] | np.ndarray = (0.72, 0.74, 0.78),
    supersample: int = 2,
) -> np.ndarray:
    """A softly lit picture of a mesh.

    Args:
        vertices: (V, 3) object coordinates.
        faces: (F, 3) indices; both sides are lit.
        cam_T_obj: (4, 4), OpenCV camera.
        intrinsics: (3, 3) in pixels.
        size: (W, H) in pixels.
        colour: (3,) or per vertex (V, 3), sRGB in [0, 1].
        supersample: samples per pixel and axis.

    Returns:
        (H, W, 4) uint8, RGB not premultiplied, alpha is the coverage.
    """
    width, height = size
    fine = (width * supersample, height * supersample)
    scale = np.diag([supersample, supersample, 1.0])
    camera = vertices @ cam_T_obj[:3, :3].T + cam_T_obj[:3, 3]
    homogeneous = np.concatenate([camera, np.ones((len(camera), 1))], axis=1)
    clip = homogeneous @ clip_matrix(scale @ intrinsics, fine).T
    raster = rasterize(clip[None].astype(np.float32), faces, fine[::-1])[0]
    linear = np.zeros((*raster.shape[:2], 4))
    hit = raster[..., 3] > 0
    triangle = raster[hit][:, 3].astype(np.int64) - 1
    weights = raster[hit][:, :2].astype(np.float64)
    weights = np.concatenate([weights, 1 - weights.sum(axis=1, keepdims=True)], axis=1)
    corners = faces[triangle]
    normals = np.einsum("nk,nkc->nc", weights, _corner_normals(camera, np.asarray(faces, dtype=np.int64))[triangle])
    points = np.einsum("nk,nkc->nc", weights, camera[corners])
    base = np.asarray(colour, dtype=np.float64) ** GAMMA
    if base.ndim == 2:
        base = np.einsum("nk,nkc->nc", weights, base[corners])
    linear[hit, :3] = _light(normals, points, base)
    linear[hit, 3] = 1.0
    mean = linear.reshape(height, supersample, width, supersample, 4).mean(axis=(1, 3))
    out = np.zeros((height, width, 4))
    out[..., :3] = (mean[..., :3] / np.maximum(mean[..., 3:], 1e-9)).clip(0, 1) ** (1 / GAMMA)
    out[..., 3] = mean[..., 3]
    return np.rint(out * 255).astype(np.uint8)


def overlay(image: np.ndarray, rgba: np.ndarray, opacity: float = 1.0) -> np.ndarray:
    """Lays rgba (H, W, 4) over image (H, W, 3), its alpha times `opacity` -> (H, W, 3) uint8."""
    alpha = rgba[..., 3:].astype(np.float64) * (opacity / 255.0)
    return np.rint(image[..., :3] * (1 - alpha) + rgba[..., :3] * alpha).astype(np.uint8)


def draw_axes(image: np.ndarray, cam_T_obj: np.ndarray, intrinsics: np.ndarray, length: float = 1.0) -> np.ndarray:
    """A copy of image (H, W, 3) with the object's axes: x (left) red, y (back) green, z (up) blue.

    The farthest is drawn first; an axis that reaches behind the camera is left out. `length` is in object units.
    """
    out = np.ascontiguousarray(image[..., :3]).copy()
    ends, depths = project(np.concatenate([np.zeros((1, 3)), np.eye(3) * length]), cam_T_obj, intrinsics)
    if depths[0] <= 0:
        return out
    thickness = max(1, round(min(image.shape[:2]) / 110))
    limit = 8 * max(image.shape[:2])
    for axis in sorted(range(3), key=lambda k: -depths[k + 1]):
        end = ends[axis + 1]
        if depths[axis + 1] <= 0 or np.abs(end).max() > limit:
            continue
        # Fixed-point coordinates (1/16 pixel); cv2 counts from pixel centres, ours lie at +0.5.
        points = [tuple(int(v) for v in np.rint((p - 0.5) * 16)) for p in (ends[0], end)]
        for width, colour in ((thickness + 2, (255, 255, 255)), (thickness, AXIS_COLOURS[axis])):
            cv2.line(out, points[0], points[1], colour, width, cv2.LINE_AA, 4)
            cv2.circle(out, points[1], (width + 1) * 12, colour, -1, cv2.LINE_AA, 4)
    return out


def panel(
    images: Sequence[np.ndarray], labels: Sequence[str] | None = None, columns: int = 4, gap: int = 8
) -> np.ndarray:
    """Tiles images (H, W, 3 or 4; RGBA goes over white) on white, each with its label above -> (H, W, 3) uint8.

    A label that is too long for its tile ends in an ellipsis.

    Raises:
        ValueError: no images, or as many labels as images are not given.
    """
    if not images or (labels is not None and len(labels) != len(images)):
        raise ValueError(f"{len(images)} images with {len(labels or ())} labels")
    columns = max(1, min(columns, len(images)))
    rows = -(-len(images) // columns)
    height, width = max(i.shape[0] for i in images), max(i.shape[1] for i in images)
    text = 0 if labels is None else int(np.clip(width // 18, 11, 28))
    head = 0 if labels is None else round(text * 1.6)
    canvas = Image.new("RGB", (gap + columns * (width + gap), gap + rows * (height + head + gap)), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(text or 11)
    for n, image in enumerate(images):
        x, y = gap + n % columns * (width + gap), gap + n // columns * (height + head + gap)
        if labels is not None:
            draw.text((x, y + head / 2), _shortened(labels[n], font, width), fill=(40, 40, 40), font=font, anchor="lm")
        flat = image if image.shape[2] == 3 else overlay(np.full((*image.shape[:2], 3), 255, dtype=np.uint8), image)
        canvas.paste(Image.fromarray(flat), (x + (width - image.shape[1]) // 2, y + head))
    return np.asarray(canvas)


def _light(normals: np.ndarray, points: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Linear colour of surface points (N, 3): light from the sky, a soft key light, a headlight, a little gloss."""
    view = -points / np.linalg.norm(points, axis=1, keepdims=True)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    facing = (normals * view).sum(axis=1, keepdims=True)
    normals = np.where(facing < 0, -normals, normals)
    facing = np.abs(facing)
    key = KEY_LIGHT / np.linalg.norm(KEY_LIGHT)
    sky = 0.5 - 0.5 * normals[:, 1:2]
    wrapped = np.clip((normals @ key[:, None] + 0.3) / 1.3, 0, 1) ** 1.5
    half = view + key
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    gloss = np.clip((normals * half).sum(axis=1, keepdims=True), 0, 1) ** 30
    diffuse = 0.06 + 0.22 * sky + 0.85 * wrapped + 0.25 * facing
    return base * diffuse + 0.08 * gloss


@njit(cache=True)
def _corner_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3, 3) normals at the corners: area-weighted over the faces of the vertex that are flatter than the crease."""
    areas = np.empty((faces.shape[0], 3))
    lengths = np.empty(faces.shape[0])
    starts = np.zeros(points.shape[0] + 1, dtype=np.int64)
    for f in range(faces.shape[0]):
        a, b, c = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
        areas[f] = np.cross(b - a, c - a)
        lengths[f] = np.sqrt((areas[f] ** 2).sum())
        for k in range(3):
            starts[faces[f, k] + 1] += 1
    starts = np.cumsum(starts)
    owners, filled = np.empty(3 * faces.shape[0], dtype=np.int64), np.zeros(points.shape[0], dtype=np.int64)
    for f in range(faces.shape[0]):
        for k in range(3):
            v = faces[f, k]
            owners[starts[v] + filled[v]] = f
            filled[v] += 1
    out = np.zeros((faces.shape[0], 3, 3))
    for f in range(faces.shape[0]):
        for k in range(3):
            for at in range(starts[faces[f, k]], starts[faces[f, k] + 1]):
                other = owners[at]
                if other == f or (areas[f] * areas[other]).sum() > CREASE * lengths[f] * lengths[other]:
                    out[f, k] += areas[other]
    return out


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
