"""The shell of a car: its measures by kind, lower body, cabin and a pickup's bed. Metres; the nose looks along -y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.synth.mesh import Builder
from bench3d.synth.primitives import loft, rounded_box, rounded_rectangle

# Shares of the length from the nose: cowl, top of the windscreen, end of the roof, foot of the rear window;
# then length, width, height ranges and heights of cowl and tail as shares of the height without clearance.
KINDS: dict[str, tuple[tuple[float, float, float, float], tuple[float, float], float, float, float]] = {
    "sedan": ((0.29, 0.44, 0.70, 0.86), (4.4, 4.95), 1.46, 0.50, 0.56),
    "hatchback": ((0.26, 0.41, 0.84, 0.97), (3.6, 4.3), 1.50, 0.50, 0.52),
    "wagon": ((0.28, 0.43, 0.89, 0.985), (4.4, 4.9), 1.50, 0.50, 0.53),
    "suv": ((0.27, 0.39, 0.90, 0.98), (4.2, 4.9), 1.76, 0.54, 0.56),
    "van": ((0.15, 0.28, 0.955, 0.985), (4.4, 5.2), 1.98, 0.46, 0.47),
    "pickup": ((0.27, 0.37, 0.565, 0.60), (5.0, 5.5), 1.80, 0.54, 0.54),
}


@dataclass
class Plan:
    """The measures of one car. y runs from -length/2 (nose) to length/2."""

    kind: str
    length: float
    width: float
    height: float
    clearance: float
    cowl: float  # y of the windscreen's foot
    screen: float  # y of its top
    roof_end: float
    rear: float  # y of the rear window's foot
    cowl_z: float
    tail_z: float
    nose_z: float
    wheel: float
    front_axle: float
    back_axle: float


def draw_plan(rng: np.random.Generator) -> Plan:
    """The measures of a random car."""
    kind = str(rng.choice(list(KINDS), p=[0.26, 0.24, 0.1, 0.2, 0.1, 0.1]))
    shares, lengths, height, cowl, tail = KINDS[kind]
    length = rng.uniform(*lengths)
    height *= rng.uniform(0.96, 1.05)
    clearance = {"suv": 0.26, "pickup": 0.3}.get(kind, 0.19) * rng.uniform(0.9, 1.1)
    y = [(s + rng.uniform(-0.012, 0.012) - 0.5) * length for s in shares]
    tall = height - clearance
    cowl_z = clearance + tall * (cowl + rng.uniform(-0.015, 0.03))
    wheel = {"suv": 0.37, "pickup": 0.39, "van": 0.34}.get(kind, 0.32) * rng.uniform(0.96, 1.06)
    front = (-0.5 + rng.uniform(0.165, 0.19)) * length
    return Plan(
        kind,
        length,
        {"suv": 1.9, "pickup": 1.95, "van": 1.92, "hatchback": 1.72}.get(kind, 1.82) * rng.uniform(0.97, 1.03),
        height,
        clearance,
        y[0],
        y[1],
        y[2],
        min(y[3], length / 2 - 0.03),
        cowl_z,
        clearance + tall * (tail + rng.uniform(-0.02, 0.03)),
        cowl_z - rng.uniform(0.06, 0.2) - (0.1 if kind == "van" else 0.0),
        wheel,
        front,
        front + rng.uniform(0.575, 0.615) * length,
    )


def add_body(b: Builder, p: Plan, main: int) -> None:
    """Lower body: rounded cross-sections from nose to tail, narrowing in plan towards both ends."""
    half = p.length / 2
    ends = np.array([0.0, 0.015, 0.05, 0.11, 0.2])
    ys = np.concatenate([-half + ends * p.length, np.linspace(p.cowl, p.rear, 7), half - ends[:4][::-1] * p.length])
    ys = np.unique(np.round(ys, 4))
    tops_y = [-half, -half + 0.04 * p.length, p.cowl, p.rear, half - 0.02, half]
    tops = np.interp(ys, tops_y, [p.nose_z - 0.1, p.nose_z, p.cowl_z, p.tail_z, p.tail_z - 0.03, p.tail_z - 0.1])
    rings = []
    for y, top in zip(ys, tops, strict=True):
        front = max(0.0, 1 - (y + half) / (0.17 * p.length))
        back = max(0.0, 1 - (half - y) / (0.12 * p.length))
        wide = p.width / 2 * (1 - 0.2 * front**2.2 - 0.12 * back**2.2)
        low = p.clearance + 0.1 * front**3 + 0.14 * back**3
        tall = (top - low) / 2
        outline = rounded_rectangle((wide, tall), (0.16, 0.16, 0.07, 0.07), 4, (0, (top + low) / 2))
        lift = (outline[:, 1] - low) / (2 * tall)
        # Sides bulge at a shoulder line and fall in towards sill and top.
        outline[:, 0] *= 1 - 0.06 * np.abs(lift - 0.55) ** 1.5 * 2
        rings.append(np.column_stack([outline[:, 0], np.full(len(outline), y), outline[:, 1]]))
    b.add(loft(np.stack(rings[::-1])), main)


def roof_line(p: Plan, y: np.ndarray | float) -> np.ndarray:
    """Height of the cabin over y."""
    drop = 0.03 if p.kind in ("sedan", "hatchback") else 0.01
    knots_y = [p.cowl, p.screen, 0.5 * (p.screen + p.roof_end), p.roof_end, p.rear]
    return np.asarray(np.interp(y, knots_y, [p.cowl_z, p.height - 0.03, p.height, p.height - drop, p.tail_z]))


def cabin_widths(p: Plan) -> tuple[float, float]:
    """Half widths of the cabin at its foot and at the roof."""
    return p.width / 2 * 0.945, p.width / 2 * {"van": 0.84, "suv": 0.79}.get(p.kind, 0.73)


def add_cabin(b: Builder, p: Plan, upper: int, m: dict[str, int]) -> None:
    """Greenhouse with painted roof; the windows are decals on it."""
    foot, head = cabin_widths(p)
    soft = 0.05 * p.length
    ys = np.sort(
        np.concatenate(
            [
                np.linspace(p.cowl, p.screen - soft / 2, 4),
                p.screen + soft * np.array([-0.2, 0.1, 0.5, 1.0]),
                np.linspace(p.screen + 1.4 * soft, p.roof_end - 1.2 * soft, 4),
                p.roof_end - soft * np.array([0.7, 0.3, -0.05]),
                np.linspace(p.roof_end + 0.3 * (p.rear - p.roof_end), p.rear, 3),
            ]
        )
    )
    spread = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) * 0.35 * soft
    tops = np.mean([roof_line(p, np.clip(ys + s, p.cowl, p.rear)) for s in spread], axis=0)
    tops[0], tops[-1] = p.cowl_z, p.tail_z
    rings = []
    bases = np.interp(ys, [p.cowl, p.rear], [p.cowl_z, p.tail_z]) - 0.06
    for y, base, top in zip(ys, bases, np.maximum(tops, bases + 0.05), strict=True):
        tall = (top - base) / 2
        outline = rounded_rectangle((1.0, tall), 0.0, 4, (0, (top + base) / 2))
        wide = np.interp(outline[:, 1], [base, p.height], [foot, head])
        shaped = rounded_rectangle(
            (float(wide.min() + wide.max()) / 2, tall), (0.12, 0.12, 0.01, 0.01), 4, (0, (top + base) / 2)
        )
        lean = np.interp(shaped[:, 1], [base, p.height], [foot, head]) / (float(wide.min() + wide.max()) / 2)
        rings.append(np.column_stack([shaped[:, 0] * lean, np.full(len(shaped), y), shaped[:, 1]]))
    b.add(loft(np.stack(rings[::-1])), upper)

    def width_at(z: float) -> float:
        return float(np.interp(z, [p.cowl_z, p.height], [foot, head]))

    lift = 0.1 if p.kind == "van" else 0.05
    for axis_sign, low, high in ((-1, p.cowl_z + 0.02, p.height - 0.1), (1, p.tail_z + lift, p.height - 0.12)):
        a, c = width_at(low) - 0.1, width_at(high) - 0.12
        b.polygon(upper, 1, axis_sign, [(-a, low), (a, low), (c, high), (-c, high)], m["glass"], facing=0.2)
        names = ("windshield", "rearwindow")[axis_sign > 0]
        along = np.interp(high, [p.cowl_z, p.height - 0.03], [p.cowl, p.screen])
        if axis_sign > 0:
            along = np.interp(high, [p.tail_z, p.height - 0.03], [p.rear, p.roof_end])
        b.keypoint_pair(f"upper_left_{names}", f"upper_right_{names}", c, float(along), high)


def add_bed(b: Builder, p: Plan, main: int, dark: int) -> None:
    """Walls of a pickup's bed above the body."""
    end, rise = p.length / 2, 0.16
    z = p.tail_z + rise / 2 - 0.04
    span = end - 0.03 - p.rear
    wall = rounded_box((0.07, span, rise + 0.08), (p.width / 2 * 0.9, p.rear + span / 2, z), 0.03)
    b.add_pair(wall, main)
    b.add(rounded_box((p.width * 0.88, 0.07, rise + 0.08), (0, end - 0.06, z), 0.03), main)
    b.add(rounded_box((p.width * 0.84, span, 0.04), (0, p.rear + span / 2, p.tail_z - 0.01), 0.01, 1), dark)
