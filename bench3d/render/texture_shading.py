"""Deferred shading of textured surfaces in numba, and the fragments of surfaces with holes.

A surface is a row of a table: see the columns below. Light is Lambert's, from both sides, without cast shadows.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bench3d.render.mipmaps import texel, trilinear
from bench3d.render.raster import MIN_AREA, _centres, _edge, _inside

# Columns of the surface table: linear colour, texture number (-1: none), glow, its texture, alpha below which is a hole.
TEXTURE, GLOW, GLOW_TEXTURE, CUTOUT, COLUMNS = 3, 4, 7, 8, 9
AMBIENT = 0.11
EXPOSURE = 1.75
"""Irradiance that reaches a surface is bent by 1 - exp(-EXPOSURE x): white facing the key light shows as 0.95 of sRGB
white, and nothing is blown out however near a lamp is."""

ANISOTROPY = 4.0
"""Least width of the texture filter, of its greatest: less blur where a surface is seen at a flat angle."""


@njit(cache=True, error_model="numpy")
def _footprint(
    a: np.ndarray,
    e1: np.ndarray,
    e2: np.ndarray,
    uv: np.ndarray,
    eye: np.ndarray,
    rays: np.ndarray,
    x: float,
    y: float,
) -> float:
    """Texture units that a sample at raster position x, y spans: the sides of its parallelogram, averaged.

    The ray through the sample meets the triangle's plane at h(x, y); barycentrics are linear in h, so that their
    derivatives, and those of the texture coordinates uv (3, 2), follow in closed form.
    """
    n0, n1, n2 = e1[1] * e2[2] - e1[2] * e2[1], e1[2] * e2[0] - e1[0] * e2[2], e1[0] * e2[1] - e1[1] * e2[0]
    squared = n0 * n0 + n1 * n1 + n2 * n2
    d0 = rays[0, 0] * x + rays[0, 1] * y + rays[0, 2]
    d1 = rays[1, 0] * x + rays[1, 1] * y + rays[1, 2]
    d2 = rays[2, 0] * x + rays[2, 1] * y + rays[2, 2]
    slope = n0 * d0 + n1 * d1 + n2 * d2
    if squared < 1e-30 or abs(slope) < 1e-30:
        return 0.0
    t = (n0 * (a[0] - eye[0]) + n1 * (a[1] - eye[1]) + n2 * (a[2] - eye[2])) / slope
    sides = np.zeros((2, 2))
    for k in range(2):
        lean = (n0 * rays[0, k] + n1 * rays[1, k] + n2 * rays[2, k]) / slope
        h0, h1, h2 = t * (rays[0, k] - lean * d0), t * (rays[1, k] - lean * d1), t * (rays[2, k] - lean * d2)
        b1 = (h1 * e2[2] - h2 * e2[1]) * n0 + (h2 * e2[0] - h0 * e2[2]) * n1 + (h0 * e2[1] - h1 * e2[0]) * n2
        b2 = (e1[1] * h2 - e1[2] * h1) * n0 + (e1[2] * h0 - e1[0] * h2) * n1 + (e1[0] * h1 - e1[1] * h0) * n2
        for c in range(2):
            sides[k, c] = (b1 * (uv[1, c] - uv[0, c]) + b2 * (uv[2, c] - uv[0, c])) / squared
    area = abs(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0])
    longest = max(sides[0, 0] ** 2 + sides[0, 1] ** 2, sides[1, 0] ** 2 + sides[1, 1] ** 2)
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
def shade(
    raster: np.ndarray,
    inside: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    uv: np.ndarray,
    colours: np.ndarray,
    owner: np.ndarray,
    table: np.ndarray,
    texels: np.ndarray,
    levels: np.ndarray,
    decoded: np.ndarray,
    eye: np.ndarray,
    rays: np.ndarray,
    lamps: np.ndarray,
) -> np.ndarray:
    """Linear colours (H, W, 3) float32 of a view from its raster at twice the size (2H, 2W, 4); 0 outside `inside`.

    Args:
        raster: u, v, depth, triangle id + 1 (see `bench3d.render.raster`). inside: (H, W) bool.
        vertices, faces: of the object. normals: (F, 3, 3) at the corners. uv: (V, 2). colours: (V, 3), multiply.
        owner: (F,) row of each face in the surface `table` (S, COLUMNS). texels, levels, decoded: see `mip_tables`.
        eye: (3,) camera centre. rays: (3, 3) from raster positions (x, y, 1) to directions. lamps: (K, 4); all three
            in the object's frame.
    """
    out = np.zeros((*inside.shape, 3), dtype=np.float32)
    p, n, a, e1, e2 = np.zeros((5, 3))
    own, other = np.zeros((2, 4))
    corner = np.zeros((3, 2))
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            if not inside[i, j]:
                continue
            for sample in range(4):
                r, c = 2 * i + sample // 2, 2 * j + sample % 2
                if raster[r, c, 3] == 0.0:
                    continue
                face = int(raster[r, c, 3]) - 1
                b0, b1 = raster[r, c, 0], raster[r, c, 1]
                b2 = 1.0 - b0 - b1
                v0, v1, v2 = faces[face, 0], faces[face, 1], faces[face, 2]
                row = table[owner[face]]
                norm, facing = 0.0, 0.0
                for k in range(3):
                    a[k] = vertices[v0, k]
                    e1[k], e2[k] = vertices[v1, k] - a[k], vertices[v2, k] - a[k]
                    p[k] = a[k] + b1 * e1[k] + b2 * e2[k]
                    n[k] = b0 * normals[face, 0, k] + b1 * normals[face, 1, k] + b2 * normals[face, 2, k]
                    norm += n[k] * n[k]
                    facing += n[k] * (eye[k] - p[k])
                norm = (1.0 if facing >= 0.0 else -1.0) / np.sqrt(norm + 1e-20)
                for k in range(3):
                    n[k] *= norm
                light = 1.0 - np.exp(-EXPOSURE * (_irradiance(p, n, lamps) + AMBIENT))
                u, v, span = 0.0, 0.0, 0.0
                if row[TEXTURE] >= 0 or row[GLOW_TEXTURE] >= 0:
                    for k in range(2):
                        corner[0, k], corner[1, k], corner[2, k] = uv[v0, k], uv[v1, k], uv[v2, k]
                    u = b0 * corner[0, 0] + b1 * corner[1, 0] + b2 * corner[2, 0]
                    v = b0 * corner[0, 1] + b1 * corner[1, 1] + b2 * corner[2, 1]
                    span = _footprint(a, e1, e2, corner, eye, rays, c + 0.5, r + 0.5)
                for which in range(2):
                    texture = int(row[GLOW_TEXTURE if which else TEXTURE])
                    own[:] = 1.0
                    if texture >= 0:
                        level = levels[texture]
                        detail = np.log2(max(span * np.sqrt(level[0, 1] * level[0, 2]), 1e-6))
                        trilinear(texels, level, decoded, u, v, detail, own, other)
                    for k in range(3):
                        if which:
                            out[i, j, k] += np.float32(0.25 * own[k] * row[GLOW + k])
                        else:
                            tint = b0 * colours[v0, k] + b1 * colours[v1, k] + b2 * colours[v2, k]
                            out[i, j, k] += np.float32(0.25 * light * own[k] * row[k] * tint)
    return out


@njit(cache=True, error_model="numpy")
def add_cutouts(
    screen: np.ndarray,
    faces: np.ndarray,
    first: int,
    uv: np.ndarray,
    owner: np.ndarray,
    table: np.ndarray,
    texels: np.ndarray,
    levels: np.ndarray,
    decoded: np.ndarray,
    out: np.ndarray,
) -> None:
    """Draws the faces from `first` on, whose texture has holes, into a raster `out` (H, W, 4) of the faces before them.

    Same rules as the rasteriser, but a fragment with alpha below the surface's cut-out is passed over. screen: (V, 4)
    x, y in pixels, z/w, 1/w (0: a vertex that is not drawn).
    """
    value = np.zeros(4)
    for f in range(first, faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, x1, x2 = screen[i, 0], screen[j, 0], screen[k, 0]
        y0, y1, y2 = screen[i, 1], screen[j, 1], screen[k, 1]
        w0, w1, w2 = screen[i, 3], screen[j, 3], screen[k, 3]
        top, bottom = _centres(y0, y1, y2, 0, out.shape[0])
        start, stop = _centres(x0, x1, x2, 0, out.shape[1])
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        if top > bottom or start > stop or abs(area) < 2 * MIN_AREA or min(w0, w1, w2) == 0.0:
            continue
        row = table[owner[f]]
        chain = levels[int(row[TEXTURE])]
        across = (uv[j, 0] - uv[i, 0]) * (uv[k, 1] - uv[i, 1]) - (uv[k, 0] - uv[i, 0]) * (uv[j, 1] - uv[i, 1])
        texels_each = abs(across) * chain[0, 1] * chain[0, 2] / abs(area)
        level = chain[min(max(int(0.5 * np.log2(max(texels_each, 1e-9)) + 0.5), 0), levels.shape[1] - 1)]
        ax, ay, adx, ady, q0 = _edge(x1, y1, x2, y2, area)
        bx, by, bdx, bdy, q1 = _edge(x2, y2, x0, y0, area)
        cx, cy, cdx, cdy, q2 = _edge(x0, y0, x1, y1, area)
        for r in range(top, bottom + 1):
            for c in range(start, stop + 1):
                e0 = q0 * (adx * (r + 0.5 - ay) - ady * (c + 0.5 - ax))
                e1 = q1 * (bdx * (r + 0.5 - by) - bdy * (c + 0.5 - bx))
                e2 = q2 * (cdx * (r + 0.5 - cy) - cdy * (c + 0.5 - cx))
                if not (_inside(e0, q0) and _inside(e1, q1) and _inside(e2, q2)):
                    continue
                z = np.float32((e0 * screen[i, 2] + e1 * screen[j, 2] + e2 * screen[k, 2]) / abs(area))
                if abs(z) > 1.0 or (out[r, c, 3] != 0.0 and not z < out[r, c, 2]):
                    continue
                scale = 1.0 / (e0 * w0 + e1 * w1 + e2 * w2)
                b0, b1, b2 = e0 * w0 * scale, e1 * w1 * scale, e2 * w2 * scale
                u = b0 * uv[i, 0] + b1 * uv[j, 0] + b2 * uv[k, 0]
                v = b0 * uv[i, 1] + b1 * uv[j, 1] + b2 * uv[k, 1]
                texel(texels, level, decoded, u, v, value)
                if value[3] >= row[CUTOUT]:
                    out[r, c, 0], out[r, c, 1], out[r, c, 2], out[r, c, 3] = b0, b1, z, f + 1
