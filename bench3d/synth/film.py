"""Short films: objects that move and turn before a still background, a moving camera, and exact tracks of points.

Every object is drawn in its own frame, where its solid textures are fixed, and its picture is laid over the others by
depth, four samples a pixel. Objects cast shadows on themselves only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from bench3d.synth.instances import Instance
from bench3d.synth.lighting import corner_normals
from bench3d.synth.scene import (
    CREASE,
    KEY_SIZE,
    OPEN_DIRECTIONS,
    OPEN_SIZE,
    Scene,
    Style,
    dome,
    raster_view,
    shadow_maps,
)
from bench3d.synth.seeds import Seed, rng_of
from bench3d.synth.studio import Studio

FILM = Style(noise=0.012)
DEPTH_SLACK = 0.03  # world units that a point may lie behind the drawn surface and still count as visible
FLOOR_REACH = 6.0  # world units from the middle within which points of the floor are taken
NOTHING = np.float32(1e9)


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame of a film.

    Attributes:
        rgb: (H, W, 3) uint8.
        layer: (2H, 2W) int8 nearest layer of each of four samples a pixel: -2 sky or wall, -1 background, else actor.
        depth: (2H, 2W) float32 camera z of it, `NOTHING` for sky and walls.
    """

    rgb: np.ndarray
    layer: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True, eq=False)
class TrackPoint:
    """A point fixed to an actor (by number; -1 for the background): (3,) in the actor's frame, or the world's."""

    layer: int
    place: np.ndarray


class Actor(Studio):
    """One moving object, lit by the light of the set that it is in."""

    def __init__(self, instance: Instance, seed: Seed, stage: Backdrop) -> None:
        super().__init__(instance, seed)
        self._world_light = stage._light

    def draw(self, raster: np.ndarray, own: np.ndarray, world: np.ndarray, double: np.ndarray) -> np.ndarray:
        """(H, W, 3) linear colours, black where `raster` (2H, 2W, 4) is empty.

        Args:
            own: (4, 4) own frame to camera, with scale. world: (4, 4) own frame to world. double: (3, 3) intrinsics at
                twice the size.
        """
        out = np.zeros((raster.shape[0] // 2, raster.shape[1] // 2, 3), dtype=np.float32)
        rows, columns = np.flatnonzero(raster[..., 3].any(axis=1)), np.flatnonzero(raster[..., 3].any(axis=0))
        if not len(rows):
            return out
        top, left, bottom, right = rows[0] // 2, columns[0] // 2, rows[-1] // 2 + 1, columns[-1] // 2 + 1
        light = self._world_light.copy()
        light[0] = np.linalg.inv(world[:3, :3]) @ light[0]
        light[0] /= np.linalg.norm(light[0])
        light[4] = np.maximum(light[4], 0.5 * light[2])
        part = np.ascontiguousarray(raster[2 * top : 2 * bottom, 2 * left : 2 * right])
        shifted = np.array([[1.0, 0, 2 * left], [0, 1, 2 * top], [0, 0, 1]])
        key = shadow_maps(self._vertices, self._faces, light[:1], KEY_SIZE)
        back = np.linalg.inv(own[:3, :3])
        rays = back @ np.linalg.inv(double) @ shifted
        out[top:bottom, left:right] = self._lit(part, -back @ own[:3, 3], rays, light, key)
        return out


class Backdrop(Scene):
    """The set without its object: room or open ground, and what stands around."""

    def __init__(self, instance: Instance, seed: Seed, style: Style = FILM) -> None:
        super().__init__(instance, seed, style)
        self.floor = float(instance.vertices[:, 2].min())
        count = len(instance.faces)
        self._faces, self._face_material = self._faces[count:], self._face_material[count:]
        self._normals = corner_normals(self._vertices, self._faces, CREASE)
        self._key = shadow_maps(self._vertices, self._faces, self._light[:1], KEY_SIZE)
        self._open = shadow_maps(self._vertices, self._faces, dome(OPEN_DIRECTIONS), OPEN_SIZE)

    def draw(self, raster: np.ndarray, camera: np.ndarray, double: np.ndarray) -> np.ndarray:
        """(H, W, 3) linear colours of the set alone."""
        rotation = camera[:3, :3]
        return self._lit(raster, -rotation.T @ camera[:3, 3], rotation.T @ np.linalg.inv(double))

    def floor_depth(self, camera: np.ndarray, double: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(H, W) camera z of the floor near the middle of the set, `NOTHING` elsewhere; `size` is (W, H)."""
        x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
        rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ (camera[:3, :3].T @ np.linalg.inv(double)).T
        eye = -camera[:3, :3].T @ camera[:3, 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            along = (self.floor - eye[2]) / rays[..., 2]
            hit = eye + along[..., None] * rays
        near = (along > 0) & (np.abs(hit[..., :2]).max(axis=-1) < FLOOR_REACH)
        return np.where(near, along, NOTHING).astype(np.float32)


class Film:
    """A set, its actors and their paths.

    Args:
        stage: the set; its world is that of the paths.
        actors: the moving objects; paths: (T, 4, 4) own frame to world of each, with scale.
        cameras: (T, 4, 4) cam_T_world. intrinsics: (3, 3) in pixels. size: (W, H).
    """

    def __init__(
        self,
        stage: Backdrop,
        actors: Sequence[Actor],
        paths: Sequence[np.ndarray],
        cameras: np.ndarray,
        intrinsics: np.ndarray,
        size: tuple[int, int],
    ) -> None:
        self.stage, self.actors, self.paths = stage, tuple(actors), tuple(paths)
        self.cameras, self.intrinsics, self.size = cameras, intrinsics, size
        self._double = np.diag([2.0, 2.0, 1.0]) @ intrinsics

    def shoot(self, frame: int) -> Shot:
        """One frame."""
        camera, double = self.cameras[frame], self._double
        big = (2 * self.size[0], 2 * self.size[1])
        owns = [camera @ path[frame] for path in self.paths]
        rasters = [
            raster_view(a._vertices, a._faces, own, double, big) for a, own in zip(self.actors, owns, strict=True)
        ]
        behind = raster_view(self.stage._vertices, self.stage._faces, camera, double, big)
        depths = [
            _camera_z(raster, a._vertices, a._faces, own)
            for raster, a, own in zip(rasters, self.actors, owns, strict=True)
        ]
        ground = np.minimum(
            _camera_z(behind, self.stage._vertices, self.stage._faces, camera),
            self.stage.floor_depth(camera, double, big),
        )
        stack = np.stack([ground, *depths])
        layer = stack.argmin(axis=0).astype(np.int8) - 1
        depth = stack.min(axis=0)
        layer[depth >= NOTHING] = -2
        colours = self.stage.draw(behind, camera, double)
        for number, (actor, own, raster) in enumerate(zip(self.actors, owns, rasters, strict=True)):
            mine = layer == number
            share = mine.reshape(self.size[1], 2, self.size[0], 2).mean(axis=(1, 3), dtype=np.float32)[..., None]
            picture = actor.draw(np.where(mine[..., None], raster, 0), own, self.paths[number][frame], double)
            colours = colours * (1 - share) + picture
        # Shares were taken one after another from what was left; they do not overlap, so that is their sum.
        rgb = self.stage._develop(colours, rng_of(self.stage._seed, 2, frame))
        return Shot(rgb, layer, depth)

    def pick(self, shot: Shot, frame: int, layer: int, count: int, rng: np.random.Generator) -> list[TrackPoint]:
        """Up to `count` points of a layer (-1: the set) that `frame` shows, rather where the picture has structure."""
        rows, columns = np.nonzero(shot.layer == layer)
        if len(rows) < count:
            return []
        odds = _structure(shot.rgb)[rows // 2, columns // 2]
        chosen = rng.choice(len(rows), count, replace=False, p=odds / odds.sum())
        xy = np.stack([columns[chosen] + 0.5, rows[chosen] + 0.5, np.ones(len(chosen))], axis=1)
        local = (xy @ np.linalg.inv(self._double).T) * shot.depth[rows[chosen], columns[chosen]][:, None]
        to_camera = self.cameras[frame] @ (np.eye(4) if layer < 0 else self.paths[layer][frame])
        back = np.linalg.inv(to_camera)
        return [TrackPoint(layer, place) for place in local @ back[:3, :3].T + back[:3, 3]]

    def track(self, points: Sequence[TrackPoint], frame: int, shot: Shot) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, 2) of the points in a frame, and whether they are seen (N,): in the image and not hidden."""
        pixels = np.zeros((len(points), 2))
        depths = np.zeros(len(points))
        for n, point in enumerate(points):
            move = self.cameras[frame] @ (np.eye(4) if point.layer < 0 else self.paths[point.layer][frame])
            x, y, z = move[:3, :3] @ point.place + move[:3, 3]
            pixels[n] = (self.intrinsics @ np.array([x / z, y / z, 1.0]))[:2]
            depths[n] = z
        return pixels, (depths > 0) & _seen(pixels, depths, shot.depth)


def _structure(rgb: np.ndarray) -> np.ndarray:
    """(H, W) length of the gradient of the smoothed brightness, and a little everywhere."""
    grey = cv2.GaussianBlur(rgb.mean(axis=2, dtype=np.float32), (0, 0), 1.5)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)).astype(np.float64) + 2.0


def _camera_z(raster: np.ndarray, vertices: np.ndarray, faces: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(H, W) float32 camera z of a raster's samples, `NOTHING` where it is empty."""
    there = raster[..., 3] > 0
    out = np.full(raster.shape[:2], NOTHING, dtype=np.float32)
    z = vertices @ own[2, :3] + own[2, 3]
    hit = raster[there]
    corners = z[faces[hit[:, 3].astype(np.int64) - 1]]
    out[there] = hit[:, 0] * corners[:, 0] + hit[:, 1] * corners[:, 1] + (1 - hit[:, 0] - hit[:, 1]) * corners[:, 2]
    return out


def _seen(pixels: np.ndarray, depths: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Whether points are in the image and nothing nearer was drawn on any sample around them (3x3, half pixels)."""
    height, width = drawn.shape
    at = np.floor(2 * pixels).astype(np.int64)
    inside = ((at >= 0) & (at < [width, height])).all(axis=1)
    seen = np.zeros(len(pixels), dtype=bool)
    for n in np.flatnonzero(inside):
        column, row = at[n]
        around = drawn[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        seen[n] = depths[n] <= around.max() + DEPTH_SLACK
    return seen
