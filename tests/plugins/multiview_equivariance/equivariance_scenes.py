"""Small scenes with exact truth: cameras around a plane, and encoders whose features are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench3d.contracts import FeatureMap, Model, Observations, PosedView, Session, ViewSet, WeightedMap
from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.multiview_equivariance.settings import EquivarianceSettings
from bench3d_plugins.multiview_equivariance.task import create

SIZE = (128, 96)
CAMERA = np.array([[110.0, 0, 64], [0, 110.0, 48], [0, 0, 1]])
DISTANCE = 3.0


def looking(degrees: float, distance: float = DISTANCE) -> np.ndarray:
    """cam_T_world of a camera that looks at the origin of the plane z = 0, turned about the vertical axis."""
    angle = np.deg2rad(degrees)
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    pose[2, 3] = distance
    return pose


def on_plane(view: PosedView, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the rays of pixels (N, 2) meet the plane z = 0: world points (N, 3), depths (N,)."""
    rays = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ np.linalg.inv(view.intrinsics).T
    rotation, translation = view.cam_T_world[:3, :3], view.cam_T_world[:3, 3]
    centre, directions = -rotation.T @ translation, rays @ rotation
    depth = -centre[2] / directions[:, 2]
    return centre + depth[:, None] * directions, depth


def pixels(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Centres of all pixels (W * H, 2), row by row."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    return np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5


def plane_view(folder: Path, name: str, degrees: float, masked: bool = False, **changes) -> PosedView:
    """A view of the plane; with `masked` the object is the disc of radius 0.7 around the origin."""
    path = folder / f"{name}.png"
    bare = PosedView(name, path, SIZE, CAMERA, looking(degrees))
    world, depth = on_plane(bare, pixels())
    if not path.exists():
        colour = 127 + 80 * np.stack(
            [np.sin(5 * world[:, 0]), np.cos(7 * world[:, 1]), np.sin(3 * world[:, 0])], axis=1
        )
        Image.fromarray(colour.reshape(*SIZE[::-1], 3).astype(np.uint8)).save(path)
    inside = (np.linalg.norm(world, axis=1) < 0.7).reshape(SIZE[::-1])
    values = {
        "id": name, "image": path, "size": SIZE, "intrinsics": CAMERA, "cam_T_world": bare.cam_T_world,
        "depth": lambda: depth.reshape(SIZE[::-1]).astype(np.float32), "mask": (lambda: inside) if masked else None,
    }  # fmt: skip
    return PosedView(**(values | changes))


def plane_set(folder: Path, name="plane", angles=(-25.0, -10.0, 5.0, 30.0), masked=False) -> ViewSet:
    """A plane seen from several sides, with exact depth."""
    folder = folder / name
    folder.mkdir(exist_ok=True)
    views = tuple(plane_view(folder, f"v{n}", a, masked) for n, a in enumerate(angles))
    return ViewSet(name, views, "depth", tolerance=0.005)


def tracks_set(folder: Path, name="tracks", angles=(-20.0, 0.0, 20.0)) -> ViewSet:
    """The same plane with 60 tracked points; every view misses every (n + 3)-th of them."""
    depths = plane_set(folder, name, angles)
    points = np.random.default_rng(5).uniform(-0.8, 0.8, (60, 3)) * [1, 1, 0]

    def observations():
        found = []
        for n, view in enumerate(depths.views):
            ids = np.array([k for k in range(60) if k % (n + 3)])
            camera = points[ids] @ view.cam_T_world[:3, :3].T + view.cam_T_world[:3, 3]
            seen = camera @ CAMERA.T
            found.append(Observations(ids + 100, seen[:, :2] / seen[:, 2:]))
        return tuple(found)

    return ViewSet(name, depths.views, "tracks", observations=observations)


class Sets:
    """A data set of given view sets."""

    synthetic = True

    def __init__(self, *sets: ViewSet) -> None:
        self.sets = sets

    def view_sets(self, category):
        return self.sets


class PointEncoder:
    """Features that depend on nothing but the plane's point at the cell's centre: random Fourier features."""

    def __init__(self, *sets: ViewSet, grid=(64, 48), noise: int | None = None) -> None:
        self.views = {v.image: v for s in sets for v in s.views}
        self.grid, self.noise = grid, noise
        self.asked: list[Path] = []
        rng = np.random.default_rng(1)
        self.frequencies, self.phases = rng.normal(0, 4.0, (2, 64)), rng.uniform(0, 2 * np.pi, 64)

    def expect(self, requests):
        self.expected = list(requests)

    def maps(self, request):
        self.asked.append(request.path)
        view, (w, h) = self.views[request.path], self.grid
        stride = (SIZE[0] / w, SIZE[1] / h)
        if self.noise is None:
            world, _ = on_plane(view, pixels(self.grid) * stride)
            values = np.cos(world[:, :2] @ self.frequencies + self.phases).T.reshape(64, h, w)
        else:
            seed = [self.noise, *str(request.path).encode()[-16:]]
            values = np.random.default_rng(seed).standard_normal((64, h, w))
        geometry = PixelGeometry.identity(SIZE).with_grid(self.grid, stride)
        return [WeightedMap(FeatureMap(torch.from_numpy(values[None]).float(), (geometry,)))]


def opened(encoder, **settings):
    """The task, opened on an encoder."""
    task = create(EquivarianceSettings(**settings), None)
    task.open(Session(Model(), encoder))
    return task


def values_of(task, *sets, limit=None, batch=None):
    """Values of all samples, evaluated `batch` at a time."""
    samples = list(task.samples(Sets(*sets), "all", limit))
    step = batch or len(samples)
    parts = [task.evaluate(Model(), samples[n : n + step], "cpu") for n in range(0, len(samples), step)]
    return [value for part in parts for value in part]
