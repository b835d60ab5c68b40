"""Numba kernels: gradients of the rasteriser's u, v to the vertices, and interpolation with its gradients.

A pixel centre (X, Y) in NDC sees vertex i at p_i = (x_i - X w_i, y_i - Y w_i). With g_0 = p_1 x p_2, g_1 = p_2 x p_0
and g_2 = p_0 x p_1 the perspective-correct weights are u = g_0 / (g_0 + g_1 + g_2) and v = g_1 / (g_0 + g_1 + g_2).

Sums over pixels are taken in a fixed order by one task each, so that the number of threads changes no bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

BAND_ROWS = 64
"""Rows per task of a scatter: fixed, so that the order of the sums does not depend on the threads."""

CHANNEL_BLOCK = 16
"""Channels per task of the scatter to attributes."""


def rasterize_gradient(clip: np.ndarray, faces: np.ndarray, raster: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """Gradient of a loss with respect to clip (B, V, 4), given its gradient `grad` (B, H, W, 4) in u and v."""
    batch, count = clip.shape[:2]
    bands = -(-raster.shape[1] // BAND_ROWS)
    parts = np.zeros((batch, bands, count, 4))
    _rasterize_gradient(clip, faces, raster, grad, parts)
    return parts.sum(axis=1).astype(np.float32)


@njit(cache=True, parallel=True)
def _rasterize_gradient(
    clip: np.ndarray, faces: np.ndarray, raster: np.ndarray, grad: np.ndarray, parts: np.ndarray
) -> None:
    """Scatters into parts (B, bands, V, 4)."""
    height, bands = raster.shape[1], parts.shape[1]
    for task in prange(clip.shape[0] * bands):
        b, band = task // bands, task % bands
        for row in range(band * BAND_ROWS, min(height, (band + 1) * BAND_ROWS)):
            _row_gradient(clip[b], faces, raster[b, row], grad[b, row], (2 * row + 1) / height - 1, parts[b, band])


@njit(cache=True)
def _row_gradient(
    clip: np.ndarray, faces: np.ndarray, raster: np.ndarray, grad: np.ndarray, y: float, part: np.ndarray
) -> None:
    """Adds the gradient of one row of pixels, whose centres lie at NDC height y, to part (V, 4)."""
    width = raster.shape[0]
    for column in range(width):
        gu, gv = np.float64(grad[column, 0]), np.float64(grad[column, 1])
        if raster[column, 3] == 0.0 or (gu == 0.0 and gv == 0.0):
            continue
        f = int(raster[column, 3]) - 1
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        x = (2 * column + 1) / width - 1
        ax, ay = clip[i, 0] - x * clip[i, 3], clip[i, 1] - y * clip[i, 3]
        bx, by = clip[j, 0] - x * clip[j, 3], clip[j, 1] - y * clip[j, 3]
        cx, cy = clip[k, 0] - x * clip[k, 3], clip[k, 1] - y * clip[k, 3]
        total = (bx * cy - by * cx) + (cx * ay - cy * ax) + (ax * by - ay * bx)
        u, v = raster[column, 0], raster[column, 1]
        shared = gu * u + gv * v
        g0, g1, g2 = (gu - shared) / total, (gv - shared) / total, -shared / total
        _add(part[i], g2 * by - g1 * cy, g1 * cx - g2 * bx, x, y)
        _add(part[j], g0 * cy - g2 * ay, g2 * ax - g0 * cx, x, y)
        _add(part[k], g1 * ay - g0 * by, g0 * bx - g1 * ax, x, y)


@njit(cache=True)
def _add(target: np.ndarray, gx: float, gy: float, x: float, y: float) -> None:
    """Chain rule of p = (x_i - X w_i, y_i - Y w_i)."""
    target[0] += gx
    target[1] += gy
    target[3] -= x * gx + y * gy


@njit(cache=True, parallel=True)
def interpolate(attributes: np.ndarray, raster: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Attributes (B or 1, V, C), raster (B, H, W, 4), faces (F, 3) -> (B, H, W, C) float32, 0 in empty pixels."""
    batch, height, width = raster.shape[:3]
    channels = attributes.shape[2]
    out = np.zeros((batch, height, width, channels), dtype=np.float32)
    for task in prange(batch * height):
        b, row = task // height, task % height
        values = attributes[b if attributes.shape[0] > 1 else 0]
        for column in range(width):
            f = int(raster[b, row, column, 3]) - 1
            if f < 0:
                continue
            u, v = raster[b, row, column, 0], raster[b, row, column, 1]
            t = np.float32(1.0) - u - v
            first, second, third = values[faces[f, 0]], values[faces[f, 1]], values[faces[f, 2]]
            for c in range(channels):
                out[b, row, column, c] = u * first[c] + v * second[c] + t * third[c]
    return out


@njit(cache=True, parallel=True)
def interpolate_weight_gradient(
    attributes: np.ndarray, raster: np.ndarray, faces: np.ndarray, grad: np.ndarray
) -> np.ndarray:
    """Gradient with respect to the raster (B, H, W, 4): u and v; 0 for z/w and id."""
    batch, height, width = raster.shape[:3]
    out = np.zeros(raster.shape, dtype=np.float32)
    for task in prange(batch * height):
        b, row = task // height, task % height
        values = attributes[b if attributes.shape[0] > 1 else 0]
        for column in range(width):
            f = int(raster[b, row, column, 3]) - 1
            if f < 0:
                continue
            first, second, third = values[faces[f, 0]], values[faces[f, 1]], values[faces[f, 2]]
            gu, gv = 0.0, 0.0
            for c in range(attributes.shape[2]):
                g = grad[b, row, column, c]
                gu += g * (first[c] - third[c])
                gv += g * (second[c] - third[c])
            out[b, row, column, 0] = gu
            out[b, row, column, 1] = gv
    return out


@njit(cache=True, parallel=True)
def interpolate_attribute_gradient(
    shape: tuple[int, int, int], raster: np.ndarray, faces: np.ndarray, grad: np.ndarray
) -> np.ndarray:
    """Gradient with respect to attributes of `shape` (B or 1, V, C); shared attributes sum over the images.

    Tasks are (attribute set, block of channels), each walking its pixels in order: no buffers, no races.
    """
    batch, height, width = raster.shape[:3]
    sets, count, channels = shape
    out = np.empty((sets, count, channels), dtype=np.float32)
    blocks = (channels + CHANNEL_BLOCK - 1) // CHANNEL_BLOCK
    for task in prange(sets * blocks):
        s, first = task // blocks, (task % blocks) * CHANNEL_BLOCK
        size = min(CHANNEL_BLOCK, channels - first)
        part = np.zeros((count, size))
        start, stop = (s, s + 1) if sets > 1 else (0, batch)
        for b in range(start, stop):
            for row in range(height):
                for column in range(width):
                    f = int(raster[b, row, column, 3]) - 1
                    if f < 0:
                        continue
                    u, v = raster[b, row, column, 0], raster[b, row, column, 1]
                    t = np.float32(1.0) - u - v
                    i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
                    for c in range(size):
                        g = grad[b, row, column, first + c]
                        part[i, c] += u * g
                        part[j, c] += v * g
                        part[k, c] += t * g
        out[s, :, first : first + size] = part
    return out
