"""Wheels of cars, buses and two-wheelers. Axle along x, centred on the origin."""

from __future__ import annotations

import numpy as np

from bench3d.synth.mesh import Builder, Mesh, joined
from bench3d.synth.primitives import box, lathe, rod, torus


def car_wheel(
    b: Builder, at: tuple[float, float, float], radius: float, width: float, spokes: int, tyre: int, rim: int, dark: int
) -> None:
    """Tyre, dark dish, spoked rim on the outer (+x) side, and the mirrored wheel; `at`: centre of the outer face."""
    x, y, z = at
    inner = 0.66 * radius
    half = width / 2
    shoulder = 0.12 * radius
    profile = [
        (inner, -half),
        (radius - shoulder, -half),
        (radius, -half + shoulder),
        (radius, half - shoulder),
        (radius - shoulder, half),
        (inner, half),
        (inner * 0.98, half - 0.02 * radius),
    ]
    b.add_pair(lathe(profile, 0, 24).moved(x - half, y, z), tyre)
    dish = lathe([(inner, -half * 0.4), (inner, half * 0.5), (inner * 0.5, half * 0.6)], 0, 20)
    b.add_pair(dish.moved(x - half, y, z), dark)
    b.add_pair(torus(inner * 0.97, 0.05 * radius, 0, 24, 6).moved(x - 0.02 * radius, y, z), rim)
    parts: list[Mesh] = [lathe([(0.16 * radius, -half), (0.16 * radius, -0.01), (0.1 * radius, 0.01)], 0, 10)]
    for k in range(spokes):
        spoke = box((0.05 * radius, 0.62 * radius / max(spokes / 4, 1), inner), (0, 0, inner / 2))
        # Spokes narrow towards the rim.
        vertices = spoke.vertices.copy()
        vertices[:, 1] *= 1.0 - 0.45 * vertices[:, 2] / inner
        parts.append(Mesh(vertices, spoke.faces).turned(0, 360 * k / spokes))
    b.add_pair(joined(parts).moved(x - 0.045 * radius, y, z), rim)


def spoked_wheel(
    b: Builder, at: tuple[float, float, float], radius: float, tyre_radius: float, tyre: int, rim: int, spokes: int
) -> None:
    """Bicycle wheel in the plane x = at[0]: tyre, rim, hub and crossed wire spokes."""
    x, y, z = at
    b.add(torus(radius - tyre_radius, tyre_radius, 0, 36, 7).moved(x, y, z), tyre)
    b.add(torus(radius - 2.4 * tyre_radius, 0.6 * tyre_radius, 0, 36, 5, 1.2).moved(x, y, z), rim)
    b.add(rod((x - 0.045, y, z), (x + 0.045, y, z), 0.022, segments=8), rim)
    reach = radius - 2.6 * tyre_radius
    for k in range(spokes):
        angle = 2 * np.pi * k / spokes
        lead = angle + (0.45 if k % 4 < 2 else -0.45)
        side = 0.032 if k % 2 else -0.032
        start = (x + side, y + 0.025 * np.cos(lead), z + 0.025 * np.sin(lead))
        end = (x, y + reach * np.cos(angle), z + reach * np.sin(angle))
        b.add(rod(start, end, 0.0028, segments=3), rim)
