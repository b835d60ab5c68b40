"""Motorcycles: naked, sport, cruiser, scooter, trail. Metres; riding direction is -y, chain and exhaust on the right (-x)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.synth.materials import (
    AMBER,
    BLACK,
    RED_LAMP,
    WHITE_LAMP,
    Material,
    glass,
    lamp,
    metal,
    paint,
    plastic,
    rubber,
    vary,
)
from bench3d.synth.mesh import Builder, Mesh, joined
from bench3d.synth.primitives import box, ellipsoid, lathe, loft, prism, rod, rounded_box, rounded_rectangle, spline, torus, tube

KINDS = ("naked", "sport", "cruiser", "scooter", "trail")


@dataclass
class Plan:
    """Measures: wheels, axles (y, z), steering head (y, z), seat height, handlebar (half width, y, z)."""

    kind: str
    front_wheel: float
    back_wheel: float
    tyre: float
    front: tuple[float, float]
    back: tuple[float, float]
    head: tuple[float, float]
    seat: float
    bar: tuple[float, float, float]


def build(b: Builder, rng: np.random.Generator) -> str:
    """Adds one motorcycle; returns its kind."""
    p = _plan(rng)
    m = {
        "paint": b.material(paint(rng)),
        "dark": b.material(plastic(vary(BLACK, rng, 0.02))),
        "metal": b.material(metal()),
        "engine": b.material(metal((0.42, 0.42, 0.43), 0)),
        "seat": b.material(Material(vary(((0.06, 0.06, 0.06), (0.3, 0.18, 0.1))[int(rng.random() < 0.2)], rng, 0.02), (0.15, 0.15, 0.15), "leather", 9.0, 0.4)),
        "glass": b.material(glass()),
        "head": b.material(lamp(vary(WHITE_LAMP, rng, 0.03))),
        "tail": b.material(lamp(vary(RED_LAMP, rng, 0.03), 0.25)),
        "amber": b.material(lamp(AMBER, 0.2)),
        "plate": b.material(Material((0.9, 0.9, 0.87), cue=True)),
        "tyre": b.material(rubber()),
        "rim": b.material(metal((0.65, 0.66, 0.68)) if rng.random() < 0.6 else plastic(BLACK)),
    }
    _wheel(b, p.front, p.front_wheel, p.tyre, m, rng)
    _wheel(b, p.back, p.back_wheel, p.tyre * 1.2, m, rng)
    _fork(b, p, m)
    if p.kind == "scooter":
        _scooter_body(b, p, m, rng)
    else:
        _engine(b, p, m, rng)
        _tank_and_seat(b, p, m, rng)
        _exhaust(b, p, m, rng)
    _bars(b, p, m, rng)
    _lamps(b, p, m, rng)
    b.keypoint_pair("left_front_wheel", "right_front_wheel", p.tyre * 0.8, *p.front)
    b.keypoint_pair("left_back_wheel", "right_back_wheel", p.tyre * 0.9, *p.back)
    b.keypoint("head_center", 0, p.head[0] - 0.02, p.head[1] + 0.04)
    return p.kind


def _plan(rng: np.random.Generator) -> Plan:
    kind = str(rng.choice(KINDS, p=[0.25, 0.2, 0.2, 0.22, 0.13]))
    front = {"scooter": 0.22, "trail": 0.35, "cruiser": 0.31}.get(kind, 0.3) * rng.uniform(0.96, 1.04)
    back = {"scooter": 0.22, "trail": 0.32}.get(kind, 0.3) * rng.uniform(0.96, 1.04)
    base = {"scooter": 1.27, "cruiser": 1.62}.get(kind, 1.42) * rng.uniform(0.97, 1.04)
    rake = np.deg2rad({"cruiser": 34, "sport": 24, "scooter": 26}.get(kind, 26) + rng.uniform(-2, 2))
    y_front = -0.54 * base
    top = {"cruiser": 0.86, "trail": 0.98, "scooter": 0.86}.get(kind, 0.88) * rng.uniform(0.98, 1.03)
    head = (y_front + (top - front) * np.tan(rake), top)
    seat = {"cruiser": 0.66, "trail": 0.88, "scooter": 0.75}.get(kind, 0.79) * rng.uniform(0.98, 1.03)
    rise = {"cruiser": 0.22, "trail": 0.14, "sport": -0.02, "scooter": 0.13}.get(kind, 0.1) * rng.uniform(0.9, 1.2)
    half = {"sport": 0.32, "cruiser": 0.42, "trail": 0.4, "scooter": 0.33}.get(kind, 0.37) * rng.uniform(0.95, 1.05)
    bar = (half, head[0] + {"cruiser": 0.16, "sport": 0.04}.get(kind, 0.07), top + rise)
    return Plan(kind, front, back, {"trail": 0.045, "cruiser": 0.065}.get(kind, 0.055), (y_front, front), (0.46 * base, back), head, seat, bar)


def _wheel(b: Builder, at: tuple[float, float], radius: float, tyre: float, m: dict[str, int], rng: np.random.Generator) -> None:
    """Fat tyre, rim, cast or wire spokes, brake disc."""
    y, z = at
    b.add(torus(radius - tyre * 0.8, tyre * 0.8, 0, 28, 8, 1.15).moved(0, y, z), m["tyre"])
    inner = radius - 1.75 * tyre
    b.add(lathe([(inner * 0.9, -tyre * 0.7), (inner * 1.06, -tyre * 0.7), (inner * 1.06, tyre * 0.7), (inner * 0.9, tyre * 0.7)], 0, 22, closed=True).moved(0, y, z), m["rim"])
    b.add(rod((-tyre * 1.2, y, z), (tyre * 1.2, y, z), 0.04), m["rim"])
    if rng.random() < 0.65:
        count = int(rng.choice([3, 5, 6]))
        spokes = [rounded_box((tyre * 0.6, 0.05, inner), (0, 0, inner / 2), 0.012, 1).turned(0, 360 * k / count) for k in range(count)]
    else:
        angles = np.arange(18) * 2 * np.pi / 18
        spokes = [rod(((-1) ** k * 0.03, 0, 0), (0, inner * np.cos(a), inner * np.sin(a)), 0.004, segments=4) for k, a in enumerate(angles)]
    b.add(joined(spokes).moved(0, y, z), m["rim"])
    disc = lathe([(0.06, -0.003), (inner * 0.72, -0.003), (inner * 0.72, 0.003), (0.06, 0.003)], 0, 20)
    b.add(disc.moved(tyre * 1.1, y, z), m["metal"])


def _fork(b: Builder, p: Plan, m: dict[str, int]) -> None:
    """Telescopic fork, mudguard, swing arm and shock."""
    x = p.tyre + 0.035
    lean = np.array([p.head[0] - p.front[0], p.head[1] - p.front[1]])
    middle = (p.front[0] + 0.45 * lean[0], p.front[1] + 0.45 * lean[1])
    b.add_pair(rod((x, *p.front), (x, *middle), 0.028, segments=10), m["dark"])
    b.add_pair(rod((x, *middle), (x, *p.head), 0.02, segments=10), m["metal"])
    b.add(rounded_box((2 * x + 0.06, 0.07, 0.04), (0, p.head[0], p.head[1] - 0.02), 0.015), m["dark"])
    _guard(b, p.front, p.front_wheel, p.tyre, (25, 140), m["paint" if p.kind != "trail" else "dark"])
    if p.kind != "scooter":
        pivot = (0.1, 0.42)
        b.add_pair(rod((p.tyre * 1.2 + 0.04, *p.back), (0.12, *pivot), 0.028, segments=8), m["dark"])
        b.add_pair(rod((0.12, p.back[0] - 0.06, p.back[1] + 0.06), (0.13, p.back[0] - 0.18, p.seat - 0.08), 0.026, segments=8), m["metal"])
        _guard(b, p.back, p.back_wheel, p.tyre * 1.2, (30, 120) if p.kind != "cruiser" else (0, 150), m["paint" if p.kind == "cruiser" else "dark"])


def _guard(b: Builder, at: tuple[float, float], radius: float, tyre: float, arc: tuple[float, float], material: int) -> None:
    """A mudguard: an arched strip around a wheel; angles are counted from +y upwards."""
    rings = []
    for angle in np.deg2rad(np.linspace(*arc, 12)):
        section = rounded_rectangle((tyre * 1.25, 0.018), 0.015, 2)
        r = radius + 0.035 - 0.25 * np.abs(section[:, 0]) ** 1.5 + section[:, 1]
        rings.append(np.column_stack([section[:, 0], at[0] + r * np.cos(angle), at[1] + r * np.sin(angle)]))
    b.add(loft(np.stack(rings)), material)


def _engine(b: Builder, p: Plan, m: dict[str, int], rng: np.random.Generator) -> None:
    """Crankcase, finned cylinders, frame tubes, foot pegs, chain, radiator."""
    low = 0.2 if p.kind != "trail" else 0.3
    b.add(rounded_box((0.3, 0.42, 0.24), (0, 0.02, low + 0.16), 0.06, 3), m["engine"])
    b.add_pair(lathe([(0.1, 0.0), (0.1, 0.03), (0.06, 0.05)], 0, 16).moved(0.14, 0.06, low + 0.16), m["metal"])
    twin = p.kind == "cruiser"
    for tilt, y in ((28, 0.1), (-28, -0.06)) if twin else ((-15, -0.05),):
        fins = [box((0.24, 0.19, 0.016), (0, 0, 0.05 + 0.032 * k)) for k in range(7)]
        core = rounded_box((0.2, 0.15, 0.26), (0, 0, 0.13), 0.02, 1)
        b.add(joined([*fins, core]).turned(0, -tilt).moved(0, y, low + 0.24), m["engine"])
    down = [(0.04, p.head[0] + 0.02, p.head[1] - 0.08), (0.1, -0.26, low + 0.12), (0.1, -0.18, low), (0.1, 0.25, low)]
    b.add_pair(tube(spline(down, 14), 0.018, 8), m["dark"])
    back = [(0.03, p.head[0] + 0.05, p.head[1] - 0.1), (0.13, 0.05, p.seat - 0.06), (0.12, p.back[0] - 0.02, p.seat - 0.02)]
    b.add_pair(tube(spline(back, 10), 0.018, 8), m["dark"])
    b.add_pair(rod((0.14, 0.2, 0.34), (0.27, 0.2, 0.34), 0.015, segments=8), m["dark"])
    if p.kind in ("naked", "sport"):
        b.add(rounded_box((0.32, 0.05, 0.24), (0, -0.3, low + 0.36), 0.012, 1), m["dark"])
    for s in (-1, 1):
        b.add(rod((-0.1, 0.12, 0.38 + s * 0.035), (-0.1, p.back[0], p.back[1] + s * 0.09), 0.008, segments=5), m["dark"])


def _section_loft(stations: list[tuple[float, float, float, float]], radius: float = 0.6) -> Mesh:
    """A body along y from (y, half width, low z, high z) sections with strongly rounded corners."""
    rings = []
    for y, wide, low, high in stations:
        tall = (high - low) / 2
        outline = rounded_rectangle((wide, tall), radius * min(wide, tall), 3, (0, (low + high) / 2))
        rings.append(np.column_stack([outline[:, 0], np.full(len(outline), y), outline[:, 1]]))
    return loft(np.stack(rings[::-1]))


def _smooth(stations: list[tuple[float, float, float, float]], count: int = 12) -> list[tuple[float, float, float, float]]:
    curve = spline(stations, count)
    return [(float(y), max(float(w), 0.01), float(a), max(float(c), float(a) + 0.02)) for y, w, a, c in curve]


def _tank_and_seat(b: Builder, p: Plan, m: dict[str, int], rng: np.random.Generator) -> None:
    """Tank, seat, tail, and what the kind adds: fairing, windscreen, side panels, top box."""
    y0, y1 = p.head[0] + 0.08, 0.12
    top = p.seat + rng.uniform(0.17, 0.22) if p.kind != "trail" else p.seat + 0.08
    wide = {"trail": 0.1, "cruiser": 0.17}.get(p.kind, 0.155) * rng.uniform(0.9, 1.1)
    stations = [(y0 - 0.02, 0.06, top - 0.12, top - 0.03), (y0 + 0.1, wide, p.seat - 0.02, top), (y1 - 0.12, wide * 0.9, p.seat - 0.04, top - 0.03), (y1 + 0.04, wide * 0.45, p.seat - 0.04, p.seat + 0.02)]
    tank = b.material(b.look(m["paint"]))
    b.add(_section_loft(_smooth(stations)), tank)
    if rng.random() < 0.5:
        stripe = b.material(Material(vary((0.9, 0.9, 0.88), rng, 0.05), specular=0.5, gloss=60.0))
        b.rectangle(tank, 0, 0, (y0 + 0.06, p.seat + 0.05), (y1, p.seat + 0.1), stripe, 0.3)
    b.add(lathe([(0.04, 0), (0.04, 0.02), (0.03, 0.025)], 2, 14).moved(0, y0 + 0.13, top - 0.005), m["metal"])
    end = p.back[0] + (0.02 if p.kind != "sport" else 0.06)
    rise = {"sport": 0.14, "trail": 0.04, "cruiser": 0.05}.get(p.kind, 0.06)
    seat = [(y1 - 0.03, 0.09, p.seat - 0.05, p.seat + 0.0), (y1 + 0.15, 0.14, p.seat - 0.06, p.seat), (end - 0.25, 0.13, p.seat - 0.05, p.seat + rise * 0.5), (end, 0.09, p.seat - 0.02 + rise * 0.5, p.seat + rise)]
    b.add(_section_loft(_smooth(seat), 0.8), m["seat"])
    b.keypoint("front_seat", 0, y1 + 0.1, p.seat - 0.0)
    b.keypoint("back_seat", 0, end - 0.05, p.seat + rise * 0.9)
    tail = [(end - 0.35, 0.12, p.seat - 0.14, p.seat - 0.04), (end, 0.1, p.seat - 0.08, p.seat), (end + 0.14, 0.05, p.seat + rise * 0.3, p.seat + rise * 0.6)]
    if p.kind != "cruiser":
        b.add(_section_loft(_smooth(tail, 7)), m["paint"])
    side = rounded_box((0.02, 0.26, 0.14), (0.13, 0.2, p.seat - 0.15), 0.009, 1)
    b.add_pair(side, m["paint" if rng.random() < 0.5 else "dark"])
    if p.kind == "sport":
        y, z = p.head
        nose = [(y - 0.3, 0.05, z - 0.16, z - 0.08), (y - 0.2, 0.16, z - 0.22, z + 0.03), (y, 0.2, z - 0.3, z + 0.08), (y + 0.1, 0.17, z - 0.25, z + 0.02)]
        b.add(_section_loft(_smooth(nose)), m["paint"])
        screen = [(y - 0.16, 0.07, z + 0.0, z + 0.05), (y - 0.02, 0.13, z + 0.04, z + 0.18), (y + 0.06, 0.12, z + 0.05, z + 0.19)]
        b.add(_section_loft(_smooth(screen, 6)), m["glass"])
        belly = [(-0.38, z - 0.35), (-0.02, p.seat - 0.1), (0.12, 0.5), (0.22, 0.24), (-0.2, 0.2), (-0.34, 0.36)]
        b.add_pair(prism(belly, 0.15, 0.19, 0, 0.012), m["paint"])
    if p.kind == "cruiser" and rng.random() < 0.5:
        b.add_pair(rounded_box((0.13, 0.4, 0.26), (0.2, p.back[0], p.seat - 0.18), 0.05, 3), m["seat"])


def _exhaust(b: Builder, p: Plan, m: dict[str, int], rng: np.random.Generator) -> None:
    """Pipe from the cylinder to a silencer on the right."""
    high = p.kind in ("trail", "sport") and rng.random() < 0.7
    x = -0.17
    end = (x - 0.03, p.back[0] + rng.uniform(-0.02, 0.12), p.back[1] + (0.34 if high else 0.06))
    path = [(-0.08, -0.18, 0.5), (-0.14, -0.3, 0.36), (x, -0.12, 0.24), (x, 0.2, 0.25 + 0.2 * high)]
    b.add(tube(spline(path, 14), 0.024, 8), m["metal"])
    start = path[-1]
    cone = [0.026, 0.045, 0.05, 0.05, 0.035]
    line = np.linspace(start, end, 5)
    b.add(tube(line, cone, 12), m["metal" if rng.random() < 0.6 else "dark"])
    if p.kind == "cruiser":
        b.add(tube(line + np.array([0.0, -0.04, 0.1]), cone, 12), m["metal"])


def _scooter_body(b: Builder, p: Plan, m: dict[str, int], rng: np.random.Generator) -> None:
    """Leg shield, floorboard, rear body, seat, perhaps a top case."""
    y, z = p.head
    shield = spline([(y - 0.04, z + 0.02), (y + 0.02, z - 0.2), (y + 0.12, 0.42), (y + 0.2, 0.3)], 8)
    rings = []
    for k, (sy, sz) in enumerate(shield):
        wide = 0.1 + 0.13 * np.sin(np.pi * (0.15 + 0.7 * k / 7))
        section = rounded_rectangle((wide, 0.03), 0.028, 2)
        bow = 0.9 * section[:, 0] ** 2
        rings.append(np.column_stack([section[:, 0], sy + bow - section[:, 1], np.full(len(section), sz)]))
    b.add(loft(np.stack(rings)), m["paint"])
    floor = [(y + 0.16, 0.29), (0.12, 0.27)]
    b.add(rounded_box((0.34, floor[1][0] - floor[0][0], 0.06), (0, (floor[0][0] + floor[1][0]) / 2, 0.29), 0.025), m["dark"])
    end = p.back[0]
    rear = [(0.06, 0.09, 0.26, p.seat - 0.12), (0.16, 0.17, 0.28, p.seat - 0.06), (end - 0.1, 0.19, 0.36, p.seat - 0.05), (end + 0.16, 0.15, 0.42, p.seat - 0.05), (end + 0.3, 0.06, 0.5, p.seat - 0.08)]
    b.add(_section_loft(_smooth(rear)), m["paint"])
    seat = [(0.05, 0.08, p.seat - 0.09, p.seat - 0.02), (0.2, 0.15, p.seat - 0.09, p.seat), (end, 0.14, p.seat - 0.07, p.seat + 0.03), (end + 0.2, 0.09, p.seat - 0.05, p.seat + 0.03)]
    b.add(_section_loft(_smooth(seat), 0.8), m["seat"])
    b.keypoint("front_seat", 0, 0.16, p.seat - 0.005)
    b.keypoint("back_seat", 0, end + 0.15, p.seat + 0.03)
    b.add(rounded_box((0.1, 0.22, 0.2), (-0.14, end - 0.08, p.back[1] + 0.02), 0.03), m["engine"])
    b.add(rod((-0.17, end - 0.15, p.back[1] - 0.02), (-0.19, end + 0.24, p.back[1] + 0.05), 0.045, segments=12), m["dark"])
    if rng.random() < 0.35:
        b.add(rounded_box((0.38, 0.32, 0.28), (0, end + 0.32, p.seat + 0.14), 0.06, 3), m["dark" if rng.random() < 0.5 else "paint"])


def _bars(b: Builder, p: Plan, m: dict[str, int], rng: np.random.Generator) -> None:
    """Handlebar, grips, levers, mirrors."""
    half, y, z = p.bar
    root = (0.0, p.head[0] + 0.01, p.head[1])
    b.add(rod(root, (0, y - 0.03, z - 0.03), 0.025, segments=8), m["metal"])
    path = [(0, y - 0.03, z - 0.03), (half * 0.35, y - 0.04, z - 0.01), (half * 0.65, y, z), (half, y + 0.07, z - 0.01)]
    curve = spline(path, 12)
    b.add_pair(tube(curve, 0.013, 8), m["metal"])
    b.add_pair(tube(curve[-4:], 0.02, 8), m["dark"])
    b.keypoint_pair("left_handle_center", "right_handle_center", *map(float, curve[-2]))
    lever = curve[-5]
    b.add_pair(rod((lever[0], lever[1] - 0.03, lever[2]), (half, y + 0.01, z - 0.02), 0.007, segments=6), m["metal"])
    if rng.random() < 0.85:
        foot = curve[-5]
        at = (foot[0] + 0.06, foot[1] + 0.02, foot[2] + rng.uniform(0.1, 0.17))
        b.add_pair(rod(tuple(foot), at, 0.006, segments=5), m["dark"])
        b.add_pair(ellipsoid((0.06, 0.016, 0.04), at, 10), m["dark"])


def _lamps(b: Builder, p: Plan, m: dict[str, int], rng: np.random.Generator) -> None:
    """Headlight, dials, indicators, tail light, number plate."""
    y, z = p.head
    front = y - (0.28 if p.kind == "sport" else 0.13 if p.kind != "scooter" else 0.06)
    height = z - (0.1 if p.kind == "sport" else 0.05)
    if p.kind == "scooter" and rng.random() < 0.5:
        height = p.bar[2] - 0.03
        front = p.bar[1] - 0.1
        b.add(ellipsoid((0.13, 0.11, 0.08), (0, p.bar[1] - 0.02, p.bar[2] - 0.02), 14, 0.8), m["paint"])
    if p.kind == "sport":
        b.add_pair(ellipsoid((0.05, 0.03, 0.028), (0.075, front + 0.045, height), 12), m["head"])
    else:
        r = rng.uniform(0.075, 0.1)
        shell = lathe([(r * 0.4, -0.1), (r * 0.85, -0.06), (r, 0.0), (r * 0.95, 0.015)], 1, 18)
        shell = Mesh(shell.vertices * np.array([1, -1, 1]), shell.faces[:, ::-1])
        b.add(shell.moved(0, front, height), m["metal" if rng.random() < 0.4 else "dark"])
        b.add(ellipsoid((r * 0.9, 0.03, r * 0.9), (0, front - 0.012, height), 16), m["head"])
    b.keypoint("headlight_center", 0, front - 0.02, height)
    b.add(rounded_box((0.16, 0.05, 0.06), (0, y, p.head[1] + 0.05), 0.02), m["dark"])
    b.add_pair(ellipsoid((0.025, 0.03, 0.02), (0.17, front + 0.06, height), 8), m["amber"])
    end = p.back[0] + (0.28 if p.kind == "scooter" else 0.16)
    low = p.seat - (0.14 if p.kind == "scooter" else 0.06)
    b.add(ellipsoid((0.06, 0.025, 0.03), (0, end, low), 12), m["tail"])
    b.add_pair(ellipsoid((0.022, 0.025, 0.018), (0.13, end - 0.02, low), 8), m["amber"])
    plate = rounded_box((0.2, 0.012, 0.15), (0, end + 0.03, low - 0.17), 0.005, 1).turned(0, -12, (0, end, low - 0.17))
    b.add(plate, m["plate"])
    b.add(rod((0, end - 0.1, low - 0.02), (0, end + 0.03, low - 0.14), 0.02, segments=8), m["dark"])
