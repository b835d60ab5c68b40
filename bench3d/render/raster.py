"""The CPU rasteriser: a z-buffer in numba, numpy in and out, the same picture for every number of threads.

Two parallel passes: vertices to screen, then tasks of (image, band of rows) that walk all triangles. A pixel is written
by one task only and its value does not depend on the band, so that batching and threading change no bit.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit, prange

MIN_AREA = 1e-4
"""Triangles of a smaller screen area (square pixels) are skipped: their barycentrics are noise."""

MAX_FACES = 2**24 - 1
"""Triangle ids travel as float32, which holds integers exactly up to here."""


def rasterize(clip: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The nearest triangle at every pixel centre (see `bench3d.contracts.renderer.Renderer.rasterize`).

    Args:
        clip: (B, V, 4) float32 clip-space vertices x, y, z, w; y_ndc = -1 is the top edge of row 0.
        faces: (F, 3) int32 vertex indices, shared by the batch.
        size: (H, W) in pixels.

    Returns:
        (B, H, W, 4) float32: u, v (perspective-correct weights of vertices 0 and 1), z/w, triangle id + 1; empty
        pixels are 0.

    Nothing is culled by orientation. Triangles with any w <= 0 or a vertex that is not finite are dropped, fragments
    with z/w outside [-1, 1] too. A pixel centre on a shared edge belongs to one of the two triangles (top-left rule);
    of equal depths (in float32) the lower id wins.

    Raises:
        ValueError: wrong shapes, a face index outside the vertices, too many faces.
    """
    clip = np.ascontiguousarray(clip, dtype=np.float32)
    faces = np.ascontiguousarray(faces, dtype=np.int32)
    check_mesh(clip, faces)
    height, width = size
    out = np.zeros((clip.shape[0], height, width, 4), dtype=np.float32)
    if out.size and len(faces):
        threads = numba.get_num_threads()
        if threads == 1:
            # No task is worth its launch: where all cores are busy, that waits a time slice for the helper thread.
            for b in range(clip.shape[0]):
                _fill_band(image_to_screen(clip[b], height, width), faces, out[b], 0, height)
            return out
        spread = -(-threads // clip.shape[0])  # bands per image that keep every thread busy
        chunks = 1 if spread == 1 or height * width < 128 * 128 else 4
        spread = min(spread, height)
        screen = _to_screen(clip, height, width)
        _fill(screen, faces, out, spread, min(chunks, height // spread))
    return out


def check_mesh(clip: np.ndarray, faces: np.ndarray) -> None:
    """Raises ValueError unless clip is (B, V, 4) and faces (F, 3) with indices in [0, V): the kernels do not check."""
    if clip.ndim != 3 or clip.shape[2] != 4:
        raise ValueError(f"clip must be (B, V, 4), not {clip.shape}")
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"faces must be (F, 3), not {faces.shape}")
    if len(faces) > MAX_FACES:
        raise ValueError(f"{len(faces)} faces are more than a float32 id can hold ({MAX_FACES})")
    if len(faces) and (faces.min() < 0 or faces.max() >= clip.shape[1]):
        raise ValueError(f"face indices must lie in [0, {clip.shape[1]}), found {faces.min()} to {faces.max()}")


@njit(cache=True, parallel=True)
def _to_screen(clip: np.ndarray, height: int, width: int) -> np.ndarray:
    """`image_to_screen` of a batch, (B, V, 4) to (B, V, 4)."""
    screen = np.empty(clip.shape)
    for b in prange(clip.shape[0]):
        screen[b] = image_to_screen(clip[b], height, width)
    return screen


@njit(cache=True)
def image_to_screen(clip: np.ndarray, height: int, width: int) -> np.ndarray:
    """(V, 4) clip to float64 x, y in pixels, z/w, 1/w; 1/w = 0 marks a vertex that must not be drawn."""
    screen = np.zeros(clip.shape)
    for i in range(clip.shape[0]):
        w = np.float64(clip[i, 3])
        if not (w > 0.0 and np.isfinite(w)):
            continue
        inverse = 1.0 / w
        x = (clip[i, 0] * inverse + 1.0) * (0.5 * width)
        y = (clip[i, 1] * inverse + 1.0) * (0.5 * height)
        z = clip[i, 2] * inverse
        if np.isfinite(x) and np.isfinite(y) and np.isfinite(z):
            screen[i, 0] = x
            screen[i, 1] = y
            screen[i, 2] = z
            screen[i, 3] = inverse
    return screen


@njit(cache=True, parallel=True)
def _fill(screen: np.ndarray, faces: np.ndarray, out: np.ndarray, spread: int, chunks: int) -> None:
    """Splits every image into spread * chunks bands of rows, one task each."""
    height = out.shape[1]
    bands = spread * chunks
    for task in prange(screen.shape[0] * bands):
        b, part = task // bands, task % bands
        # The scheduler gives neighbouring tasks to one thread; interleaving spreads the busy middle of the image.
        band = (part % chunks) * spread + part // chunks
        _fill_band(screen[b], faces, out[b], band * height // bands, (band + 1) * height // bands)


@njit(cache=True)
def _fill_band(screen: np.ndarray, faces: np.ndarray, out: np.ndarray, first: int, last: int) -> None:
    """Draws all triangles into rows [first, last)."""
    width = out.shape[1]
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        y0, y1, y2 = screen[i, 1], screen[j, 1], screen[k, 1]
        top, bottom = _centres(y0, y1, y2, first, last)
        if top > bottom:
            continue
        x0, x1, x2 = screen[i, 0], screen[j, 0], screen[k, 0]
        start, stop = _centres(x0, x1, x2, 0, width)
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        w0, w1, w2 = screen[i, 3], screen[j, 3], screen[k, 3]
        if start > stop or abs(area) < 2 * MIN_AREA or min(w0, w1, w2) == 0.0:
            continue
        ax, ay, adx, ady, q0 = _edge(x1, y1, x2, y2, area)
        bx, by, bdx, bdy, q1 = _edge(x2, y2, x0, y0, area)
        cx, cy, cdx, cdy, q2 = _edge(x0, y0, x1, y1, area)
        z0, z1, z2 = screen[i, 2], screen[j, 2], screen[k, 2]
        scale = 1.0 / abs(area)
        for row in range(top, bottom + 1):
            py = row + 0.5
            ra, rb, rc = adx * (py - ay), bdx * (py - by), cdx * (py - cy)
            entered = False
            for column in range(start, stop + 1):
                px = column + 0.5
                e0 = q0 * (ra - ady * (px - ax))
                e1 = q1 * (rb - bdy * (px - bx))
                e2 = q2 * (rc - cdy * (px - cx))
                if not (_inside(e0, q0) and _inside(e1, q1) and _inside(e2, q2)):
                    if entered:
                        break
                    continue
                entered = True
                b0, b1 = e0 * scale, e1 * scale
                z = np.float32(z2 + b0 * (z0 - z2) + b1 * (z1 - z2))
                if abs(z) > 1.0 or (out[row, column, 3] != 0.0 and not z < out[row, column, 2]):
                    continue
                g0, g1, g2 = e0 * w0, e1 * w1, e2 * w2
                inverse = 1.0 / (g0 + g1 + g2)
                out[row, column, 0] = g0 * inverse
                out[row, column, 1] = g1 * inverse
                out[row, column, 2] = z
                out[row, column, 3] = f + 1


@njit(cache=True)
def _centres(a: float, b: float, c: float, first: int, last: int) -> tuple[int, int]:
    """The first and the last pixel in [first, last) whose centre lies between the lowest and highest of a, b, c."""
    low, high = max(min(a, b, c) - 0.5, first), min(max(a, b, c) - 0.5, last - 1)
    return int(np.ceil(low)), int(np.floor(high))


@njit(cache=True)
def _inside(e: float, q: float) -> bool:
    """Whether the value of an edge function admits the pixel; see `_edge` for q."""
    return e > 0.0 or (e == 0.0 and q > 0.0)


@njit(cache=True)
def _edge(x0: float, y0: float, x1: float, y1: float, area: float) -> tuple[float, float, float, float, float]:
    """An edge as (origin x, y, direction x, y, q): q * (dx * (py - y) - dy * (px - x)) is >= 0 inside.

    Both triangles at an edge evaluate it from the same end point, so that their values are exact opposites, and the one
    with q > 0 owns the pixel centres on it. The end point is chosen so that this is the top-left rule.
    """
    sign = 1.0 if area > 0.0 else -1.0
    if y0 > y1 or (y0 == y1 and x0 < x1):
        return x0, y0, x1 - x0, y1 - y0, sign
    return x1, y1, x0 - x1, y0 - y1, -sign
