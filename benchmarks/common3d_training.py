"""Training throughput of Common3D: optimiser steps per second of both stages, and where their time goes.

    python benchmarks/common3d_training.py [--data DATA] [--preset quick] [--steps 20] [--set K=V] [--json FILE]

Trains on a small synthetic twin of one category (made where it is missing), throws the weights away. Times are those of
the calls a step makes, in the order of their share; `rest` is what none of them holds. Calls made inside another one
count there. On a machine that others use, the time of a core says more than steps per second. Run it with one thread
(OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1), as fits run in a grid.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench3d.contracts import NullProgress
from bench3d.machine import choose_device
from bench3d.morphable.pool import ViewPool, extract
from bench3d.morphable.views import make_view, read_cloud
from bench3d.plugins import parse_set, renderer_for
from bench3d.runner import RunSpec, plan_fits
from bench3d.runner.fits import write_twins
from bench3d.runner.models import build_backbone, settle_numerics
from bench3d_plugins.common3d import stages
from bench3d_plugins.common3d.train import CLOUD_LIMIT, new_network
from bench3d_plugins.common3d.variation import set_raw_basis

TWIN = {"categories": "car", "train_instances": 6, "views": 5, "test_images": 2, "splits": "[plain]", "pairs": 1}
WARM_UP = 3


class Clock:
    """Seconds by name of the outermost timed call."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.inside = False

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, counted under `name`."""

        def counted(*arguments: Any, **named: Any) -> Any:
            if self.inside:
                return call(*arguments, **named)
            self.inside, begun = True, time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.inside = False
                self.seconds[name] += time.perf_counter() - begun

        return counted


def workshop(options: argparse.Namespace) -> stages.Workshop:
    """What both stages share, on the twin's one category."""
    given = parse_set(options.set)
    given["data"] = {**TWIN, **given.get("data", {})}
    given["shape"] = {"preset": options.preset, **given.get("shape", {})}
    spec = RunSpec(
        backbone=options.backbone, task=None, shape_model="common3d", synthetic=True, data=options.data, settings=given
    )
    plan = plan_fits(spec)
    resolved = plan.resolved
    assert resolved.shape is not None
    settings: Any = resolved.shape.settings
    device = choose_device(plan.spec.device)
    settle_numerics(offline=True)
    write_twins(resolved, NullProgress(), True)
    model = build_backbone(resolved, "random" if resolved.weights else "pretrained", device)
    sequences = resolved.train["common3d"].open().sequences(resolved.categories[0])
    channels = extract(model, [make_view(sequences[0].frames[0], 0, settings, None)], device).shape[1]
    network = new_network(settings, channels, 0).to(device)
    pool = ViewPool(sequences, model, settings, 0, device)
    pool.prepare(NullProgress())
    if settings.standardise:
        network.set_statistics(*pool.statistics(batches=10))
    set_raw_basis(network, pool)
    clouds = [read_cloud(s, CLOUD_LIMIT, 0).to(device) for s in sequences]
    return stages.Workshop(network, settings, pool, clouds, renderer_for(device), 0)


def watched(stage: stages.Stage, clock: Clock) -> None:
    """Puts the clock around the parts of a step of this stage."""
    network, pool = stage.network, stage.shop.pool
    for owner, names in (
        (pool, {"batch": "views"}),
        (network, {"adapt": "adapter forward", "latent": "latent encoder forward", "extract": "template extraction"}),
        (network, {"deform": "deformation forward", "vertex_features": "surface features forward"}),
        (stage, {"_chamfer": "chamfer", "_silhouettes": "silhouettes", "_appearance": "labels and appearance loss"}),
    ):
        for attribute, name in names.items():
            if hasattr(owner, attribute):
                object.__setattr__(owner, attribute, clock.timed(name, getattr(owner, attribute)))
    stage.optimiser.step = clock.timed("Adam", stage.optimiser.step)  # type: ignore[method-assign]


def measured(stage: stages.Stage, steps: int) -> dict[str, Any]:
    """Steps per second and milliseconds of each part of a step."""
    for number in range(WARM_UP):
        stage.step(number)
    clock = Clock()
    watched(stage, clock)
    backward = torch.Tensor.backward
    torch.Tensor.backward = clock.timed("backward", backward)  # type: ignore[method-assign]
    begun, used = time.perf_counter(), time.process_time()
    try:
        for number in range(WARM_UP, WARM_UP + steps):
            stage.step(number)
    finally:
        torch.Tensor.backward = backward  # type: ignore[method-assign]
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    parts = {**clock.seconds, "rest": seconds - sum(clock.seconds.values())}
    shares = sorted(parts.items(), key=lambda part: -part[1])
    rates = {"steps_per_second": steps / seconds, "core_ms_per_step": 1e3 * used / steps}
    return {**rates, "ms": {name: 1e3 * value / steps for name, value in shares}}


def main() -> None:
    """Measures, prints, and writes JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="data root; default: bench3d's")
    parser.add_argument("--backbone", default="hog")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--set", action="append", default=[], metavar="SCOPE.KEY=VALUE")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    shop = workshop(options)
    total = WARM_UP + options.steps
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "preset": options.preset, "set": options.set}
    with shop.pool:
        for name, make in (
            ("template", lambda: stages.TemplateStage(shop, total)),
            ("appearance", lambda: stages.AppearanceStage(shop, total, None)),
        ):
            found[name] = measured(make(), options.steps)
            core = found[name]["core_ms_per_step"]
            print(f"{name}: {found[name]['steps_per_second']:.2f} steps/s, {core:.0f} ms of a core each")
            whole = sum(found[name]["ms"].values())
            for part, ms in found[name]["ms"].items():
                print(f"  {part:<28}{ms:8.1f} ms {100 * ms / whole:5.1f} %")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
