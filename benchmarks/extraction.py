"""What the feature engine costs over a bare loop of the same timm model, in one process, in interleaved rounds.

    python benchmarks/extraction.py [--images 32] [--grid 16] [--batch 8] [--rounds 3] [--workers 2]

Three ways through the same images at the same batch: `bare` calls the network on normalised tensors that lie ready;
`bare + load` decodes, letterboxes and normalises in the same loop; `engine` is the encoder without disk cache, which
loads in threads. The best round of each counts: seconds of the clock, and of the processor (all threads of the
process), which other work on the machine disturbs less. Threads are what OMP_NUM_THREADS says.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench3d.contracts import ImageRequest, Placing
from bench3d.data.images import load_rgb
from bench3d.data.placing import place
from bench3d.features.encoder import FeatureEncoder
from bench3d.plugins import load_registry, load_settings

MODEL = "timm:vit_small_patch14_dinov2"


def write_images(folder: Path, count: int) -> list[Path]:
    """Smooth random pictures of SPair's usual size, every fourth a PNG, the others JPEG."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(count):
        coarse = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(picture + rng.integers(-12, 13, picture.shape), 0, 255).astype(np.uint8)
        path = folder / f"{i:04d}{'.png' if i % 4 == 0 else '.jpg'}"
        Image.fromarray(noisy).save(path)
        paths.append(path)
    return paths


def timed(work: Callable[[], float]) -> tuple[float, float, float]:
    """Seconds of the clock and of the processor, and what the work returned."""
    clock, processor = time.perf_counter(), time.process_time()
    answer = work()
    return time.perf_counter() - clock, time.process_time() - processor, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 32), ("grid", 16), ("batch", 8), ("rounds", 3), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    registry = load_registry()
    settings = load_settings(registry.find("backbone", MODEL), overrides={"grid": arguments.grid})
    model = registry.create("backbone", MODEL, weights="random", settings=settings, device="cpu")
    network = model.net.model
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (model._mean, model._std))
    placing = Placing("letterbox", model.canvas)

    def load(path: Path) -> torch.Tensor:
        pixels, _, _ = place(load_rgb(path), placing)
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def batch(some: list[Path]) -> torch.Tensor:
        return (torch.stack([load(p) for p in some]).float() / 255 - mean) / std

    def run(images: torch.Tensor) -> float:
        with torch.inference_mode():
            (values,) = network.forward_intermediates(
                images, indices=[len(network.blocks) - 1], norm=True, intermediates_only=True, output_fmt="NCHW"
            )
        return float(values.double().sum())

    with tempfile.TemporaryDirectory() as folder:
        paths = write_images(Path(folder), arguments.images)
        groups = [paths[i : i + arguments.batch] for i in range(0, len(paths), arguments.batch)]
        ready = [batch(g) for g in groups]

        def engine() -> float:
            with FeatureEncoder(model, batch=arguments.batch, workers=arguments.workers) as encoder:
                requests = [ImageRequest(p, placing) for p in paths]
                encoder.expect(requests)
                return sum(float(encoder.maps(r)[0].map.values.double().sum()) for r in requests)

        ways: dict[str, Callable[[], float]] = {
            "bare": lambda: sum(run(tensor) for tensor in ready),
            "bare + load": lambda: sum(run(batch(g)) for g in groups),
            "engine": engine,
        }
        run(ready[0])
        rounds = [{name: timed(way) for name, way in ways.items()} for _ in range(arguments.rounds)]
    best = {name: [min(r[name][i] for r in rounds) for i in (0, 1)] for name in ways}
    print(
        f"{MODEL} (random weights), {arguments.images} images of 500x375 at {model.canvas}x{model.canvas}, batch "
        f"{arguments.batch}, {torch.get_num_threads()} thread(s), {arguments.workers} loading threads, "
        f"best of {arguments.rounds} rounds"
    )
    for name, (clock, processor) in best.items():
        print(
            f"  {name:12} {clock:7.2f} s ({100 * (clock / best['bare'][0] - 1):+5.1f} %)   "
            f"processor {processor:7.2f} s ({100 * (processor / best['bare'][1] - 1):+5.1f} %)"
        )
    sums = [r[name][2] for r in rounds for name in ways]
    print(f"  sums of all features agree to {max(abs(s / sums[0] - 1) for s in sums):.1e}")


if __name__ == "__main__":
    main()
