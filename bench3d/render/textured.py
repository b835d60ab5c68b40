"""Pictures of textured meshes: what a photographer's studio with three lamps at the camera would show.

Colours are taken with four samples a pixel; depth and mask at the pixel centre.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bench3d.geometry.camera import clip_matrix
from bench3d.render.mipmaps import DECODED, encode, mip_tables
from bench3d.render.raster import image_to_screen, rasterize
from bench3d.render.shade import _corner_normals
from bench3d.render.texture_shading import (
    COLUMNS,
    CUTOUT,
    GLOW,
    GLOW_TEXTURE,
    TEXTURE,
    Paint,
    Shape,
    View,
    add_cutouts,
    shade,
)

LAMPS = np.array([[1.0, -1.0, 1.0, 1.0], [-1.0, -1.0, -1.0, 1.0], [1.0, 0.0, 1.0, 0.1]])
"""Camera coordinates (x right, y down, z forward) and strength; the object lies at z = 2. Positions and ratio of
strengths are those of the published Objaverse renderings (tasks.md, section a). They stand with the camera, not with
the object."""

LAMP_POWER = 3.0
"""So that the first lamp gives the irradiance 1 at the object's centre."""

CROWDED = 4096
"""Faces at one vertex beyond which smoothing is left out: it takes the square of them."""


@dataclass(frozen=True, eq=False)
class Surface:
    """How a part of a mesh looks.

    Attributes:
        colour: linear base colour; multiplies the texture. texture: (H, W, 4) uint8, sRGB and alpha, row 0 on top.
        glow: linear light that it sends out itself; multiplies its own texture.
        cutout: texture alpha below which there is a hole; None: no holes.
    """

    colour: tuple[float, float, float] = (0.8, 0.8, 0.8)
    texture: np.ndarray | None = None
    glow: tuple[float, float, float] = (0.0, 0.0, 0.0)
    glow_texture: np.ndarray | None = None
    cutout: float | None = None

    @property
    def has_holes(self) -> bool:
        """Whether the texture cuts holes."""
        return self.cutout is not None and self.texture is not None


@dataclass(frozen=True, eq=False)
class TexturedMesh:
    """A mesh and its looks.

    Attributes:
        vertices: (V, 3) float64, finite, object units. faces: (F, 3) int32.
        normals: (F, 3, 3) float32 at the corners, not zero. uv: (V, 2) float32, origin at the lower left, repeating.
        colours: (V, 3) float32 linear; multiply the surface's colour.
        owner: (F,) int32, index of each face's surface. surfaces: at least one.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    colours: np.ndarray
    owner: np.ndarray
    surfaces: tuple[Surface, ...] = field(default=(Surface(),))


@dataclass(frozen=True, eq=False)
class TexturedView:
    """One picture: rgb (H, W, 3) uint8, black outside mask (H, W) bool; depth (H, W) float64 along z, 0 outside."""

    rgb: np.ndarray
    mask: np.ndarray
    depth: np.ndarray


def smooth_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3, 3) float32 unit normals at the corners: smooth over flat angles, sharp over creases.

    Vertices at one place count as one, whatever else parts them (texture seams). Faces without area get +z.
    """
    points, joined = np.unique(np.asarray(vertices, dtype=np.float64), axis=0, return_inverse=True)
    faces = joined.reshape(-1)[faces].astype(np.int64)
    if np.bincount(faces.ravel()).max() > CROWDED:
        flat = np.cross(points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]])
        normals = np.repeat(flat[:, None], 3, axis=1)
    else:
        normals = _corner_normals(points, faces)
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    return np.where(length > 1e-30, normals / np.maximum(length, 1e-30), (0.0, 0.0, 1.0)).astype(np.float32)


class TexturedScene:
    """A mesh made ready to be drawn from many places."""

    def __init__(self, mesh: TexturedMesh) -> None:
        holes = np.array([surface.has_holes for surface in mesh.surfaces])[mesh.owner]
        order = np.argsort(holes, kind="stable")  # surfaces with holes are drawn last, by a kernel of their own
        self._whole = int((~holes).sum())
        self._shape = Shape(
            vertices=np.ascontiguousarray(mesh.vertices, dtype=np.float64),
            faces=np.ascontiguousarray(mesh.faces[order], dtype=np.int32),
            normals=np.ascontiguousarray(mesh.normals[order], dtype=np.float32),
            uv=np.ascontiguousarray(mesh.uv, dtype=np.float32),
            colours=np.ascontiguousarray(mesh.colours, dtype=np.float32),
            owner=np.ascontiguousarray(mesh.owner[order], dtype=np.int32),
        )
        images: dict[int, np.ndarray] = {}
        for surface in mesh.surfaces:
            images.update({id(i): i for i in (surface.texture, surface.glow_texture) if i is not None})
        numbers = {key: number for number, key in enumerate(images)}
        table = np.zeros((len(mesh.surfaces), COLUMNS))
        for row, surface in zip(table, mesh.surfaces, strict=True):
            row[:3], row[GLOW : GLOW + 3] = surface.colour, surface.glow
            row[TEXTURE] = numbers.get(id(surface.texture), -1)
            row[GLOW_TEXTURE] = numbers.get(id(surface.glow_texture), -1)
            row[CUTOUT] = -1.0 if surface.cutout is None else surface.cutout
        self._paint = Paint(table, *mip_tables(list(images.values())), DECODED)

    def render(self, cam_T_obj: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> TexturedView:
        """The picture from a camera (OpenCV axes); size is (W, H). The camera must not stand inside the object."""
        small = self._raster(cam_T_obj, intrinsics, size)
        mask = small[..., 3] > 0
        double = np.diag([2.0, 2.0, 1.0]) @ intrinsics
        big = self._raster(cam_T_obj, double, (2 * size[0], 2 * size[1]))
        rotation, shift = cam_T_obj[:3, :3], cam_T_obj[:3, 3]
        lamps = LAMPS.copy()
        lamps[:, :3] = (lamps[:, :3] - shift) @ rotation
        lamps[:, 3] *= LAMP_POWER
        rays = np.ascontiguousarray(rotation.T @ np.linalg.inv(double))
        linear = shade(big, mask, self._shape, self._paint, View(-rotation.T @ shift, rays, lamps))
        return TexturedView(encode(linear), mask, self._depth(small, mask, cam_T_obj))

    def _raster(self, cam_T_obj: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        z = self._shape.vertices @ cam_T_obj[2, :3] + cam_T_obj[2, 3]
        # Near and far hug the object, for z/w in float32 must tell surfaces apart.
        matrix = clip_matrix(intrinsics, size, max(0.9 * float(z.min()), 0.01), 1.1 * float(z.max()) + 0.02) @ cam_T_obj
        clip = (self._shape.vertices @ np.ascontiguousarray(matrix[:, :3].T) + matrix[:, 3])[None].astype(np.float32)
        out = rasterize(clip, self._shape.faces[: self._whole], (size[1], size[0]))[0]
        if self._whole < len(self._shape.faces):
            add_cutouts(image_to_screen(clip[0], size[1], size[0]), self._whole, self._shape, self._paint, out)
        return out

    def _depth(self, raster: np.ndarray, mask: np.ndarray, cam_T_obj: np.ndarray) -> np.ndarray:
        z = self._shape.vertices @ cam_T_obj[2, :3] + cam_T_obj[2, 3]
        hit = raster[mask].astype(np.float64)
        corners = z[self._shape.faces[hit[:, 3].astype(np.int64) - 1]]
        depth = np.zeros(mask.shape)
        depth[mask] = hit[:, 0] * corners[:, 0] + hit[:, 1] * corners[:, 1]
        depth[mask] += (1.0 - hit[:, 0] - hit[:, 1]) * corners[:, 2]
        return depth
