"""The chassis of a motorcycle: measures, wheels, fork, engine, exhaust. Metres; it rides along -y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.synth.mesh import Builder, Mesh, joined
from bench3d.synth.primitives import box, lathe, loft, rod, rounded_box, rounded_rectangle, spline, torus, tube

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


def draw_plan(rng: np.random.Generator) -> Plan:
    """The measures of a random motorcycle."""
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
    return Plan(
        kind,
        front,
        back,
        {"trail": 0.045, "cruiser": 0.065}.get(kind, 0.055),
        (y_front, front),
        (0.46 * base, back),
        head,
        seat,
        bar,
    )


def add_wheel(
    b: Builder, at: tuple[float, float], radius: float, tyre: float, m: dict[str, int], rng: np.random.Generator
) -> None:
    """Fat tyre, rim, cast or wire spokes, brake disc."""
    y, z = at
    b.add(torus(radius - tyre * 0.8, tyre * 0.8, 0, 28, 8, 1.15).moved(0, y, z), m["tyre"])
    inner = radius - 1.75 * tyre
    b.add(
        lathe(
            [
                (inner * 0.9, -tyre * 0.7),
                (inner * 1.06, -tyre * 0.7),
                (inner * 1.06, tyre * 0.7),
                (inner * 0.9, tyre * 0.7),
            ],
            0,
            22,
            closed=True,
        ).moved(0, y, z),
        m["rim"],
    )
    b.add(rod((-tyre * 1.2, y, z), (tyre * 1.2, y, z), 0.04), m["rim"])
    if rng.random() < 0.65:
        count = int(rng.choice([3, 5, 6]))
        spokes = [
            rounded_box((tyre * 0.6, 0.05, inner), (0, 0, inner / 2), 0.012, 1).turned(0, 360 * k / count)
            for k in range(count)
        ]
    else:
        angles = np.arange(18) * 2 * np.pi / 18
        spokes = [
            rod(((-1) ** k * 0.03, 0, 0), (0, inner * np.cos(a), inner * np.sin(a)), 0.004, segments=4)
            for k, a in enumerate(angles)
        ]
    b.add(joined(spokes).moved(0, y, z), m["rim"])
    disc = lathe([(0.06, -0.003), (inner * 0.72, -0.003), (inner * 0.72, 0.003), (0.06, 0.003)], 0, 20)
    b.add(disc.moved(tyre * 1.1, y, z), m["metal"])


def add_fork(b: Builder, p: Plan, m: dict[str, int]) -> None:
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
        b.add_pair(
            rod((0.12, p.back[0] - 0.06, p.back[1] + 0.06), (0.13, p.back[0] - 0.18, p.seat - 0.08), 0.026, segments=8),
            m["metal"],
        )
        _guard(
            b,
            p.back,
            p.back_wheel,
            p.tyre * 1.2,
            (30, 120) if p.kind != "cruiser" else (0, 150),
            m["paint" if p.kind == "cruiser" else "dark"],
        )


def _guard(
    b: Builder, at: tuple[float, float], radius: float, tyre: float, arc: tuple[float, float], material: int
) -> None:
    """A mudguard: an arched strip around a wheel; angles are counted from +y upwards."""
    rings = []
    for angle in np.deg2rad(np.linspace(*arc, 12)):
        section = rounded_rectangle((tyre * 1.25, 0.018), 0.015, 2)
        r = radius + 0.035 - 0.25 * np.abs(section[:, 0]) ** 1.5 + section[:, 1]
        rings.append(np.column_stack([section[:, 0], at[0] + r * np.cos(angle), at[1] + r * np.sin(angle)]))
    b.add(loft(np.stack(rings)), material)


def add_engine(b: Builder, p: Plan, m: dict[str, int], rng: np.random.Generator) -> None:
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
    back = [
        (0.03, p.head[0] + 0.05, p.head[1] - 0.1),
        (0.13, 0.05, p.seat - 0.06),
        (0.12, p.back[0] - 0.02, p.seat - 0.02),
    ]
    b.add_pair(tube(spline(back, 10), 0.018, 8), m["dark"])
    b.add_pair(rod((0.14, 0.2, 0.34), (0.27, 0.2, 0.34), 0.015, segments=8), m["dark"])
    if p.kind in ("naked", "sport"):
        b.add(rounded_box((0.32, 0.05, 0.24), (0, -0.3, low + 0.36), 0.012, 1), m["dark"])
    for s in (-1, 1):
        b.add(
            rod((-0.1, 0.12, 0.38 + s * 0.035), (-0.1, p.back[0], p.back[1] + s * 0.09), 0.008, segments=5), m["dark"]
        )


def add_exhaust(b: Builder, p: Plan, m: dict[str, int], rng: np.random.Generator) -> None:
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


def section_loft(stations: list[tuple[float, float, float, float]], radius: float = 0.6) -> Mesh:
    """A body along y from (y, half width, low z, high z) sections with strongly rounded corners."""
    rings = []
    for y, wide, low, high in stations:
        tall = (high - low) / 2
        outline = rounded_rectangle((wide, tall), radius * min(wide, tall), 3, (0, (low + high) / 2))
        rings.append(np.column_stack([outline[:, 0], np.full(len(outline), y), outline[:, 1]]))
    return loft(np.stack(rings[::-1]))


def smooth_stations(
    stations: list[tuple[float, float, float, float]], count: int = 12
) -> list[tuple[float, float, float, float]]:
    """More sections along a smooth curve through the given ones."""
    curve = spline(stations, count)
    return [(float(y), max(float(w), 0.01), float(a), max(float(c), float(a) + 0.02)) for y, w, a, c in curve]
