"""Chairs: dining, office, armchair, bar stool with a back, shell chair, folding chair. Metres; the sitter looks along -y."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bench3d.synth.materials import BLACK, cloth, metal, plastic, random_colour, vary, wood
from bench3d.synth.mesh import Builder, Mesh
from bench3d.synth.primitives import cushion, ellipsoid, lathe, loft, rod, rounded_box, rounded_rectangle, spline, tube

KINDS = ("dining", "office", "armchair", "stool", "shell", "folding")


@dataclass
class Plan:
    """Measures of one chair: seat at height `seat`, half width `w`, half depth `d`, back up to `top` leaning by `lean`."""

    seat: float
    w: float
    d: float
    top: float
    lean: float


def build(b: Builder, rng: np.random.Generator) -> str:
    """Adds one chair; returns its kind."""
    kind = str(rng.choice(KINDS, p=[0.34, 0.2, 0.16, 0.1, 0.12, 0.08]))
    p = Plan(rng.uniform(0.43, 0.48), rng.uniform(0.2, 0.25), rng.uniform(0.2, 0.24), rng.uniform(0.82, 1.02), rng.uniform(0.03, 0.1))
    {"dining": _dining, "office": _office, "armchair": _armchair, "stool": _stool, "shell": _shell, "folding": _folding}[kind](b, p, rng)
    return kind


def _frame_material(b: Builder, rng: np.random.Generator) -> int:
    pick = rng.random()
    if pick < 0.65:
        return b.material(wood(rng, 2))
    return b.material(metal() if pick < 0.8 else plastic(vary(BLACK if rng.random() < 0.5 else random_colour(rng), rng, 0.03)))


def _keypoints(b: Builder, p: Plan, leg: tuple[float, float], seat_to: float | None = None, back_w: float | None = None) -> None:
    """PASCAL3D+'s ten points; leg: half spread (x, y) of the feet."""
    thick = 0.02
    back = p.w if back_w is None else back_w
    b.keypoint_pair("back_upper_left", "back_upper_right", back * 0.95, p.d + p.lean, p.top)
    b.keypoint_pair("seat_upper_left", "seat_upper_right", p.w * 0.95, p.d * 0.9, (seat_to or p.seat) + thick)
    b.keypoint_pair("seat_lower_left", "seat_lower_right", p.w * 0.95, -p.d * 0.95, (seat_to or p.seat) + thick)
    b.keypoint_pair("leg_upper_left", "leg_upper_right", leg[0], leg[1], 0.01)
    b.keypoint_pair("leg_lower_left", "leg_lower_right", leg[0], -leg[1], 0.01)


def _back_point(p: Plan, z: float) -> float:
    """y of the leaning back at height z."""
    return p.d - 0.02 + p.lean * (z - p.seat) / (p.top - p.seat)


def _legs(b: Builder, p: Plan, material: int, rng: np.random.Generator, height: float) -> tuple[float, float]:
    """Four legs up to `height`; returns the feet's half spread."""
    style = rng.integers(4)
    splay = rng.uniform(0.0, 0.05)
    x, y = p.w - 0.03, p.d - 0.03
    r = rng.uniform(0.016, 0.024)
    for sy in (-1, 1):
        top, foot = (x, sy * y, height), (x + splay, sy * (y + splay), 0.0)
        if style == 0:
            leg = rod(foot, top, r * 0.7, r * 1.2, 10)
        elif style == 1:
            leg = loft(np.stack([np.column_stack([rounded_rectangle((s, s), s * 0.3, 1) + np.array(q[:2]), np.full(8, q[2])]) for q, s in ((foot, r * 0.8), (top, r * 1.1))]))
        elif style == 2:
            at = np.linspace(0, 1, 15)
            bead = r * (0.75 + 0.45 * np.abs(np.sin(at * np.pi * 3)) * (at > 0.2))
            leg = tube(np.outer(1 - at, foot) + np.outer(at, top), bead, 10)
        else:
            leg = rod(foot, top, 0.013, segments=8)
        b.add_pair(leg, material)
    if rng.random() < 0.5:
        z = height * rng.uniform(0.25, 0.45)
        s = x + splay * (1 - z / height)
        t = y + splay * (1 - z / height)
        b.add_pair(rod((s, -t, z), (s, t, z), 0.011, segments=8), material)
        if rng.random() < 0.6:
            b.add(rod((-s, 0, z), (s, 0, z), 0.011, segments=8), material)
    return x + splay, y + splay


def _seat(b: Builder, p: Plan, frame: int, rng: np.random.Generator, height: float) -> None:
    """Wooden plate, round plate or upholstered seat."""
    style = rng.integers(3)
    frame = b.material(replace(b.look(frame), axis=1))  # the grain of a seat lies flat
    if style == 0:
        b.add(rounded_box((2 * p.w, 2 * p.d, 0.03), (0, 0, height), 0.015), frame)
    elif style == 1:
        b.add(rounded_box((2 * p.w, 2 * p.d, 0.035), (0, 0, height - 0.01), 0.015), frame)
        b.add(cushion((2 * p.w * 0.97, 2 * p.d * 0.97, 0.06), (0, 0, height + 0.03), 0.35), b.material(cloth(rng)))
    else:
        outline = [rounded_rectangle((p.w - i, p.d - i), 0.55 * min(p.w, p.d), 4) for i in (0.01, 0.0, 0.0, 0.015)]
        z = (height - 0.015, height - 0.008, height + 0.01, height + 0.02)
        b.add(loft(np.stack([np.column_stack([o, np.full(len(o), k)]) for o, k in zip(outline, z, strict=True)])), frame)


def _dining(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    frame = _frame_material(b, rng)
    feet = _legs(b, p, frame, rng, p.seat)
    _seat(b, p, frame, rng, p.seat)
    _wooden_back(b, p, frame, rng, p.seat)
    if rng.random() < 0.2:
        _arm_rests(b, p, frame, p.seat)
    _keypoints(b, p, feet)


def _wooden_back(b: Builder, p: Plan, frame: int, rng: np.random.Generator, seat: float) -> None:
    """Posts with slats, spindles, a cross, or a panel."""
    x = p.w - 0.03
    heights = np.linspace(seat - 0.02, p.top, 6)
    post = np.column_stack([np.full(6, x), [_back_point(p, z) for z in heights], heights])
    style = rng.integers(5)
    b.add_pair(tube(post, np.linspace(0.019, 0.015, 6), 8), frame)

    def rail(z: float, tall: float, thick: float = 0.02) -> Mesh:
        return rounded_box((2 * x, thick, tall), (0, _back_point(p, z), z), 0.009)

    b.add(rail(p.top - 0.04, 0.08), frame)
    if style == 0:
        for z in np.linspace(seat + 0.12, p.top - 0.16, int(rng.integers(2, 5))):
            b.add(rail(float(z), 0.045), frame)
    elif style in (1, 2):
        b.add(rail(seat + 0.1, 0.03), frame)
        count = int(rng.integers(4, 8))
        for k in range(count):
            u = (k + 1) / (count + 1) * 2 - 1
            low, high = seat + 0.1, p.top - 0.06
            b.add(rod((u * x, _back_point(p, low), low), (u * x, _back_point(p, high), high), 0.009, segments=6), frame)
    elif style == 3:
        low, high = seat + 0.1, p.top - 0.06
        for s in (-1, 1):
            b.add(rod((s * x, _back_point(p, low), low), (-s * x, _back_point(p, high), high), 0.012, segments=6), frame)
    else:
        low, high = seat + 0.13, p.top - 0.07
        middle = (low + high) / 2
        slope = np.degrees(np.arctan(p.lean / (p.top - p.seat)))
        pad = rounded_box((2 * x - 0.03, 0.035, high - low), (0, 0, 0), 0.016).turned(0, -slope)
        b.add(pad.moved(0, _back_point(p, middle) - 0.005, middle), b.material(cloth(rng)) if rng.random() < 0.6 else frame)


def _arm_rests(b: Builder, p: Plan, material: int, seat: float) -> None:
    z = seat + 0.2
    b.add_pair(rounded_box((0.045, 1.7 * p.d, 0.028), (p.w, 0.05, z), 0.012), material)
    b.add_pair(rod((p.w, -0.6 * p.d, seat), (p.w, -0.6 * p.d, z), 0.014, segments=8), material)


def _office(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    dark = b.material(plastic(vary(BLACK, rng, 0.03)))
    steel = b.material(metal()) if rng.random() < 0.6 else dark
    fabric = b.material(cloth(rng))
    p.seat = rng.uniform(0.46, 0.52)
    p.top = p.seat + rng.uniform(0.45, 0.75)
    reach = rng.uniform(0.28, 0.33)
    for k in range(5):
        arm = tube([(0.03, 0, 0.13), (reach * 0.5, 0, 0.11), (reach, 0, 0.075)], [0.03, 0.024, 0.016], 8)
        wheel = lathe([(0.028, -0.02), (0.03, -0.012), (0.03, 0.012), (0.028, 0.02)], 1, 12).moved(reach, 0, 0.03)
        b.add(arm.turned(2, 72 * k + 90), steel)
        b.add(wheel.turned(2, 72 * k + 90), dark)
    b.add(rod((0, 0, 0.1), (0, 0, p.seat - 0.04), 0.026, segments=12), steel)
    b.add(rounded_box((0.2, 0.24, 0.04), (0, 0, p.seat - 0.05), 0.015), dark)
    b.add(cushion((2 * p.w + 0.06, 2 * p.d + 0.06, 0.1), (0, 0, p.seat), 0.2), fabric)
    height = p.top - p.seat - rng.uniform(0.08, 0.16)
    tilt = np.degrees(np.arctan(p.lean / (p.top - p.seat)))
    back = cushion((2 * p.w, height, 0.09), (0, 0, 0), 0.3).turned(0, 90).turned(0, -tilt)
    # A curved back hugs the sitter.
    vertices = back.vertices.copy()
    vertices[:, 1] -= 0.35 * vertices[:, 0] ** 2
    middle = p.top - height / 2
    b.add(Mesh(vertices, back.faces).moved(0, _back_point(p, middle), middle), fabric)
    stem = spline([(0, 0.1, p.seat - 0.06), (0, p.d + 0.06, p.seat - 0.02), (0, _back_point(p, middle) + 0.045, middle)], 8)
    b.add(tube(stem, 0.022, 8), dark)
    if rng.random() < 0.75:
        z = p.seat + rng.uniform(0.17, 0.22)
        x = p.w + 0.05
        b.add_pair(rounded_box((0.07, 0.25, 0.03), (x, 0.0, z), 0.014), dark)
        b.add_pair(tube([(0.12, 0.02, p.seat - 0.05), (x, 0.02, p.seat - 0.03), (x, 0.02, z)], 0.016, 8), dark)
    if rng.random() < 0.3:
        b.add(cushion((0.26, 0.12, 0.07), (0, 0, 0), 0.3).turned(0, 90).moved(0, _back_point(p, p.top) + 0.02, p.top + 0.06), fabric)
    _keypoints(b, p, (reach * 0.9, reach * 0.78), p.seat + 0.02)


def _armchair(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    fabric, feet = b.material(cloth(rng)), b.material(wood(rng, 2))
    pillow = b.material(cloth(rng)) if rng.random() < 0.3 else fabric
    p.w, p.d, p.seat, p.top = rng.uniform(0.34, 0.4), rng.uniform(0.34, 0.4), rng.uniform(0.38, 0.43), rng.uniform(0.8, 1.0)
    arm, rise = rng.uniform(0.1, 0.16), rng.uniform(0.56, 0.64)
    leg = rng.uniform(0.07, 0.16)
    spread = (p.w - 0.06, p.d - 0.06)
    for sy in (-1, 1):
        b.add_pair(rod((spread[0] + 0.02, sy * (spread[1] + 0.02), 0), (spread[0], sy * spread[1], leg + 0.03), 0.018, 0.028, 10), feet)
    b.add(rounded_box((2 * p.w - 0.02, 2 * p.d, p.seat - leg - 0.1), (0, 0, (p.seat - 0.1 + leg) / 2), 0.03), fabric)
    b.add_pair(rounded_box((arm, 2 * p.d, rise - leg), (p.w - arm / 2, 0, (rise + leg) / 2), 0.05, 3), fabric)
    b.add(cushion((2 * (p.w - arm) - 0.01, 2 * p.d - 0.12, 0.16), (0, -0.04, p.seat - 0.05), 0.25), pillow)
    tilt = float(rng.uniform(4, 12))
    height = p.top - leg
    back = rounded_box((2 * p.w - 0.02, 0.16, height), (0, 0, height / 2), 0.06, 3).turned(0, -tilt)
    b.add(back.moved(0, p.d - 0.1, leg), fabric)
    b.add(cushion((2 * (p.w - arm) - 0.02, p.top - p.seat, 0.13), (0, 0, 0), 0.35).turned(0, 90 - tilt).moved(0, p.d - 0.17, (p.top + p.seat) / 2), pillow)
    p.lean = -0.1 + height * np.sin(np.deg2rad(tilt))
    _keypoints(b, p, spread, p.seat)


def _stool(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    frame = _frame_material(b, rng)
    p.seat = rng.uniform(0.62, 0.75)
    p.w, p.d = rng.uniform(0.17, 0.2), rng.uniform(0.17, 0.2)
    p.top = p.seat + rng.uniform(0.22, 0.36)
    feet = _legs(b, p, frame, rng, p.seat)
    z = p.seat * 0.33
    ring = rounded_rectangle((p.w - 0.02, p.d - 0.02), 0.02, 2)
    b.add(tube(np.column_stack([ring, np.full(len(ring), z)]), 0.011, 6, closed=True), frame)
    _seat(b, p, frame, rng, p.seat)
    _wooden_back(b, p, frame, rng, p.seat)
    _keypoints(b, p, feet)


def _shell(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    """A moulded shell on dowel or steel legs."""
    shell = b.material(plastic(vary(((0.9, 0.9, 0.88), (0.12, 0.12, 0.13), random_colour(rng))[rng.integers(3)], rng, 0.04)))
    legs = b.material(wood(rng, 2) if rng.random() < 0.6 else metal())
    p.w, p.top = rng.uniform(0.23, 0.26), rng.uniform(0.78, 0.86)
    # A section through the middle: front lip, seat, bend, top of the back.
    path = spline([(-p.d - 0.02, p.seat - 0.02), (-p.d * 0.7, p.seat), (p.d * 0.5, p.seat - 0.02), (p.d * 0.95, p.seat + 0.07), (p.d + p.lean, p.top)], 22)
    across = np.linspace(-1, 1, 15)
    grid = np.zeros((len(path), len(across), 3))
    for i, (y, z) in enumerate(path):
        s = i / (len(path) - 1)
        wide = p.w * (0.86 + 0.16 * np.sin(np.pi * min(s * 1.3, 1))) * (1 - 0.35 * max(0.0, (s - 0.75) / 0.25) ** 3)
        up = 0.09 * np.sin(np.pi * np.clip(s * 1.15, 0, 1)) ** 1.5
        wrap = 0.10 * max(0.0, s - 0.45)
        grid[i] = np.column_stack([across * wide, y - wrap * 1.6 * across**4, z + up * across**4])
    b.add(_plate(grid, 0.012), shell)
    feet = (p.w - 0.01, p.d + 0.0)
    for sy in (-1, 1):
        b.add_pair(rod((feet[0], sy * feet[1], 0), (0.11, sy * 0.12, p.seat - 0.02), 0.011, 0.016, 8), legs)
    z = p.seat * 0.55
    b.add_pair(rod((0.16, -0.17, z), (0.16, 0.17, z), 0.006, segments=6), legs)
    b.add(rod((-0.16, 0, z), (0.16, 0, z), 0.006, segments=6), legs)
    _keypoints(b, p, feet, p.seat - 0.005, p.w * 0.6)


def _plate(grid: np.ndarray, thick: float) -> Mesh:
    """A closed sheet of some thickness around a surface grid (R, C, 3)."""
    normal = np.cross(np.gradient(grid, axis=1), np.gradient(grid, axis=0))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    over, under = grid - normal * thick / 2, grid + normal * thick / 2
    rings = np.concatenate([over, under[:, ::-1]], axis=1)
    return loft(rings)


def _folding(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    """Crossed steel tubes, plate seat and back."""
    frame = b.material(metal() if rng.random() < 0.5 else plastic(vary(BLACK, rng, 0.03)))
    wooden = rng.random() < 0.5
    panel = b.material(wood(rng, 0) if wooden else plastic(vary(random_colour(rng), rng, 0.1)))
    x = p.w - 0.01
    top_y = p.d + p.lean
    b.add_pair(rod((x, -p.d - 0.04, 0), (x, top_y, p.top), 0.012, segments=8), frame)
    b.add_pair(rod((x - 0.03, p.d + 0.06, 0), (x - 0.03, -p.d * 0.6, p.seat), 0.012, segments=8), frame)
    for y, z in ((-p.d + 0.02, 0.12), (p.d - 0.02, 0.1)):
        b.add(rod((-x, y, z), (x, y, z), 0.009, segments=6), frame)
    b.add(rounded_box((2 * p.w - 0.06, 2 * p.d - 0.04, 0.022), (0, -0.02, p.seat), 0.01), panel)
    low = p.top - rng.uniform(0.14, 0.24)
    slope = (top_y + p.d + 0.04) / p.top
    middle = (low + p.top) / 2
    back = rounded_box((2 * p.w - 0.02, 0.018, p.top - low), (0, 0, 0), 0.008).turned(0, -np.degrees(np.arctan(slope)))
    b.add(back.moved(0, -p.d - 0.04 + slope * middle - 0.012, middle), panel)
    b.add_pair(ellipsoid((0.014, 0.014, 0.014), (x, top_y, p.top), 8), frame)
    _keypoints(b, p, (x, p.d + 0.03))


