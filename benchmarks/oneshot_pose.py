"""One query image of one-shot pose beside the field's way (the whole similarity matrix, twice), in one process.

    python benchmarks/oneshot_pose.py [--rows 120000] [--channels 384] [--repeat 1]

A 64x64 query map at the 128x128 points of every fourth pixel of 512, a bank of noisy copies of its features. The way
of the field interpolates the features to the points, multiplies them with the bank, and the bank with them, in parts;
then one call of OpenCV's RANSAC, which both have in common, on a share of right matches. Set OMP_NUM_THREADS=1
MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 for one thread: the seconds are of all cores together (process time).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from bench3d.features.bank import Bank, Grid, match_bank, refined
from bench3d.features.match_target import Target
from bench3d.features.matching import sample_at
from bench3d.geometry.camera import viewpoint_pose
from bench3d.geometry.pixels import PixelGeometry
from bench3d.geometry.pnp import PoseOptions, pose_from_matches

SIDE, CELLS, STRIDE = 512, 64, 4
PART = 2048
WRONG = 0.7
"""Share of the bank's rows whose points lie elsewhere: what a weak backbone's matches look like."""
CAMERA = np.array([[900.0, 0, 256], [0, 900.0, 256], [0, 0, 1]])
POSE = viewpoint_pose(30.0, 20.0, 0.0, 0.6)


def setup(rows: int, channels: int) -> tuple[Bank, Target, PixelGeometry]:
    """A smooth map, and a bank of its features with noise and points of a slanted plane in metres."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, channels, CELLS // 2, CELLS // 2, generator=generator)
    values = torch.nn.functional.interpolate(values, size=(CELLS, CELLS), mode="bicubic")[0]
    geometry = PixelGeometry.identity((SIDE, SIDE)).with_grid((CELLS, CELLS), (SIDE / CELLS,) * 2)
    rng = np.random.default_rng(0)
    xy = rng.uniform(4, SIDE - 4, (rows, 2))
    clean = sample_at(values, geometry.original_to_cell(xy))
    noise = torch.randn(rows, channels, generator=generator) * channels**-0.5
    descriptors = torch.nn.functional.normalize(clean + noise, dim=1)
    depth = 0.6 + 0.1 * (xy[:, 0] / SIDE - 0.5)
    camera = np.concatenate([xy, np.ones((rows, 1))], axis=1) @ np.linalg.inv(CAMERA).T * depth[:, None]
    points = (camera - POSE[:3, 3]) @ POSE[:3, :3]
    wrong = rng.random(rows) < WRONG
    points[wrong] = rng.uniform(-0.15, 0.15, (int(wrong.sum()), 3))
    return Bank(points, descriptors), Target(values), geometry


def whole_matrix(bank: Bank, target: Target, geometry: PixelGeometry) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and rows of the mutual nearest neighbours, the field's way."""
    grid = Grid.of((SIDE, SIDE), STRIDE)
    x, y = np.meshgrid(grid.x, grid.y)
    xy = np.stack([x.ravel(), y.ravel()], axis=1)
    queries = sample_at(target.values, geometry.original_to_cell(xy))
    there = torch.cat([(part @ bank.descriptors.T).argmax(dim=1) for part in queries.split(PART)])
    back = torch.cat([(part @ queries.T).argmax(dim=1) for part in bank.descriptors.split(PART)])
    mutual = (back[there] == torch.arange(len(queries))).numpy()
    return xy[mutual], there.numpy()[mutual]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=120_000)
    parser.add_argument("--channels", type=int, default=384)
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    bank, target, geometry = setup(arguments.rows, arguments.channels)
    match_bank(Bank(bank.points[:64], bank.descriptors[:64]), target, geometry, Grid.of((SIDE, SIDE), STRIDE))
    published = PoseOptions("epnp", 8.0, 10_000, 0.99, 5, refine=False, scale=1000.0)
    print(f"{arguments.rows} rows, {arguments.channels} channels, {torch.get_num_threads()} threads")
    for _ in range(arguments.repeat):
        begun = time.process_time()
        xy, rows = whole_matrix(bank, target, geometry)
        field = time.process_time() - begun
        begun = time.process_time()
        ours = match_bank(bank, target, geometry, Grid.of((SIDE, SIDE), STRIDE))
        own = time.process_time() - begun
        begun = time.process_time()
        fine = refined(ours, bank, target, geometry, Grid.of((SIDE, SIDE), 1))
        finer = time.process_time() - begun
        same = len({*zip(rows.tolist(), map(tuple, xy.tolist()), strict=True)} & {
            *zip(ours.rows.tolist(), map(tuple, ours.xy.tolist()), strict=True)
        })  # fmt: skip
        print(
            f"match: whole matrix {field:.2f} s, ours {own:.2f} s ({field / own:.1f} x); {same} of {len(rows)} matches"
        )
        print(f"sub-cell: {finer:.2f} s more")
        for name, options in (("epnp", published), ("magsac", PoseOptions())):
            begun = time.process_time()
            found = pose_from_matches(bank.points[fine.rows], fine.xy, CAMERA, options)
            spent = time.process_time() - begun
            print(f"{name}: {spent:.3f} s, {len(found.inliers)} inliers")


if __name__ == "__main__":
    main()
