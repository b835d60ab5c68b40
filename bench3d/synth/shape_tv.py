"""Television sets and monitors: flat on a stand or for the wall, monitor, old tube set. Metres; screen at -y."""

from __future__ import annotations

import numpy as np

from bench3d.synth.materials import BLACK, Material, darker, metal, plastic, random_colour, vary, wood
from bench3d.synth.mesh import Builder
from bench3d.synth.primitives import ellipsoid, loft, rod, rounded_box, rounded_rectangle

KINDS = ("stand", "feet", "wall", "monitor", "tube")


def build(b: Builder, rng: np.random.Generator) -> str:
    """Adds one set; returns its kind."""
    kind = str(rng.choice(KINDS, p=[0.28, 0.18, 0.14, 0.18, 0.22]))
    if kind == "tube":
        _tube_set(b, rng)
    else:
        _flat(b, kind, rng)
    return kind


def _screen(rng: np.random.Generator) -> Material:
    """Off (dark, mirroring) or showing some picture."""
    if rng.random() < 0.45:
        return Material((0.03, 0.035, 0.04), specular=0.9, gloss=90.0, mirror=0.35)
    kind = str(rng.choice(["picture", "noise", "patches"]))
    return Material(
        vary((0.25, 0.35, 0.5), rng, 0.2),
        random_colour(rng),
        kind,
        rng.uniform(2.0, 5.0),
        0.9,
        int(rng.integers(3)),
        specular=0.5,
        gloss=60.0,
        mirror=0.1,
        glow=0.45,
    )


def _corners(b: Builder, wide: float, low: float, high: float, front: float, back: float, inset: float) -> None:
    """PASCAL3D+'s eight corners; the back ones may lie further in."""
    for name, y, s in (("front", front, 0.0), ("back", back, inset)):
        b.keypoint_pair(f"{name}_top_left", f"{name}_top_right", wide - s, y, high - s)
        b.keypoint_pair(f"{name}_bottom_left", f"{name}_bottom_right", wide - s, y, low + s)


def _flat(b: Builder, kind: str, rng: np.random.Generator) -> None:
    ratio = rng.uniform(1.25, 1.8) if kind == "monitor" else rng.uniform(1.65, 1.82)
    tall = rng.uniform(0.32, 0.4) if kind == "monitor" else rng.uniform(0.5, 0.75)
    wide, rim = tall * ratio, rng.uniform(0.012, 0.045)
    thick = rng.uniform(0.035, 0.08) * (0.6 + tall)
    shade = vary(BLACK if rng.random() < 0.75 else (0.72, 0.73, 0.74), rng, 0.03)
    case = b.material(plastic(shade))
    screen = b.material(_screen(rng))
    grey = b.material(plastic(vary((0.22, 0.22, 0.23), rng, 0.05)))
    low = {"wall": 0.0, "monitor": rng.uniform(0.1, 0.16)}.get(kind, rng.uniform(0.05, 0.11))
    middle = low + tall / 2
    chin = rim * rng.uniform(1.0, 2.6)
    b.add(rounded_box((wide, thick, tall), (0, 0, middle), 0.012), case)
    b.rectangle(case, 1, -1, (-wide / 2 + rim, low + chin), (wide / 2 - rim, low + tall - rim), screen, 0.0)
    b.rectangle(case, 1, -1, (-0.03, low + chin * 0.35), (0.03, low + chin * 0.65), b.material(metal()), 0.2)
    led = b.material(Material((0.9, 0.1, 0.1), glow=0.6, cue=True))
    b.ellipse(case, 1, -1, (wide * 0.42, low + chin * 0.5), (0.006, 0.006), led)
    _flat_back(b, (wide, thick, tall, low), case, grey, rng)
    if kind in ("stand", "monitor"):
        foot = b.material(metal() if rng.random() < 0.4 else plastic(shade))
        b.add(rounded_box((0.09, 0.04, low + 0.12), (0, thick / 2 + 0.01, (low + 0.12) / 2 + 0.01), 0.012), foot)
        reach = (wide * rng.uniform(0.3, 0.5), rng.uniform(0.18, 0.28))
        if rng.random() < 0.5:
            b.add(rounded_box((*reach, 0.022), (0, 0.01, 0.011), 0.01), foot)
        else:
            b.add(ellipsoid((reach[0] / 2, reach[1] / 2, 0.02), (0, 0.01, 0.016), 20), foot)
    elif kind == "feet":
        foot = b.material(plastic(shade) if rng.random() < 0.5 else metal())
        x = wide * rng.uniform(0.3, 0.42)
        for y in (-0.12, 0.12):
            b.add_pair(rod((x, y, 0.008), (x, 0.0, low + 0.01), 0.01, segments=8), foot)
    else:
        b.add(rounded_box((0.4, 0.04, 0.3), (0, thick / 2 + 0.04, middle), 0.01, 1), grey)
    _corners(b, wide / 2 - 0.004, low + 0.004, low + tall - 0.004, -thick / 2, thick / 2, 0.0)


def _flat_back(
    b: Builder, size: tuple[float, float, float, float], case: int, grey: int, rng: np.random.Generator
) -> None:
    """The bulge with the electronics, slots and sockets: what tells the back from a dark screen."""
    wide, thick, tall, low = size
    share = rng.uniform(0.45, 0.75)
    box = rounded_box((wide * share, thick * 1.1, tall * 0.55), (0, thick * 0.5, low + tall * 0.38), 0.02)
    b.add(box, grey)
    dark = b.material(Material((0.03, 0.03, 0.03)))
    for z in np.linspace(low + tall * 0.48, low + tall * 0.6, 4):
        b.rectangle(grey, 1, 1, (-wide * share * 0.4, z), (wide * share * 0.4, z + tall * 0.012), dark, 0.0)
    b.rectangle(
        grey, 1, 1, (wide * share * 0.2, low + tall * 0.16), (wide * share * 0.42, low + tall * 0.22), dark, 0.0
    )
    label = b.material(Material((0.85, 0.85, 0.83)))
    b.rectangle(
        grey, 1, 1, (-wide * share * 0.4, low + tall * 0.16), (-wide * share * 0.22, low + tall * 0.28), label, 0.0
    )


def _tube_set(b: Builder, rng: np.random.Generator) -> None:
    """A cathode ray set: front frame, curved screen, tapering back, knobs or speaker, perhaps an aerial."""
    wide, tall, deep = rng.uniform(0.5, 0.75), rng.uniform(0.42, 0.58), rng.uniform(0.4, 0.52)
    shade = vary(((0.12, 0.12, 0.12), (0.55, 0.55, 0.56), (0.82, 0.8, 0.74))[rng.integers(3)], rng, 0.04)
    case = b.material(wood(rng, 0) if rng.random() < 0.35 else plastic(shade))
    back = b.material(plastic(darker(shade, 0.7)))
    dark = b.material(Material(BLACK))
    low = 0.0 if rng.random() < 0.6 else 0.05
    front = -deep / 2
    middle = low + tall / 2
    b.add(rounded_box((wide, deep * 0.36, tall), (0, front + deep * 0.18, middle), 0.03, 3), case)
    rings = []
    for s, shrink in ((0.3, 0.02), (0.55, 0.05), (0.72, 0.13), (0.95, 0.17), (1.0, 0.19)):
        half = (wide / 2 - shrink * wide, tall / 2 - shrink * tall)
        outline = rounded_rectangle(half, 0.05, 3, (0, middle - 0.25 * shrink * tall))
        rings.append(np.column_stack([outline[:, 0], np.full(len(outline), front + s * deep), outline[:, 1]]))
    b.add(loft(np.stack(rings[::-1])), back)
    for z in np.linspace(middle + 0.04, middle + 0.14, 4):
        b.rectangle(back, 1, 1, (-wide * 0.2, z - 0.06), (wide * 0.2, z - 0.05), dark, 0.0)
    _tube_front(b, (wide, tall, deep, low), case, rng)
    _corners(b, wide / 2 - 0.012, low + 0.012, low + tall - 0.012, front + 0.008, deep / 2, 0.19 * wide)


def _tube_front(b: Builder, size: tuple[float, float, float, float], case: int, rng: np.random.Generator) -> None:
    """Screen, knobs beside or below it, speaker slots, feet, aerial. size: width, height, depth, lowest z."""
    wide, tall, deep, low = size
    front, middle = -deep / 2, low + tall / 2
    screen, dark = b.material(_screen(rng)), b.material(Material(BLACK))
    side = rng.random() < 0.5
    left, right = -wide / 2 + 0.045, wide / 2 - (0.045 if not side else wide * 0.24)
    bottom, top = low + (0.05 if side else 0.11), low + tall - 0.05
    centre = ((left + right) / 2, (bottom + top) / 2)
    frame = rounded_box(
        (right - left + 0.02, 0.02, top - bottom + 0.02), (centre[0], front - 0.001, centre[1]), 0.009, 1
    )
    b.add(frame, dark)
    glass = ellipsoid((0.5, 0.5, 0.5), (0, 0, 0), 20, 0.35)
    b.add(glass.scaled(right - left, 0.07, top - bottom).moved(centre[0], front - 0.004, centre[1]), screen)
    steel = b.material(metal())
    if side:
        x = (right + wide / 2) / 2
        for k in range(2):
            b.add(
                rod((x, front + 0.01, top - 0.05 - 0.1 * k), (x, front - 0.025, top - 0.05 - 0.1 * k), 0.03, 0.026, 14),
                steel,
            )
        for z in np.linspace(low + 0.05, middle - 0.03, 5):
            b.rectangle(case, 1, -1, (x - 0.045, z), (x + 0.045, z + 0.012), dark, 0.0)
    else:
        for s in (-1, 1):
            x0, x1 = sorted((s * wide * 0.2, s * wide * 0.44))
            b.rectangle(case, 1, -1, (x0, low + 0.03), (x1, low + 0.08), dark, 0.2)
        for k in range(3):
            b.ellipse(case, 1, -1, ((k - 1) * 0.04, low + 0.055), (0.012, 0.012), steel)
    if low > 0:
        feet = (wide / 2 - 0.07, deep * 0.25)
        for y in (front + 0.08, front + feet[1]):
            b.add_pair(rod((feet[0], y, 0), (feet[0], y, low + 0.03), 0.02, segments=10), dark)
    if rng.random() < 0.4:
        for s in (-1, 1):
            b.add(
                rod(
                    (s * 0.02, front + 0.1, low + tall - 0.01),
                    (s * 0.2, front + 0.12, low + tall + 0.28),
                    0.005,
                    0.003,
                    6,
                ),
                steel,
            )
