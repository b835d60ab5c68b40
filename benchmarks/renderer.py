"""Milliseconds of the CPU rasteriser beside a plain-torch one that expands (triangle, pixel) pairs, in one process.

    python benchmarks/renderer.py [--triangles 4000] [--repeat 15]

Both draw the same bumpy sphere with the threads that the environment gives them (OMP_NUM_THREADS, NUMBA_NUM_THREADS).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numba
import numpy as np
import torch

from bench3d.render.raster import rasterize


def bumpy_sphere(triangles: int) -> tuple[np.ndarray, np.ndarray]:
    """Clip-space vertices (1, V, 4) and about `triangles` faces (F, 3); covers half of the image."""
    n = max(3, round((triangles / 2) ** 0.5))
    polar, turn = np.meshgrid(np.linspace(0, np.pi, n + 1), 2 * np.pi * np.arange(n) / n, indexing="ij")
    radius = 0.8 * (1 + 0.1 * np.sin(5 * polar) * np.cos(4 * turn))
    xyz = radius[..., None] * np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)], -1)
    a = (np.arange(n)[:, None] * n + np.arange(n)).reshape(-1)
    b = (np.arange(n)[:, None] * n + (np.arange(n) + 1) % n).reshape(-1)
    faces = np.concatenate([np.stack([a, a + n, b], 1), np.stack([b, a + n, b + n], 1)]).astype(np.int32)
    points = xyz.reshape(-1, 3)
    return np.concatenate([points, np.ones((len(points), 1))], axis=1)[None].astype(np.float32), faces


def rasterize_by_pairs(clip: torch.Tensor, faces: torch.Tensor, size: int) -> torch.Tensor:
    """Triangle ids + 1 (size, size), 0 where empty: every triangle's bounding box expanded to pixels, nearest wins."""
    screen = clip[:, :3] / clip[:, 3:]
    corners = torch.cat([(screen[:, :2] + 1) * (size / 2), screen[:, 2:]], dim=1)[faces.long()]
    low = (corners[..., :2].amin(dim=1) - 0.5).ceil().clamp(min=0).long()
    high = (corners[..., :2].amax(dim=1) - 0.5).floor().clamp(max=size - 1).long()
    extent = (high - low + 1).clamp(min=0)
    count = extent.prod(dim=1)
    owner = torch.repeat_interleave(torch.arange(len(faces)), count)
    within = torch.arange(len(owner)) - (count.cumsum(0) - count)[owner]
    column = low[owner, 0] + within % extent[owner, 0]
    row = low[owner, 1] + torch.div(within, extent[owner, 0], rounding_mode="floor")
    a, b, c = corners[owner].unbind(dim=1)
    x, y = column + 0.5, row + 0.5

    def side(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return (q[:, 0] - p[:, 0]) * (y - p[:, 1]) - (q[:, 1] - p[:, 1]) * (x - p[:, 0])

    weights = torch.stack([side(b, c), side(c, a), side(a, b)], dim=1)
    area = weights.sum(dim=1, keepdim=True)
    weights = weights / torch.where(area == 0, torch.ones_like(area), area)
    inside = (weights >= 0).all(dim=1) & (area[:, 0].abs() > 2e-4)
    depth = (weights * torch.stack([a[:, 2], b[:, 2], c[:, 2]], dim=1)).sum(dim=1)[inside]
    pixel, owner = (row * size + column)[inside], owner[inside]
    nearest = torch.full((size * size,), torch.inf).scatter_reduce(0, pixel, depth, "amin")
    front = depth == nearest[pixel]
    ids = torch.full((size * size,), len(faces)).scatter_reduce(0, pixel[front], owner[front], "amin")
    return torch.where(ids == len(faces), 0, ids + 1).reshape(size, size)


def median_ms(function: Callable[[], object], repeat: int) -> float:
    """Median wall time after two calls that are not counted (compilation, first touch of memory)."""
    times = []
    for _ in range(repeat + 2):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:])) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--triangles", type=int, default=4000)
    parser.add_argument("--repeat", type=int, default=15)
    arguments = parser.parse_args()
    clip, faces = bumpy_sphere(arguments.triangles)
    points, triangles = torch.from_numpy(clip[0]), torch.from_numpy(faces)
    print(f"{len(faces)} triangles; threads: numba {numba.get_num_threads()}, torch {torch.get_num_threads()}")
    print(f"{'size':>6}{'numba ms':>12}{'torch ms':>12}{'ratio':>9}{'same ids':>11}")
    for size in (64, 448):
        ours = median_ms(lambda size=size: rasterize(clip, faces, (size, size)), arguments.repeat)  # type: ignore[misc]
        theirs = median_ms(
            lambda size=size: rasterize_by_pairs(points, triangles, size),  # type: ignore[misc]
            arguments.repeat,
        )
        same = rasterize(clip, faces, (size, size))[0, ..., 3] == rasterize_by_pairs(points, triangles, size).numpy()
        print(f"{size:>6}{ours:>12.3f}{theirs:>12.2f}{theirs / ours:>8.1f}x{same.mean():>11.4f}")


if __name__ == "__main__":
    main()
