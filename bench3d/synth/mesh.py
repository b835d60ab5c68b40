"""Triangle meshes, and the builder that collects an object from parts, materials, decals and keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench3d.synth.materials import Decal, Material


@dataclass(frozen=True, eq=False)
class Mesh:
    """vertices (V, 3) float64 and faces (F, 3) int64. Every method returns a new mesh."""

    vertices: np.ndarray
    faces: np.ndarray

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        """Translated."""
        return replace(self, vertices=self.vertices + np.array([x, y, z]))

    def turned(self, axis: int, degrees: float, about: Sequence[float] = (0.0, 0.0, 0.0)) -> Mesh:
        """Turned about a coordinate axis through `about`, right-handed."""
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        rotation = np.eye(3)
        rotation[i, i] = rotation[j, j] = c
        rotation[i, j], rotation[j, i] = -s, s
        centre = np.asarray(about, dtype=np.float64)
        return replace(self, vertices=(self.vertices - centre) @ rotation.T + centre)

    def scaled(self, x: float, y: float, z: float) -> Mesh:
        """Scaled along the axes (positive factors)."""
        return replace(self, vertices=self.vertices * np.array([x, y, z]))

    def mirrored(self) -> Mesh:
        """Mirrored in the plane x = 0, faces still looking outwards."""
        return Mesh(self.vertices * np.array([-1.0, 1.0, 1.0]), self.faces[:, ::-1])


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one."""
    offsets = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + o for m, o in zip(meshes, offsets, strict=True)]),
    )


class Builder:
    """Collects parts, materials, decals and keypoints in any unit, axes x left, y back, z up."""

    def __init__(self) -> None:
        self._vertices: list[np.ndarray] = []
        self._faces: list[np.ndarray] = []
        self._face_material: list[np.ndarray] = []
        self._materials: list[Material] = []
        self._decals: list[list[Decal]] = []
        self._keypoints: dict[str, np.ndarray] = {}
        self._count = 0

    def material(self, material: Material) -> int:
        """Registers a material and returns its index."""
        self._materials.append(material)
        self._decals.append([])
        return len(self._materials) - 1

    def look(self, index: int) -> Material:
        """The material of an index."""
        return self._materials[index]

    def add(self, mesh: Mesh, material: int) -> None:
        """Adds one part."""
        self._vertices.append(mesh.vertices)
        self._faces.append(mesh.faces + self._count)
        self._face_material.append(np.full(len(mesh.faces), material))
        self._count += len(mesh.vertices)

    def add_pair(self, mesh: Mesh, material: int) -> None:
        """Adds a part and its mirror image."""
        self.add(mesh, material)
        self.add(mesh.mirrored(), material)

    def polygon(
        self, on: int, axis: int, sign: int, points: Sequence[Sequence[float]], material: int, **options: float
    ) -> None:
        """A convex polygon decal on material `on`; points in the two other coordinates, in their order."""
        self._decal(on, axis, sign, "polygon", points, material, options)

    def rectangle(
        self,
        on: int,
        axis: int,
        sign: int,
        low: Sequence[float],
        high: Sequence[float],
        material: int,
        cut: float = 0.2,
    ) -> None:
        """A rectangle decal whose corners are cut off by `cut` times its shorter side."""
        (a0, b0), (a1, b1) = low, high
        c = cut * min(a1 - a0, b1 - b0)
        points = [
            (a0 + c, b0),
            (a1 - c, b0),
            (a1, b0 + c),
            (a1, b1 - c),
            (a1 - c, b1),
            (a0 + c, b1),
            (a0, b1 - c),
            (a0, b0 + c),
        ]
        self._decal(on, axis, sign, "polygon", points, material, {})

    def ellipse(
        self,
        on: int,
        axis: int,
        sign: int,
        centre: Sequence[float],
        radii: Sequence[float],
        material: int,
        **options: float,
    ) -> None:
        """An ellipse decal."""
        self._decal(on, axis, sign, "ellipse", [centre, radii], material, options)

    def stroke(
        self, on: int, axis: int, sign: int, points: Sequence[Sequence[float]], width: float, material: int
    ) -> None:
        """A polyline decal: door gaps, seams, trims."""
        self._decal(on, axis, sign, "stroke", points, material, {"width": width})

    def _decal(
        self,
        on: int,
        axis: int,
        sign: int,
        kind: str,
        points: Sequence[Sequence[float]],
        material: int,
        options: dict[str, float],
    ) -> None:
        array = np.asarray(points, dtype=np.float64)
        if kind == "polygon":
            x, y = array.T
            if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:
                array = array[::-1]
        low, high = options.pop("low", -1e3), options.pop("high", 1e3)
        self._decals[on].append(Decal(axis, sign, material, kind, array, (low, high), **options))

    def keypoint(self, name: str, x: float, y: float, z: float) -> None:
        """A named point, in the builder's unit."""
        self._keypoints[name] = np.array([x, y, z], dtype=np.float64)

    def keypoint_pair(self, left: str, right: str, x: float, y: float, z: float) -> None:
        """A point on the left (+x) and its mirror image."""
        self.keypoint(left, x, y, z)
        self.keypoint(right, -x, y, z)

    def collected(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Material], dict[str, np.ndarray]]:
        """Vertices (V, 3), faces (F, 3), face materials (F,), materials with decals, keypoints; the builder's unit."""
        materials = [replace(m, decals=tuple(d)) for m, d in zip(self._materials, self._decals, strict=True)]
        return (
            np.concatenate(self._vertices),
            np.concatenate(self._faces),
            np.concatenate(self._face_material),
            materials,
            dict(self._keypoints),
        )
