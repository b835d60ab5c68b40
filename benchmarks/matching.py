"""Dense matching beside the field's way (upsample the features, multiply, argmax), in one process.

    python benchmarks/matching.py [--features random|smooth] [--repeat 3]

A 60x60x768 target map on the 840x840 lattice of align_corners=True, 10 and 3,000 queries, dot product and cosine.
`ours` prepares the target anew in every call, `prepared` finds its norms (an image in several pairs). Peak memory is
growth of the resident set, sampled every 2 ms; memory that the allocator holds already hides some of it.
Set OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 for one thread.
"""

from __future__ import annotations

import argparse
import gc
import os
import threading
import time
from collections.abc import Callable

import numba
import torch
import torch.nn.functional as F

from bench3d.features.lattice import Lattice
from bench3d.features.matching import Target, dense_argmax, sample_at

GRID, SIDE, CHANNELS = 60, 840, 768
CHUNK = 64
"""Queries that the field's way multiplies at once: (64, 705,600) float32 are 181 MB."""


def feature_map(kind: str, seed: int) -> torch.Tensor:
    """(768, 60, 60): independent cells (the worst case for pruning), or cells that resemble their neighbours."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(1, CHANNELS, GRID, GRID, generator=generator)
    if kind == "smooth":
        values = F.interpolate(F.avg_pool2d(values, 4) * 4, size=(GRID, GRID), mode="bicubic") + 0.3 * values
    return values[0].contiguous()


def upsampled(queries: torch.Tensor, values: torch.Tensor, cosine: bool) -> torch.Tensor:
    """Row-major index (N,) of the best of the upsampled features."""
    up = F.interpolate(values[None], size=(SIDE, SIDE), mode="bilinear", align_corners=True)[0].flatten(1)
    if cosine:
        up /= torch.linalg.vector_norm(up, dim=0).clamp_min(1e-12)
    return torch.cat([(part @ up).argmax(dim=1) for part in queries.split(CHUNK)])


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measured(function: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, float, float]:
    """Result, seconds and peak growth of memory in MB."""
    gc.collect()
    before, peak, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return result, seconds, max(0, max(peak[0], resident()) - before) / 2**20


def ours(queries: torch.Tensor, target: torch.Tensor | Target, lattice: Lattice, cosine: bool) -> torch.Tensor:
    """As `upsampled`."""
    index = dense_argmax(queries, target, lattice, cosine=cosine).index
    return index[:, 1] * SIDE + index[:, 0]


def best(function: Callable[[], torch.Tensor], repeat: int) -> tuple[torch.Tensor, float, float]:
    """The fastest of several calls, and the largest growth of memory."""
    runs = [measured(function) for _ in range(repeat)]
    return runs[0][0], min(r[1] for r in runs), max(r[2] for r in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", choices=("random", "smooth"), default="random")
    parser.add_argument("--repeat", type=int, default=3, help="calls of ours; the field's way runs once or twice")
    parser.add_argument("--queries", type=int, nargs="+", default=[10, 3000])
    arguments = parser.parse_args()
    values, source = feature_map(arguments.features, 0), feature_map(arguments.features, 1)
    lattice = Lattice.corner_aligned((GRID, GRID), (SIDE, SIDE))
    for cosine in (False, True):  # compiles
        ours(torch.ones(1, CHANNELS), values, lattice, cosine)
    print(f"threads: torch {torch.get_num_threads()}, numba {numba.get_num_threads()}; features: {arguments.features}")
    header = ("queries", 8), ("score", 8), ("ours", 12), ("prepared", 12), ("upsample", 13), ("ratio", 9)
    print("".join(f"{name:>{width}}" for name, width in (*header, ("ours", 10), ("upsample", 11), ("same", 8))))
    for count in arguments.queries:
        queries = sample_at(source, torch.rand(count, 2, generator=torch.Generator().manual_seed(2)) * GRID)
        for cosine in (False, True):
            mine, seconds, memory = best(lambda: ours(queries, values, lattice, cosine), arguments.repeat)  # noqa: B023
            target = Target(values)
            ours(queries[:1], target, lattice, cosine)
            _, again, _ = best(lambda: ours(queries, target, lattice, cosine), arguments.repeat)  # noqa: B023
            theirs, slow, much = best(lambda: upsampled(queries, values, cosine), 1 if count > 100 else 2)  # noqa: B023
            print(
                f"{count:>8}{'cosine' if cosine else 'dot':>8}{seconds * 1e3:>9.1f} ms{again * 1e3:>9.1f} ms"
                f"{slow * 1e3:>10.0f} ms{slow / seconds:>8.0f}x{memory:>7.0f} MB{much:>8.0f} MB"
                f"  {(mine == theirs).float().mean():.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
