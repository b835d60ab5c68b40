"""Silhouette antialiasing in numba: Laine et al. 2020, "Modular Primitives for High-Performance Differentiable
Rendering", section 3.5.

For every pair of neighbouring pixels with different triangles, the edges of the nearer triangle are looked at. Where
one of them is a silhouette and crosses the segment between the two pixel centres, the crossing's signed distance t from
the border between the pixels (in pixels, positive towards the second pixel) blends one pixel into the other:
t > 0 mixes a share t of the first colour into the second pixel, t < 0 a share -t of the second into the first. Pairs
in a row look at edges that are steeper than 45 degrees, pairs in a column at the others, so that an edge counts once.

Beyond the paper: at the rim of a smooth surface the triangle with the silhouette edge is often a sliver between two
pixel centres, which the nearer pixel does not show. With `walk` > 0 the way from the nearer pixel to the other one is
followed from triangle to neighbouring triangle until it leaves the surface. Measured against supersampled coverage on
smooth shapes at 64 x 64 (1,200 triangles), the gradient's median error falls from 85 % (walk = 0) to 3.4 %.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from bench3d_plugins.renderer_cpu.barycentric import BAND_ROWS
from bench3d_plugins.renderer_cpu.topology import Topology


def find_crossings(
    raster: np.ndarray, clip: np.ndarray, topology: Topology, walk: int
) -> tuple[np.ndarray, np.ndarray]:
    """Silhouette crossings of raster (B, H, W, 4) and clip (B, V, 4).

    `walk` is the number of further triangles that are followed across the surface; 0 is the published algorithm.

    Returns:
        offsets (B, H, W, 2) float32: t of the pair of a pixel with its right and its lower neighbour, 0 where none.
        edges (B, H, W, 2) int32: the edge that crosses there, -1 where none.
    """
    flags = _silhouettes(clip, topology.ends, topology.starts, topology.opposites)
    t = topology
    return _find_crossings(raster, clip, t.face_edges, t.ends, t.starts, t.owners, flags, walk)


@njit(cache=True, parallel=True)
def _silhouettes(clip: np.ndarray, ends: np.ndarray, starts: np.ndarray, opposites: np.ndarray) -> np.ndarray:
    """(B, E) bool: no two faces of the edge lie on opposite sides of it on the screen; all w > 0 at its faces."""
    batch, count = clip.shape[0], ends.shape[0]
    out = np.zeros((batch, count), dtype=np.bool_)
    for b in prange(batch):
        points = clip[b].astype(np.float64)
        for e in range(count):
            p, q = points[ends[e, 0]], points[ends[e, 1]]
            if not (p[3] > 0.0 and q[3] > 0.0):
                continue
            # Row of the plane through the eye and the edge: its sign tells the sides apart in homogeneous coordinates.
            nx, ny, nw = p[1] * q[3] - p[3] * q[1], p[3] * q[0] - p[0] * q[3], p[0] * q[1] - p[1] * q[0]
            positive, negative = False, False
            for at in range(starts[e], starts[e + 1]):
                o = points[opposites[at]]
                if not o[3] > 0.0:
                    continue  # that face is not drawn
                side = nx * o[0] + ny * o[1] + nw * o[3]
                positive |= side > 0.0
                negative |= side < 0.0
            out[b, e] = not (positive and negative)
    return out


@njit(cache=True, parallel=True)
def _find_crossings(
    raster: np.ndarray,
    clip: np.ndarray,
    face_edges: np.ndarray,
    ends: np.ndarray,
    starts: np.ndarray,
    owners: np.ndarray,
    flags: np.ndarray,
    walk: int,
) -> tuple[np.ndarray, np.ndarray]:
    batch, height, width = raster.shape[:3]
    offsets = np.zeros((batch, height, width, 2), dtype=np.float32)
    edges = np.full((batch, height, width, 2), np.int32(-1), dtype=np.int32)
    for task in prange(batch * height):
        b, row = task // height, task % height
        for column in range(width):
            for axis in range(2):
                other_row, other_column = row + axis, column + 1 - axis
                if other_row >= height or other_column >= width:
                    continue
                first, second = raster[b, row, column], raster[b, other_row, other_column]
                if first[3] == second[3]:
                    continue
                forward = second[3] == 0.0 or (first[3] != 0.0 and first[2] <= second[2])
                face = int(first[3] if forward else second[3]) - 1
                pair = (row, column, axis, height, width)
                t, e = _leave(clip[b], face_edges, ends, starts, owners, flags[b], face, forward, pair, walk)
                if e >= 0:
                    offsets[b, row, column, axis] = t
                    edges[b, row, column, axis] = e
    return offsets, edges


@njit(cache=True)
def _leave(
    clip: np.ndarray,
    face_edges: np.ndarray,
    ends: np.ndarray,
    starts: np.ndarray,
    owners: np.ndarray,
    flags: np.ndarray,
    face: int,
    forward: bool,
    pair: tuple[int, int, int, int, int],
    walk: int,
) -> tuple[float, int]:
    """Where the way from the nearer pixel to the other one leaves the surface: (t, silhouette edge) or (0, -1)."""
    came = -1
    for _ in range(walk + 1):
        best, out = -1.0, -1
        for side in range(3):
            e = face_edges[face, side]
            if e != came and _crosses(clip[ends[e, 0]], clip[ends[e, 1]], pair):
                t = _crossing(clip[ends[e, 0]], clip[ends[e, 1]], pair)
                gone = 0.5 + t if forward else 0.5 - t
                if gone > best:
                    best, out = gone, e
        if out < 0 or best > 1.0:
            return 0.0, -1
        if flags[out]:
            if best < 0.0 or not _steep(clip[ends[out, 0]], clip[ends[out, 1]], pair):
                return 0.0, -1
            return (best - 0.5 if forward else 0.5 - best), out
        if starts[out + 1] - starts[out] != 2:
            return 0.0, -1
        at = starts[out]
        face = owners[at] if owners[at] != face else owners[at + 1]
        came = out
    return 0.0, -1


@njit(cache=True)
def _relative(point: np.ndarray, pair: tuple[int, int, int, int, int]) -> tuple[float, float, float]:
    """A clip-space point in homogeneous pixels as seen from the first pixel's centre: (along, across, w).

    `along` is the direction of the pair (row, column, axis, height, width), `across` the other one.
    """
    row, column, axis, height, width = pair
    w = np.float64(point[3])
    x = 0.5 * width * (point[0] + w) - (column + 0.5) * w
    y = 0.5 * height * (point[1] + w) - (row + 0.5) * w
    return (x, y, w) if axis == 0 else (y, x, w)


@njit(cache=True)
def _crosses(p: np.ndarray, q: np.ndarray, pair: tuple[int, int, int, int, int]) -> bool:
    """Whether the edge crosses the line through the two pixel centres."""
    return (_relative(p, pair)[1] >= 0.0) != (_relative(q, pair)[1] >= 0.0)


@njit(cache=True)
def _crossing(p: np.ndarray, q: np.ndarray, pair: tuple[int, int, int, int, int]) -> float:
    """Where the edge crosses that line: t, counted from the border between the two pixels."""
    pa, pc, pw = _relative(p, pair)
    qa, qc, qw = _relative(q, pair)
    return (qa * pc - pa * qc) / (pc * qw - qc * pw) - 0.5


@njit(cache=True)
def _steep(p: np.ndarray, q: np.ndarray, pair: tuple[int, int, int, int, int]) -> bool:
    """Whether this pair, not the one across, is in charge of the edge."""
    pa, pc, pw = _relative(p, pair)
    qa, qc, qw = _relative(q, pair)
    along, across = abs(pa * qw - qa * pw), abs(pc * qw - qc * pw)
    return across > along or (pair[2] == 0 and across == along)


@njit(cache=True, parallel=True)
def blend(colour: np.ndarray, offsets: np.ndarray, transposed: bool) -> np.ndarray:
    """Applies the blending to colour (B, H, W, C), or its transpose (the gradient with respect to the colour).

    A pixel gathers from its four neighbours, so that rows can be computed in any order.
    """
    batch, height, width, channels = colour.shape
    out = colour.copy()
    for task in prange(batch * height):
        b, row = task // height, task % height
        for column in range(width):
            for way in range(4):  # right, down, left, up
                axis, backward = way % 2, way >= 2
                r = row + (axis if not backward else -axis)
                c = column + ((1 - axis) if not backward else axis - 1)
                if r < 0 or c < 0 or r >= height or c >= width:
                    continue
                t = offsets[b, r, c, axis] if backward else -offsets[b, row, column, axis]
                # t > 0: this pixel takes a share t of the neighbour; t < 0: the neighbour takes a share -t of this one.
                if t > 0.0:
                    for k in range(channels):
                        out[b, row, column, k] += t * (
                            -colour[b, row, column, k] if transposed else colour[b, r, c, k] - colour[b, row, column, k]
                        )
                elif t < 0.0 and transposed:
                    for k in range(channels):
                        out[b, row, column, k] -= t * colour[b, r, c, k]
    return out


def position_gradient(
    colour: np.ndarray, grad: np.ndarray, clip: np.ndarray, topology: Topology, offsets: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Gradient with respect to clip (B, V, 4) of a loss whose gradient in the blended colour is `grad`."""
    batch, height = colour.shape[:2]
    parts = np.zeros((batch, -(-height // BAND_ROWS), clip.shape[1], 4))
    _position_gradient(colour, grad, clip, topology.ends, offsets, edges, parts)
    return parts.sum(axis=1).astype(np.float32)


@njit(cache=True, parallel=True)
def _position_gradient(
    colour: np.ndarray,
    grad: np.ndarray,
    clip: np.ndarray,
    ends: np.ndarray,
    offsets: np.ndarray,
    edges: np.ndarray,
    parts: np.ndarray,
) -> None:
    """Scatters into parts (B, bands, V, 4)."""
    height, width, channels = colour.shape[1:]
    bands = parts.shape[1]
    for task in prange(colour.shape[0] * bands):
        b, band = task // bands, task % bands
        for row in range(band * BAND_ROWS, min(height, (band + 1) * BAND_ROWS)):
            for column in range(width):
                for axis in range(2):
                    e = edges[b, row, column, axis]
                    if e < 0:
                        continue
                    r, c = row + axis, column + 1 - axis
                    into_second = offsets[b, row, column, axis] > 0.0
                    slope = 0.0
                    for k in range(channels):
                        g = grad[b, r, c, k] if into_second else grad[b, row, column, k]
                        slope += g * (colour[b, row, column, k] - colour[b, r, c, k])
                    if slope != 0.0:
                        i, j = ends[e]
                        pair = (row, column, axis, height, width)
                        _edge_gradient(clip[b], i, j, pair, slope, parts[b, band])


@njit(cache=True)
def _edge_gradient(
    clip: np.ndarray, i: int, j: int, pair: tuple[int, int, int, int, int], slope: float, part: np.ndarray
) -> None:
    """Adds slope * dt/d(clip) of the crossing edge's two vertices to part (V, 4). t + 1/2 = numerator / denominator."""
    row, column, axis, height, width = pair
    pa, pc, pw = _relative(clip[i], pair)
    qa, qc, qw = _relative(clip[j], pair)
    denominator = pc * qw - qc * pw
    at = (qa * pc - pa * qc) / denominator
    scale = slope / denominator
    gradients = (
        (i, -qc * scale, (qa - at * qw) * scale, at * qc * scale),
        (j, pc * scale, (at * pw - pa) * scale, -at * pc * scale),
    )
    for vertex, along, across, direct in gradients:
        gx, gy = (along, across) if axis == 0 else (across, along)
        part[vertex, 0] += 0.5 * width * gx
        part[vertex, 1] += 0.5 * height * gy
        part[vertex, 3] += direct + (0.5 * width - column - 0.5) * gx + (0.5 * height - row - 0.5) * gy
