"""Couches: two and three seats, chaise longue, tufted, futon-like. Metres; the sitter looks along -y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.synth.materials import Material, cloth, darker, metal, random_colour, wood
from bench3d.synth.mesh import Builder
from bench3d.synth.primitives import cushion, rod, rounded_box

KINDS = ("two", "three", "chaise", "tufted", "futon")


@dataclass
class Plan:
    """Measures of one couch: width over the arms, depth, seat height, top, arm width and height, legs, lean."""

    seats: int
    width: float
    depth: float
    seat: float
    top: float
    arm: float
    arm_top: float
    leg: float
    tilt: float


def build(b: Builder, rng: np.random.Generator) -> str:
    """Adds one couch; returns its kind."""
    kind = str(rng.choice(KINDS, p=[0.24, 0.3, 0.2, 0.16, 0.1]))
    seats = {"two": 2, "futon": 2}.get(kind, 3)
    arm = rng.uniform(0.09, 0.26)
    if kind == "futon":
        arm = 0.0 if rng.random() < 0.5 else 0.08
    p = Plan(
        seats,
        seats * rng.uniform(0.58, 0.72) + 2 * arm,
        rng.uniform(0.82, 0.98),
        rng.uniform(0.38, 0.46),
        rng.uniform(0.74, 0.98),
        arm,
        rng.uniform(0.54, 0.68),
        rng.uniform(0.04, 0.17),
        rng.uniform(3, 12),
    )
    if kind == "tufted":
        p.arm_top = p.top - rng.uniform(0, 0.08)
    fabric = b.material(cloth(rng))
    seat_fabric = b.material(cloth(rng)) if rng.random() < 0.15 else fabric
    seam = b.material(Material(darker(b.look(fabric).colour, 0.45)))
    _base(b, p, fabric, rng)
    _arms(b, p, fabric, rng)
    _back(b, p, kind, fabric, seat_fabric, seam, rng)
    _seats(b, p, kind, seat_fabric, rng)
    _pillows(b, p, rng)
    _keypoints(b, p)
    return kind


def _base(b: Builder, p: Plan, fabric: int, rng: np.random.Generator) -> None:
    legs = b.material(wood(rng, 2) if rng.random() < 0.7 else metal())
    low = p.leg
    b.add(
        rounded_box((p.width - 0.02, p.depth - 0.03, p.seat - 0.13 - low), (0, 0.0, (p.seat - 0.13 + low) / 2), 0.03),
        fabric,
    )
    x, y = p.width / 2 - 0.08, p.depth / 2 - 0.08
    style = rng.integers(2)
    for sy in (-1, 1):
        if style == 0:
            b.add_pair(rod((x + 0.02, sy * (y + 0.02), 0), (x, sy * y, low + 0.02), 0.016, 0.03, 10), legs)
        else:
            b.add_pair(rounded_box((0.06, 0.06, low + 0.02), (x, sy * y, (low + 0.02) / 2), 0.008, 1), legs)


def _arms(b: Builder, p: Plan, fabric: int, rng: np.random.Generator) -> None:
    if p.arm < 0.02:
        return
    x, tall = p.width / 2 - p.arm / 2, p.arm_top - p.leg
    style = rng.integers(3)
    b.add_pair(rounded_box((p.arm, p.depth, tall), (x, 0, p.leg + tall / 2), min(0.05, p.arm * 0.45), 3), fabric)
    if style == 0 and p.arm > 0.12:
        r = p.arm * 0.62
        roll = rounded_box((2 * r, p.depth, 2 * r), (x + 0.3 * r, 0, p.arm_top - r * 0.3), r * 0.95, 4)
        b.add_pair(roll, fabric)
    elif style == 1:
        b.add_pair(cushion((p.arm + 0.04, p.depth - 0.1, 0.1), (x, 0, p.arm_top + 0.01), 0.2), fabric)


def _back(b: Builder, p: Plan, kind: str, fabric: int, seat_fabric: int, seam: int, rng: np.random.Generator) -> None:
    tall = p.top - p.leg - 0.05
    thick = 0.16
    frame = rounded_box((p.width - 0.04, thick, tall), (0, 0, tall / 2), 0.06, 3).turned(0, -p.tilt)
    y = p.depth / 2 - thick / 2 - tall * np.sin(np.deg2rad(p.tilt)) + 0.03
    if kind == "tufted":
        panel = b.material(b.look(fabric))
        b.add(frame.moved(0, y, p.leg + 0.05), panel)
        for row in range(2):
            count = p.seats * 3 + row % 2
            for k in range(count):
                at = (k + 0.5) / count * (p.width - 2 * p.arm - 0.1) - (p.width - 2 * p.arm - 0.1) / 2
                b.ellipse(panel, 1, -1, (at, p.seat + 0.14 + 0.14 * row), (0.02, 0.02), seam)
        return
    b.add(frame.moved(0, y, p.leg + 0.05), fabric)
    inner = p.width - 2 * p.arm
    count = p.seats if kind != "futon" else 1
    each = inner / count
    rise = p.top - p.seat + rng.uniform(-0.03, 0.06)
    for k in range(count):
        pad = cushion((each - 0.015, rise, 0.2), (0, 0, 0), 0.45).turned(0, 90 - p.tilt)
        x = -inner / 2 + (k + 0.5) * each
        b.add(pad.moved(x, p.depth / 2 - thick - 0.09, p.seat + rise / 2), seat_fabric)


def _seats(b: Builder, p: Plan, kind: str, fabric: int, rng: np.random.Generator) -> None:
    inner = p.width - 2 * p.arm
    count = 1 if kind in ("futon", "tufted") and rng.random() < 0.7 else p.seats
    each = inner / count
    deep = p.depth - 0.18
    long = int(rng.integers(2)) * (count - 1) if kind == "chaise" else -1
    for k in range(count):
        x = -inner / 2 + (k + 0.5) * each
        extra = rng.uniform(0.5, 0.7) if k == long else 0.0
        pad = cushion((each - 0.012, deep + extra, 0.17), (x, -0.11 - extra / 2, p.seat - 0.05), 0.22)
        b.add(pad, fabric)
        if extra:
            low = rounded_box(
                (each - 0.01, extra + 0.1, p.seat - 0.13 - p.leg),
                (x, -p.depth / 2 - extra / 2 + 0.02, (p.seat - 0.13 + p.leg) / 2),
                0.03,
            )
            b.add(low, fabric)
            foot = b.material(wood(rng, 2))
            for s in (-1, 1):
                at = (x + s * (each / 2 - 0.08), -p.depth / 2 - extra + 0.1)
                b.add(rod((*at, 0), (*at, p.leg + 0.02), 0.022, segments=10), foot)


def _pillows(b: Builder, p: Plan, rng: np.random.Generator) -> None:
    inner = p.width / 2 - p.arm - 0.2
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        look = b.material(
            cloth(rng) if rng.random() < 0.6 else Material(random_colour(rng), random_colour(rng), "stripes", 8.0, 0.8)
        )
        pillow = cushion((0.42, 0.42, 0.15), (0, 0, 0), 0.6).turned(1, rng.uniform(-20, 20)).turned(0, 72)
        b.add(pillow.moved(float(rng.uniform(-inner, inner)), p.depth / 2 - 0.38, p.seat + 0.24), look)


def _keypoints(b: Builder, p: Plan) -> None:
    """PASCAL3D+'s ten points."""
    x, d = p.width / 2, p.depth / 2
    inner = x - p.arm
    b.keypoint_pair("front_bottom_left", "front_bottom_right", x - 0.03, -d + 0.03, p.leg + 0.02)
    b.keypoint_pair("left_bottom_back", "right_bottom_back", x - 0.03, d - 0.03, p.leg + 0.02)
    b.keypoint_pair("top_left_corner", "top_right_corner", x - 0.06, d - 0.06, p.top - 0.06)
    b.keypoint_pair("seat_bottom_left", "seat_bottom_right", inner - 0.03, -d + 0.02, p.seat - 0.13)
    b.keypoint_pair("seat_top_left", "seat_top_right", inner - 0.05, d - 0.27, p.seat + 0.03)
