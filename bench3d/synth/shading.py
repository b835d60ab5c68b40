"""Deferred shading in numba: textures, decals, key light with soft shadow, ambient occlusion, room; 4 samples a pixel."""

from __future__ import annotations

import numpy as np
from numba import njit

from bench3d.synth.materials import DECAL_KINDS, MAX_POINTS, TEXTURES, Material
from bench3d.synth.textures import blend, is_noisy, value_noise

SHADOW_REACH = 2.2
"""Half width of the shadow maps in canonical units; beyond it everything is lit."""

# Columns of the material table.
_KIND, _FREQUENCY, _STRENGTH, _AXIS, _SPECULAR, _GLOSS, _MIRROR, _GLOW, _FIRST, _LAST, _SEED = range(6, 17)
# Columns of the room: cos, sin of its yaw, low and high corner, sky flag.
_SKY = 8


def material_tables(materials: list[Material], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables for the kernel: materials (M, 17), decals (D, 13), decal points (D, MAX_POINTS, 2). Colours become linear."""
    rows, decals, points = [], [], []
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
        rows.append((*colours, kind, m.frequency, m.strength, m.axis, *look, first, len(decals), seed % 100003 + 131 * k))
    return (
        np.array(rows, dtype=np.float64).reshape(-1, 17),
        np.array(decals, dtype=np.float64).reshape(-1, 13),
        np.array(points, dtype=np.float64).reshape(-1, MAX_POINTS, 2),
    )


@njit(cache=True)
def corner_normals(vertices: np.ndarray, faces: np.ndarray, cosine: float) -> np.ndarray:
    """Normal of every face corner (F, 3, 3): area-weighted over the faces at the vertex that bend less than the crease."""
    count = len(faces)
    flat = np.zeros((count, 3), dtype=np.float64)
    degree = np.zeros(len(vertices) + 1, dtype=np.int64)
    for f in range(count):
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        flat[f] = np.cross((b - a).astype(np.float64), (c - a).astype(np.float64))
        for k in range(3):
            degree[faces[f, k] + 1] += 1
    start = np.cumsum(degree)
    fill = start[:-1].copy()
    incident = np.zeros(3 * count, dtype=np.int64)
    for f in range(count):
        for k in range(3):
            v = faces[f, k]
            incident[fill[v]] = f
            fill[v] += 1
    size = np.sqrt((flat**2).sum(axis=1)) + 1e-20
    out = np.zeros((count, 3, 3), dtype=np.float32)
    for f in range(count):
        for k in range(3):
            v = faces[f, k]
            x = y = z = 0.0
            for e in range(start[v], start[v + 1]):
                g = incident[e]
                d = flat[f, 0] * flat[g, 0] + flat[f, 1] * flat[g, 1] + flat[f, 2] * flat[g, 2]
                if d >= cosine * size[f] * size[g]:
                    x += flat[g, 0]
                    y += flat[g, 1]
                    z += flat[g, 2]
            n = np.sqrt(x * x + y * y + z * z) + 1e-20
            out[f, k, 0], out[f, k, 1], out[f, k, 2] = x / n, y / n, z / n
    return out


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True, inline="always")
def _lit(maps: np.ndarray, frames: np.ndarray, k: int, x: float, y: float, z: float, taps: int) -> float:
    """Share of the taps around a point that the k-th light direction reaches."""
    size = maps.shape[1]
    f = frames[k]
    u = (f[0, 0] * x + f[0, 1] * y + f[0, 2] * z) / SHADOW_REACH
    v = (f[1, 0] * x + f[1, 1] * y + f[1, 2] * z) / SHADOW_REACH
    depth = (f[2, 0] * x + f[2, 1] * y + f[2, 2] * z - 0.012) / (2.0 * SHADOW_REACH)
    cx, cy = (u + 1) * 0.5 * size, (v + 1) * 0.5 * size
    reached, total = 0, 0
    for a in range(-taps, taps + 1):
        for b in range(-taps, taps + 1):
            i, j = int(np.floor(cy + 1.3 * a)), int(np.floor(cx + 1.3 * b))
            total += 1
            if i < 0 or j < 0 or i >= size or j >= size or depth <= maps[k, i, j]:
                reached += 1
    return reached / total


@njit(cache=True)
def _ambient(maps: np.ndarray, frames: np.ndarray, p: np.ndarray, n: np.ndarray) -> float:
    """Openness of the upper half space around a point, over the fixed directions, weighted by the cosine."""
    # The maps are coarse: their blocks would show on distant walls, which the object hardly darkens.
    near = min(1.0, (3.0 - np.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])) / 1.2)
    if near <= 0:
        return 1.0
    x, y, z = p[0] + 0.07 * n[0], p[1] + 0.07 * n[1], p[2] + 0.07 * n[2]
    total, weight = 0.0, 0.0
    for k in range(len(maps)):
        c = -(frames[k, 2, 0] * n[0] + frames[k, 2, 1] * n[1] + frames[k, 2, 2] * n[2])
        w = max(0.0, c) + 0.08
        total += w * _lit(maps, frames, k, x, y, z, 0)
        weight += w
    return 1.0 - near * (1.0 - total / weight)


@njit(cache=True)
def _room_hit(room: np.ndarray, origin: np.ndarray, ray: np.ndarray, p: np.ndarray, n: np.ndarray) -> int:
    """Where a ray leaves the room, so that walls in front of the camera are seen through. Fills the point (turned by
    the room's yaw), the inward normal (world) and returns the plane: 0 floor, 1 ceiling, 2-5 walls, -1 missed."""
    c, s = room[0], room[1]
    o = (c * origin[0] + s * origin[1], -s * origin[0] + c * origin[1], origin[2])
    d = (c * ray[0] + s * ray[1], -s * ray[0] + c * ray[1], ray[2])
    leave, enter, plane = 1e30, -1e30, -1
    for a in range(3):
        if abs(d[a]) < 1e-12:
            continue
        t0, t1 = (room[2 + a] - o[a]) / d[a], (room[5 + a] - o[a]) / d[a]
        far = max(t0, t1)
        enter = max(enter, min(t0, t1))
        if far < leave:
            leave = far
            if a == 2:
                plane = 1 if d[2] > 0 else 0
            else:
                plane = 2 + 2 * a + (1 if d[a] > 0 else 0)
    if leave <= 0 or enter > leave:
        return -1
    for a in range(3):
        p[a] = o[a] + leave * d[a]
    n[0] = n[1] = n[2] = 0.0
    if plane < 2:
        n[2] = 1.0 if plane == 0 else -1.0
    elif plane < 4:
        sign = -1.0 if plane == 3 else 1.0
        n[0], n[1] = sign * c, sign * s
    else:
        sign = -1.0 if plane == 5 else 1.0
        n[0], n[1] = -sign * s, sign * c
    return plane


@njit(cache=True)
def _sky(ray: np.ndarray, light: np.ndarray, room: np.ndarray, out: np.ndarray) -> None:
    """Sky with clouds and a hazy horizon; below it the floor's colour."""
    up = ray[2]
    if up < 0:
        for c in range(3):
            out[c] = light[4, c] * 0.8
        return
    t = min(1.0, up * 2.2) ** 0.6
    cloud = value_noise(3 * ray[0] / (up + 0.25), 3 * ray[1] / (up + 0.25), 7.3, int(room[9]))
    cloud = max(0.0, cloud - 0.45) * 1.3 * room[10]
    for c in range(3):
        out[c] = (light[3, c] * (1 - t) + light[2, c] * t) * (1 - cloud) + cloud * 0.9


@njit(cache=True)
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
        table, decals, points: see `material_tables`. planes: (6,) int material of floor, ceiling and walls.
        room: cos, sin of the yaw, low (3), high (3), 1 where the walls are sky, sky seed, cloudiness.
        light: rows: direction to the key light, its colour, sky, horizon, ground bounce; each (3,).
        eye: (3,) camera centre. rays: (3, 3) from (column + 0.5, row + 0.5, 1) of the big raster to world directions.
        key_map (1, S, S), key_frame (1, 3, 3), open_maps (K, S, S), open_frames: shadow maps and their light frames.
    """
    height, width = raster.shape[0] // 2, raster.shape[1] // 2
    out = np.zeros((height, width, 3), dtype=np.float32)
    p, n, ray, q, sky = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    last_n = np.zeros(3)
    for i in range(height):
        for j in range(width):
            last, shadow, openness, tone, last_tone = -9, 1.0, 1.0, 0.0, -9
            for sample in range(4):
                r, c = 2 * i + sample // 2, 2 * j + sample % 2
                u, v = c + 0.5, r + 0.5
                norm = 0.0
                for a in range(3):
                    ray[a] = rays[a, 0] * u + rays[a, 1] * v + rays[a, 2]
                    norm += ray[a] * ray[a]
                norm = 1.0 / np.sqrt(norm)
                for a in range(3):
                    ray[a] *= norm
                face = int(raster[r, c, 3]) - 1
                if face >= 0:
                    b0, b1 = raster[r, c, 0], raster[r, c, 1]
                    b2 = 1 - b0 - b1
                    i0, i1, i2 = faces[face, 0], faces[face, 1], faces[face, 2]
                    facing, norm = 0.0, 0.0
                    for a in range(3):
                        p[a] = b0 * vertices[i0, a] + b1 * vertices[i1, a] + b2 * vertices[i2, a]
                        n[a] = b0 * normals[face, 0, a] + b1 * normals[face, 1, a] + b2 * normals[face, 2, a]
                        q[a] = p[a]
                        norm += n[a] * n[a]
                        facing += n[a] * ray[a]
                    norm = (1.0 if facing <= 0 else -1.0) / np.sqrt(norm + 1e-20)
                    for a in range(3):
                        n[a] *= norm
                    material = _decal_material(face_material[face], p, n, table, decals, points)
                    group = material
                else:
                    plane = _room_hit(room, eye, ray, q, n)
                    if plane < 0 or (plane > 0 and room[_SKY] > 0):
                        _sky(ray, light, room, sky)
                        for a in range(3):
                            out[i, j, a] += 0.25 * sky[a]
                        continue
                    p[0], p[1], p[2] = room[0] * q[0] - room[1] * q[1], room[1] * q[0] + room[0] * q[1], q[2]
                    material = planes[plane]
                    group = -2 - plane
                m = table[material]
                same = group == last and n[0] * last_n[0] + n[1] * last_n[1] + n[2] * last_n[2] > 0.9
                if not same:
                    last = group
                    for a in range(3):
                        last_n[a] = n[a]
                    shadow = _lit(key_map, key_frame, 0, p[0] + 0.03 * n[0], p[1] + 0.03 * n[1], p[2] + 0.03 * n[2], 1)
                    openness = _ambient(open_maps, open_frames, p, n)
                kind = int(m[_KIND])
                if kind != 0 and not (same and last_tone == material and is_noisy(kind)):
                    tone = m[_STRENGTH] * blend(kind, q[0], q[1], q[2], m[_FREQUENCY], int(m[_AXIS]), int(m[_SEED]))
                    last_tone = material
                if kind == 0:
                    tone, last_tone = 0.0, -9
                lambert = max(0.0, n[0] * light[0, 0] + n[1] * light[0, 1] + n[2] * light[0, 2]) * shadow
                # Highlight by the half vector between light and eye; reflection by the mirrored ray.
                hx, hy, hz = light[0, 0] - ray[0], light[0, 1] - ray[1], light[0, 2] - ray[2]
                half = (n[0] * hx + n[1] * hy + n[2] * hz) / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-20)
                shine = m[_SPECULAR] * max(0.0, half) ** m[_GLOSS] * shadow if lambert > 0 else 0.0
                cosine = -(n[0] * ray[0] + n[1] * ray[1] + n[2] * ray[2])
                mirror = m[_MIRROR] * (0.35 + 0.65 * (1 - max(0.0, cosine)) ** 3)
                up = ray[2] + 2 * cosine * n[2]
                sky_share = 0.5 + 0.5 * n[2]
                for a in range(3):
                    albedo = m[a] * (1 - tone) + m[3 + a] * tone
                    bounce = light[4, a] * (0.35 + 0.65 * openness)
                    ambient = openness * (sky_share * light[2, a] + (1 - sky_share) * bounce)
                    if up > 0:
                        seen = light[3, a] + (light[2, a] - light[3, a]) * min(1.0, 1.5 * up)
                    else:
                        seen = light[4, a] * 0.6
                    colour = albedo * (ambient + light[1, a] * lambert) * (1 - mirror)
                    colour += mirror * seen * (0.4 + 0.6 * openness) + shine * light[1, a] + m[_GLOW] * albedo
                    out[i, j, a] += np.float32(0.25 * colour)
    return out
