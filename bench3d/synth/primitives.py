"""Well-shaped building blocks: lofts, tubes, lathes, rounded boxes, cushions. Closed, faces looking outwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench3d.synth.mesh import Mesh

Vec = Sequence[float] | np.ndarray


def loft(rings: np.ndarray, caps: bool = True, closed: bool = False) -> Mesh:
    """Skin over rings (R, P, 3) of equal point count; fans close the two ends, `closed` joins last and first ring.

    Faces look outwards when the ring points run counter-clockwise seen against the direction of travel.
    """
    count, points = rings.shape[:2]
    vertices = rings.reshape(-1, 3)
    i, j = np.meshgrid(np.arange(count if closed else count - 1), np.arange(points), indexing="ij")
    a, b = i * points + j, i * points + (j + 1) % points
    c, d = (i + 1) % count * points + j, (i + 1) % count * points + (j + 1) % points
    faces = [np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)]
    if caps and not closed:
        ends = np.stack([rings[0].mean(0), rings[-1].mean(0)])
        vertices = np.concatenate([vertices, ends])
        k = np.arange(points)
        first, last = np.full(points, count * points), np.full(points, count * points + 1)
        top = (count - 1) * points
        faces.append(np.stack([first, (k + 1) % points, k], -1))
        faces.append(np.stack([last, top + k, top + (k + 1) % points], -1))
    return Mesh(vertices.astype(np.float64), np.concatenate(faces).astype(np.int64))


def rounded_rectangle(
    half: tuple[float, float], radius: float | Sequence[float], segments: int = 3, centre: tuple[float, float] = (0, 0)
) -> np.ndarray:
    """Counter-clockwise outline (4 (segments + 1), 2); radii of the corners (+,+), (-,+), (-,-), (+,-)."""
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), (4,)).copy()
    radii = np.minimum(radii, min(half) * 0.999)
    angles = np.linspace(0, np.pi / 2, segments + 1)
    out = []
    for k, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        turn = angles + k * np.pi / 2
        corner = np.array([sx * (half[0] - radii[k]), sy * (half[1] - radii[k])])
        out.append(corner + radii[k] * np.stack([np.cos(turn), np.sin(turn)], -1))
    return np.concatenate(out) + np.asarray(centre)


def rounded_box(size: Vec, centre: Vec = (0, 0, 0), radius: float = 0.02, segments: int = 2) -> Mesh:
    """Box of full `size` with rounded edges."""
    half = np.asarray(size, dtype=np.float64) / 2
    radius = float(min(radius, half.min() * 0.98))
    angles = np.linspace(0, np.pi / 2, segments + 1)
    rings = []
    for sign in (-1, 1):
        for angle in angles if sign < 0 else angles[::-1]:
            inset = radius * (1 - np.sin(angle))
            outline = rounded_rectangle((half[0] - inset, half[1] - inset), max(radius - inset, 1e-4), segments)
            z = sign * (half[2] - radius * (1 - np.cos(angle)))
            rings.append(np.column_stack([outline, np.full(len(outline), z)]))
    mesh = loft(np.stack(rings))
    return mesh.moved(*map(float, centre))


def box(size: Vec, centre: Vec = (0, 0, 0)) -> Mesh:
    """Sharp box."""
    half = np.asarray(size, dtype=np.float64) / 2
    outline = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * half[:2]
    rings = np.stack([np.column_stack([outline, np.full(4, z)]) for z in (-half[2], half[2])])
    return loft(rings).moved(*map(float, centre))


def cushion(size: Vec, centre: Vec = (0, 0, 0), puff: float = 0.25, segments: int = 6) -> Mesh:
    """Pillow: a rounded box whose thickness along z swells towards the middle by `puff` of its height."""
    half = np.asarray(size, dtype=np.float64) / 2
    levels = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 2 * segments + 1))
    rings = []
    corner = 0.35 * min(half[0], half[1])
    for level in levels:
        width = (1 - abs(level) ** 4) ** 0.25 if abs(level) < 1 else 0.0
        shrink = 0.25 * min(half[0], half[1])
        outline = rounded_rectangle((half[0] - shrink * (1 - width), half[1] - shrink * (1 - width)), corner, 3)
        rings.append(np.column_stack([outline, np.full(len(outline), level)]))
    # Two inner rings on both faces carry the swelling; the fan centre is the highest point.
    top, bottom = rings[-1], rings[0]
    inner = [np.column_stack([ring[:, :2] * s, ring[:, 2]]) for ring, s in ((bottom, 0.3), (bottom, 0.65))]
    outer = [np.column_stack([ring[:, :2] * s, ring[:, 2]]) for ring, s in ((top, 0.65), (top, 0.3))]
    mesh = loft(np.stack([*inner, *rings, *outer]))
    x, y, z = mesh.vertices.T
    bulge = (
        np.cos(np.clip(x / half[0], -1, 1) * np.pi / 2) ** 0.7 * np.cos(np.clip(y / half[1], -1, 1) * np.pi / 2) ** 0.7
    )
    height = half[2] * (1 - puff + puff * bulge)
    return Mesh(np.column_stack([x, y, z * height]), mesh.faces).moved(*map(float, centre))


def tube(path: Sequence[Vec] | np.ndarray, radius: float | Vec, segments: int = 8, closed: bool = False) -> Mesh:
    """Round tube along a polyline (N, 3); radius one number or one per point. Frames by parallel transport."""
    points = np.asarray(path, dtype=np.float64)
    count = len(points)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), (count,))
    tangents = np.roll(points, -1, 0) - np.roll(points, 1, 0) if closed else np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True) + 1e-12
    side = np.cross(tangents[0], np.eye(3)[np.argmin(np.abs(tangents[0]))])
    side /= np.linalg.norm(side)
    angles = np.arange(segments) * 2 * np.pi / segments
    rings = []
    for point, tangent, r in zip(points, tangents, radii, strict=True):
        side = side - tangent * (side @ tangent)
        side /= np.linalg.norm(side)
        up = np.cross(tangent, side)
        rings.append(point + r * (np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * up))
    return loft(np.stack(rings), closed=closed)


def rod(start: Vec, end: Vec, radius: float, radius2: float | None = None, segments: int = 10) -> Mesh:
    """Cylinder or cone between two points."""
    return tube(np.array([start, end], dtype=np.float64), [radius, radius if radius2 is None else radius2], segments)


def lathe(profile: Sequence[Sequence[float]], axis: int = 2, segments: int = 20, closed: bool = False) -> Mesh:
    """Turns a profile of (radius, height) pairs about a coordinate axis; `closed` joins its ends (a ring body).

    The profile runs from low to high on the outside.
    """
    outline = np.asarray(profile, dtype=np.float64)
    angles = np.arange(segments) * 2 * np.pi / segments
    rings = np.stack(
        [np.column_stack([r * np.cos(angles), r * np.sin(angles), np.full(segments, h)]) for r, h in outline]
    )
    mesh = loft(rings, closed=closed)
    order = {0: [2, 0, 1], 1: [1, 2, 0], 2: [0, 1, 2]}[axis]
    return Mesh(mesh.vertices[:, order], mesh.faces)


def torus(major: float, minor: float, axis: int = 2, segments: int = 28, around: int = 8, flat: float = 1.0) -> Mesh:
    """Ring; `flat` stretches the tube along the axis."""
    angles = np.arange(around) * 2 * np.pi / around
    profile = np.column_stack([major + minor * np.cos(angles), flat * minor * np.sin(angles)])
    return lathe(profile.tolist(), axis, segments, closed=True)


def ellipsoid(radii: Vec, centre: Vec = (0, 0, 0), segments: int = 12, power: float = 1.0) -> Mesh:
    """Ellipsoid; power < 1 makes it boxier (a superellipsoid)."""
    levels = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 3)[1:-1]
    angles = np.arange(segments) * 2 * np.pi / segments

    def bend(value: np.ndarray) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** power

    rings = [
        np.column_stack(
            [
                bend(np.cos(t)) * bend(np.cos(angles)),
                bend(np.cos(t)) * bend(np.sin(angles)),
                np.full(segments, bend(np.sin(t))),
            ]
        )
        for t in levels
    ]
    mesh = loft(np.stack(rings))
    mesh.vertices[-2:, 2] = (-1.0, 1.0)
    return mesh.scaled(*map(float, radii)).moved(*map(float, centre))


def prism(outline: Sequence[Sequence[float]], low: float, high: float, axis: int = 0, bevel: float = 0.0) -> Mesh:
    """A simple polygon in the plane across `axis` pulled from `low` to `high`, edges bevelled by `bevel`.

    The polygon's coordinates are the other two axes in order and may run either way round and be non-convex.
    """
    points = np.asarray(outline, dtype=np.float64)
    if axis == 1:
        points = points[:, ::-1]
    if _area(points) < 0:
        points = points[::-1]
    count = len(points)
    layers = [(low, points)]
    if bevel > 0:
        small = _inset(points, bevel)
        layers = [(low, small), (low + bevel, points), (high - bevel, points), (high, small)]
    else:
        layers.append((high, points))
    rings = np.stack([np.column_stack([p, np.full(count, h)]) for h, p in layers])
    body = loft(rings, caps=False)
    cap = _ears(layers[0][1])
    faces = np.concatenate([body.faces, cap[:, ::-1], cap + (len(layers) - 1) * count])
    order = {0: [2, 0, 1], 1: [1, 2, 0], 2: [0, 1, 2]}[axis]
    return Mesh(body.vertices[:, order], faces)


def spline(points: Sequence[Sequence[float]], count: int) -> np.ndarray:
    """Catmull-Rom curve through the points, `count` samples spread by chord length."""
    p = np.asarray(points, dtype=np.float64)
    knots = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    at = np.linspace(0, knots[-1], count)
    slope = np.gradient(p, knots, axis=0) if len(p) > 2 else np.repeat((p[1:] - p[:1]) / knots[-1], 2, axis=0)
    k = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(p) - 2)
    step = (knots[k + 1] - knots[k])[:, None]
    t = (at - knots[k])[:, None] / step
    return (
        (2 * t**3 - 3 * t**2 + 1) * p[k]
        + (t**3 - 2 * t**2 + t) * step * slope[k]
        + (3 * t**2 - 2 * t**3) * p[k + 1]
        + (t**3 - t**2) * step * slope[k + 1]
    )


def _area(points: np.ndarray) -> float:
    x, y = points.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def _inset(points: np.ndarray, distance: float) -> np.ndarray:
    """Each vertex of a counter-clockwise outline moved inwards along its mitre, at most twice the distance."""
    edges = np.roll(points, -1, 0) - points
    edges /= np.linalg.norm(edges, axis=1, keepdims=True) + 1e-12
    normals = np.column_stack([-edges[:, 1], edges[:, 0]])
    mitre = normals + np.roll(normals, 1, 0)
    mitre /= np.maximum((mitre**2).sum(1, keepdims=True) / 2, 0.5)
    return points + distance * mitre


def _ears(points: np.ndarray) -> np.ndarray:
    """Triangles (N - 2, 3) of a simple counter-clockwise polygon by ear clipping."""
    left = list(range(len(points)))
    out: list[tuple[int, int, int]] = []

    def cross(o: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return float((a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]))

    def is_ear(a: int, b: int, c: int) -> bool:
        if cross(points[a], points[b], points[c]) <= 1e-12:
            return False
        inside = (
            min(cross(points[a], points[b], q), cross(points[b], points[c], q), cross(points[c], points[a], q)) > 0
            for q in (points[k] for k in left if k not in (a, b, c))
        )
        return not any(inside)

    while len(left) > 3:
        size = len(left)
        for k in range(size):
            a, b, c = left[k - 1], left[k], left[(k + 1) % size]
            if is_ear(a, b, c):
                break
        else:  # only collinear corners are left
            k = 0
            a, b, c = left[-1], left[0], left[1]
        out.append((a, b, c))
        left.pop(k)
    out.append((left[0], left[1], left[2]))
    return np.array(out, dtype=np.int64)
