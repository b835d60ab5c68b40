"""Bicycles: road, city, mountain, step-through, BMX. Metres; they ride along -y, the chain is on the right (-x)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.synth.materials import (
    BLACK,
    RED_LAMP,
    WHITE_LAMP,
    Material,
    lamp,
    metal,
    paint,
    plastic,
    rubber,
    vary,
)
from bench3d.synth.mesh import Builder, Mesh
from bench3d.synth.primitives import ellipsoid, lathe, loft, rod, rounded_box, spline, torus, tube
from bench3d.synth.wheels import spoked_wheel

KINDS = ("road", "city", "mountain", "step", "bmx")


@dataclass
class Plan:
    """Points (y, z) of the frame in the middle plane and the main measures."""

    kind: str
    wheel: float
    tyre: float
    back: tuple[float, float]
    front: tuple[float, float]
    crank: tuple[float, float]
    seat_tube: tuple[float, float]
    head_low: tuple[float, float]
    head_high: tuple[float, float]
    saddle: tuple[float, float]
    bar: tuple[float, float]


def build(b: Builder, rng: np.random.Generator) -> str:
    """Adds one bicycle; returns its kind."""
    p = _plan(rng)
    frame = b.material(paint(rng))
    fork = frame if rng.random() < 0.7 else b.material(plastic(BLACK))
    steel, dark = b.material(metal()), b.material(plastic(vary(BLACK, rng, 0.02)))
    leather = b.material(
        plastic(vary(((0.35, 0.2, 0.1), (0.06, 0.06, 0.06), (0.1, 0.1, 0.1))[rng.integers(3)], rng, 0.02))
    )
    tyre, rim = b.material(rubber()), b.material(metal() if rng.random() < 0.6 else plastic(BLACK))
    spokes = int(rng.choice([16, 20, 24]))
    for y, z in (p.back, p.front):
        spoked_wheel(b, (0, y, z), p.wheel, p.tyre, tyre, rim, spokes)
    _frame(b, p, frame, fork, rng)
    _drive(b, p, steel, dark, rng)
    _saddle(b, p, steel, leather)
    _bars(b, p, steel, leather, dark, rng)
    _city_parts(b, p, frame, steel, dark, rng)
    _keypoints(b, p)
    return p.kind


def _plan(rng: np.random.Generator) -> Plan:
    kind = str(rng.choice(KINDS, p=[0.27, 0.24, 0.24, 0.15, 0.1]))
    wheel = {"bmx": 0.255, "step": 0.33}.get(kind, 0.345) * rng.uniform(0.97, 1.03)
    tyre = {"road": 0.013, "mountain": 0.028, "bmx": 0.026}.get(kind, 0.019) * rng.uniform(0.9, 1.15)
    base = {"bmx": 0.94, "road": 0.99, "mountain": 1.1}.get(kind, 1.06) * rng.uniform(0.97, 1.03)
    back, front = (base * 0.42, wheel), (-base * 0.58, wheel)
    crank = (0.0, wheel - rng.uniform(0.04, 0.07))
    size = {"bmx": 0.34, "road": 0.54, "mountain": 0.47}.get(kind, 0.5) * rng.uniform(0.94, 1.08)
    seat_angle, head_angle = np.deg2rad(rng.uniform(70, 75)), np.deg2rad(rng.uniform(67, 74))
    seat = (crank[0] + size * np.cos(seat_angle), crank[1] + size * np.sin(seat_angle))
    # The head tube stands above the front axle, leaning back by the head angle.
    low_z = wheel * 2 + rng.uniform(0.04, 0.07)
    low_y = front[0] + 0.045 + (low_z - wheel) / np.tan(head_angle)
    tall = {"bmx": 0.1, "road": 0.13}.get(kind, 0.16) * rng.uniform(0.85, 1.25)
    high = (low_y + tall * np.cos(head_angle), low_z + tall * np.sin(head_angle))
    post = {"bmx": 0.06, "city": 0.12, "step": 0.16}.get(kind, 0.18) * rng.uniform(0.9, 1.2)
    saddle = (seat[0] + post * np.cos(seat_angle), seat[1] + post * np.sin(seat_angle))
    rise = {"road": 0.0, "city": 0.14, "step": 0.17, "bmx": 0.2}.get(kind, 0.07)
    bar = (high[0] - 0.045, high[1] + 0.05 + rise)
    return Plan(kind, wheel, tyre, back, front, crank, seat, (low_y, low_z), high, saddle, bar)


def _bar(p: tuple[float, float], q: tuple[float, float], radius: float, x0: float = 0.0, x1: float = 0.0) -> Mesh:
    return rod((x0, *p), (x1, *q), radius, segments=9)


def _frame(b: Builder, p: Plan, frame: int, fork: int, rng: np.random.Generator) -> None:
    r = 0.017 * rng.uniform(0.9, 1.35)
    top = (p.seat_tube[0] * 0.97, p.seat_tube[1] - 0.04)
    b.add(_bar(p.crank, p.seat_tube, r), frame)
    b.add(_bar(p.head_low, p.head_high, r * 1.25), frame)
    b.add(_bar(p.crank, (p.head_low[0], p.head_low[1] + 0.02), r * 1.2), frame)
    if p.kind == "step":
        low = (p.crank[0] + 0.35 * (p.seat_tube[0] - p.crank[0]), p.crank[1] + 0.35 * (p.seat_tube[1] - p.crank[1]))
        path = spline([p.head_high, ((p.head_high[0] + low[0]) / 2 + 0.03, low[1] + 0.08), low], 8)
        b.add(tube(np.column_stack([np.zeros(8), path]), r, 9), frame)
    else:
        drop = {"mountain": 0.07, "bmx": 0.02}.get(p.kind, 0.0)
        b.add(_bar((top[0], top[1] - drop), (p.head_high[0], p.head_high[1] - 0.03), r * 0.95), frame)
        top = (top[0], top[1] - drop)
    for x in (-1, 1):
        b.add(_bar((p.crank[0] + 0.02, p.crank[1]), p.back, r * 0.6, x * 0.03, x * 0.055), frame)
        b.add(_bar(top, p.back, r * 0.55, x * 0.015, x * 0.055), frame)
    crown = (p.head_low[0] - 0.005, p.head_low[1] - 0.012)
    b.add(rod((-0.05, *crown), (0.05, *crown), r * 0.9, segments=8), fork)
    for x in (-1, 1):
        middle = (0.55 * crown[0] + 0.45 * p.front[0] + 0.02, 0.55 * crown[1] + 0.45 * p.front[1])
        path = spline([crown, middle, p.front], 7)
        thick = np.linspace(1.0, 0.55, 7) * r * (1.3 if p.kind == "mountain" else 0.9)
        b.add(tube(np.column_stack([np.full(7, x * 0.05), path]), thick, 8), fork)


def _drive(b: Builder, p: Plan, steel: int, dark: int, rng: np.random.Generator) -> None:
    """Chainring, sprockets and chain on the right; cranks and pedals."""
    y, z = p.crank
    ring = rng.uniform(0.07, 0.1)
    b.add(rod((-0.06, y, z), (0.06, y, z), 0.022), steel)
    disc = lathe([(ring - 0.014, -0.003), (ring, -0.003), (ring, 0.003), (ring - 0.014, 0.003)], 0, 26, closed=True)
    b.add(disc.moved(-0.048, y, z), steel)
    for k in range(5):
        a = 2 * np.pi * k / 5
        b.add(
            rod((-0.048, y, z), (-0.048, y + ring * 0.9 * np.cos(a), z + ring * 0.9 * np.sin(a)), 0.007, segments=5),
            steel,
        )
    small = 0.035
    by, bz = p.back
    b.add(
        lathe([(0.01, -0.012), (small * 1.3, -0.012), (small, 0.012), (0.01, 0.012)], 0, 18).moved(-0.04, by, bz), dark
    )
    for s in (-1, 1):
        b.add(rod((-0.048, y, z + s * ring), (-0.045, by, bz + s * small), 0.0055, segments=5), dark)
    angle = rng.uniform(0, 2 * np.pi)
    for s in (-1, 1):
        end = (y + s * 0.17 * np.cos(angle), z + s * 0.17 * np.sin(angle))
        b.add(rod((s * 0.065, y, z), (s * 0.07, *end), 0.012, 0.009, 8), steel)
        b.add(rounded_box((0.09, 0.07, 0.022), (s * 0.12, *end), 0.008, 1), dark)
        b.keypoint(f"{'left' if s > 0 else 'right'}_pedal_center", s * 0.12, *end)


def _saddle(b: Builder, p: Plan, steel: int, leather: int) -> None:
    y, z = p.saddle
    b.add(_bar(p.seat_tube, (y, z), 0.013), steel)
    long = 0.27 if p.kind in ("road", "mountain", "bmx") else 0.24
    wide = 0.07 if p.kind in ("road", "mountain", "bmx") else 0.105
    stations = np.linspace(0, 1, 9)
    widths = np.interp(stations, [0, 0.12, 0.5, 0.8, 1.0], [0.3, 0.42, 0.6, 1.0, 0.75]) * wide
    rings = []
    for s, w in zip(stations, widths, strict=True):
        a = np.arange(12) * 2 * np.pi / 12
        end = 0.6 if s in (0.0, 1.0) else 1.0
        lift = 0.018 * (2 * s - 1) ** 2 + (0.012 if s > 0.7 else 0)
        rings.append(
            np.column_stack(
                [w * end * np.cos(a), np.full(12, y - 0.58 * long + s * long), z + lift + 0.022 * end * np.sin(a)]
            )
        )
    b.add(loft(np.stack(rings[::-1])), leather)
    b.keypoint("seat_front", 0, y - 0.56 * long, z + 0.02)
    b.keypoint("seat_back", 0, y + 0.4 * long, z + 0.03)


def _bars(b: Builder, p: Plan, steel: int, grip: int, dark: int, rng: np.random.Generator) -> None:
    """Stem and handlebar: drops, flat, swept back, or high rise; grips and brake levers."""
    y, z = p.bar
    b.add(_bar(p.head_high, (p.head_high[0] - 0.008, z if p.kind != "bmx" else p.head_high[1] + 0.04), 0.014), steel)
    centre = (p.head_high[0] - 0.008, z)
    if p.kind == "road":
        b.add(_bar(centre, (y - 0.05, z), 0.014), steel)
        y -= 0.05
        half = rng.uniform(0.2, 0.22)
        path = [
            (0, y, z),
            (half * 0.85, y, z),
            (half, y - 0.04, z),
            (half, y - 0.1, z - 0.03),
            (half, y - 0.1, z - 0.09),
            (half, y - 0.02, z - 0.13),
            (half, y + 0.04, z - 0.13),
        ]
        curve = spline(path, 22)
        b.add_pair(tube(curve[:9], 0.012, 8), steel)
        b.add_pair(tube(curve[8:], 0.016, 8), grip)
        b.add_pair(
            tube([(half, y - 0.11, z - 0.01), (half, y - 0.14, z - 0.04), (half, y - 0.12, z - 0.1)], 0.008, 6), dark
        )
        b.keypoint_pair("left_handle", "right_handle", half, y - 0.1, z - 0.03)
    else:
        half = {"mountain": 0.34, "bmx": 0.34}.get(p.kind, 0.28) * rng.uniform(0.92, 1.05)
        sweep = {"city": 0.15, "step": 0.2, "mountain": 0.03}.get(p.kind, 0.05)
        if p.kind == "bmx":
            low = p.head_high[1] + 0.04
            path = [(0, y, low), (0.06, y, low), (0.16, y, z), (half * 0.6, y, z + 0.005), (half, y + sweep, z + 0.01)]
            b.add(rod((-0.12, y, low + 0.6 * (z - low)), (0.12, y, low + 0.6 * (z - low)), 0.009, segments=7), steel)
        else:
            b.add(_bar(centre, (y, z), 0.014), steel)
            path = [
                (0, y, z),
                (half * 0.35, y - 0.01, z + 0.01),
                (half * 0.7, y + sweep * 0.35, z + 0.02),
                (half, y + sweep, z + 0.01),
            ]
        curve = spline(path, 16)
        b.add_pair(tube(curve, 0.012, 8), steel)
        b.add_pair(tube(curve[-5:], 0.018, 8), grip)
        tip = curve[-4]
        b.add_pair(
            rod(
                (tip[0] - 0.07, tip[1] - 0.05, tip[2] - 0.02),
                (tip[0] + 0.03, tip[1] - 0.06, tip[2] - 0.03),
                0.006,
                segments=6,
            ),
            dark,
        )
        b.keypoint_pair("left_handle", "right_handle", *map(float, curve[-3]))


def _city_parts(b: Builder, p: Plan, frame: int, steel: int, dark: int, rng: np.random.Generator) -> None:
    """Mudguards, carrier, lamps, basket, reflector."""
    head = b.material(lamp(WHITE_LAMP, 0.3))
    tail = b.material(lamp(RED_LAMP, 0.3))
    if p.kind in ("city", "step"):
        for (y, z), first, last in ((p.back, -30, 170), (p.front, -5, 130)):
            angles = np.deg2rad(np.linspace(first, last, 18))
            r = p.wheel + 0.02
            path = np.column_stack([np.zeros(18), y + r * np.cos(angles), z + r * np.sin(angles)])
            b.add(tube(path, 0.03, 8), frame if rng.random() < 0.5 else dark)
        z = p.wheel * 2 + 0.07
        y = p.back[0]
        if rng.random() < 0.7:
            b.add(rounded_box((0.13, 0.34, 0.014), (0, y - 0.02, z), 0.006, 1), dark)
            b.add_pair(rod((0.055, y, p.wheel), (0.055, y + 0.04, z), 0.006, segments=6), steel)
        if rng.random() < 0.45:
            at = (p.head_high[0] - 0.17, p.head_high[1] + 0.05)
            basket = rounded_box((0.32, 0.22, 0.18), (0, *at), 0.03)
            b.add(basket, b.material(Material((0.5, 0.38, 0.24), (0.25, 0.17, 0.1), "checker", 16.0, 0.8)))
        b.add(ellipsoid((0.03, 0.035, 0.03), (0, p.head_low[0] - 0.07, p.head_low[1] + 0.02), 10), head)
        glow = np.deg2rad(50)  # on the rear mudguard
        reach = p.wheel + 0.05
        b.add(ellipsoid((0.025, 0.02, 0.025), (0, y + reach * np.cos(glow), p.wheel + reach * np.sin(glow)), 8), tail)
    elif rng.random() < 0.5:
        at = (
            p.seat_tube[0] + 0.6 * (p.saddle[0] - p.seat_tube[0]) + 0.03,
            p.seat_tube[1] + 0.6 * (p.saddle[1] - p.seat_tube[1]),
        )
        b.add(ellipsoid((0.025, 0.015, 0.02), (0, *at), 8), tail)
    if p.kind in ("road", "mountain") and rng.random() < 0.6:
        low = (
            p.crank[0] + 0.45 * (p.head_low[0] - p.crank[0]),
            p.crank[1] + 0.45 * (p.head_low[1] - p.crank[1]) + 0.06,
        )
        axis = np.array([p.head_low[0] - p.crank[0], p.head_low[1] - p.crank[1]])
        axis /= np.linalg.norm(axis)
        ends = [(low[0] - 0.08 * s * axis[0], low[1] - 0.08 * s * axis[1]) for s in (1, -1)]
        b.add(_bar(ends[0], ends[1], 0.035), b.material(plastic(vary((0.7, 0.7, 0.72), rng, 0.25))))
    if p.kind == "mountain" and rng.random() < 0.7:
        for y, z in (p.back, p.front):
            b.add(torus(0.075, 0.006, 0, 20, 5).moved(0.04, y, z), steel)


def _keypoints(b: Builder, p: Plan) -> None:
    """PASCAL3D+'s eleven points; the wheel points lie on both sides of the hubs."""
    b.keypoint_pair("left_front_wheel", "right_front_wheel", 0.05, *p.front)
    b.keypoint_pair("left_back_wheel", "right_back_wheel", 0.05, *p.back)
    b.keypoint("head_center", 0, *p.head_high)
