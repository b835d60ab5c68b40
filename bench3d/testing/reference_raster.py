"""A rasteriser in a few lines of float64, slow and plain, that renderers are compared with."""

from __future__ import annotations

import numpy as np


def rasterize(clip: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Clip (V, 4), faces (F, 3), size (H, W) -> (H, W, 4) float64: u, v, z/w, triangle id + 1; 0 where there is none.

    u and v weigh the first and second corner, perspective-correct; the smallest z/w wins. Nothing is culled.
    """
    height, width = size
    x, y = _centres(size)
    out = np.zeros((height, width, 4))
    nearest = np.full((height, width), np.inf)
    for index, face in enumerate(faces):
        corners = clip[face]
        if (corners[:, 3] <= 0).any():
            continue
        screen = corners[:, :2] / corners[:, 3:]
        areas = _areas(screen, x, y)
        whole = areas.sum(axis=0)
        if abs(whole.flat[0]) < 1e-12:
            continue
        flat = areas / whole
        inside = (flat >= 0).all(axis=0)
        depth = np.einsum("khw,k->hw", flat, corners[:, 2] / corners[:, 3])
        weights = flat / corners[:, 3, None, None]
        weights /= weights.sum(axis=0)
        wins = inside & (depth < nearest) & (np.abs(depth) <= 1)
        nearest[wins] = depth[wins]
        out[wins] = np.stack([weights[0], weights[1], depth, np.full_like(depth, index + 1)], axis=-1)[wins]
    return out


def near_edges(clip: np.ndarray, faces: np.ndarray, size: tuple[int, int], pixels: float) -> np.ndarray:
    """(H, W) bool: the centre lies within so many pixels of the line through an edge, between its ends."""
    height, width = size
    scale = np.array([width / 2, height / 2])
    x, y = _centres(size)
    centres = np.stack([x, y], axis=-1) * scale
    found = np.zeros(size, dtype=bool)
    for face in faces:
        corners = clip[face, :2] / clip[face, 3:] * scale
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            along = b - a
            share = np.clip(((centres - a) @ along) / max(float(along @ along), 1e-12), 0.0, 1.0)
            found |= np.linalg.norm(centres - (a + share[..., None] * along), axis=-1) <= pixels
    return found


def _centres(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """NDC (H, W) each of the pixel centres."""
    height, width = size
    x = 2 * (np.arange(width) + 0.5) / width - 1
    y = 2 * (np.arange(height) + 0.5) / height - 1
    grid = np.meshgrid(x, y)
    return grid[0], grid[1]


def _areas(screen: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(3, H, W): twice the signed areas of the triangles that a pixel makes with each corner's opposite edge."""
    found = []
    for n in range(3):
        p, q = screen[(n + 1) % 3], screen[(n + 2) % 3]
        found.append((p[0] - x) * (q[1] - y) - (p[1] - y) * (q[0] - x))
    return np.stack(found)
