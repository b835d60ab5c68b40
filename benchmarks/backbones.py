"""What backbones cost beside each other: time of an image, in interleaved rounds of one process, and memory.

    python benchmarks/backbones.py [tiny dinov2 hog ...] [--grid 32] [--batch 8] [--images 16] [--rounds 3]

All see the same images at the same number of cells (`equal-grid`), which is how runs compare them; with `--pixels N` at
the same number of pixels instead. Weights are random: the cost is the same. Seconds are the best round's, of the clock
and of the processor (all threads; threads are what OMP_NUM_THREADS says). Memory is what a fresh process of its own
holds at its peak beyond what it held when its imports were done (Linux).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from bench3d.contracts import ImageBatch, Model
from bench3d.geometry.pixels import PixelGeometry
from bench3d.plugins import load_registry, load_settings


def create(name: str, overrides: dict[str, int]) -> Model:
    registry = load_registry()
    settings = load_settings(registry.find("backbone", name), overrides=overrides)
    return registry.create("backbone", name, weights="random", settings=settings, device="cpu")


def batches(model: Model, images: int, batch: int) -> list[ImageBatch]:
    """Smooth random squares of the size that the model asks for."""
    rng = np.random.default_rng(0)
    side = int(model.canvas or 256)  # type: ignore[attr-defined]
    found = []
    for start in range(0, images, batch):
        count = min(batch, images - start)
        coarse = torch.from_numpy(rng.random((count, 3, 24, 24), dtype=np.float32))
        pixels = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
        geometry = (PixelGeometry.identity((side, side)),) * count
        found.append(ImageBatch(pixels, torch.ones(count, 1, side, side), geometry, tuple(map(str, range(count)))))
    return found


def extract(model: Model, ready: list[ImageBatch]) -> None:
    with torch.inference_mode():
        for batch in ready:
            model.features(batch)


def memory(name: str, arguments: argparse.Namespace, overrides: dict[str, int]) -> float:
    """MB at the peak of a fresh process beyond its imports."""
    words = [sys.executable, __file__, name, "--memory", json.dumps(overrides), "--batch", str(arguments.batch)]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(answer.stdout)


def resident(field: str) -> float:
    """MB, of /proc: `getrusage` would begin at what the parent held."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def print_memory(name: str, batch: int, overrides: dict[str, int]) -> None:
    import timm  # noqa: F401  (part of the imports, not of the backbone)

    before = resident("VmRSS")
    model = create(name, overrides)
    for _ in range(2):
        extract(model, batches(model, batch, batch))
    print(resident("VmHWM") - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", default=["tiny", "dinov2", "hog"])
    for name, default in (("grid", 32), ("batch", 8), ("images", 16), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--pixels", type=int)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory is not None:
        print_memory(arguments.backbones[0], arguments.batch, json.loads(arguments.memory))
        return
    overrides = {"grid": arguments.grid} if arguments.pixels is None else {"input_size": arguments.pixels}
    models = {name: create(name, overrides) for name in arguments.backbones}
    ready = {name: batches(model, arguments.images, arguments.batch) for name, model in models.items()}
    best: dict[str, tuple[float, float]] = {}
    for turn in range(arguments.rounds + 1):  # the first one warms up
        for name, model in models.items():
            clock, processor = time.perf_counter(), time.process_time()
            extract(model, ready[name])
            spent = (time.perf_counter() - clock, time.process_time() - processor)
            if turn:
                known = best.get(name, spent)
                best[name] = (min(known[0], spent[0]), min(known[1], spent[1]))
    print(f"{arguments.images} images, batch {arguments.batch}, {torch.get_num_threads()} thread(s), {overrides}")
    first = best[arguments.backbones[0]]
    for name, (clock, processor) in best.items():
        print(
            f"  {name:14} {1000 * clock / arguments.images:8.1f} ms an image (x {clock / first[0]:5.2f})   processor "
            f"{1000 * processor / arguments.images:8.1f} ms (x {processor / first[1]:5.2f})   peak memory "
            f"{memory(name, arguments, overrides):7.0f} MB"
        )


if __name__ == "__main__":
    main()
