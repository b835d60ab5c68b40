"""Motorcycles: naked, sport, cruiser, scooter, trail. Metres; they ride along -y, chain on the right (-x)."""

from __future__ import annotations

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
from bench3d.synth.mesh import Builder, Mesh
from bench3d.synth.motorcycle_chassis import (
    Plan,
    add_engine,
    add_exhaust,
    add_fork,
    add_wheel,
    draw_plan,
    section_loft,
    smooth_stations,
)
from bench3d.synth.primitives import (
    ellipsoid,
    lathe,
    loft,
    prism,
    rod,
    rounded_box,
    rounded_rectangle,
    spline,
    tube,
)


def build(b: Builder, rng: np.random.Generator) -> str:
    """Adds one motorcycle; returns its kind."""
    p = draw_plan(rng)
    m = {
        "paint": b.material(paint(rng)),
        "dark": b.material(plastic(vary(BLACK, rng, 0.02))),
        "metal": b.material(metal()),
        "engine": b.material(metal((0.42, 0.42, 0.43), 0)),
        "seat": b.material(
            Material(
                vary(((0.06, 0.06, 0.06), (0.3, 0.18, 0.1))[int(rng.random() < 0.2)], rng, 0.02),
                (0.15, 0.15, 0.15),
                "leather",
                9.0,
                0.4,
            )
        ),
        "glass": b.material(glass()),
        "head": b.material(lamp(vary(WHITE_LAMP, rng, 0.03))),
        "tail": b.material(lamp(vary(RED_LAMP, rng, 0.03), 0.25)),
        "amber": b.material(lamp(AMBER, 0.2)),
        "plate": b.material(Material((0.9, 0.9, 0.87), cue=True)),
        "tyre": b.material(rubber()),
        "rim": b.material(metal((0.65, 0.66, 0.68)) if rng.random() < 0.6 else plastic(BLACK)),
    }
    add_wheel(b, p.front, p.front_wheel, p.tyre, m, rng)
    add_wheel(b, p.back, p.back_wheel, p.tyre * 1.2, m, rng)
    add_fork(b, p, m)
    if p.kind == "scooter":
        _scooter_body(b, p, m, rng)
    else:
        add_engine(b, p, m, rng)
        _tank_and_seat(b, p, m, rng)
        add_exhaust(b, p, m, rng)
    _bars(b, p, m, rng)
    _lamps(b, p, m, rng)
    b.keypoint_pair("left_front_wheel", "right_front_wheel", p.tyre * 0.8, *p.front)
    b.keypoint_pair("left_back_wheel", "right_back_wheel", p.tyre * 0.9, *p.back)
    b.keypoint("head_center", 0, p.head[0] - 0.02, p.head[1] + 0.04)
    return p.kind


def _tank_and_seat(b: Builder, p: Plan, m: dict[str, int], rng: np.random.Generator) -> None:
    """Tank, seat, tail, and what the kind adds: fairing, windscreen, side panels, top box."""
    y0, y1 = p.head[0] + 0.08, 0.12
    top = p.seat + rng.uniform(0.17, 0.22) if p.kind != "trail" else p.seat + 0.08
    wide = {"trail": 0.1, "cruiser": 0.17}.get(p.kind, 0.155) * rng.uniform(0.9, 1.1)
    stations = [
        (y0 - 0.02, 0.06, top - 0.12, top - 0.03),
        (y0 + 0.1, wide, p.seat - 0.02, top),
        (y1 - 0.12, wide * 0.9, p.seat - 0.04, top - 0.03),
        (y1 + 0.04, wide * 0.45, p.seat - 0.04, p.seat + 0.02),
    ]
    tank = b.material(b.look(m["paint"]))
    b.add(section_loft(smooth_stations(stations)), tank)
    if rng.random() < 0.5:
        stripe = b.material(Material(vary((0.9, 0.9, 0.88), rng, 0.05), specular=0.5, gloss=60.0))
        b.rectangle(tank, 0, 0, (y0 + 0.06, p.seat + 0.05), (y1, p.seat + 0.1), stripe, 0.3)
    b.add(lathe([(0.04, 0), (0.04, 0.02), (0.03, 0.025)], 2, 14).moved(0, y0 + 0.13, top - 0.005), m["metal"])
    end = p.back[0] + (0.02 if p.kind != "sport" else 0.06)
    rise = {"sport": 0.14, "trail": 0.04, "cruiser": 0.05}.get(p.kind, 0.06)
    seat = [
        (y1 - 0.03, 0.09, p.seat - 0.05, p.seat + 0.0),
        (y1 + 0.15, 0.14, p.seat - 0.06, p.seat),
        (end - 0.25, 0.13, p.seat - 0.05, p.seat + rise * 0.5),
        (end, 0.09, p.seat - 0.02 + rise * 0.5, p.seat + rise),
    ]
    b.add(section_loft(smooth_stations(seat), 0.8), m["seat"])
    b.keypoint("front_seat", 0, y1 + 0.1, p.seat - 0.0)
    b.keypoint("back_seat", 0, end - 0.05, p.seat + rise * 0.9)
    tail = [
        (end - 0.35, 0.12, p.seat - 0.14, p.seat - 0.04),
        (end, 0.1, p.seat - 0.08, p.seat),
        (end + 0.14, 0.05, p.seat + rise * 0.3, p.seat + rise * 0.6),
    ]
    if p.kind != "cruiser":
        b.add(section_loft(smooth_stations(tail, 7)), m["paint"])
    side = rounded_box((0.02, 0.26, 0.14), (0.13, 0.2, p.seat - 0.15), 0.009, 1)
    b.add_pair(side, m["paint" if rng.random() < 0.5 else "dark"])
    if p.kind == "sport":
        y, z = p.head
        nose = [
            (y - 0.3, 0.05, z - 0.16, z - 0.08),
            (y - 0.2, 0.16, z - 0.22, z + 0.03),
            (y, 0.2, z - 0.3, z + 0.08),
            (y + 0.1, 0.17, z - 0.25, z + 0.02),
        ]
        b.add(section_loft(smooth_stations(nose)), m["paint"])
        screen = [
            (y - 0.16, 0.07, z + 0.0, z + 0.05),
            (y - 0.02, 0.13, z + 0.04, z + 0.18),
            (y + 0.06, 0.12, z + 0.05, z + 0.19),
        ]
        b.add(section_loft(smooth_stations(screen, 6)), m["glass"])
        belly = [(-0.38, z - 0.35), (-0.02, p.seat - 0.1), (0.12, 0.5), (0.22, 0.24), (-0.2, 0.2), (-0.34, 0.36)]
        b.add_pair(prism(belly, 0.15, 0.19, 0, 0.012), m["paint"])
    if p.kind == "cruiser" and rng.random() < 0.5:
        b.add_pair(rounded_box((0.13, 0.4, 0.26), (0.2, p.back[0], p.seat - 0.18), 0.05, 3), m["seat"])


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
    b.add(
        rounded_box((0.34, floor[1][0] - floor[0][0], 0.06), (0, (floor[0][0] + floor[1][0]) / 2, 0.29), 0.025),
        m["dark"],
    )
    end = p.back[0]
    rear = [
        (0.06, 0.09, 0.26, p.seat - 0.12),
        (0.16, 0.17, 0.28, p.seat - 0.06),
        (end - 0.1, 0.19, 0.36, p.seat - 0.05),
        (end + 0.16, 0.15, 0.42, p.seat - 0.05),
        (end + 0.3, 0.06, 0.5, p.seat - 0.08),
    ]
    b.add(section_loft(smooth_stations(rear)), m["paint"])
    seat = [
        (0.05, 0.08, p.seat - 0.09, p.seat - 0.02),
        (0.2, 0.15, p.seat - 0.09, p.seat),
        (end, 0.14, p.seat - 0.07, p.seat + 0.03),
        (end + 0.2, 0.09, p.seat - 0.05, p.seat + 0.03),
    ]
    b.add(section_loft(smooth_stations(seat), 0.8), m["seat"])
    b.keypoint("front_seat", 0, 0.16, p.seat - 0.005)
    b.keypoint("back_seat", 0, end + 0.15, p.seat + 0.03)
    b.add(rounded_box((0.1, 0.22, 0.2), (-0.14, end - 0.08, p.back[1] + 0.02), 0.03), m["engine"])
    b.add(
        rod((-0.17, end - 0.15, p.back[1] - 0.02), (-0.19, end + 0.24, p.back[1] + 0.05), 0.045, segments=12), m["dark"]
    )
    if rng.random() < 0.35:
        b.add(
            rounded_box((0.38, 0.32, 0.28), (0, end + 0.32, p.seat + 0.14), 0.06, 3),
            m["dark" if rng.random() < 0.5 else "paint"],
        )


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
