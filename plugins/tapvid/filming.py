"""What happens in a video of the twin: paths of the objects and of the camera, drawn from a seed."""

from __future__ import annotations

import numpy as np

from bench3d.geometry.camera import viewpoint_pose
from bench3d.synth import CATEGORIES
from bench3d.synth.film import Actor, Backdrop, Film
from bench3d.synth.instances import make_instance
from bench3d.synth.seeds import instance_seed, rng_of

FIRST_INDEX = 200_000  # instances of a split from here on: those of other twins stay below
PATH_STREAM = 41


def make_film(category: str, index: int, seed: int, frames: int, size: tuple[int, int]) -> Film:
    """An object of `category` that moves and turns; one or two smaller ones cross before it; the camera moves.

    Args:
        index: of the video, decides instances and paths together with `seed`.
        frames: of the video. size: (W, H) in pixels.
    """
    key = instance_seed(category, "plain", FIRST_INDEX + index, seed)
    rng = rng_of(key, PATH_STREAM)
    instance = make_instance(category, key)
    stage = Backdrop(instance, key)
    time = np.linspace(0.0, 1.0, frames)
    main = _main_path(rng, time)
    cameras, distance = _cameras(rng, time, main)
    focal = float(rng.uniform(0.7, 1.05)) * size[1] * distance / 2
    intrinsics = np.array([[focal, 0.0, size[0] / 2], [0.0, focal, size[1] / 2], [0.0, 0.0, 1.0]])
    actors, paths = [Actor(instance, key, stage)], [main]
    others = [name for name in CATEGORIES if name != category]
    for number in range(int(rng.integers(1, 3))):
        other = str(rng.choice(others))
        own = instance_seed(other, "plain", FIRST_INDEX + 2 * index + number, seed)
        actors.append(Actor(make_instance(other, own), own, stage))
        paths.append(_crossing_path(rng, time, main, cameras))
    return Film(stage, actors, paths, cameras, intrinsics, size)


def _main_path(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """(T, 4, 4): a straight line over the floor, turning."""
    heading, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.9)
    start, turn = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(15, 90)) * rng.choice([-1, 1])
    along = (time - 0.5) * reach
    places = np.stack([along * np.cos(heading), along * np.sin(heading), np.zeros_like(along)], axis=1)
    return np.stack([_placed(place, start + turn * t, 1.0) for place, t in zip(places, time, strict=True)])


def _cameras(rng: np.random.Generator, time: np.ndarray, main: np.ndarray) -> tuple[np.ndarray, float]:
    """(T, 4, 4) cam_T_world of a hand-held camera that half follows the object, and its mean distance."""
    azimuth = rng.uniform(0, 360) + rng.uniform(4, 28) * rng.choice([-1, 1]) * time
    elevation = rng.uniform(11, 26) + rng.uniform(-4, 4) * time
    distance = rng.uniform(4.4, 5.4)
    zoom = distance * (1 + rng.uniform(-0.12, 0.12) * (time - 0.5))
    waves, phase = rng.uniform(1, 3, 3), rng.uniform(0, 2 * np.pi, 3)
    shake = 0.03 * np.sin(2 * np.pi * waves * time[:, None] + phase)
    aims = 0.5 * main[:, :3, 3] + shake
    poses = [viewpoint_pose(a, e, 0.0, z) for a, e, z in zip(azimuth, elevation, zoom, strict=True)]
    return np.stack([pose @ _placed(-aim, 0.0, 1.0) for pose, aim in zip(poses, aims, strict=True)]), distance


def _crossing_path(rng: np.random.Generator, time: np.ndarray, main: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """(T, 4, 4): across the line of sight at some moment in the middle, half way to the camera."""
    moment = float(rng.uniform(0.3, 0.7))
    frame = round(moment * (len(time) - 1))
    camera, target = cameras[frame], main[frame, :3, 3]
    eye = -camera[:3, :3].T @ camera[:3, 3]
    meet = target + (eye - target) * rng.uniform(0.35, 0.5)
    right, down = camera[0, :3], camera[1, :3]
    speed, lift = rng.uniform(1.8, 3.2) * rng.choice([-1, 1]), rng.uniform(-0.2, 0.2)
    scale, start, turn = rng.uniform(0.26, 0.42), rng.uniform(0, 2 * np.pi), rng.uniform(-1.0, 1.0)
    return np.stack([_placed(meet + right * (t - moment) * speed + down * lift, start + turn * t, scale) for t in time])


def _placed(place: np.ndarray, yaw: float, scale: float) -> np.ndarray:
    """(4, 4): scaled, turned about z, moved."""
    pose = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    pose[:3, :3] = scale * np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    pose[:3, 3] = place
    return pose
