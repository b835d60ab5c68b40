"""Light in numba: shadow maps looked up, ambient occlusion, the room around, the sky; and normals of face corners."""

from __future__ import annotations

import numpy as np
from numba import njit

from bench3d.synth.textures import value_noise

SHADOW_REACH = 2.2
"""Half width of the shadow maps in canonical units; beyond it everything is lit."""


@njit(cache=True, error_model="numpy")
def corner_normals(vertices: np.ndarray, faces: np.ndarray, cosine: float) -> np.ndarray:
    """Normal of every face corner, (F, 3, 3) float32.

    Area-weighted over the faces at the vertex whose normals meet the face's own at an angle of at most arccos(cosine).
    """
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


@njit(cache=True, error_model="numpy", inline="always")
def lit(maps: np.ndarray, frames: np.ndarray, k: int, x: float, y: float, z: float, taps: int) -> float:
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


@njit(cache=True, error_model="numpy")
def ambient(maps: np.ndarray, frames: np.ndarray, p: np.ndarray, n: np.ndarray) -> float:
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
        total += w * lit(maps, frames, k, x, y, z, 0)
        weight += w
    return 1.0 - near * (1.0 - total / weight)


@njit(cache=True, error_model="numpy")
def room_hit(room: np.ndarray, origin: np.ndarray, ray: np.ndarray, p: np.ndarray, n: np.ndarray) -> int:
    """Where a ray leaves the room, so that walls in front of the camera are seen through.

    Fills the point p (turned by the room's yaw) and the inward normal n (world); returns the plane: 0 floor, 1 ceiling,
    2 to 5 walls, -1 missed.
    """
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
            plane = (1 if d[a] > 0 else 0) + (0 if a == 2 else 2 + 2 * a)
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


@njit(cache=True, error_model="numpy")
def sky_colour(ray: np.ndarray, light: np.ndarray, room: np.ndarray, out: np.ndarray) -> None:
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
