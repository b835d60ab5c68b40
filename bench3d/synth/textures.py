"""Solid textures in numba: noise and patterns evaluated at points of object space."""

from __future__ import annotations

import numpy as np
from numba import njit

# Numbers of bench3d.synth.materials.TEXTURES; numba freezes module constants.
PLAIN, NOISE, WOOD, STRIPES, FABRIC, CHECKER, BRUSHED, PICTURE, PATCHES, LEATHER = range(10)


@njit(cache=True, error_model="numpy", inline="always")
def hash3(x: int, y: int, z: int, seed: int) -> float:
    """Lattice point -> [0, 1), by integer mixing: the same on every machine."""
    h = np.uint32(x) * np.uint32(0x8DA6B343) + np.uint32(y) * np.uint32(0xD8163841)
    h = np.uint32(h) + np.uint32(z) * np.uint32(0xCB1AB31F) + np.uint32(seed) * np.uint32(0x9E3779B1)
    h = np.uint32(np.uint32(h) ^ (np.uint32(h) >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    h = np.uint32(np.uint32(h) ^ (np.uint32(h) >> np.uint32(12))) * np.uint32(0x297A2D39)
    h = np.uint32(h) ^ (np.uint32(h) >> np.uint32(15))
    return np.float64(np.uint32(h)) * (1.0 / 4294967296.0)


@njit(cache=True, error_model="numpy")
def value_noise(x: float, y: float, z: float, seed: int) -> float:
    """Trilinear value noise with smooth steps, [0, 1)."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = np.int64(fx), np.int64(fy), np.int64(fz)
    tx, ty, tz = x - fx, y - fy, z - fz
    tx, ty, tz = tx * tx * (3 - 2 * tx), ty * ty * (3 - 2 * ty), tz * tz * (3 - 2 * tz)
    a = hash3(i, j, k, seed) * (1 - tx) + hash3(i + 1, j, k, seed) * tx
    b = hash3(i, j + 1, k, seed) * (1 - tx) + hash3(i + 1, j + 1, k, seed) * tx
    c = hash3(i, j, k + 1, seed) * (1 - tx) + hash3(i + 1, j, k + 1, seed) * tx
    d = hash3(i, j + 1, k + 1, seed) * (1 - tx) + hash3(i + 1, j + 1, k + 1, seed) * tx
    return (a * (1 - ty) + b * ty) * (1 - tz) + (c * (1 - ty) + d * ty) * tz


@njit(cache=True, error_model="numpy")
def fractal_noise(x: float, y: float, z: float, seed: int, octaves: int) -> float:
    """Octaves of value noise, [0, 1)."""
    total, weight, scale, norm = 0.0, 0.5, 1.0, 0.0
    for k in range(octaves):
        total += weight * value_noise(x * scale, y * scale, z * scale, seed + k)
        norm += weight
        weight *= 0.5
        scale *= 2.03
    return total / norm


@njit(cache=True, error_model="numpy", inline="always")
def is_noisy(kind: int) -> bool:
    """Kinds smooth enough to be shared by the four samples of a pixel, and dear enough to be worth it."""
    return kind in (NOISE, WOOD, BRUSHED, LEATHER)


@njit(cache=True, error_model="numpy")
def blend(kind: int, x: float, y: float, z: float, frequency: float, axis: int, seed: int) -> float:
    """Share of the second colour at a point, [0, 1]."""
    x, y, z = x * frequency, y * frequency, z * frequency
    if axis == 0:
        x, y, z = y, z, x
    elif axis == 1:
        x, y, z = z, x, y
    if kind == NOISE:
        return fractal_noise(x, y, z, seed, 3)
    if kind == WOOD:
        return _wood(x, y, z, seed)
    if kind in (FABRIC, STRIPES, CHECKER):
        return _pattern(kind, x, y, z, seed)
    if kind == BRUSHED:
        return value_noise(x * 4, y * 4, z * 0.2, seed)
    if kind == LEATHER:
        grain = value_noise(x * 6, y * 6, z * 6, seed)
        return 0.6 * fractal_noise(x * 0.4, y * 0.4, z * 0.4, seed + 3, 2) + 0.4 * abs(2 * grain - 1)
    if kind in (PICTURE, PATCHES):
        return _patches(kind, x, y, z, seed)
    return 0.0


@njit(cache=True, error_model="numpy")
def _wood(x: float, y: float, z: float, seed: int) -> float:
    """Growth rings about z with fine grain."""
    bend = value_noise(x * 0.7, y * 0.7, z * 0.15, seed)
    rings = np.sqrt(x * x + y * y) * 1.7 + 3.0 * bend + 0.35 * value_noise(x * 9, y * 9, z * 0.6, seed + 1)
    t = rings - np.floor(rings)
    return 0.7 * t * t + 0.3 * value_noise(x * 14, y * 14, z * 0.8, seed + 2)


@njit(cache=True, error_model="numpy")
def _pattern(kind: int, x: float, y: float, z: float, seed: int) -> float:
    """Stripes across x, checks, or weave."""
    i, j, k = np.int64(np.floor(x + 0.013)), np.int64(np.floor(y + 0.017)), np.int64(np.floor(z + 0.011))
    if kind == STRIPES:
        return 1.0 if x - np.floor(x) < 0.5 else 0.0
    if kind == CHECKER:
        return np.float64((i + j + k) & 1)
    weave = 0.5 + 0.25 * np.sin(6.28 * x) * np.sin(6.28 * z) + 0.25 * np.sin(6.28 * y)
    return weave * (0.6 + 0.4 * hash3(i, j, k, seed))


@njit(cache=True, error_model="numpy")
def _patches(kind: int, x: float, y: float, z: float, seed: int) -> float:
    """Cells of random tone (picture), or rectangles of random size and tone on a plain ground: posters, windows."""
    i, j, k = np.int64(np.floor(x)), np.int64(np.floor(y)), np.int64(np.floor(z))
    if kind == PICTURE:
        return 0.55 * hash3(i, j, k, seed) + 0.45 * value_noise(x * 3, y * 3, z * 3, seed + 5)
    if hash3(i, j, k, seed) < 0.4:
        return 0.0
    for n, t in ((11, x - i), (23, y - j), (37, z - k)):
        low = 0.4 * hash3(i, j, k, seed + n)
        high = 0.6 + 0.4 * hash3(i, j, k, seed + n + 1)
        if t < low or t > high:
            return 0.0
    return 0.25 + 0.75 * hash3(i, j, k, seed + 91)
