"""Chairs: dining, office, armchair, bar stool with a back, shell, folding. Metres; the sitter looks along -y."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench3d.synth.chair_soft import Plan, add_armchair, add_keypoints, add_office, add_shell, back_point
from bench3d.synth.materials import BLACK, cloth, metal, plastic, random_colour, vary, wood
from bench3d.synth.mesh import Builder, Mesh
from bench3d.synth.primitives import cushion, ellipsoid, loft, rod, rounded_box, rounded_rectangle, tube

KINDS = ("dining", "office", "armchair", "stool", "shell", "folding")


def build(b: Builder, rng: np.random.Generator) -> str:
    """Adds one chair; returns its kind."""
    kind = str(rng.choice(KINDS, p=[0.34, 0.2, 0.16, 0.1, 0.12, 0.08]))
    p = Plan(
        rng.uniform(0.43, 0.48),
        rng.uniform(0.2, 0.25),
        rng.uniform(0.2, 0.24),
        rng.uniform(0.82, 1.02),
        rng.uniform(0.03, 0.1),
    )
    {
        "dining": _dining,
        "office": add_office,
        "armchair": add_armchair,
        "stool": _stool,
        "shell": add_shell,
        "folding": _folding,
    }[kind](b, p, rng)
    return kind


def _frame_material(b: Builder, rng: np.random.Generator) -> int:
    pick = rng.random()
    if pick < 0.65:
        return b.material(wood(rng, 2))
    return b.material(
        metal() if pick < 0.8 else plastic(vary(BLACK if rng.random() < 0.5 else random_colour(rng), rng, 0.03))
    )


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
            leg = loft(
                np.stack(
                    [
                        np.column_stack([rounded_rectangle((s, s), s * 0.3, 1) + np.array(q[:2]), np.full(8, q[2])])
                        for q, s in ((foot, r * 0.8), (top, r * 1.1))
                    ]
                )
            )
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
        b.add(
            loft(np.stack([np.column_stack([o, np.full(len(o), k)]) for o, k in zip(outline, z, strict=True)])), frame
        )


def _dining(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    frame = _frame_material(b, rng)
    feet = _legs(b, p, frame, rng, p.seat)
    _seat(b, p, frame, rng, p.seat)
    _wooden_back(b, p, frame, rng, p.seat)
    if rng.random() < 0.2:
        _arm_rests(b, p, frame, p.seat)
    add_keypoints(b, p, feet)


def _wooden_back(b: Builder, p: Plan, frame: int, rng: np.random.Generator, seat: float) -> None:
    """Posts with slats, spindles, a cross, or a panel."""
    x = p.w - 0.03
    heights = np.linspace(seat - 0.02, p.top, 6)
    post = np.column_stack([np.full(6, x), [back_point(p, z) for z in heights], heights])
    style = rng.integers(5)
    b.add_pair(tube(post, np.linspace(0.019, 0.015, 6), 8), frame)

    def rail(z: float, tall: float, thick: float = 0.02) -> Mesh:
        return rounded_box((2 * x, thick, tall), (0, back_point(p, z), z), 0.009)

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
            b.add(rod((u * x, back_point(p, low), low), (u * x, back_point(p, high), high), 0.009, segments=6), frame)
    elif style == 3:
        low, high = seat + 0.1, p.top - 0.06
        for s in (-1, 1):
            b.add(rod((s * x, back_point(p, low), low), (-s * x, back_point(p, high), high), 0.012, segments=6), frame)
    else:
        low, high = seat + 0.13, p.top - 0.07
        middle = (low + high) / 2
        slope = np.degrees(np.arctan(p.lean / (p.top - p.seat)))
        pad = rounded_box((2 * x - 0.03, 0.035, high - low), (0, 0, 0), 0.016).turned(0, -slope)
        b.add(
            pad.moved(0, back_point(p, middle) - 0.005, middle),
            b.material(cloth(rng)) if rng.random() < 0.6 else frame,
        )


def _arm_rests(b: Builder, p: Plan, material: int, seat: float) -> None:
    z = seat + 0.2
    b.add_pair(rounded_box((0.045, 1.7 * p.d, 0.028), (p.w, 0.05, z), 0.012), material)
    b.add_pair(rod((p.w, -0.6 * p.d, seat), (p.w, -0.6 * p.d, z), 0.014, segments=8), material)


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
    add_keypoints(b, p, feet)


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
    add_keypoints(b, p, (x, p.d + 0.03))
