"""Surface descriptions: solid textures and decals, both evaluated per pixel in object space (no image files)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

Colour = tuple[float, float, float]
TEXTURES = ("plain", "noise", "wood", "stripes", "fabric", "checker", "brushed", "picture", "patches", "leather")
DECAL_KINDS = ("polygon", "ellipse", "stroke")
MAX_POINTS = 10


@dataclass(frozen=True)
class Decal:
    """A flat shape thrown along an axis onto the surface below it: windows, lamps, plates, door gaps.

    Attributes:
        axis: 0, 1 or 2: projection along x, y or z; the shape lives in the other two coordinates, in order.
        sign: +1 or -1: only surfaces whose normal has this sign along the axis; 0: both.
        material: index of the material that replaces the one below.
        kind: polygon (convex), ellipse (points are its centre and half axes), or stroke (an open polyline of `width`).
        points: (P, 2), P <= MAX_POINTS.
        span: (low, high) along the axis; nothing outside is touched.
        facing: smallest |normal along the axis|.
    """

    axis: int
    sign: int
    material: int
    kind: str
    points: np.ndarray
    span: tuple[float, float] = (-1e3, 1e3)
    width: float = 0.0
    facing: float = 0.25

    def moved(self, scale: float, centre: np.ndarray) -> Decal:
        """The decal after p -> (p - centre) * scale."""
        rest = [i for i in range(3) if i != self.axis]
        points = np.asarray(self.points, dtype=np.float64)
        if self.kind == "ellipse":
            points = np.stack([(points[0] - centre[rest]) * scale, points[1] * scale])
        else:
            points = (points - centre[rest]) * scale
        low, high = ((s - centre[self.axis]) * scale for s in self.span)
        return replace(self, points=points, span=(low, high), width=self.width * scale)


@dataclass(frozen=True)
class Material:
    """Colour, texture and gloss. Colours are sRGB in [0, 1]; lengths of textures are in canonical units.

    Attributes:
        texture: one of TEXTURES, blends `colour` and `colour2` with `strength`, at `frequency` per unit, along `axis`.
        specular, gloss: strength and exponent of the highlight; mirror: share of reflected surroundings.
        glow: emitted share of the colour (screens, lamps).
        cue: True for the colours that tell front from back (lamps, plates): the `hard` style paints them over.
    """

    colour: Colour
    colour2: Colour = (0.0, 0.0, 0.0)
    texture: str = "plain"
    frequency: float = 8.0
    strength: float = 0.0
    axis: int = 2
    specular: float = 0.15
    gloss: float = 20.0
    mirror: float = 0.0
    glow: float = 0.0
    cue: bool = False
    decals: tuple[Decal, ...] = field(default=())


def paint(rng: np.random.Generator, colours: tuple[Colour, ...] | None = None) -> Material:
    """Car paint of a random colour out of what stands on real streets."""
    base = colours or PAINTS
    colour = vary(base[rng.integers(len(base))], rng, 0.05)
    return Material(colour, darker(colour, 0.75), "noise", 5.0, 0.12, specular=0.5, gloss=60.0, mirror=0.16)


def plastic(colour: Colour) -> Material:
    """Matt plastic."""
    return Material(colour, darker(colour, 0.8), "noise", 20.0, 0.15, specular=0.2, gloss=14.0)


def rubber() -> Material:
    """Tyre black."""
    return Material((0.07, 0.07, 0.075), (0.13, 0.13, 0.13), "noise", 14.0, 0.4, specular=0.08, gloss=8.0)


def metal(colour: Colour = (0.72, 0.73, 0.75), axis: int = 2) -> Material:
    """Brushed metal."""
    return Material(colour, darker(colour, 0.7), "brushed", 30.0, 0.3, axis, specular=0.8, gloss=40.0, mirror=0.35)


def glass() -> Material:
    """Dark window glass."""
    return Material((0.06, 0.08, 0.1), specular=0.9, gloss=90.0, mirror=0.3)


def wood(rng: np.random.Generator, axis: int) -> Material:
    """Wood with grain along `axis`."""
    colour = vary(WOODS[rng.integers(len(WOODS))], rng, 0.04)
    return Material(
        colour, darker(colour, 0.55), "wood", rng.uniform(3, 7), rng.uniform(0.4, 0.8), axis, specular=0.2, gloss=18.0
    )


def cloth(rng: np.random.Generator) -> Material:
    """Upholstery: woven, striped, plain, checked or leather."""
    colour = vary(CLOTHS[rng.integers(len(CLOTHS))], rng, 0.06)
    kind = ("fabric", "fabric", "noise", "stripes", "checker", "leather")[rng.integers(6)]
    other = darker(colour, 0.7) if kind != "stripes" else vary(CLOTHS[rng.integers(len(CLOTHS))], rng, 0.05)
    frequency = {"fabric": 30.0, "noise": 7.0, "stripes": rng.uniform(5, 9), "checker": rng.uniform(4, 9)}.get(
        kind, 9.0
    )
    strength = {"fabric": 0.5, "noise": 0.35, "stripes": 0.55, "checker": 0.4}.get(kind, 0.5)
    shine = 0.3 if kind == "leather" else 0.04
    return Material(colour, other, kind, frequency, strength, int(rng.integers(2)), specular=shine, gloss=14.0)


def lamp(colour: Colour, glow: float = 0.35) -> Material:
    """A head or tail lamp; a cue of orientation."""
    return Material(colour, specular=0.9, gloss=60.0, mirror=0.1, glow=glow, cue=True)


def darker(colour: Colour, factor: float) -> Colour:
    """The colour times a factor."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def vary(colour: Colour, rng: np.random.Generator, amount: float) -> Colour:
    """The colour with a random offset, clipped to [0.02, 0.98]."""
    shifted = np.clip(np.asarray(colour) + rng.uniform(-amount, amount, 3), 0.02, 0.98)
    return (float(shifted[0]), float(shifted[1]), float(shifted[2]))


def random_colour(rng: np.random.Generator) -> Colour:
    """Any colour, saturation held in bounds."""
    colour = rng.uniform(0.1, 0.9, 3)
    colour = colour.mean() + (colour - colour.mean()) * rng.uniform(0.3, 1.0)
    return (float(colour[0]), float(colour[1]), float(colour[2]))


WHITE_LAMP: Colour = (0.95, 0.95, 0.88)
RED_LAMP: Colour = (0.75, 0.04, 0.03)
AMBER: Colour = (0.95, 0.55, 0.08)
BLACK: Colour = (0.05, 0.05, 0.055)
PAINTS: tuple[Colour, ...] = (
    (0.88, 0.88, 0.87),
    (0.1, 0.1, 0.11),
    (0.6, 0.62, 0.64),
    (0.35, 0.36, 0.38),
    (0.7, 0.1, 0.1),
    (0.12, 0.24, 0.55),
    (0.16, 0.42, 0.66),
    (0.1, 0.35, 0.22),
    (0.86, 0.7, 0.15),
    (0.82, 0.42, 0.12),
    (0.55, 0.5, 0.42),
    (0.42, 0.1, 0.18),
)
WOODS: tuple[Colour, ...] = (
    (0.62, 0.44, 0.27),
    (0.45, 0.28, 0.16),
    (0.76, 0.62, 0.43),
    (0.3, 0.18, 0.11),
    (0.55, 0.33, 0.2),
    (0.85, 0.82, 0.76),
)
CLOTHS: tuple[Colour, ...] = (
    (0.55, 0.54, 0.52),
    (0.3, 0.31, 0.34),
    (0.72, 0.66, 0.55),
    (0.2, 0.32, 0.5),
    (0.6, 0.2, 0.18),
    (0.28, 0.42, 0.3),
    (0.42, 0.28, 0.2),
    (0.82, 0.78, 0.7),
    (0.7, 0.5, 0.2),
    (0.13, 0.13, 0.14),
    (0.5, 0.3, 0.45),
)
