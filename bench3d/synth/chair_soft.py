"""Chairs without four wooden legs and a back of posts: office chair, armchair, moulded shell. Metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.synth.materials import BLACK, cloth, metal, plastic, random_colour, vary, wood
from bench3d.synth.mesh import Builder, Mesh
from bench3d.synth.primitives import cushion, lathe, loft, rod, rounded_box, spline, tube


@dataclass
class Plan:
    """Measures of one chair: height of the seat, half width w, half depth d, top of the back and how far it leans."""

    seat: float
    w: float
    d: float
    top: float
    lean: float


def add_keypoints(b: Builder, p: Plan, leg: tuple[float, float], front_leg: tuple[float, float] | None = None) -> None:
    """PASCAL3D+'s ten points; leg, front_leg: x and y of the left feet (the front one mirrors the back one)."""
    front = front_leg or (leg[0], -leg[1])
    b.keypoint_pair("back_upper_left", "back_upper_right", p.w * 0.95, p.d + p.lean, p.top)
    b.keypoint_pair("seat_upper_left", "seat_upper_right", p.w * 0.95, p.d * 0.9, p.seat + 0.02)
    b.keypoint_pair("seat_lower_left", "seat_lower_right", p.w * 0.95, -p.d * 0.92, p.seat + 0.02)
    b.keypoint_pair("leg_upper_left", "leg_upper_right", *leg, 0.01)
    b.keypoint_pair("leg_lower_left", "leg_lower_right", *front, 0.01)


def back_point(p: Plan, z: float) -> float:
    """The y of the leaning back at height z."""
    return p.d - 0.02 + p.lean * (z - p.seat) / (p.top - p.seat)


def add_office(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    """An office chair: star base on castors, padded seat and back, perhaps arm rests."""
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
    b.add(Mesh(vertices, back.faces).moved(0, back_point(p, middle), middle), fabric)
    stem = spline(
        [(0, 0.1, p.seat - 0.06), (0, p.d + 0.06, p.seat - 0.02), (0, back_point(p, middle) + 0.045, middle)], 8
    )
    b.add(tube(stem, 0.022, 8), dark)
    if rng.random() < 0.75:
        z = p.seat + rng.uniform(0.17, 0.22)
        x = p.w + 0.05
        b.add_pair(rounded_box((0.07, 0.25, 0.03), (x, 0.0, z), 0.014), dark)
        b.add_pair(tube([(0.12, 0.02, p.seat - 0.05), (x, 0.02, p.seat - 0.03), (x, 0.02, z)], 0.016, 8), dark)
    if rng.random() < 0.3:
        b.add(
            cushion((0.26, 0.12, 0.07), (0, 0, 0), 0.3)
            .turned(0, 90)
            .moved(0, back_point(p, p.top) + 0.02, p.top + 0.06),
            fabric,
        )
    back_leg, front_leg = np.deg2rad(18), np.deg2rad(306)
    add_keypoints(
        b,
        p,
        (reach * float(np.cos(back_leg)), reach * float(np.sin(back_leg))),
        (reach * float(np.cos(front_leg)), reach * float(np.sin(front_leg))),
    )


def add_armchair(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    """An upholstered armchair."""
    fabric, feet = b.material(cloth(rng)), b.material(wood(rng, 2))
    pillow = b.material(cloth(rng)) if rng.random() < 0.3 else fabric
    p.w, p.d, p.seat, p.top = (
        rng.uniform(0.34, 0.4),
        rng.uniform(0.34, 0.4),
        rng.uniform(0.38, 0.43),
        rng.uniform(0.8, 1.0),
    )
    arm, rise = rng.uniform(0.1, 0.16), rng.uniform(0.56, 0.64)
    leg = rng.uniform(0.07, 0.16)
    spread = (p.w - 0.06, p.d - 0.06)
    for sy in (-1, 1):
        b.add_pair(
            rod(
                (spread[0] + 0.02, sy * (spread[1] + 0.02), 0),
                (spread[0], sy * spread[1], leg + 0.03),
                0.018,
                0.028,
                10,
            ),
            feet,
        )
    b.add(rounded_box((2 * p.w - 0.02, 2 * p.d, p.seat - leg - 0.1), (0, 0, (p.seat - 0.1 + leg) / 2), 0.03), fabric)
    b.add_pair(rounded_box((arm, 2 * p.d, rise - leg), (p.w - arm / 2, 0, (rise + leg) / 2), 0.05, 3), fabric)
    b.add(cushion((2 * (p.w - arm) - 0.01, 2 * p.d - 0.12, 0.16), (0, -0.04, p.seat - 0.05), 0.25), pillow)
    tilt = float(rng.uniform(4, 12))
    height = p.top - leg
    back = rounded_box((2 * p.w - 0.02, 0.16, height), (0, 0, height / 2), 0.06, 3).turned(0, -tilt)
    b.add(back.moved(0, p.d - 0.1, leg), fabric)
    b.add(
        cushion((2 * (p.w - arm) - 0.02, p.top - p.seat, 0.13), (0, 0, 0), 0.35)
        .turned(0, 90 - tilt)
        .moved(0, p.d - 0.17, (p.top + p.seat) / 2),
        pillow,
    )
    p.lean = -0.1 + height * np.sin(np.deg2rad(tilt))
    add_keypoints(b, p, spread)


def add_shell(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    """A moulded shell on dowel or steel legs."""
    shell = b.material(
        plastic(vary(((0.9, 0.9, 0.88), (0.12, 0.12, 0.13), random_colour(rng))[rng.integers(3)], rng, 0.04))
    )
    legs = b.material(wood(rng, 2) if rng.random() < 0.6 else metal())
    p.w, p.top = rng.uniform(0.23, 0.26), rng.uniform(0.78, 0.86)
    # A section through the middle: front lip, seat, bend, top of the back.
    path = spline(
        [
            (-p.d - 0.02, p.seat - 0.02),
            (-p.d * 0.7, p.seat),
            (p.d * 0.5, p.seat - 0.02),
            (p.d * 0.95, p.seat + 0.07),
            (p.d + p.lean, p.top),
        ],
        22,
    )
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
    add_keypoints(b, p, feet)
    rows = {"back_upper": -2, "seat_upper": int(len(path) * 0.42), "seat_lower": 1}
    for name, row in rows.items():
        b.keypoint_pair(f"{name}_left", f"{name}_right", *map(float, grid[row, -2]))


def _plate(grid: np.ndarray, thick: float) -> Mesh:
    """A closed sheet of some thickness around a surface grid (R, C, 3)."""
    normal = np.cross(np.gradient(grid, axis=1), np.gradient(grid, axis=0))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    over, under = grid - normal * thick / 2, grid + normal * thick / 2
    rings = np.concatenate([under, over[:, ::-1]], axis=1)
    return loft(rings)
