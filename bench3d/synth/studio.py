"""An object alone on black, lit from all sides: what multi-view renderings of single objects look like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench3d.synth.instances import Instance
from bench3d.synth.materials import Colour, Material
from bench3d.synth.scene import OPEN_DIRECTIONS, OPEN_SIZE, Scene, Style, dome, shadow_maps
from bench3d.synth.seeds import Seed
from bench3d.synth.shading import material_tables

DARKEST = 0.15  # of sRGB white: black undersides would be lost in the black around them, in a third of the views
FROM_BELOW = 0.8  # light from below, of the light from above
STUDIO = Style(clutter=0.0, texture=False, noise=0.0)
BLACK = Material((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), specular=0.0, mirror=0.0)


class Studio(Scene):
    """An instance alone: whatever it does not cover is exactly black, and its edges are blended with black."""

    def __init__(self, instance: Instance, seed: Seed) -> None:
        super().__init__(instance, seed, STUDIO)
        # A room without sky that holds every camera: its black walls, and nothing else, are what rays can end on.
        self._room[2:5], self._room[5:8], self._room[8] = -50.0, 50.0, 0.0
        # Seen from below as often as from above: light comes from there too, as from the published lower lamp.
        upper = dome(OPEN_DIRECTIONS)
        self._open = shadow_maps(self._vertices, self._faces, np.concatenate([upper, -upper]), OPEN_SIZE)
        self._light[4] = FROM_BELOW * self._light[2]
        paints = [_lifted(material) for material in instance.materials]
        self._tables = material_tables([*paints, *[BLACK] * len(self._planes)], self._texture_seed)


def _lifted(material: Material) -> Material:
    def lift(colour: Colour) -> Colour:
        red, green, blue = (DARKEST + (1.0 - DARKEST) * value for value in colour)
        return red, green, blue

    return replace(material, colour=lift(material.colour), colour2=lift(material.colour2))
