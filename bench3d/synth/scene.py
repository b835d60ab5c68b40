"""Pictures of an instance: colours with light and surroundings, visible and amodal mask, depth."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import cv2
import numpy as np

from bench3d.geometry.camera import clip_matrix
from bench3d.render.raster import rasterize
from bench3d.synth.instances import Instance
from bench3d.synth.lighting import SHADOW_REACH, corner_normals
from bench3d.synth.materials import Material, darker
from bench3d.synth.mesh import Mesh
from bench3d.synth.seeds import Seed, rng_of
from bench3d.synth.shading import material_tables, shade
from bench3d.synth.surroundings import make_surroundings, random_part

KEY_SIZE, OPEN_SIZE, OPEN_DIRECTIONS = 288, 96, 14
CREASE = float(np.cos(np.deg2rad(42)))


@dataclass(frozen=True)
class Style:
    """How a scene looks. Amounts are in [0, 1].

    Attributes:
        clutter: number of things around the object; light: variation of direction, colour and strength.
        texture: False leaves floor and walls plain.
        occlusion: range of the share of the object's pixels hidden by things in front; (0, 0) for none.
        dim_cues: lamps and plates take the colour of what is around them.
        contrast: lowest contrast that is drawn (1 = untouched); darkness: largest loss of exposure.
        noise, blur, cast: largest sensor noise (of 1), blur (pixels), colour cast.
    """

    clutter: float = 1.0
    light: float = 1.0
    texture: bool = True
    occlusion: tuple[float, float] = (0.0, 0.0)
    dim_cues: bool = False
    contrast: float = 1.0
    darkness: float = 0.0
    noise: float = 0.008
    blur: float = 0.0
    cast: float = 0.0


PLAIN = Style()
HARD = Style(occlusion=(0.1, 0.4), dim_cues=True, contrast=0.55, darkness=0.5, noise=0.035, blur=1.0, cast=0.15)


@dataclass(frozen=True, eq=False)
class Rendered:
    """One picture of (H, W): rgb uint8, mask (visible object) and amodal (whole object) bool, depth float32.

    `depth` is the z of the visible object's surface at the pixel centre in canonical units, 0 elsewhere.
    """

    rgb: np.ndarray
    mask: np.ndarray
    amodal: np.ndarray
    depth: np.ndarray


class Scene:
    """An instance in its surroundings: everything that the frames of one video share.

    Args:
        instance: what is shown; the world is its canonical frame.
        seed: decides surroundings, light, textures and image faults.
        view: cam_T_obj (4, 4) of a single photo: clutter stands behind the object; None for videos.
    """

    def __init__(self, instance: Instance, seed: Seed, style: Style = PLAIN, view: np.ndarray | None = None) -> None:
        self.instance, self.style, self._seed = instance, style, seed
        rng = rng_of(seed, 1)
        around = make_surroundings(rng, instance.vertices, view, style.clutter, style.light, style.texture)
        self._room, self._light = around.room, around.light
        materials = _dimmed(instance.materials) if style.dim_cues else list(instance.materials)
        self._planes = len(materials) + np.arange(6)
        self._materials = materials + around.planes
        self._vertices, self._faces = instance.vertices, instance.faces
        self._face_material = instance.face_material
        for mesh, material in around.clutter:
            self._append(mesh, material)
        self._normals = corner_normals(self._vertices, self._faces, CREASE)
        self._texture_seed = int(rng.integers(1, 100000))
        self._key = shadow_maps(self._vertices, self._faces, self._light[:1], KEY_SIZE)
        self._open = shadow_maps(self._vertices, self._faces, dome(OPEN_DIRECTIONS), OPEN_SIZE)
        self._tables = material_tables(self._materials, self._texture_seed)

    def _append(self, mesh: Mesh, material: Material) -> None:
        self._faces = np.concatenate([self._faces, (mesh.faces + len(self._vertices)).astype(np.int32)])
        self._vertices = np.concatenate([self._vertices, mesh.vertices.astype(np.float32)])
        number = np.full(len(mesh.faces), len(self._materials), dtype=np.int32)
        self._face_material = np.concatenate([self._face_material, number])
        self._materials.append(material)

    def render(self, cam_T_obj: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int], frame: int = 0) -> Rendered:
        """The picture from a camera; size is (W, H). `frame` seeds only sensor noise and occluders."""
        rng = rng_of(self._seed, 2, frame)
        own = self.instance
        small = raster_view(own.vertices, own.faces, cam_T_obj, intrinsics, size)
        amodal = small[..., 3] > 0
        scene = self._with_occluders(rng, cam_T_obj, intrinsics, size)
        double = np.diag([2.0, 2.0, 1.0]) @ intrinsics
        big = raster_view(scene._vertices, scene._faces, cam_T_obj, double, (2 * size[0], 2 * size[1]))
        if len(scene._faces) > len(own.faces):
            small = raster_view(scene._vertices, scene._faces, cam_T_obj, intrinsics, size)
        mask = (small[..., 3] > 0) & (small[..., 3] <= len(own.faces))
        depth = _depth(small, mask, own, cam_T_obj)
        rotation = cam_T_obj[:3, :3]
        colours = scene._lit(big, -rotation.T @ cam_T_obj[:3, 3], rotation.T @ np.linalg.inv(double))
        return Rendered(self._develop(colours, rng), mask, amodal, depth)

    def _lit(
        self,
        raster: np.ndarray,
        eye: np.ndarray,
        rays: np.ndarray,
        light: np.ndarray | None = None,
        key: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> np.ndarray:
        """(H, W, 3) linear colours of a raster (2H, 2W, 4), seen from `eye` (3,) with `rays` (3, 3) from its pixels.

        `light` and `key` (shadow maps of the key light) stand in for the scene's own.
        """
        return shade(
            raster,
            self._vertices,
            self._faces,
            self._normals,
            self._face_material,
            *self._tables,
            self._planes,
            self._room,
            self._light if light is None else light,
            eye,
            rays,
            *(self._key if key is None else key),
            *self._open,
        )

    def _with_occluders(
        self, rng: np.random.Generator, cam_T_obj: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]
    ) -> Scene:
        """The scene with one thing in front that hides a share of the object drawn from the style's range."""
        if self.style.occlusion[1] <= 0:
            return self
        target = rng.uniform(*self.style.occlusion)
        shrink = min(1.0, 64 / max(size))
        low_size = (max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink)))
        coarse = np.diag([low_size[0] / size[0], low_size[1] / size[1], 1.0]) @ intrinsics
        own = self.instance
        whole = raster_view(own.vertices, own.faces, cam_T_obj, coarse, low_size)[..., 3] > 0
        rows, columns = np.nonzero(whole)
        if not len(rows):
            return self
        pick = int(rng.integers(len(rows)))
        part, material = random_part(rng, 1.0)
        vertices = part.vertices - (part.vertices.min(0) + part.vertices.max(0)) / 2
        vertices = vertices[:, [0, 2, 1]] / np.abs(vertices).max() * np.array([1.0, 1.0, 0.25])
        depth = max(0.5 * cam_T_obj[2, 3], cam_T_obj[2, 3] - 2.0)
        ray = np.linalg.inv(coarse) @ np.array([columns[pick] + 0.5, rows[pick] + 0.5, 1.0])
        cam_T_inverse = np.linalg.inv(cam_T_obj)

        def placed(scale: float) -> Mesh:
            points = vertices * scale + ray * depth
            return Mesh(points @ cam_T_inverse[:3, :3].T + cam_T_inverse[:3, 3], part.faces)

        low, high = 0.0, 2.0
        for _ in range(10):
            middle = (low + high) / 2
            mesh = placed(middle)
            cover = raster_view(mesh.vertices, mesh.faces, cam_T_obj, coarse, low_size)[..., 3] > 0
            hidden = (cover & whole).sum() / whole.sum()
            low, high = (middle, high) if hidden < target else (low, middle)
        scene = copy.copy(self)
        scene._materials = list(self._materials)
        scene._append(placed(high), material)
        scene._normals = corner_normals(scene._vertices, scene._faces, CREASE)
        scene._tables = material_tables(scene._materials, self._texture_seed)
        return scene

    def _develop(self, linear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Linear light to uint8: exposure, cast, gamma 2, contrast, blur, sensor noise."""
        style = self.style
        exposure = 1.0 - style.darkness * rng.uniform(0, 1)
        tint = 1.0 + style.cast * rng.uniform(-1, 1, 3)
        image = np.sqrt(np.clip(linear * (exposure * tint).astype(np.float32), 0.0, 1.0))
        contrast = rng.uniform(style.contrast, 1.0)
        if contrast < 1:
            image = 0.5 * image.mean() + 0.25 + (image - 0.5 * image.mean() - 0.25) * np.float32(contrast)
        sigma = style.blur * rng.uniform(0, 1)
        if sigma > 0.2:
            image = cv2.GaussianBlur(image, (0, 0), sigma)
        level = style.noise * rng.uniform(0.3, 1)
        if level > 0:
            image = image + rng.standard_normal(image.shape, dtype=np.float32) * np.float32(level)
        return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def render(
    instance: Instance,
    cam_T_obj: np.ndarray,
    intrinsics: np.ndarray,
    size: tuple[int, int],
    scene_seed: Seed,
    style: Style = PLAIN,
) -> Rendered:
    """One photo with surroundings of its own, clutter behind the object. A video is a `Scene` that renders frames."""
    return Scene(instance, scene_seed, style, view=cam_T_obj).render(cam_T_obj, intrinsics, size)


def raster_view(
    vertices: np.ndarray, faces: np.ndarray, cam_T_obj: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """(H, W, 4) raster of one view. Near and far hug the scene, for z/w in float32 blurs at 40 units distance."""
    distance = float(np.linalg.norm(cam_T_obj[:3, 3]))
    near = max(0.1 * distance, distance - 6.0)
    matrix = clip_matrix(intrinsics, size, near, distance + 30.0) @ cam_T_obj
    clip = vertices @ matrix[:, :3].T + matrix[:, 3]
    return rasterize(clip[None].astype(np.float32), faces, (size[1], size[0]))[0]


def _depth(raster: np.ndarray, mask: np.ndarray, instance: Instance, cam_T_obj: np.ndarray) -> np.ndarray:
    z = instance.vertices @ cam_T_obj[2, :3] + cam_T_obj[2, 3]
    corners = z[instance.faces[np.where(mask, raster[..., 3] - 1, 0).astype(np.int64)]]
    u, v = raster[..., 0], raster[..., 1]
    depth = u * corners[..., 0] + v * corners[..., 1] + (1 - u - v) * corners[..., 2]
    return np.where(mask, depth, 0).astype(np.float32)


def shadow_maps(
    vertices: np.ndarray, faces: np.ndarray, directions: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Depth maps (K, S, S) along directions towards lights (K, 3) and their frames (K, 3, 3): right, down, away."""
    away = -directions / np.linalg.norm(directions, axis=1, keepdims=True)
    right = np.cross(away, np.where(np.abs(away[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]))
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    frames = np.stack([right, np.cross(away, right), away], axis=1)
    local = np.einsum("kij,vj->kvi", frames, vertices.astype(np.float64))
    clip = np.ones((len(frames), len(vertices), 4), dtype=np.float32)
    clip[..., :3] = local / (SHADOW_REACH * np.array([1.0, 1.0, 2.0]))
    raster = rasterize(clip, faces, (size, size))
    return np.where(raster[..., 3] > 0, raster[..., 2], np.float32(9.0)), frames


def dome(count: int) -> np.ndarray:
    """Directions spread over the upper half space (a spiral)."""
    k = np.arange(count) + 0.5
    up = 1 - k / count * 0.93
    turn = k * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - up**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), up], axis=1)


def _dimmed(materials: list[Material]) -> list[Material]:
    """The materials with every cue of front and back in a dull grey."""
    grey = darker(materials[0].colour, 0.7)
    return [replace(m, colour=grey, texture="plain", glow=0.0, mirror=0.0) if m.cue else m for m in materials]
