"""Buses: city bus, double-decker, coach, minibus, school bus. Metres; the nose looks along -y, doors on one side."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from bench3d.synth.materials import (
    AMBER,
    BLACK,
    PAINTS,
    RED_LAMP,
    WHITE_LAMP,
    Material,
    darker,
    glass,
    lamp,
    metal,
    paint,
    plastic,
    rubber,
    vary,
)
from bench3d.synth.mesh import Builder
from bench3d.synth.primitives import ellipsoid, loft, rounded_box, rounded_rectangle, tube
from bench3d.synth.wheels import car_wheel

KINDS = ("city", "double", "coach", "mini", "school")


@dataclass
class Plan:
    """Measures of one bus; y runs from -length/2 (nose) to length/2; the passengers' box begins at y = `cab`."""

    kind: str
    length: float
    width: float
    height: float
    floor: float
    wheel: float
    cab: float
    rake: float
    front_axle: float
    back_axle: float
    door_side: int


def build(b: Builder, rng: np.random.Generator) -> str:
    """Adds one bus; returns its kind."""
    p = _plan(rng)
    colour = paint(rng, ((0.92, 0.7, 0.12),)) if p.kind == "school" else paint(rng)
    other = vary(PAINTS[rng.integers(len(PAINTS))], rng, 0.05)
    main = b.material(colour)
    m = {
        "glass": b.material(glass()),
        "dark": b.material(plastic(BLACK)),
        "under": b.material(Material((0.03, 0.03, 0.03))),
        "gap": b.material(Material(darker(colour.colour, 0.3))),
        "band": b.material(Material(other, specular=0.4, gloss=50.0, mirror=0.1)),
        "head": b.material(lamp(vary(WHITE_LAMP, rng, 0.04))),
        "tail": b.material(lamp(vary(RED_LAMP, rng, 0.04), 0.2)),
        "amber": b.material(lamp(AMBER, 0.2)),
        "sign": b.material(Material((0.07, 0.07, 0.07), (1.0, 0.65, 0.1), "picture", 42.0, 0.9, glow=0.4, cue=True)),
        "plate": b.material(Material((0.9, 0.9, 0.86), cue=True)),
        "metal": b.material(metal()),
    }
    _box(b, p, main)
    _paint_bands(b, p, main, m, rng)
    _windows(b, p, main, m, rng)
    _nose(b, p, main, m, rng)
    _tail(b, p, main, m, rng)
    _extras(b, p, main, m, rng)
    tyre, rim = b.material(rubber()), b.material(metal((0.6, 0.6, 0.61)))
    for name, y in (("front", p.front_axle), ("back", p.back_axle)):
        b.ellipse(main, 0, 0, (y, p.wheel), (p.wheel * 1.2, p.wheel * 1.2), m["under"], facing=0.3)
        car_wheel(b, (p.width / 2 + 0.015, y, p.wheel), p.wheel, 0.32, 8, tyre, rim, m["under"])
        b.keypoint_pair(f"left_{name}_wheel", f"right_{name}_wheel", p.width / 2 - 0.03, y, p.wheel)
    _corners(b, p)
    return p.kind


def _plan(rng: np.random.Generator) -> Plan:
    kind = str(rng.choice(KINDS, p=[0.32, 0.2, 0.2, 0.14, 0.14]))
    lengths = {
        "city": (9.5, 12.2),
        "double": (9.3, 11.2),
        "coach": (10.5, 13.0),
        "mini": (6.2, 7.8),
        "school": (8.5, 10.5),
    }
    height = {"city": 3.0, "double": 4.3, "coach": 3.6, "mini": 2.75, "school": 3.1}[kind] * rng.uniform(0.96, 1.04)
    length = rng.uniform(*lengths[kind])
    nose = rng.uniform(1.1, 1.5) if kind == "school" else 0.0
    front = -length / 2 + {"city": 2.4, "double": 2.3, "coach": 2.4, "mini": 1.15, "school": 0.95}[kind] * rng.uniform(
        0.92, 1.08
    )
    back = length / 2 - {"city": 3.1, "double": 2.7, "coach": 3.2, "mini": 1.8, "school": 2.6}[kind] * rng.uniform(
        0.92, 1.08
    )
    rake = {"city": 0.06, "double": 0.05, "coach": 0.4, "mini": 0.5, "school": 0.1}[kind] * rng.uniform(0.7, 1.3)
    width = 2.2 if kind == "mini" else 2.52
    wheel = 0.4 if kind == "mini" else 0.49
    side = 1 if kind == "double" and rng.random() < 0.6 else -1
    return Plan(
        kind, length, width * rng.uniform(0.98, 1.02), height, 0.32, wheel, -length / 2 + nose, rake, front, back, side
    )


def _ring(p: Plan, y: float, low: float, high: float, wide: float, rake: float) -> np.ndarray:
    outline = rounded_rectangle((wide, (high - low) / 2), (0.22, 0.22, 0.08, 0.08), 4, (0, (high + low) / 2))
    lift = np.clip((outline[:, 1] - low) / (high - low), 0, 1)
    narrow = 1 - 0.035 * lift**2
    return np.column_stack([outline[:, 0] * narrow, y + rake * np.maximum(0, lift - 0.3) ** 1.3, outline[:, 1]])


def _box(b: Builder, p: Plan, main: int) -> None:
    """The body: rounded sections; the front ones lean back with the windscreen."""
    half, wide = p.length / 2, p.width / 2
    rings = []
    for s, shrink in ((0.0, 0.14), (0.03, 0.06), (0.09, 0.02), (0.2, 0.0)):
        rings.append(_ring(p, p.cab + s, p.floor + shrink, p.height - shrink * 0.7, wide - shrink, p.rake * (1 - s)))
    rings.append(_ring(p, p.cab + 1.6, p.floor, p.height, wide, 0.0))
    for s, shrink in ((0.15, 0.0), (0.06, 0.02), (0.0, 0.1)):
        rings.append(_ring(p, half - s, p.floor + shrink, p.height - shrink, wide - shrink, -0.04))
    b.add(loft(np.stack(rings[::-1])), main)
    if p.kind == "school":
        nose = []
        for s, shrink in ((0.0, 0.2), (0.05, 0.1), (0.2, 0.04), (1.0, 0.0)):
            y = -half + s * (p.cab + 0.2 + half)
            nose.append(_ring(p, y, p.floor + 0.1 + shrink, 1.55 + 0.12 * s - shrink, wide * 0.86 - shrink, 0.0))
        b.add(loft(np.stack(nose[::-1])), main)


def _paint_bands(b: Builder, p: Plan, main: int, m: dict[str, int], rng: np.random.Generator) -> None:
    """Livery: a band, a skirt, a slanted tail, or black rub rails on a school bus."""
    far = p.length
    if p.kind == "school":
        for z in (0.75, 1.15, 1.5):
            b.rectangle(main, 0, 0, (p.cab, z), (far, z + 0.05), m["dark"], 0.0)
        return
    style = int(rng.integers(5))
    top = p.height
    if style == 0:
        b.rectangle(main, 0, 0, (-far, 0.0), (far, 0.85), m["band"], 0.0)
        b.rectangle(main, 1, 0, (-far, 0.0), (far, 0.85), m["band"], 0.0)
    elif style == 1:
        z = rng.uniform(0.95, 1.2)
        b.rectangle(main, 0, 0, (-far, z), (far, z + rng.uniform(0.1, 0.25)), m["band"], 0.0)
    elif style == 2:
        cut = p.length * rng.uniform(0.1, 0.3)
        b.polygon(
            main, 0, 0, [(cut, 0.0), (far, 0.0), (far, top + 1), (cut + 0.5 * top, top + 1)], m["band"], facing=0.3
        )
        b.rectangle(main, 1, 1, (-far, 0.0), (far, top + 1), m["band"], 0.0)
    elif style == 3:
        b.rectangle(main, 0, 0, (-far, top - 0.5), (far, top + 1), m["band"], 0.0)
        b.rectangle(main, 2, 1, (-far, -far), (far, far), m["band"], 0.0)


def _windows(b: Builder, p: Plan, main: int, m: dict[str, int], rng: np.random.Generator) -> None:
    """Rows of side windows, doors, windscreen and rear window."""
    half = p.length / 2
    rows = {"double": [(1.3, 2.15), (2.85, 3.75)], "coach": [(1.75, 2.95)], "mini": [(1.35, 2.2)]}.get(
        p.kind, [(1.4, 2.45)]
    )
    scale = p.height / {"double": 4.3, "coach": 3.6, "mini": 2.75, "school": 3.1}.get(p.kind, 3.0)
    count = round((half - p.cab) / rng.uniform(1.25, 1.7))
    for low, high in np.asarray(rows) * scale:
        edges = np.linspace(p.cab + (0.75 if p.rake > 0.2 else 0.35), half - 0.3, count + 1)
        if p.kind in ("coach", "city") and rng.random() < 0.5:
            b.rectangle(main, 0, 0, (edges[0], low - 0.03), (edges[-1], high + 0.03), m["dark"], 0.15)
        for y0, y1 in itertools.pairwise(edges):
            b.rectangle(main, 0, 0, (y0 + 0.05, low), (y1 - 0.05, high), m["glass"], 0.1)
    doors = {"city": [0.0, 0.48], "double": [0.0], "coach": [0.0], "mini": [0.12], "school": [0.02]}[p.kind]
    low, high = p.floor + 0.1, min(2.45, p.height - 0.35)
    for share in doors:
        y0 = p.cab + (0.35 if share == 0.0 else share * (half - p.cab))
        y1 = y0 + rng.uniform(0.95, 1.25)
        b.rectangle(main, 0, p.door_side, (y0 - 0.06, low - 0.05), (y1 + 0.06, high + 0.06), m["gap"], 0.02)
        middle = (y0 + y1) / 2
        b.rectangle(main, 0, p.door_side, (y0, low + 0.06), (middle - 0.03, high), m["glass"], 0.05)
        b.rectangle(main, 0, p.door_side, (middle + 0.03, low + 0.06), (y1, high), m["glass"], 0.05)
    b.rectangle(main, 2, -1, (-p.width, -p.length), (p.width, p.length), m["under"], 0.0)


def _nose(b: Builder, p: Plan, main: int, m: dict[str, int], rng: np.random.Generator) -> None:
    """Windscreens, destination sign, lamps, bumper, plate, wipers."""
    wide = p.width / 2 - 0.12
    y = -p.length / 2
    screen_low = 1.65 if p.kind == "school" else {"coach": 1.15, "mini": 1.2}.get(p.kind, 1.1) * rng.uniform(0.93, 1.05)
    screen_high = 2.35 if p.kind == "double" else p.height - (0.55 if p.kind != "coach" else 0.4)
    b.rectangle(main, 1, -1, (-wide, screen_low), (wide, screen_high), m["glass"], 0.06)
    b.stroke(main, 1, -1, [(0, screen_low), (0, screen_high)], 0.035, m["dark"])
    if p.kind == "double":
        b.rectangle(main, 1, -1, (-wide, 2.95), (wide, p.height - 0.35), m["glass"], 0.1)
        b.rectangle(main, 1, -1, (-wide * 0.75, 2.45), (wide * 0.75, 2.8), m["sign"], 0.05)
    elif p.kind != "mini":
        b.rectangle(main, 1, -1, (-wide * 0.75, screen_high + 0.06), (wide * 0.75, p.height - 0.14), m["sign"], 0.05)
    lamp_z = 0.95 if p.kind == "school" else rng.uniform(0.66, 0.8)
    size = rng.uniform(0.1, 0.15)
    reach = wide * (0.8 if p.kind == "school" else 0.86)
    for s in (-1, 1):
        if rng.random() < 0.5:
            b.ellipse(main, 1, -1, (s * reach, lamp_z), (size, size), m["head"], facing=0.15)
        else:
            x0, x1 = sorted((s * (reach - 0.22), s * (reach + 0.1)))
            b.rectangle(main, 1, -1, (x0, lamp_z - size * 0.8), (x1, lamp_z + size * 0.8), m["head"], 0.3)
        b.ellipse(main, 1, -1, (s * (reach - 0.36), lamp_z), (0.07, 0.06), m["amber"], facing=0.15)
    if p.kind == "school":
        for s in (-1, 1):
            b.ellipse(main, 1, -1, (s * wide * 0.9, p.height - 0.25), (0.1, 0.1), m["tail"], facing=0.15)
        b.rectangle(main, 1, -1, (-0.5, 0.75), (0.5, 1.3), m["dark"], 0.1)
    elif rng.random() < 0.5:
        b.rectangle(main, 1, -1, (-0.6, lamp_z - 0.1), (0.6, lamp_z + 0.14), m["gap"], 0.2)
    b.add(rounded_box((p.width * 0.95, 0.16, 0.2), (0, y + 0.06, p.floor + 0.13), 0.06), m["dark"])
    b.add(rounded_box((0.52, 0.04, 0.12), (0, y - 0.03, p.floor + 0.14), 0.01, 1), m["plate"])


def _tail(b: Builder, p: Plan, main: int, m: dict[str, int], rng: np.random.Generator) -> None:
    """Rear window, engine grille, tail lamps, bumper, plate."""
    wide, y = p.width / 2 - 0.15, p.length / 2
    if p.kind == "double":
        b.rectangle(main, 1, 1, (-wide * 0.9, 2.95), (wide * 0.9, p.height - 0.45), m["glass"], 0.15)
    elif rng.random() < 0.85:
        b.rectangle(main, 1, 1, (-wide * 0.9, 1.7), (wide * 0.9, p.height - 0.5), m["glass"], 0.15)
    if p.kind in ("city", "double", "coach"):
        b.rectangle(main, 1, 1, (-wide * 0.7, 0.65), (wide * 0.7, 1.3), m["gap"], 0.1)
        for z in np.linspace(0.75, 1.2, 4):
            b.rectangle(main, 1, 1, (-wide * 0.66, z), (wide * 0.66, z + 0.035), m["dark"], 0.0)
    tall = rng.uniform(0.18, 0.35)
    z = rng.uniform(0.75, 1.0)
    for s in (-1, 1):
        x0, x1 = sorted((s * (wide - 0.13), s * (wide + 0.06)))
        b.rectangle(main, 1, 1, (x0, z), (x1, z + tall), m["tail"], 0.25)
        b.rectangle(main, 1, 1, (x0, z + tall + 0.03), (x1, z + tall + 0.15), m["amber"], 0.25)
    b.add(rounded_box((p.width * 0.95, 0.14, 0.2), (0, y - 0.05, p.floor + 0.15), 0.06), m["dark"])
    b.add(rounded_box((0.52, 0.04, 0.12), (0, y + 0.02, p.floor + 0.16), 0.01, 1), m["plate"])


def _extras(b: Builder, p: Plan, main: int, m: dict[str, int], rng: np.random.Generator) -> None:
    """Mirrors on arms, roof boxes."""
    x, y = p.width / 2, p.cab
    z = 2.3 if p.kind not in ("mini", "school") else 1.85
    reach = rng.uniform(0.12, 0.22)
    arm = [(x - 0.06, y + 0.15, z + 0.15), (x + reach * 0.6, y - 0.12, z + 0.2), (x + reach, y - 0.16, z)]
    b.add_pair(tube(arm, 0.025, 6), m["dark"])
    b.add_pair(ellipsoid((0.1, 0.06, 0.2), (x + reach, y - 0.16, z - 0.15), 10, 0.6), m["dark"])
    if p.kind == "city" and rng.random() < 0.8:
        y0 = rng.uniform(-0.2, 0.15) * p.length
        b.add(rounded_box((1.7, rng.uniform(1.6, 3.0), 0.2), (0, y0, p.height + 0.07), 0.07), main)
    if p.kind == "coach" and rng.random() < 0.5:
        b.add(rounded_box((1.6, 1.2, 0.14), (0, p.length * 0.1, p.height + 0.05), 0.06), main)


def _corners(b: Builder, p: Plan) -> None:
    """PASCAL3D+'s eight corners of the body."""
    x, half = p.width / 2 - 0.06, p.length / 2
    low, high = p.floor + 0.14, p.height - 0.1
    for name, y, top_y in (("front", -half + 0.06, p.cab + 0.06 + p.rake * 0.75), ("back", half - 0.06, half - 0.1)):
        b.keypoint_pair(f"{name}_left_lower", f"{name}_right_lower", x, y, low)
        b.keypoint_pair(f"{name}_left_upper", f"{name}_right_upper", x - 0.06, top_y, high)
