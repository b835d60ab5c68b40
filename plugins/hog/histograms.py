"""Oriented histograms of one image, compiled with numba.

Dalal and Triggs (CVPR 2005): the gradient of the colour channel with the largest magnitude votes for an orientation,
shared bilinearly between neighbouring cells and linearly between neighbouring orientations. Normalisation and
truncation follow Felzenszwalb et al. (TPAMI 2010, section 6.2): 18 signed and 9 unsigned orientations, each normalised
by the four 2x2 blocks around the cell, truncated and averaged, and one texture energy for each block.
"""

from __future__ import annotations

import math

import numba
import numpy as np

SIGNED = 18
UNSIGNED = 9
CHANNELS = SIGNED + UNSIGNED + 4
LEVELS = 3
TRUNCATION = np.float32(0.2)
NOISE = np.float32(4e-5)
"""Added to a block's energy, the sum of four cells' squared histograms in units of the mean gradient per pixel: a
block whose gradients stay under about 0.005 of the range of values is not blown up to full contrast."""


@numba.njit(cache=True, nogil=True)
def gradients(image: np.ndarray, y: int, magnitude: np.ndarray, turn: np.ndarray) -> None:
    """Fills `magnitude` (W,) and `turn` (W,), the orientation in [0, 18), of row y of an image (3, H, W) float32.

    Central differences, border pixels repeated. The arctangent is a polynomial (error 1e-5 rad, 1/30000 of a bin), so
    that the loop compiles to vector instructions.
    """
    height, width = image.shape[1], image.shape[2]
    above, below = max(y - 1, 0), min(y + 1, height - 1)
    half, tiny = np.float32(0.5), np.float32(1e-20)
    per_turn, turns = np.float32(SIGNED / (2.0 * math.pi)), np.float32(SIGNED)
    pi, quarter = np.float32(math.pi), np.float32(math.pi / 2)
    for x in range(width):
        left, right = max(x - 1, 0), min(x + 1, width - 1)
        dx = dy = best = np.float32(0.0)
        for c in range(3):
            gx = image[c, y, right] - image[c, y, left]
            gy = image[c, below, x] - image[c, above, x]
            square = gx * gx + gy * gy
            larger = square > best
            dx = gx if larger else dx
            dy = gy if larger else dy
            best = square if larger else best
        magnitude[x] = half * math.sqrt(best)
        ax, ay = abs(dx), abs(dy)
        ratio = min(ax, ay) / max(ax, ay, tiny)
        angle = _arctangent(ratio)
        angle = quarter - angle if ay > ax else angle
        angle = pi - angle if dx < 0 else angle
        value = (-angle if dy < 0 else angle) * per_turn
        value = value + turns if value < 0 else value
        turn[x] = value if value < turns else np.float32(0.0)


@numba.njit(cache=True, nogil=True)
def _arctangent(t: np.float32) -> np.float32:
    """Arctangent of t in [0, 1] (Hastings' approximation, Abramowitz and Stegun 4.4.49)."""
    q = t * t
    p = np.float32(-0.0851330) + q * np.float32(0.0208351)
    p = np.float32(0.1801410) + q * p
    p = np.float32(-0.3302995) + q * p
    p = np.float32(0.9998660) + q * p
    return t * p


@numba.njit(cache=True, nogil=True)
def vote(image: np.ndarray, cell: int) -> np.ndarray:
    """Signed histograms (h, w, 18), mean gradient magnitude per pixel, of an image (3, H, W) float32.

    Each row of pixels is gathered along x first, then shared between the two rows of cells it lies between.
    """
    height, width = image.shape[1], image.shape[2]
    rows, columns = height // cell, width // cell
    histogram = np.zeros((rows, columns, SIGNED), dtype=np.float32)
    # One spare cell on each side takes what falls outside.
    gathered = np.empty((columns + 2, SIGNED), dtype=np.float32)
    magnitude, turn = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    one = np.float32(1.0)
    first, weight = np.empty(width, dtype=np.int64), np.empty(width, dtype=np.float32)
    for x in range(width):
        place = (x + 0.5) / cell + 0.5
        first[x] = int(place)
        weight[x] = place - int(place)
    for y in range(height):
        gradients(image, y, magnitude, turn)
        gathered[:] = 0
        for x in range(width):
            b0 = int(turn[x])
            b1 = b0 + 1 if b0 + 1 < SIGNED else 0
            upper = magnitude[x] * (turn[x] - np.float32(b0))
            lower = magnitude[x] - upper
            k, w = first[x], weight[x]
            gathered[k, b0] += lower * (one - w)
            gathered[k, b1] += upper * (one - w)
            gathered[k + 1, b0] += lower * w
            gathered[k + 1, b1] += upper * w
        cy = (y + 0.5) / cell - 0.5
        r0 = math.floor(cy)
        for i in range(2):
            r = r0 + i
            if r < 0 or r >= rows:
                continue
            share = np.float32((cy - r0 if i == 1 else 1.0 - (cy - r0)) / (cell * cell))
            for k in range(columns):
                for b in range(SIGNED):
                    histogram[r, k, b] += share * gathered[k + 1, b]
    return histogram


@numba.njit(cache=True, nogil=True)
def block_scales(energy: np.ndarray, r: int, c: int, scales: np.ndarray) -> None:
    """Fills `scales` (4,): one over the norm of the 2x2 blocks that reach up or down, left or right from a cell.

    `energy` (h, w) is the sum of the squared histogram; border cells stand in for those outside.
    """
    rows, columns = energy.shape
    for k in range(4):
        r2 = min(max(r + (k // 2) * 2 - 1, 0), rows - 1)
        c2 = min(max(c + (k % 2) * 2 - 1, 0), columns - 1)
        block = energy[r, c] + energy[r2, c] + energy[r, c2] + energy[r2, c2]
        scales[k] = np.float32(1.0) / math.sqrt(block + NOISE)


@numba.njit(cache=True, nogil=True)
def normalise(histogram: np.ndarray, out: np.ndarray) -> None:
    """Fills `out` (h, w, 31) from signed histograms (h, w, 18): signed, unsigned, energies of the four blocks."""
    rows, columns = histogram.shape[0], histogram.shape[1]
    unsigned = histogram[:, :, :UNSIGNED] + histogram[:, :, UNSIGNED:]
    energy = np.zeros((rows, columns), dtype=np.float32)
    for b in range(UNSIGNED):
        energy += unsigned[:, :, b] * unsigned[:, :, b]
    scales = np.zeros(4, dtype=np.float32)
    quarter = np.float32(0.25)
    for r in range(rows):
        for c in range(columns):
            block_scales(energy, r, c, scales)
            for k in range(4):
                for b in range(SIGNED):
                    value = quarter * min(histogram[r, c, b] * scales[k], TRUNCATION)
                    out[r, c, b] += value
                    out[r, c, SIGNED + UNSIGNED + k] += value
                for b in range(UNSIGNED):
                    out[r, c, SIGNED + b] += quarter * min(unsigned[r, c, b] * scales[k], TRUNCATION)


@numba.njit(cache=True, nogil=True)
def halve(image: np.ndarray) -> np.ndarray:
    """2x2 means: (3, H, W) -> (3, H/2, W/2); cell edges stay where they are."""
    height, width = image.shape[1] // 2, image.shape[2] // 2
    out = np.empty((3, height, width), dtype=np.float32)
    for c in range(3):
        for y in range(height):
            for x in range(width):
                above = image[c, 2 * y, 2 * x] + image[c, 2 * y, 2 * x + 1]
                below = image[c, 2 * y + 1, 2 * x] + image[c, 2 * y + 1, 2 * x + 1]
                out[c, y, x] = np.float32(0.25) * (above + below)
    return out


@numba.njit(cache=True, nogil=True)
def describe(image: np.ndarray, cell: int, levels: int) -> np.ndarray:
    """(h, w, levels * 31) float32 of an image (3, H, W) float32 in [0, 1], sides multiples of `cell`.

    Each level smooths and halves the image; its cells cover the same area (`cell` a multiple of 2^(levels-1)).
    """
    rows, columns = image.shape[1] // cell, image.shape[2] // cell
    out = np.zeros((rows, columns, levels * CHANNELS), dtype=np.float32)
    for level in range(levels):
        if level > 0:
            image = halve(image)
        normalise(vote(image, cell >> level), out[:, :, level * CHANNELS : (level + 1) * CHANNELS])
    return out
