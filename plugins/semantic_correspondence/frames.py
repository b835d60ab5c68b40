"""Where points lie: original image, canvas, cells and the points that a match is looked for at.

The canvas map of the *points* is the published one of each protocol, down to its single precision: 500-pixel-wide
images put a keypoint onto a cell's edge every 25 pixels, and the side it falls to is decided by rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench3d.contracts import Placing
from bench3d.data.placing import layout
from bench3d.features.lattice import Lattice
from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.semantic_correspondence.settings import SemanticSettings

FALLBACK_CANVAS = 840


@dataclass(frozen=True)
class Frame:
    """Original pixels to canvas pixels: canvas = scale * original + offset, per axis.

    Attributes:
        size: (W, H) of the original image.
        side: of the canvas that the points know (without the margin).
    """

    size: tuple[int, int]
    side: int
    scale: tuple[float, float]
    offset: tuple[float, float]

    def to_canvas(self, xy: np.ndarray) -> np.ndarray:
        """(K, 2) original to canvas pixels, float32 as in the published code."""
        scaled = np.asarray(xy, dtype=np.float32) * np.asarray(self.scale, dtype=np.float32)
        return scaled + np.asarray(self.offset, dtype=np.float32)

    def whole(self, xy: np.ndarray) -> np.ndarray:
        """(K, 2) original to canvas pixels, cut to whole ones (towards zero)."""
        divisor = self.side / np.asarray(self.scale)
        return np.trunc(np.asarray(xy, dtype=np.float64) * self.side / np.rint(divisor) + np.asarray(self.offset))

    def to_original(self, xy: np.ndarray) -> np.ndarray:
        """(K, 2) canvas to original pixels, float64."""
        return (np.asarray(xy, dtype=np.float64) - np.asarray(self.offset)) / np.asarray(self.scale)


def canvas_side(settings: SemanticSettings, model_canvas: int | None) -> int:
    """Side in pixels of what the model is shown."""
    return settings.canvas or model_canvas or FALLBACK_CANVAS


def frame(size: tuple[int, int], settings: SemanticSettings, canvas: int) -> Frame:
    """How points of an image of `size` (W, H) get onto the canvas."""
    side = canvas - 2 * settings.margin
    if settings.placing != "affine":
        shown = layout(size, Placing(kind=settings.placing, canvas=side, resample=settings.resample)).geometry
        return Frame(size, side, shown.scale, shown.offset)
    scale, window = affine_window(size, side)
    return Frame(size, side, (scale, scale), (-window[0][0] * scale, -window[1][0] * scale))


def affine_window(size: tuple[int, int], side: int) -> tuple[float, list[tuple[int, int]]]:
    """Common3D's crop of a whole image: the scale of the points, and first and last original pixel edge of each axis.

    The window reaches side / scale / 2 to both sides of the middle pixel, rounded outwards. Where the scale, in single
    precision, was rounded down or a side is odd, it is one or two pixels too long: the image is then shown a little
    smaller than its points are scaled.
    """
    scale = float(np.float32(side) / np.float32(max(size)))
    half = side / scale / 2
    return scale, [(math.floor(n // 2 - half), math.ceil(n // 2 + half)) for n in size]


def placing(size: tuple[int, int], settings: SemanticSettings, canvas: int) -> Placing:
    """How the image of `size` (W, H) is shown to the model."""
    if settings.placing != "affine" and not settings.margin:
        return Placing(kind=settings.placing, canvas=canvas, resample=settings.resample, fill=settings.fill)
    points = frame(size, settings, canvas)
    scale, offset = points.scale, points.offset
    if settings.placing == "affine":
        _, ((left, right), (top, bottom)) = affine_window(size, points.side)
        scale = (points.side / (right - left), points.side / (bottom - top))
        offset = (-left * scale[0], -top * scale[1])
    offset = (offset[0] + settings.margin, offset[1] + settings.margin)
    geometry = PixelGeometry(original_size=size, input_size=(canvas, canvas), scale=scale, offset=offset)
    return Placing(kind="crop", resample=settings.resample, fill=settings.fill, geometry=geometry)


@dataclass(frozen=True)
class Grid:
    """Cells over a canvas: cell = canvas * rate - shift, per axis; cell (i, j) covers [i, i+1)."""

    size: tuple[int, int]
    rate: tuple[float, float]
    shift: tuple[float, float]

    @staticmethod
    def of(geometry: PixelGeometry, side: int) -> Grid:
        """The cells of a feature map whose network input shows a canvas of `side` pixels."""
        assert geometry.grid_size is not None and geometry.stride is not None
        rates = [n / side / stride for n, stride in zip(geometry.input_size, geometry.stride, strict=True)]
        shifts = [origin / stride for origin, stride in zip(geometry.origin, geometry.stride, strict=True)]
        return Grid(geometry.grid_size, (rates[0], rates[1]), (shifts[0], shifts[1]))

    def cells(self, canvas_xy: np.ndarray) -> np.ndarray:
        """(K, 2) canvas pixels to continuous cell coordinates; float32 stays float32."""
        rate = np.asarray(self.rate, dtype=canvas_xy.dtype)
        return canvas_xy * rate - np.asarray(self.shift, dtype=canvas_xy.dtype)

    def canvas(self, cells: np.ndarray) -> np.ndarray:
        """(K, 2) continuous cell coordinates to canvas pixels."""
        return (cells + np.asarray(self.shift)) / np.asarray(self.rate)


@dataclass(frozen=True)
class Candidates:
    """The points that a match is looked for at: a rectangle of columns and rows.

    Attributes:
        x, y: where they are said to lie, in original pixels, ascending.
        columns, rows: the same seen from the map, in continuous cell coordinates.
        inside: (H, W) bool of those that count, None for all; always a rectangle of columns and rows.
        step: canvas pixels (original pixels where the candidates are those) from one to the next, per axis.
    """

    x: np.ndarray
    y: np.ndarray
    columns: np.ndarray
    rows: np.ndarray
    inside: np.ndarray | None
    step: tuple[float, float]

    @cached_property
    def lattice(self) -> Lattice:
        """For the matching of features."""
        return Lattice(self.columns, self.rows)

    def domain(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns (original x) and rows (original y) of the candidates that count."""
        if self.inside is None:
            return self.x, self.y
        return self.x[self.inside.any(axis=0)], self.y[self.inside.any(axis=1)]


def candidates(points: Frame, grid: Grid, settings: SemanticSettings) -> Candidates:
    """Of a target image."""
    axes = [_axis(points, grid, settings, a) for a in (0, 1)]
    (x, columns, inside_x, step_x), (y, rows, inside_y, step_y) = axes
    inside = None
    if not settings.padding and not (inside_x.all() and inside_y.all()) and inside_x.any() and inside_y.any():
        inside = inside_y[:, None] & inside_x[None, :]
    return Candidates(x, y, columns, rows, inside, (step_x, step_y))


def _axis(
    points: Frame, grid: Grid, settings: SemanticSettings, axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Original coordinates, cell coordinates, whether inside the image, and step of one axis."""
    scale, offset, length = points.scale[axis], points.offset[axis], points.size[axis]
    rate, shift = grid.rate[axis], grid.shift[axis]
    cells: np.ndarray
    looked: np.ndarray
    if settings.candidates == "cells":
        cells = np.arange(grid.size[axis]) + 0.5
        centres, step = (cells + shift) / rate, 1 / rate
    elif settings.candidates == "canvas":
        count = settings.lattice_side or points.side
        step = points.side / count
        centres = (np.arange(count) + 0.5) * step
        looked = centres - 0.5 * step if settings.lattice == "corners" else centres
        cells = looked * rate - shift
    else:
        step = 1.0
        own = np.arange(length) + 0.5
        looked = own - 0.5 if settings.lattice == "corners" else own
        cells = (looked * scale + offset) * rate - shift
        return own - _before(settings, 1.0), cells, np.ones(length, dtype=bool), step
    middle = (centres - offset) / scale
    shown = (centres - _before(settings, step) - offset) / scale
    return shown, cells, (middle >= 0) & (middle < length), step


def _before(settings: SemanticSettings, step: float) -> float:
    """How far left of its centre a candidate is said to lie; the half pixel is one of the canvas (or of the image)."""
    return {"centre": 0.0, "half-pixel-before": 0.5, "corner": 0.5 * step}[settings.position]
