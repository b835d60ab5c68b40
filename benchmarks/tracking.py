"""Tracking many points at once beside the field's way: point by point, every frame's map for every copy of a point.

    python benchmarks/tracking.py [--frames 16] [--points 4] [--channels 96]

Random features of 854x476 pixels with patches of 14 pixels every 7 (121x67 cells). `one by one` multiplies as published
evaluation code does: a point is copied once per frame, all copies are compared with all frames, and the diagonal is
kept; positions only. `published` and `cycle` are the trackers of the task, occlusion included.
Set OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 for one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.point_tracking.features import VideoFeatures
from bench3d_plugins.point_tracking.settings import TrackerSettings
from bench3d_plugins.point_tracking.trackers import TRACKERS

SIZE, PATCH, STRIDE = (854, 476), 14, 7


def one_by_one(video: VideoFeatures, frames: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """(N, T) best cells of the points."""
    asked = video.at(frames, cells)
    found = []
    for query in asked:
        copies = query.expand(video.length, -1)
        maps = torch.einsum("bc,nchw->bnhw", F.normalize(copies, dim=1), F.normalize(video.values, dim=1))
        own = maps[torch.arange(video.length), torch.arange(video.length)]
        found.append(own.flatten(1).argmax(dim=1))
    return torch.stack(found)


def seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    begun = time.perf_counter()
    with torch.inference_mode():
        work()
    return time.perf_counter() - begun


def main() -> None:
    """Prints seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("frames", 16), ("points", 4), ("channels", 96)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    grid = ((SIZE[0] - PATCH) // STRIDE + 1, (SIZE[1] - PATCH) // STRIDE + 1)
    edge = ((PATCH - STRIDE) / 2,) * 2
    geometry = PixelGeometry.identity(SIZE).with_grid(grid, (float(STRIDE),) * 2, edge)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(options.frames, options.channels, grid[1], grid[0], generator=generator)
    video = VideoFeatures(values + torch.randn(options.channels, 1, 1, generator=generator), geometry)
    frames = torch.zeros(options.points, dtype=torch.long)
    cells = torch.rand(options.points, 2, generator=generator) * torch.tensor(grid)
    slow = seconds(lambda: one_by_one(video, frames, cells))
    print(f"one by one  {slow:8.3f} s")
    for name, track in TRACKERS.items():
        settings = TrackerSettings(tracker=name)
        mine = seconds(lambda track=track, settings=settings: track(video, frames, cells, settings))
        print(f"{name:<11} {mine:8.3f} s   {slow / mine:.1f}x")


if __name__ == "__main__":
    main()
