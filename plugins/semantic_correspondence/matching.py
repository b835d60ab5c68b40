"""From keypoints of one image to points of another, under the options of the settings."""

from __future__ import annotations

import numpy as np
import torch

from bench3d.features.matching import cell_argmax, dense_argmax, sample_at, similarity, soft_argmax
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
        queries, target.values, found.lattice, cosine=settings.similarity == "cosine", mask=found.inside
    )
    index = match.index.cpu().numpy()
    return np.stack([found.x[index[:, 0]], found.y[index[:, 1]]], axis=1)


def query_features(source: Encoded, xy: np.ndarray, settings: SemanticSettings) -> torch.Tensor:
    """(K, C) of unit length."""
    points, grid = source.points, source.grid
    if settings.query == "pixel":
        return sample_at(source.values, _at(source, _pixel_points(source, xy, settings)), normalise=True)
    canvas = points.whole(xy) if settings.truncate else points.to_canvas(xy)
    if settings.query == "cell":
        index = cell_index(grid.cells(np.asarray(canvas, dtype=np.float32)), grid.size, wrap=settings.outside == "wrap")
        flat = torch.from_numpy(index).to(source.values.device)
        chosen = source.values.flatten(1)[:, flat].T
        return torch.nn.functional.normalize(chosen, dim=1, eps=1e-12)
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


def _among_cells(queries: torch.Tensor, target: Encoded, settings: SemanticSettings) -> np.ndarray:
    """(K, 2) original pixels."""
    found = target.candidates
    cosine = settings.similarity == "cosine"
    values = target.unit if cosine else target.values
    if settings.soft == "none":
        index = cell_argmax(queries, values, cosine=False, valid=found.inside).index.cpu().numpy()
        return np.stack([found.x[index[:, 0]], found.y[index[:, 1]]], axis=1)
    scores = similarity(queries, values, cosine=False)
    if found.inside is not None:
        outside = torch.from_numpy(~found.inside).to(scores.device)
        scores = scores.masked_fill(outside, 0.0 if settings.soft == "window-zeros" else -torch.inf)
    if settings.soft == "window":
        cells = soft_argmax(scores, 2 * settings.window + 1, settings.temperature).double().cpu().numpy()
    else:
        cells = _window_of_zeros(scores, settings.window, settings.temperature).double().cpu().numpy() + 0.5
    # The positions are evenly spaced: what holds for whole cells holds between them.
    x = np.interp(cells[:, 0] - 0.5, np.arange(len(found.x)), found.x)
    y = np.interp(cells[:, 1] - 0.5, np.arange(len(found.y)), found.y)
    return np.stack([x, y], axis=1)


def _window_of_zeros(scores: torch.Tensor, window: int, temperature: float) -> torch.Tensor:
    """(N, 2) expected column and row of the softmax of (N, h, w), similarities outside the window set to 0.

    GeoAware-SC zeroes the similarities rather than leaving the cells out: where the best one is small, the far cells
    together pull the result towards the middle of the map.
    """
    count, height, width = scores.shape
    best = scores.flatten(1).argmax(dim=1)
    row, column = best // width, best % width
    rows, columns = torch.arange(height, device=scores.device), torch.arange(width, device=scores.device)
    near_rows = (rows[None] - row[:, None]).abs() <= window
    near_columns = (columns[None] - column[:, None]).abs() <= window
    kept = torch.where(near_rows[:, :, None] & near_columns[:, None, :], scores, torch.zeros_like(scores))
    weights = torch.softmax(kept.reshape(count, -1) / temperature, dim=1).view(count, height, width)
    x = (weights.sum(dim=1) * columns).sum(dim=1)
    y = (weights.sum(dim=2) * rows).sum(dim=1)
    return torch.stack([x, y], dim=1)
