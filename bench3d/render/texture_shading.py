"""Deferred shading of textured surfaces in numba, and the fragments of surfaces with holes.

A surface is a row of a table: see the columns below. Light is Lambert's, from both sides, without cast shadows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bench3d.render.mipmaps import texel, trilinear
from bench3d.render.raster import MIN_AREA, _centres, _edge, _inside

# Columns of the surface table: linear colour, texture number (-1: none), glow, its texture, least alpha of no hole.
TEXTURE, GLOW, GLOW_TEXTURE, CUTOUT, COLUMNS = 3, 4, 7, 8, 9
AMBIENT = 0.11
EXPOSURE = 1.75
"""Irradiance that reaches a surface is bent by 1 - exp(-EXPOSURE x): white facing the key light shows as 0.95 of sRGB
white, and nothing is blown out however near a lamp is."""

ANISOTROPY = 4.0
"""Least width of the texture filter, of its greatest: less blur where a surface is seen at a flat angle."""


class Shape(NamedTuple):
    """A mesh: vertices (V, 3) float64; faces (F, 3) int32; normals (F, 3, 3) at the corners; uv (V, 2); colours (V, 3)
    linear, multiply; owner (F,) row of each face in the table of surfaces.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    colours: np.ndarray
    owner: np.ndarray


class Paint(NamedTuple):
    """Surfaces (S, COLUMNS), and their textures: see `bench3d.render.mipmaps.mip_tables`."""

    table: np.ndarray
    texels: np.ndarray
    levels: np.ndarray
    decoded: np.ndarray


class View(NamedTuple):
    """In the object's frame: eye (3,) the camera centre; rays (3, 3) from raster positions (x, y, 1) to directions;
    lamps (K, 4) position and power.
    """

    eye: np.ndarray
    rays: np.ndarray
    lamps: np.ndarray


@njit(cache=True, error_model="numpy")
def _footprint(a: np.ndarray, edges: np.ndarray, uv: np.ndarray, view: View, x: float, y: float) -> float:
    """Texture units that a sample at raster position x, y spans: the sides of its parallelogram, averaged.

    The ray through the sample meets the plane of the triangle (corner a, edges (2, 3)) at h(x, y); barycentrics are
    linear in h, so that their derivatives, and those of the texture coordinates uv (3, 2), follow in closed form.
    """
    e1, e2, eye, rays = edges[0], edges[1], view.eye, view.rays
    n0, n1, n2 = e1[1] * e2[2] - e1[2] * e2[1], e1[2] * e2[0] - e1[0] * e2[2], e1[0] * e2[1] - e1[1] * e2[0]
    squared = n0 * n0 + n1 * n1 + n2 * n2
    d0 = rays[0, 0] * x + rays[0, 1] * y + rays[0, 2]
    d1 = rays[1, 0] * x + rays[1, 1] * y + rays[1, 2]
    d2 = rays[2, 0] * x + rays[2, 1] * y + rays[2, 2]
    slope = n0 * d0 + n1 * d1 + n2 * d2
    if squared < 1e-30 or abs(slope) < 1e-30:
        return 0.0
    t = (n0 * (a[0] - eye[0]) + n1 * (a[1] - eye[1]) + n2 * (a[2] - eye[2])) / slope
    u0, v0, u1, v1 = 0.0, 0.0, 0.0, 0.0
    for k in range(2):
        lean = (n0 * rays[0, k] + n1 * rays[1, k] + n2 * rays[2, k]) / slope
        h0, h1, h2 = t * (rays[0, k] - lean * d0), t * (rays[1, k] - lean * d1), t * (rays[2, k] - lean * d2)
        b1 = (h1 * e2[2] - h2 * e2[1]) * n0 + (h2 * e2[0] - h0 * e2[2]) * n1 + (h0 * e2[1] - h1 * e2[0]) * n2
        b2 = (e1[1] * h2 - e1[2] * h1) * n0 + (e1[2] * h0 - e1[0] * h2) * n1 + (e1[0] * h1 - e1[1] * h0) * n2
        u0, v0 = u1, v1
        u1 = (b1 * (uv[1, 0] - uv[0, 0]) + b2 * (uv[2, 0] - uv[0, 0])) / squared
        v1 = (b1 * (uv[1, 1] - uv[0, 1]) + b2 * (uv[2, 1] - uv[0, 1])) / squared
    area, longest = abs(u0 * v1 - v0 * u1), max(u0 * u0 + v0 * v0, u1 * u1 + v1 * v1)
    return np.sqrt(max(area, longest / ANISOTROPY**2))


@njit(cache=True, error_model="numpy")
def _irradiance(p: np.ndarray, n: np.ndarray, lamps: np.ndarray) -> float:
    """Light that reaches a point from the point lamps (K, 4): position and power, falling with the squared distance."""
    total = 0.0
    for k in range(lamps.shape[0]):
        x, y, z = lamps[k, 0] - p[0], lamps[k, 1] - p[1], lamps[k, 2] - p[2]
        squared = x * x + y * y + z * z + 1e-12
        total += lamps[k, 3] * max(0.0, x * n[0] + y * n[1] + z * n[2]) / (squared * np.sqrt(squared))
    return total


@njit(cache=True, error_model="numpy")
def _point(
    hit: np.ndarray, shape: Shape, eye: np.ndarray, p: np.ndarray, n: np.ndarray, a: np.ndarray, sides: np.ndarray
) -> None:
    """Fills point, unit normal towards the eye, the triangle's first corner and its two sides (2, 3) there."""
    face = int(hit[3]) - 1
    b0, b1 = hit[0], hit[1]
    b2 = 1.0 - b0 - b1
    v0, v1, v2 = shape.faces[face, 0], shape.faces[face, 1], shape.faces[face, 2]
    norm, facing = 0.0, 0.0
    for k in range(3):
        a[k] = shape.vertices[v0, k]
        sides[0, k], sides[1, k] = shape.vertices[v1, k] - a[k], shape.vertices[v2, k] - a[k]
        p[k] = a[k] + b1 * sides[0, k] + b2 * sides[1, k]
        n[k] = b0 * shape.normals[face, 0, k] + b1 * shape.normals[face, 1, k] + b2 * shape.normals[face, 2, k]
        norm += n[k] * n[k]
        facing += n[k] * (eye[k] - p[k])
    norm = (1.0 if facing >= 0.0 else -1.0) / np.sqrt(norm + 1e-20)
    for k in range(3):
        n[k] *= norm


@njit(cache=True, error_model="numpy")
def shade(raster: np.ndarray, inside: np.ndarray, shape: Shape, paint: Paint, view: View) -> np.ndarray:
    """Linear colours (H, W, 3) float32 of a view from its raster at twice the size (2H, 2W, 4); 0 outside `inside`.

    raster: u, v, depth, triangle id + 1 (see `bench3d.render.raster`). inside: (H, W) bool.
    """
    out = np.zeros((*inside.shape, 3), dtype=np.float32)
    p, n, a = np.zeros((3, 3))
    sides = np.zeros((2, 3))
    own, other, glow = np.zeros((3, 4))
    corner, tints = np.zeros((3, 2)), np.zeros((3, 3))
    for sample in range(4 * inside.size):
        i, j = (sample // 4) // inside.shape[1], (sample // 4) % inside.shape[1]
        r, c = 2 * i + sample % 4 // 2, 2 * j + sample % 2
        if not inside[i, j] or raster[r, c, 3] == 0.0:
            continue
        face = int(raster[r, c, 3]) - 1
        row = paint.table[shape.owner[face]]
        _point(raster[r, c], shape, view.eye, p, n, a, sides)
        light = 1.0 - np.exp(-EXPOSURE * (_irradiance(p, n, view.lamps) + AMBIENT))
        own[:], glow[:] = 1.0, 1.0
        if row[TEXTURE] >= 0 or row[GLOW_TEXTURE] >= 0:
            for k in range(3):
                corner[k] = shape.uv[shape.faces[face, k]]
            span = _footprint(a, sides, corner, view, c + 0.5, r + 0.5)
            u, v = _blend(raster[r, c], corner[:, 0]), _blend(raster[r, c], corner[:, 1])
            if row[TEXTURE] >= 0:
                trilinear(paint.texels, paint.levels[int(row[TEXTURE])], paint.decoded, u, v, span, own, other)
            if row[GLOW_TEXTURE] >= 0:
                trilinear(paint.texels, paint.levels[int(row[GLOW_TEXTURE])], paint.decoded, u, v, span, glow, other)
        for k in range(3):
            tints[k] = shape.colours[shape.faces[face, k]]
        for k in range(3):
            tint = _blend(raster[r, c], tints[:, k])
            out[i, j, k] += np.float32(0.25 * (light * own[k] * row[k] * tint + glow[k] * row[GLOW + k]))
    return out


@njit(cache=True, error_model="numpy")
def _blend(hit: np.ndarray, corners: np.ndarray) -> float:
    return hit[0] * corners[0] + hit[1] * corners[1] + (1.0 - hit[0] - hit[1]) * corners[2]


@njit(cache=True, error_model="numpy")
def add_cutouts(screen: np.ndarray, first: int, shape: Shape, paint: Paint, out: np.ndarray) -> None:
    """Draws the faces from `first` on, whose texture has holes, into a raster `out` (H, W, 4) of the faces before them.

    Same rules as the rasteriser, but a fragment with alpha below the surface's cut-out is passed over. screen: (V, 4)
    x, y in pixels, z/w, 1/w (0: a vertex that is not drawn).
    """
    value, hit = np.zeros(4), np.zeros(4)
    for f in range(first, shape.faces.shape[0]):
        x, y, z, w = screen[shape.faces[f]].T
        top, bottom = _centres(y[0], y[1], y[2], 0, out.shape[0])
        start, stop = _centres(x[0], x[1], x[2], 0, out.shape[1])
        area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
        if top > bottom or start > stop or abs(area) < 2 * MIN_AREA or w.min() == 0.0:
            continue
        uv = shape.uv[shape.faces[f]]
        row = paint.table[shape.owner[f]]
        chain = paint.levels[int(row[TEXTURE])]
        across = (uv[1, 0] - uv[0, 0]) * (uv[2, 1] - uv[0, 1]) - (uv[2, 0] - uv[0, 0]) * (uv[1, 1] - uv[0, 1])
        each = abs(across) * chain[0, 1] * chain[0, 2] / abs(area)  # texels a pixel
        level = chain[min(max(int(0.5 * np.log2(max(each, 1e-9)) + 0.5), 0), chain.shape[0] - 1)]
        ax, ay, adx, ady, q0 = _edge(x[1], y[1], x[2], y[2], area)
        bx, by, bdx, bdy, q1 = _edge(x[2], y[2], x[0], y[0], area)
        cx, cy, cdx, cdy, q2 = _edge(x[0], y[0], x[1], y[1], area)
        for r in range(top, bottom + 1):
            for c in range(start, stop + 1):
                e0 = q0 * (adx * (r + 0.5 - ay) - ady * (c + 0.5 - ax))
                e1 = q1 * (bdx * (r + 0.5 - by) - bdy * (c + 0.5 - bx))
                e2 = q2 * (cdx * (r + 0.5 - cy) - cdy * (c + 0.5 - cx))
                if not (_inside(e0, q0) and _inside(e1, q1) and _inside(e2, q2)):
                    continue
                depth = np.float32((e0 * z[0] + e1 * z[1] + e2 * z[2]) / abs(area))
                if abs(depth) > 1.0 or (out[r, c, 3] != 0.0 and not depth < out[r, c, 2]):
                    continue
                scale = 1.0 / (e0 * w[0] + e1 * w[1] + e2 * w[2])
                hit[0], hit[1], hit[2], hit[3] = e0 * w[0] * scale, e1 * w[1] * scale, depth, f + 1
                texel(paint.texels, level, paint.decoded, _blend(hit, uv[:, 0]), _blend(hit, uv[:, 1]), value)
                if value[3] >= row[CUTOUT]:
                    out[r, c] = hit
