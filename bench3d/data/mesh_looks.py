"""The looks of a mesh as trimesh reads them -> `bench3d.render.textured.Surface`, texture coordinates and colours.

glTF states its factors and vertex colours in linear light, the other formats' vertex colours are sRGB. A material's
metalness, roughness and maps of normals are left out: the renderer knows Lambert's light only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from bench3d.render.mipmaps import DECODED
from bench3d.render.textured import Surface

MAX_SIDE = 2048
"""Larger textures are reduced: an object spans about 500 pixels of a picture at most."""

BLEND_CUTOUT = 0.5
"""Alpha below which a blended texture (hair, leaves) counts as a hole."""


@dataclass(frozen=True, eq=False)
class Look:
    """uv (V, 2) or None; colours (V, 3) linear or None; face_colours (F, 3) linear or None; surface None: invisible."""

    surface: Surface | None
    uv: np.ndarray | None = None
    colours: np.ndarray | None = None
    face_colours: np.ndarray | None = None


class Looks:
    """Reads looks; images that several parts share are decoded once. `problems` holds words on broken images."""

    def __init__(self, linear: bool) -> None:
        self.linear = linear
        self.problems: list[str] = []
        self._images: dict[int, tuple[Any, np.ndarray | None]] = {}
        self._surfaces: dict[int, tuple[Any, Surface | None]] = {}

    def of(self, part: Any) -> Look:
        """The look of a trimesh.Trimesh."""
        visual, count = part.visual, len(part.vertices)
        material = getattr(visual, "material", None)
        if material is not None:
            uv = getattr(visual, "uv", None)
            if uv is None or np.shape(uv) != (count, 2):
                uv = None
            painted = visual.vertex_attributes.get("color") if hasattr(visual, "vertex_attributes") else None
            surface = self._surface(material)
            if uv is None and surface is not None:
                surface = Surface(surface.colour, glow=surface.glow)
            return Look(surface, uv, None if painted is None else self._linear(painted, count))
        if getattr(visual, "kind", None) == "vertex":
            return Look(Surface((1.0, 1.0, 1.0)), colours=self._linear(visual.vertex_colors, count))
        if getattr(visual, "kind", None) == "face":
            faces = self._linear(visual.face_colors, len(part.faces))
            return Look(Surface((1.0, 1.0, 1.0)), face_colours=faces)
        return Look(Surface())

    def _linear(self, colours: Any, count: int) -> np.ndarray | None:
        """(count, 3) float32 linear of colours of any type; None where they do not fit."""
        values = np.asarray(colours)
        if values.ndim != 2 or len(values) != count or values.shape[1] < 3:
            return None
        values = values[:, :3]
        if values.dtype.kind in "ui":
            values = values / np.iinfo(values.dtype).max
        unit = np.nan_to_num(np.clip(values.astype(np.float32), 0.0, 1.0))
        return unit if self.linear else DECODED[np.rint(unit * 255).astype(np.uint8)]

    def _surface(self, material: Any) -> Surface | None:
        if id(material) not in self._surfaces:
            inner = getattr(material, "materials", None)
            chosen = inner[0] if inner else material
            read = self._pbr if hasattr(chosen, "baseColorFactor") else self._simple
            self._surfaces[id(material)] = (
                material,
                read(chosen),
            )  # the material is kept, so that its id stays its own
        return self._surfaces[id(material)][1]

    def _simple(self, material: Any) -> Surface | None:
        """A material of an .mtl file: as in Blender the texture, where there is one, replaces the colour."""
        texture = self._image(getattr(material, "image", None))
        if texture is not None:
            return Surface((1.0, 1.0, 1.0), texture)
        return Surface(_factor(getattr(material, "diffuse", None))[:3])

    def _pbr(self, material: Any) -> Surface | None:
        red, green, blue, alpha = _factor(material.baseColorFactor)
        texture, mode = self._image(material.baseColorTexture), material.alphaMode
        cutout: float | None = None
        if mode == "MASK":
            limit = 0.5 if material.alphaCutoff is None else float(material.alphaCutoff)
            cutout = limit / alpha if alpha > 0 else np.inf
        elif mode == "BLEND":
            cutout = BLEND_CUTOUT if alpha > 0 else np.inf
        if cutout is not None and ((cutout > 1 and (texture is not None or mode == "MASK")) or cutout == np.inf):
            return None
        if texture is None or cutout is None or texture[..., 3].min() >= 255 * cutout:
            cutout = None
        glow = (0.0, 0.0, 0.0) if material.emissiveFactor is None else material.emissiveFactor
        lit = (float(np.clip(glow[0], 0, 1)), float(np.clip(glow[1], 0, 1)), float(np.clip(glow[2], 0, 1)))
        return Surface((red, green, blue), texture, lit, self._image(material.emissiveTexture), cutout)

    def _image(self, image: Any) -> np.ndarray | None:
        """(H, W, 4) uint8, at most MAX_SIDE; None where there is none or it is broken."""
        if image is None:
            return None
        if id(image) not in self._images:
            try:
                self._images[id(image)] = (image, _decoded(image))
            except Exception:
                # PIL raises OSError, SyntaxError, ValueError, DecompressionBombError and more, depending on the codec.
                self._images[id(image)] = (image, None)
                self.problems.append(f"{image.info.get('file_path') or 'a texture inside the file'!r} cannot be read")
        return self._images[id(image)][1]


def _decoded(image: Image.Image) -> np.ndarray:
    if max(image.size) > MAX_SIDE:
        scale = MAX_SIDE / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.convert("RGBA").resize(size, Image.Resampling.BOX)
    return np.array(image.convert("RGBA"))


def _factor(value: Any) -> tuple[float, float, float, float]:
    """A colour of trimesh (8-bit RGBA of the file's numbers, or floats) in [0, 1]; white where there is none."""
    if value is None:
        return (1.0, 1.0, 1.0, 1.0)
    values = np.asarray(value)
    unit = np.clip(values / 255.0 if values.dtype.kind in "ui" else values.astype(np.float64), 0.0, 1.0)
    full = [*unit.tolist(), 1.0, 1.0, 1.0, 1.0][:4] if len(unit) >= 3 else [1.0] * 4
    return (full[0], full[1], full[2], full[3])
