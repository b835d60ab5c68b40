"""Cars: sedan, hatchback, wagon, SUV, van and pickup. Lengths in metres; the nose looks along -y."""

from __future__ import annotations

import numpy as np

from bench3d.synth.car_body import Plan, add_bed, add_body, add_cabin, cabin_widths, draw_plan, roof_line
from bench3d.synth.materials import (
    AMBER,
    BLACK,
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
from bench3d.synth.mesh import Builder, Mesh
from bench3d.synth.primitives import ellipsoid, rod, rounded_box
from bench3d.synth.wheels import car_wheel


def build(b: Builder, rng: np.random.Generator) -> str:
    """Adds one car; returns its kind."""
    p = draw_plan(rng)
    body = paint(rng)
    two_tone = rng.random() < 0.25
    main, upper = b.material(body), b.material(paint(rng) if two_tone and rng.random() < 0.5 else body)
    m = {
        "glass": b.material(glass()),
        "black": b.material(plastic(BLACK)),
        "under": b.material(Material((0.03, 0.03, 0.03))),
        "gap": b.material(Material(darker(body.colour, 0.25))),
        "head": b.material(lamp(vary(WHITE_LAMP, rng, 0.04))),
        "tail": b.material(lamp(vary(RED_LAMP, rng, 0.04), 0.2)),
        "amber": b.material(lamp(AMBER, 0.2)),
        "plate": b.material(Material((0.9, 0.9, 0.88), cue=True)),
        "chrome": b.material(metal()),
        "trim": b.material(plastic(BLACK) if rng.random() < 0.5 or p.kind == "suv" else body),
    }
    add_body(b, p, main)
    add_cabin(b, p, upper, m)
    if p.kind == "pickup":
        add_bed(b, p, main, m["under"])
    _sides(b, p, main, upper, m, rng)
    _front(b, p, main, m, rng)
    _back(b, p, main, upper, m, rng)
    _extras(b, p, main, m, rng)
    tyre, rim = b.material(rubber()), b.material(metal((0.7, 0.71, 0.73) if rng.random() < 0.75 else (0.2, 0.2, 0.21)))
    spokes = int(rng.choice([5, 6, 7, 8, 10]))
    for name, y in (("front", p.front_axle), ("back", p.back_axle)):
        car_wheel(b, (p.width / 2 + 0.012, y, p.wheel), p.wheel, 0.23, spokes, tyre, rim, m["under"])
        b.keypoint_pair(f"left_{name}_wheel", f"right_{name}_wheel", p.width / 2 - 0.02, y, p.wheel)
    return p.kind


def _glass_panes(p: Plan, rng: np.random.Generator) -> list[tuple[float, float]]:
    """The ranges of y of the side windows."""
    start, end = p.cowl + 0.16, p.rear - 0.14
    if p.kind == "pickup":
        return (
            [(start, end - 0.02)]
            if rng.random() < 0.4
            else [(start, (start + end) / 2), ((start + end) / 2 + 0.07, end)]
        )
    pillar = p.screen + 0.36 * (p.roof_end - p.screen)
    second = pillar + rng.uniform(0.36, 0.42) * (p.roof_end - p.screen)
    panes = [(start, pillar), (pillar + 0.08, second), (second + 0.08, end)]
    if p.kind == "hatchback" and rng.random() < 0.4:
        panes = [(start, pillar + 0.3), (pillar + 0.4, end)]
    if p.kind == "van" and rng.random() < 0.45:
        panes = panes[:1]
    return panes


def _sides(b: Builder, p: Plan, main: int, upper: int, m: dict[str, int], rng: np.random.Generator) -> None:
    """Side windows, doors, handles, arches and sills."""
    panes = _glass_panes(p, rng)
    for y0, y1 in panes:
        ys = np.unique([y0, *(k for k in (p.screen, 0.5 * (p.screen + p.roof_end), p.roof_end) if y0 < k < y1), y1])
        low = np.interp(ys, [p.cowl, p.rear], [p.cowl_z, p.tail_z]) + 0.03
        high = np.maximum(roof_line(p, ys) - 0.12, low + 0.004)
        points = [(y0, low[0]), (y1, low[-1]), *zip(ys[::-1], high[::-1], strict=True)]
        b.polygon(upper, 0, 0, points, m["glass"], facing=0.3)
    for axle in (p.front_axle, p.back_axle):
        arch = p.wheel * 1.17
        b.ellipse(main, 0, 0, (axle, p.wheel), (arch, arch), m["under"], facing=0.15)
        if m["trim"] != main and p.kind in ("suv", "pickup"):
            b.ellipse(main, 0, 0, (axle, p.wheel), (arch * 1.12, arch * 1.12), m["trim"], facing=0.15)
    b.rectangle(main, 2, -1, (-p.width, -p.length), (p.width, p.length), m["under"], 0.0)
    sill = p.clearance + 0.09
    b.rectangle(main, 0, 0, (p.front_axle, 0), (p.back_axle, sill), m["trim" if rng.random() < 0.5 else "gap"], 0.0)
    top = p.cowl_z - 0.01
    edges = [p.cowl + 0.12, *(y1 + 0.04 for _, y1 in panes[:-1])]
    last = panes[-1][0] - 0.04 if len(panes) > 1 else panes[0][1] + 0.05
    edges.append(min(last, p.back_axle + 0.1) if last not in edges else p.back_axle - p.wheel * 1.25)
    for y in edges:
        b.stroke(main, 0, 0, [(y, sill + 0.02), (y, top)], 0.014, m["gap"])
    handle = p.clearance + 0.78 * (top - p.clearance)
    material = m["chrome"] if rng.random() < 0.4 else m["gap"]
    for y in edges[1:3]:
        b.add_pair(rounded_box((0.03, 0.17, 0.03), (p.width / 2 - 0.015, y - 0.14, handle), 0.012, 1), material)


def _front(b: Builder, p: Plan, main: int, m: dict[str, int], rng: np.random.Generator) -> None:
    """Lamps, grille, bumper, number plate."""
    top, low, wide = p.nose_z - 0.06, p.clearance + 0.1, p.width / 2 * 0.84
    middle = low + 0.62 * (top - low)
    inner, shape = wide * rng.uniform(0.5, 0.66), rng.integers(3)
    size = rng.uniform(0.07, 0.1)
    for s in (-1, 1):
        if shape == 0:
            b.ellipse(main, 1, -1, (s * (inner + wide) / 2, middle), (0.11, 0.11), m["head"], facing=0.12)
        elif shape == 1:
            b.polygon(
                main,
                1,
                -1,
                [
                    (s * inner, middle - size * 0.6),
                    (s * wide * 1.06, middle - size * 0.4),
                    (s * wide * 1.06, middle + size),
                    (s * inner, middle + size * 0.3),
                ],
                m["head"],
                facing=0.12,
            )
        else:
            x0, x1 = sorted((s * inner, s * wide * 1.04))
            b.rectangle(main, 1, -1, (x0, middle - size), (x1, middle + size), m["head"], 0.25)
        b.ellipse(main, 1, -1, (s * wide * 0.82, low + 0.1), (0.06, 0.04), m["amber"], facing=0.12)
    b.keypoint_pair("left_front_light", "right_front_light", (inner + wide) / 2, -p.length / 2 + 0.07, middle)
    b.rectangle(main, 1, -1, (-inner * 0.9, middle - 0.09), (inner * 0.9, middle + 0.08), m["black"], 0.3)
    if rng.random() < 0.6:
        for z in np.linspace(middle - 0.05, middle + 0.05, 3):
            b.add(rounded_box((inner * 1.6, 0.02, 0.016), (0, -p.length / 2 + 0.01, float(z)), 0.006, 1), m["chrome"])
    b.rectangle(main, 1, -1, (-wide * 0.6, low - 0.02), (wide * 0.6, low + 0.1), m["black"], 0.3)
    b.add(rounded_box((p.width * 0.86, 0.1, 0.13), (0, -p.length / 2 + 0.025, low + 0.14), 0.05), m["trim"])
    b.add(_plate(-p.length / 2 - 0.03, low + 0.14), m["plate"])


def _plate(y: float, z: float) -> Mesh:
    """A number plate."""
    return rounded_box((0.5, 0.03, 0.11), (0, y, z), 0.01, 1)


def _back(b: Builder, p: Plan, main: int, upper: int, m: dict[str, int], rng: np.random.Generator) -> None:
    """Tail lamps, plate, bumper, exhaust, tail gate gap."""
    end, wide = p.length / 2, p.width / 2 * 0.9
    top, low = p.tail_z - 0.05, p.clearance + 0.16
    middle = low + 0.62 * (top - low)
    tall = p.kind in ("van", "wagon", "suv", "pickup") and rng.random() < 0.7
    size = (0.07, 0.17) if tall else (0.18, 0.08)
    for s in (-1, 1):
        x = s * (wide * 0.97 - size[0])
        b.rectangle(main, 1, 1, (x - size[0], middle - size[1]), (x + size[0], middle + size[1]), m["tail"], 0.25)
        if tall and p.kind in ("van", "wagon", "suv"):
            x0, x1 = sorted((s * (wide - 0.16), s * (wide - 0.01)))
            b.rectangle(upper, 1, 1, (x0, p.tail_z - 0.04), (x1, p.tail_z + 0.22), m["tail"], 0.2)
    b.keypoint_pair("left_back_trunk", "right_back_trunk", wide * 0.85, end - 0.06, top)
    b.stroke(
        main,
        1,
        1,
        [(-wide * 0.8, top), (-wide * 0.75, low + 0.14), (wide * 0.75, low + 0.14), (wide * 0.8, top)],
        0.014,
        m["gap"],
    )
    b.add(rounded_box((p.width * 0.88, 0.1, 0.15), (0, end - 0.02, low + 0.05), 0.05), m["trim"])
    b.add(_plate(end + (0.005 if p.kind != "pickup" else 0.01), middle - 0.02), m["plate"])
    side = float(rng.choice([-1, 1]))
    b.add(
        rod((side * 0.5, end - 0.35, p.clearance + 0.05), (side * 0.5, end + 0.04, p.clearance + 0.05), 0.035),
        m["chrome"],
    )


def _extras(b: Builder, p: Plan, main: int, m: dict[str, int], rng: np.random.Generator) -> None:
    """Mirrors, roof rails or box, antenna."""
    foot, head = cabin_widths(p)
    material = main if rng.random() < 0.6 else m["black"]
    at = (p.width / 2 + 0.04, p.cowl + 0.28, p.cowl_z + 0.07)
    b.add_pair(ellipsoid((0.1, 0.06, 0.075), at, 10, 0.7), material)
    b.add_pair(
        rod((foot - 0.1, at[1] + 0.02, at[2] - 0.05), (at[0], at[1], at[2] - 0.03), 0.02, segments=6), m["black"]
    )
    if p.kind in ("suv", "wagon") and rng.random() < 0.7:
        x, z = head - 0.07, p.height + 0.02
        b.add_pair(rod((x, p.screen + 0.15, z), (x, p.roof_end - 0.1, z), 0.02, segments=6), m["chrome"])
    if rng.random() < 0.35:
        b.add(
            rod((0, p.roof_end - 0.15, p.height - 0.02), (0, p.roof_end + 0.02, p.height + 0.16), 0.008, 0.004, 5),
            m["black"],
        )
