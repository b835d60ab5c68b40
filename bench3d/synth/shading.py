"""Deferred shading in numba: textures, decals, key light, ambient light, reflections; four samples a pixel."""

from __future__ import annotations

import numpy as np
from numba import njit

from bench3d.synth.lighting import ambient, lit, room_hit, sky_colour
from bench3d.synth.materials import DECAL_KINDS, MAX_POINTS, TEXTURES, Material
from bench3d.synth.textures import blend, is_noisy

# Columns of the material table.
_KIND, _FREQUENCY, _STRENGTH, _AXIS, _SPECULAR, _GLOSS, _MIRROR, _GLOW, _FIRST, _LAST, _SEED = range(6, 17)
# Columns of the room: cos, sin of its yaw, low and high corner, sky flag.
_SKY = 8


def material_tables(materials: list[Material], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables for `shade`: materials (M, 17) with linear colours, decals (D, 13), their points (D, MAX_POINTS, 2)."""
    rows: list[tuple[float, ...]] = []
    decals: list[tuple[float, ...]] = []
    points: list[np.ndarray] = []
    for k, m in enumerate(materials):
        first = len(decals)
        for d in m.decals:
            padded = np.zeros((MAX_POINTS, 2))
            padded[: len(d.points)] = d.points
            if d.kind == "ellipse":
                low, high = d.points[0] - d.points[1], d.points[0] + d.points[1]
            else:
                low, high = d.points.min(0) - d.width, d.points.max(0) + d.width
            kind = DECAL_KINDS.index(d.kind)
            bounds = (low[0], high[0], low[1], high[1])
            decals.append((d.axis, d.sign, d.material, kind, *d.span, d.width, d.facing, *bounds, len(d.points)))
            points.append(padded)
        colours = [c * c for c in (*m.colour, *m.colour2)]
        kind, look = TEXTURES.index(m.texture), (m.specular, m.gloss, m.mirror, m.glow)
        rows.append(
            (*colours, kind, m.frequency, m.strength, m.axis, *look, first, len(decals), seed % 100003 + 131 * k)
        )
    return (
        np.array(rows, dtype=np.float64).reshape(-1, 17),
        np.array(decals, dtype=np.float64).reshape(-1, 13),
        np.array(points, dtype=np.float64).reshape(-1, MAX_POINTS, 2),
    )


@njit(cache=True, error_model="numpy")
def _inside(kind: int, points: np.ndarray, count: int, width: float, u: float, v: float) -> bool:
    if kind == 1:
        a, b = (u - points[0, 0]) / points[1, 0], (v - points[0, 1]) / points[1, 1]
        return a * a + b * b <= 1.0
    if kind == 0:
        for k in range(count):
            n = k + 1 if k + 1 < count else 0
            ex, ey = points[n, 0] - points[k, 0], points[n, 1] - points[k, 1]
            if ex * (v - points[k, 1]) - ey * (u - points[k, 0]) < 0:
                return False
        return True
    for k in range(count - 1):
        ex, ey = points[k + 1, 0] - points[k, 0], points[k + 1, 1] - points[k, 1]
        px, py = u - points[k, 0], v - points[k, 1]
        t = min(1.0, max(0.0, (px * ex + py * ey) / (ex * ex + ey * ey + 1e-20)))
        dx, dy = px - t * ex, py - t * ey
        if dx * dx + dy * dy <= 0.25 * width * width:
            return True
    return False


@njit(cache=True, error_model="numpy")
def _decal_material(
    material: int, p: np.ndarray, n: np.ndarray, table: np.ndarray, decals: np.ndarray, points: np.ndarray
) -> int:
    """Material at a point after its decals; later decals lie on top."""
    for d in range(int(table[material, _LAST]) - 1, int(table[material, _FIRST]) - 1, -1):
        axis = int(decals[d, 0])
        if axis == 0:
            u, v = p[1], p[2]
        elif axis == 1:
            u, v = p[0], p[2]
        else:
            u, v = p[0], p[1]
        if u < decals[d, 8] or u > decals[d, 9] or v < decals[d, 10] or v > decals[d, 11]:
            continue
        facing = n[axis] * decals[d, 1] if decals[d, 1] != 0 else abs(n[axis])
        if facing < decals[d, 7] or p[axis] < decals[d, 4] or p[axis] > decals[d, 5]:
            continue
        if _inside(int(decals[d, 3]), points[d], int(decals[d, 12]), decals[d, 6], u, v):
            return int(decals[d, 2])
    return material


@njit(cache=True, error_model="numpy")
def _surface(
    hit: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    ray: np.ndarray,
    p: np.ndarray,
    n: np.ndarray,
) -> int:
    """Fills point and normal (turned towards the viewer) of a raster sample; returns the face."""
    face = int(hit[3]) - 1
    b0, b1 = hit[0], hit[1]
    b2 = 1 - b0 - b1
    i0, i1, i2 = faces[face, 0], faces[face, 1], faces[face, 2]
    facing, norm = 0.0, 0.0
    for a in range(3):
        p[a] = b0 * vertices[i0, a] + b1 * vertices[i1, a] + b2 * vertices[i2, a]
        n[a] = b0 * normals[face, 0, a] + b1 * normals[face, 1, a] + b2 * normals[face, 2, a]
        norm += n[a] * n[a]
        facing += n[a] * ray[a]
    norm = (1.0 if facing <= 0 else -1.0) / np.sqrt(norm + 1e-20)
    for a in range(3):
        n[a] *= norm
    return face


@njit(cache=True, error_model="numpy")
def _add_light(
    m: np.ndarray,
    tone: float,
    n: np.ndarray,
    ray: np.ndarray,
    light: np.ndarray,
    shadow: float,
    openness: float,
    out: np.ndarray,
) -> None:
    """Adds a quarter of the light that a surface sends to the eye: diffuse, highlight (Blinn), mirrored sky, glow."""
    lambert = max(0.0, n[0] * light[0, 0] + n[1] * light[0, 1] + n[2] * light[0, 2]) * shadow
    hx, hy, hz = light[0, 0] - ray[0], light[0, 1] - ray[1], light[0, 2] - ray[2]
    half = (n[0] * hx + n[1] * hy + n[2] * hz) / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-20)
    # Below 0.6 every gloss in use leaves less than 1 %, and the power is the dearest step.
    shine = m[_SPECULAR] * half ** m[_GLOSS] * shadow if lambert > 0 and half > 0.6 else 0.0
    cosine = -(n[0] * ray[0] + n[1] * ray[1] + n[2] * ray[2])
    mirror = m[_MIRROR] * (0.35 + 0.65 * (1 - max(0.0, cosine)) ** 3)
    up = ray[2] + 2 * cosine * n[2]
    above = 0.5 + 0.5 * n[2]
    for a in range(3):
        albedo = m[a] * (1 - tone) + m[3 + a] * tone
        bounce = light[4, a] * (0.35 + 0.65 * openness)
        around = openness * (above * light[2, a] + (1 - above) * bounce)
        seen = light[4, a] * 0.6
        if up > 0:
            seen = light[3, a] + (light[2, a] - light[3, a]) * min(1.0, 1.5 * up)
        colour = albedo * (around + light[1, a] * lambert) * (1 - mirror)
        colour += mirror * seen * (0.4 + 0.6 * openness) + shine * light[1, a] + m[_GLOW] * albedo
        out[a] += np.float32(0.25 * colour)


@njit(cache=True, error_model="numpy")
def _aim(rays: np.ndarray, u: float, v: float, ray: np.ndarray) -> None:
    """Fills the unit direction of a raster position."""
    norm = 0.0
    for a in range(3):
        ray[a] = rays[a, 0] * u + rays[a, 1] * v + rays[a, 2]
        norm += ray[a] * ray[a]
    norm = 1.0 / np.sqrt(norm)
    for a in range(3):
        ray[a] *= norm


@njit(cache=True, error_model="numpy")
def shade(
    raster: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    face_material: np.ndarray,
    table: np.ndarray,
    decals: np.ndarray,
    points: np.ndarray,
    planes: np.ndarray,
    room: np.ndarray,
    light: np.ndarray,
    eye: np.ndarray,
    rays: np.ndarray,
    key_map: np.ndarray,
    key_frame: np.ndarray,
    open_maps: np.ndarray,
    open_frames: np.ndarray,
) -> np.ndarray:
    """Linear colours (H, W, 3) float32 of a scene from its raster at twice the size (2H, 2W, 4).

    Args:
        vertices, faces, normals, face_material: the mesh in world (canonical) coordinates, normals per corner.
        table, decals, points: see `material_tables`. planes: (6,) materials. room, light: see `Surroundings`.
        eye: (3,) camera centre. rays: (3, 3) from (column + 0.5, row + 0.5, 1) of the big raster to world directions.
        key_map (1, S, S), key_frame (1, 3, 3), open_maps (K, S, S), open_frames: shadow maps and their light frames.
    """
    width = raster.shape[1] // 2
    out = np.zeros((raster.shape[0] // 2, width, 3), dtype=np.float32)
    p, q, n, ray, last_n = np.zeros((5, 3))  # point in the world, point where the texture is read, normal
    for pixel in range(out.shape[0] * width):
        i, j = pixel // width, pixel % width
        last, shadow, openness, tone = -9, 1.0, 1.0, 0.0
        for sample in range(4):
            r, c = 2 * i + sample // 2, 2 * j + sample % 2
            _aim(rays, c + 0.5, r + 0.5, ray)
            if raster[r, c, 3] > 0:
                face = _surface(raster[r, c], vertices, faces, normals, ray, p, n)
                q[:] = p
                material = _decal_material(face_material[face], p, n, table, decals, points)
            else:
                plane = room_hit(room, eye, ray, q, n)
                if plane < 0 or (plane > 0 and room[_SKY] > 0):
                    sky_colour(ray, light, room, p)
                    out[i, j] += (0.25 * p).astype(np.float32)
                    continue
                p[0], p[1], p[2] = room[0] * q[0] - room[1] * q[1], room[1] * q[0] + room[0] * q[1], q[2]
                material = planes[plane]
            m = table[material]
            kind = int(m[_KIND])
            # Samples of a pixel on one surface share the light that reaches it and the smooth textures.
            same = material == last and n[0] * last_n[0] + n[1] * last_n[1] + n[2] * last_n[2] > 0.9
            if not same:
                last = material
                last_n[:] = n
                shadow = lit(key_map, key_frame, 0, p[0] + 0.03 * n[0], p[1] + 0.03 * n[1], p[2] + 0.03 * n[2], 1)
                openness = ambient(open_maps, open_frames, p, n)
            if not (same and is_noisy(kind)):
                tone = m[_STRENGTH] * blend(kind, q[0], q[1], q[2], m[_FREQUENCY], int(m[_AXIS]), int(m[_SEED]))
            _add_light(m, tone, n, ray, light, shadow, openness, out[i, j])
    return out
