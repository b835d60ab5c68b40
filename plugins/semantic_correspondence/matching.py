"""From keypoints of one image to points of another, under the options of the settings."""

from __future__ import annotations

import numpy as np
import torch

from bench3d.features.matching import Match, cell_argmax, dense_argmax, sample_at, similarity, soft_argmax
from bench3d_plugins.semantic_correspondence.encoded import Encoded
from bench3d_plugins.semantic_correspondence.settings import SemanticSettings


def predict(source: Encoded, source_xy: np.ndarray, target: Encoded, settings: SemanticSettings) -> np.ndarray:
    """(K, 2) original pixels of the target that match `source_xy` (K, 2) original pixels of the source."""
    if len(source_xy) == 0:
        return np.zeros((0, 2))
    queries = query_features(source, source_xy, settings)
    found = target.candidates
    if settings.candidates == "cells":
        return _among_cells(queries, target, settings)
    match = dense_argmax(
        queries, target.target, found.lattice, cosine=settings.similarity == "cosine", mask=found.inside
    )
    return _positions(match, target)


def query_features(source: Encoded, xy: np.ndarray, settings: SemanticSettings) -> torch.Tensor:
    """(K, C) of unit length."""
    points, grid = source.points, source.grid
    if settings.query == "pixel":
        return sample_at(source.values, _at(source, _pixel_points(source, xy, settings)), normalise=True)
    canvas = points.whole(xy) if settings.truncate else points.to_canvas(xy)
    if settings.query == "cell":
        index = cell_index(grid.cells(np.asarray(canvas, dtype=np.float32)), grid.size, wrap=settings.outside == "wrap")
        flat = torch.from_numpy(index).to(source.values.device)
        return torch.nn.functional.normalize(source.values.flatten(1).index_select(1, flat).T, dim=1)
    if settings.query == "bilinear":
        cells = grid.cells(np.asarray(canvas, dtype=np.float64))
    else:
        cells = np.asarray(canvas, dtype=np.float64) / points.side * (np.asarray(grid.size) - 1) + 0.5
    return sample_at(source.values, _at(source, cells), normalise=True)


def cell_index(cells: np.ndarray, size: tuple[int, int], *, wrap: bool) -> np.ndarray:
    """(K,) row-major index of the cells that hold the points (K, 2), given in continuous cell coordinates.

    `wrap`: row * columns + column without a check, negative ones counted from the end, as an array index does.
    """
    whole = np.trunc(cells).astype(np.int64)
    columns, rows = size
    if not wrap:
        whole = np.clip(whole, 0, [columns - 1, rows - 1])
    flat = whole[:, 1] * columns + whole[:, 0]
    flat = np.where(flat < 0, flat + columns * rows, flat)
    return np.clip(flat, 0, columns * rows - 1)


def _pixel_points(source: Encoded, xy: np.ndarray, settings: SemanticSettings) -> np.ndarray:
    """(K, 2) cell coordinates of the pixels of the upsampled source map that contain the points."""
    found = source.candidates
    lattice_xy = np.asarray(xy, dtype=np.float32) if settings.candidates == "original" else source.points.to_canvas(xy)
    index = np.trunc(lattice_xy / np.asarray(found.step, dtype=np.float32)).astype(np.int64)
    index = np.clip(index, 0, [len(found.columns) - 1, len(found.rows) - 1])
    return np.stack([found.columns[index[:, 0]], found.rows[index[:, 1]]], axis=1)


def _at(source: Encoded, cells: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(cells)).to(source.values.device)


def _positions(match: Match, target: Encoded) -> np.ndarray:
    """(K, 2) original pixels; NaN where nothing could be compared."""
    found, index = target.candidates, match.index.cpu().numpy()
    at = np.stack([found.x[index[:, 0]], found.y[index[:, 1]]], axis=1)
    at[index[:, 0] < 0] = np.nan
    return at


def _among_cells(queries: torch.Tensor, target: Encoded, settings: SemanticSettings) -> np.ndarray:
    """(K, 2) original pixels."""
    found = target.candidates
    cosine = settings.similarity == "cosine"
    if settings.soft == "none":
        return _positions(cell_argmax(queries, target.target, cosine=cosine, valid=found.inside), target)
    scores = similarity(queries, target.target, cosine)
    # GeoAware-SC zeroes the similarities outside the window rather than leaving the cells out: where the best one is
    # small, the far cells together pull the result towards the middle of the map.
    outside = 0.0 if settings.soft == "window-zeros" else None
    if found.inside is not None:
        scores = scores.masked_fill(torch.from_numpy(~found.inside).to(scores.device), -torch.inf)
    cells = soft_argmax(scores, settings.window, settings.temperature, outside).double().cpu().numpy() - 0.5
    # The positions are evenly spaced: what holds for whole cells holds between them.
    x = np.interp(cells[:, 0], np.arange(len(found.x)), found.x)
    y = np.interp(cells[:, 1], np.arange(len(found.y)), found.y)
    return np.stack([x, y], axis=1)
