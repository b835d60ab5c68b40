"""The picture of `bench3d features --pca`: every image, and below it its features' principal components as colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench3d.features.pca import colours, foreground, principal_components
from bench3d.files import atomic_path
from bench3d.geometry.pixels import PixelGeometry
from bench3d.render.shade import panel
from bench3d.runner.look import Look

WIDTH = 1600
"""Aimed at, in pixels, for the whole picture."""

NARROWEST, WIDEST = 96, 640
GAP = 6
BACKGROUND = 24


def write_picture(path: Path, looks: Sequence[Look], title: str, only_foreground: bool) -> dict[str, Any]:
    """Writes the picture.

    One basis and one scale of colours serve all images. With `only_foreground` the basis is that of the foreground's
    cells, which a first basis of all cells finds; the rest is left dark.

    Returns:
        path, `explained`: the share of the variance of the three components, and `foreground`: the share of cells that
        was kept.
    """
    rows = [np.moveaxis(_values(one), 0, -1).reshape(-1, _values(one).shape[0]) for one in looks]
    kept = [np.ones(len(part), dtype=bool) for part in rows]
    if only_foreground:
        first = principal_components(rows, 1)
        values = [first.project(part)[:, 0] for part in rows]
        masks = foreground([v.reshape(_values(o).shape[1:]) for v, o in zip(values, looks, strict=True)])
        if any(mask.any() for mask in masks):
            kept = [mask.ravel() for mask in masks]
    rows = [part[mask] for part, mask in zip(rows, kept, strict=True)]
    basis = principal_components(rows, 3)
    tiles = []
    width, columns = arrangement(len(looks))
    scaled = colours([basis.project(part) for part in rows])
    for one, part, mask in zip(looks, scaled, kept, strict=True):
        flat = np.full((len(mask), 3), BACKGROUND / 255)
        flat[mask] = part
        cells = flat.reshape(*_values(one).shape[1:], 3)
        tiles.append(_tile(one, np.rint(cells * 255).astype(np.uint8), width))
    share = float(np.concatenate(kept).mean())
    shares = ", ".join(f"{100 * v:.0f} %" for v in basis.explained)
    caption = f"red, green, blue: components 1, 2, 3 ({shares} of the variance)"
    if only_foreground:
        caption += f" of the {100 * share:.0f} % of cells on the foreground's side of component 1"
    drawn = with_caption(panel(tiles, [one.label for one in looks], columns), title, caption)
    with atomic_path(path) as temporary:
        Image.fromarray(drawn).save(temporary)
    return {"path": str(path), "explained": basis.explained.tolist(), "foreground": share}


def arrangement(count: int) -> tuple[int, int]:
    """Width of a tile in pixels and number of columns: a tile is taller than wide, the picture wider than tall."""
    columns = count if count <= 5 else math.ceil(1.5 * math.sqrt(count))
    return int(np.clip(WIDTH // columns, NARROWEST, WIDEST)), columns


def spread_cells(cells: np.ndarray, geometry: PixelGeometry, size: tuple[int, int]) -> np.ndarray:
    """Colours of cells (h, w, 3) where they lie in the original image, drawn at `size` (W, H) -> (H, W, 3).

    Each pixel takes the cell it lies in, found through the pixel geometry: nothing is smoothed, and a shift of the
    features against the image would be seen.
    """
    ratio = np.array(geometry.original_size) / np.array(size)
    across = (np.arange(max(size))[:, None] + 0.5) * ratio
    cell = np.floor(geometry.original_to_cell(across)).astype(np.int64)
    columns = cell[: size[0], 0].clip(0, cells.shape[1] - 1)
    lines = cell[: size[1], 1].clip(0, cells.shape[0] - 1)
    return cells[lines][:, columns]


def _values(one: Look) -> np.ndarray:
    assert one.values is not None
    return one.values


def _tile(one: Look, cells: np.ndarray, width: int) -> np.ndarray:
    """The photograph, and below it its cells, both with a longer side of `width` pixels."""
    height, across = one.shown.shape[:2]
    scale = width / max(height, across)
    size = (max(1, round(across * scale)), max(1, round(height * scale)))
    photo = np.asarray(Image.fromarray(one.shown).resize(size, Image.Resampling.LANCZOS))
    gap = np.full((GAP, size[0], 3), 255, dtype=np.uint8)
    return np.concatenate([photo, gap, spread_cells(cells, one.geometry, size)])


def with_caption(picture: np.ndarray, title: str, caption: str) -> np.ndarray:
    """The picture (H, W, 3) with a title above and a caption below it, broken into lines where they are long."""
    size = int(np.clip(picture.shape[1] // 28, 14, 26))
    margin, fonts = 10, [ImageFont.load_default(size), ImageFont.load_default(round(0.75 * size))]
    texts = [broken(t, f, picture.shape[1] - 2 * margin) for t, f in zip((title, caption), fonts, strict=True)]
    steps = [round(1.4 * size), round(1.1 * size)]
    head, foot = (margin + len(t) * step for t, step in zip(texts, steps, strict=True))
    canvas = Image.new("RGB", (picture.shape[1], head + picture.shape[0] + foot), "white")
    canvas.paste(Image.fromarray(picture), (0, head))
    draw = ImageDraw.Draw(canvas)
    for part, top in enumerate((margin, head + picture.shape[0])):
        for index, text in enumerate(texts[part]):
            draw.text((margin, top + index * steps[part]), text, fill=(60, 60, 60), font=fonts[part])
    return np.asarray(canvas)


def broken(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> list[str]:
    """The text in lines of at most `width` pixels; a single word may be longer."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
