"""What stands around an object: a room or open ground, its light, clutter and occluders; one per scene seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench3d.synth.materials import Material, random_colour, vary
from bench3d.synth.mesh import Mesh
from bench3d.synth.primitives import box, ellipsoid, lathe, rod, rounded_box, torus

RADIUS = 1.45
"""Horizontal radius that keeps clear of every object of the canonical frame (its corner is at sqrt(2))."""


@dataclass
class Surroundings:
    """Everything around an object, in its canonical frame.

    Attributes:
        room: (11,) cos, sin of the yaw, low corner (3), high corner (3), 1 for sky in place of walls, sky seed, clouds.
        light: (5, 3) direction to the key light and the linear colours of key, sky, horizon and ground bounce.
        planes: materials of floor, ceiling and four walls. clutter: parts standing around.
    """

    room: np.ndarray
    light: np.ndarray
    planes: list[Material]
    clutter: list[tuple[Mesh, Material]]


def make_surroundings(
    rng: np.random.Generator,
    vertices: np.ndarray,
    view: np.ndarray | None,
    clutter: float,
    light: float,
    texture: bool,
) -> Surroundings:
    """Builds the world around an object with vertices (V, 3) that stands on the plane of its lowest one.

    Args:
        view: cam_T_obj (4, 4) of the only photo, so that clutter stands behind the object and walls are close; None
            for a video: walls and clutter stand outside the cameras' orbit (5 units), flat things on the floor.
        clutter, light: amounts in [0, 1]. texture: False gives plain planes.
    """
    floor = float(vertices[:, 2].min())
    outdoor = bool(rng.random() < 0.4)
    planes = _planes(rng, outdoor, texture)
    parts = _clutter(rng, floor, view, clutter)
    ground = floor
    if view is not None:
        eye = -view[:3, :3].T @ view[:3, 3]
        if eye[2] < floor + 0.1:
            # Seen from below the object stands on a platform, or the picture would show the floor's underside.
            ground = float(eye[2]) - rng.uniform(0.3, 1.5)
            towards = eye[:2] / np.linalg.norm(eye[:2])
            front = float((vertices[:, :2] @ towards).max()) + 0.02  # its edge hides as little as can be
            stage = box((9.0, 9.0, floor - ground), (0, 0, (floor + ground) / 2))
            heading = float(np.rad2deg(np.arctan2(towards[0], -towards[1])))
            parts.append((stage.turned(2, heading).moved(*(towards * (front - 4.5))), planes[0]))
    room = _room(rng, ground, view, outdoor)
    return Surroundings(room, _light(rng, light, planes[0], outdoor), planes, parts)


def _room(rng: np.random.Generator, ground: float, view: np.ndarray | None, outdoor: bool) -> np.ndarray:
    """Yaw, corners, sky flag, sky seed and cloudiness; a photo's camera stands inside, however far away."""
    yaw = rng.uniform(0, 2 * np.pi)
    near, far = (1.6, 5.0) if view is not None else (6.5, 11.0)
    low, high = -rng.uniform(near, far, 2), rng.uniform(near, far, 2)
    ceiling = ground + (rng.uniform(3.0, 6.0) if view is not None else rng.uniform(5.0, 9.0))
    if outdoor:
        low, high, ceiling = low * 8.0, high * 8.0, ground + 40.0
    if view is not None:
        eye = -view[:3, :3].T @ view[:3, 3]
        turned = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]]) @ eye[:2]
        low, high = (
            np.where(turned < 0, np.minimum(low, turned - 10), low),
            np.where(turned > 0, np.maximum(high, turned + 10), high),
        )
        ceiling = max(ceiling, ground + (7.0 if eye[2] < 2.0 else 0.0))
    head = [np.cos(yaw), np.sin(yaw), *low, ground, *high, ceiling, float(outdoor)]
    return np.array([*head, rng.integers(1, 1000), rng.uniform(0, 1)], dtype=np.float64)


def _planes(rng: np.random.Generator, outdoor: bool, texture: bool) -> list[Material]:
    """Materials of floor, ceiling and four walls."""
    grounds = ((0.36, 0.36, 0.37), (0.5, 0.47, 0.42), (0.27, 0.38, 0.18), (0.55, 0.45, 0.33), (0.62, 0.6, 0.57))
    bare = vary(grounds[rng.integers(len(grounds))], rng, 0.08)
    floor_colour = bare if outdoor or rng.random() < 0.5 else _muted(random_colour(rng), 0.5)
    walls = _muted(random_colour(rng), 0.5)
    if rng.random() < 0.6:
        walls = (0.4 + 0.55 * walls[0], 0.4 + 0.55 * walls[1], 0.4 + 0.55 * walls[2])

    def surface(colour: tuple[float, float, float], kinds: tuple[str, ...], scale: float) -> Material:
        kind = str(rng.choice(kinds)) if texture else "plain"
        frequency = (
            {"noise": 2.5, "wood": 1.2, "checker": 1.6, "stripes": 2.0, "fabric": 5.0, "patches": 0.9, "picture": 1.5}[
                kind
            ]
            if texture
            else 1.0
        )
        strength = rng.uniform(0.25, 0.9) if kind in ("noise", "wood", "patches") else rng.uniform(0.12, 0.5)
        return Material(
            colour,
            _muted(random_colour(rng), 0.6),
            kind,
            frequency * scale * rng.uniform(0.6, 1.6),
            strength,
            int(rng.integers(3)),
            0.05,
            12.0,
        )

    floor = surface(floor_colour, ("noise", "noise", "wood", "checker", "stripes", "patches", "fabric"), 1.0)
    ceiling = surface((0.85, 0.85, 0.83), ("noise",), 0.4)
    wall = [surface(walls, ("noise", "patches", "patches", "stripes", "picture", "wood"), 0.8) for _ in range(4)]
    return [floor, ceiling, *wall]


def _muted(colour: tuple[float, float, float], saturation: float) -> tuple[float, float, float]:
    """The colour with its saturation scaled."""
    grey = sum(colour) / 3
    return (
        grey + (colour[0] - grey) * saturation,
        grey + (colour[1] - grey) * saturation,
        grey + (colour[2] - grey) * saturation,
    )


def _light(rng: np.random.Generator, amount: float, floor: Material, outdoor: bool) -> np.ndarray:
    """Direction to the key light and the colours of key, sky, horizon and ground bounce."""
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.deg2rad(55 + amount * rng.uniform(-28, 25))
    warm = 1 + amount * rng.uniform(-0.18, 0.18) * np.array([1.0, 0.1, -1.0])
    power = 1.15 * (1 + amount * rng.uniform(-0.45, 0.35))
    fill = 0.62 * (1 + amount * rng.uniform(-0.3, 0.35))
    sky = fill * (np.array([0.75, 0.9, 1.15]) if outdoor else np.array([1.0, 0.98, 0.94]))
    horizon = fill * np.array([1.15, 1.15, 1.12])
    bounce = fill * (0.35 + 0.65 * np.array(floor.colour) ** 2)
    direction = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    return np.stack([direction, power * warm, sky, horizon, bounce])


def random_part(rng: np.random.Generator, size: float) -> tuple[Mesh, Material]:
    """A thing of about the given height standing on z = 0 at the origin: crate, drum, ball, vase, pole or ring."""
    kind = int(rng.integers(8))
    wide = size * rng.uniform(0.3, 0.9)
    if kind in (0, 1, 2):
        mesh = rounded_box((wide, size * rng.uniform(0.3, 0.9), size), (0, 0, size / 2), 0.05 * size, 1)
    elif kind == 3:
        mesh = rod((0, 0, 0), (0, 0, size), wide / 2, wide / 2 * rng.uniform(0.2, 1.0), 14)
    elif kind == 4:
        mesh = ellipsoid((wide / 2, size * 0.35, size / 2), (0, 0, size / 2), 14)
    elif kind == 5:
        radii = wide / 2 * rng.uniform(0.3, 1.0, 7)
        mesh = lathe([(float(r), float(z)) for r, z in zip(radii, np.linspace(0, size, 7), strict=True)], 2, 14)
    elif kind == 6:
        mesh = rod((0, 0, 0), (size * rng.uniform(-0.3, 0.3), 0, size * 1.5), 0.05 * size, segments=8)
    else:
        mesh = torus(size / 2.6, size / 9, int(rng.integers(2)), 20, 8).moved(z=size / 2)
    textures = ("noise", "noise", "wood", "stripes", "checker", "patches", "picture", "plain")
    colour = random_colour(rng)
    frequency = rng.uniform(2.0, 9.0) / size
    look = (
        _muted(colour, 0.75),
        _muted(random_colour(rng), 0.75),
        str(rng.choice(textures)),
        frequency,
        rng.uniform(0.3, 0.9),
        int(rng.integers(3)),
    )
    return mesh.turned(2, rng.uniform(0, 360)), Material(
        *look, specular=rng.uniform(0, 0.4), mirror=rng.uniform(0, 0.1)
    )


def _clutter(
    rng: np.random.Generator, floor: float, view: np.ndarray | None, amount: float
) -> list[tuple[Mesh, Material]]:
    parts = []
    if view is None:
        for _ in range(round(amount * rng.integers(14, 24))):
            size = rng.uniform(0.6, 2.2)
            mesh, look = random_part(rng, size)
            angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(5.8, 8.0) + size
            parts.append((mesh.moved(radius * np.cos(angle), radius * np.sin(angle), floor), look))
        for _ in range(round(amount * rng.integers(4, 12))):
            _, look = random_part(rng, 0.5)
            angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(RADIUS + 0.3, 4.5)
            sheet = box((rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.9), 0.012)).turned(2, rng.uniform(0, 360))
            parts.append((sheet.moved(radius * np.cos(angle), radius * np.sin(angle), floor + 0.006), look))
        return parts
    forward = np.array([view[2, 0], view[2, 1]])
    forward = forward / (np.linalg.norm(forward) + 1e-9)
    side = np.array([-forward[1], forward[0]])
    for _ in range(round(amount * rng.integers(8, 18))):
        size = rng.uniform(0.3, 1.6)
        mesh, look = random_part(rng, size)
        # Half of the width of any part is below 0.75 of its size.
        at = forward * (RADIUS + 0.75 * size + rng.uniform(0, 2.0)) + side * rng.uniform(-2.6, 2.6)
        parts.append((mesh.moved(float(at[0]), float(at[1]), floor), look))
    return parts
