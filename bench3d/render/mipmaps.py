"""Textures as numba reads them: all images in one array of texels, each with its chain of halved copies."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numba import njit

LEVELS = 12
"""Halvings kept of an image: a side of 4096 ends at 2."""

_VALUES = np.arange(256) / 255.0
DECODED = np.where(_VALUES <= 0.04045, _VALUES / 12.92, ((_VALUES + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""Linear light of each 8-bit sRGB value (IEC 61966-2-1)."""


def encode(linear: np.ndarray) -> np.ndarray:
    """Linear light to 8-bit sRGB; what lies outside [0, 1] is clipped."""
    value = np.clip(linear, 0.0, 1.0)
    curve = np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)
    return (curve * 255.0 + 0.5).astype(np.uint8)


def mip_tables(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Texels and where each level of each image starts.

    Args:
        images: (H, W, 4) uint8, sRGB colours and linear alpha; row 0 is the top.

    Returns:
        texels (N, 4) uint8; table (T, LEVELS, 3) int64: first texel, width, height. An image that is used up at a
        level repeats its last one. Colours are averaged in linear light.
    """
    chunks: list[np.ndarray] = []
    table = np.zeros((len(images), LEVELS, 3), dtype=np.int64)
    start = 0
    for number, image in enumerate(images):
        level = np.ascontiguousarray(image)
        for depth in range(LEVELS):
            height, width = level.shape[:2]
            table[number, depth] = (start, width, height)
            chunks.append(level.reshape(-1, 4))
            start += height * width
            if height == width == 1:
                table[number, depth:] = table[number, depth]
                break
            level = _halved(level)
    texels = np.concatenate(chunks) if chunks else np.zeros((1, 4), dtype=np.uint8)
    return texels, table


def _halved(image: np.ndarray) -> np.ndarray:
    linear = np.empty(image.shape, dtype=np.float32)
    linear[..., :3] = DECODED[image[..., :3]]
    linear[..., 3] = image[..., 3]
    size = (max(1, image.shape[1] // 2), max(1, image.shape[0] // 2))
    small = cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    out = np.empty(small.shape, dtype=np.uint8)
    out[..., :3] = encode(small[..., :3])
    out[..., 3] = np.rint(small[..., 3])
    return out


@njit(cache=True, error_model="numpy")
def texel(texels: np.ndarray, level: np.ndarray, decoded: np.ndarray, u: float, v: float, out: np.ndarray) -> None:
    """Fills out (4,): linear colour and alpha at u, v (v = 0 is the bottom row; both repeat), bilinear."""
    width, height = level[1], level[2]
    x, y = (u - np.floor(u)) * width - 0.5, (np.ceil(v) - v) * height - 0.5
    column, row = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - column, y - row
    out[:] = 0.0
    for k in range(4):
        across, down = k % 2, k // 2
        weight = (fx if across else 1.0 - fx) * (fy if down else 1.0 - fy)
        at = level[0] + ((row + down) % height) * width + (column + across) % width
        for a in range(3):
            out[a] += weight * decoded[texels[at, a]]
        out[3] += weight * texels[at, 3] / 255.0


@njit(cache=True, error_model="numpy")
def trilinear(
    texels: np.ndarray,
    levels: np.ndarray,
    decoded: np.ndarray,
    u: float,
    v: float,
    span: float,
    out: np.ndarray,
    other: np.ndarray,
) -> None:
    """Fills out (4,) between the two levels whose texels are about `span` texture units wide; see `texel`."""
    detail = np.log2(max(span * np.sqrt(levels[0, 1] * levels[0, 2]), 1.0))
    detail = min(detail, levels.shape[0] - 1.001)
    low = int(detail)
    part = detail - low
    texel(texels, levels[low], decoded, u, v, out)
    if part > 0.0:
        texel(texels, levels[low + 1], decoded, u, v, other)
        for a in range(4):
            out[a] += part * (other[a] - out[a])
