"""The training loop: it learns, resumes bit for bit, never meets a NaN, and its shortcuts change nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from smoothap_scene import SIZE, Balls

from bench3d.contracts import FeatureMap, FitContext, Progress
from bench3d.errors import Bench3DError
from bench3d.features.backbone import DenseBackbone
from bench3d.features.settings import BackboneSettings
from bench3d.geometry.pixels import PixelGeometry
from bench3d.geometry.unproject import unproject
from bench3d.plugins import load_registry
from bench3d_plugins.smoothap_lora import training as training_module
from bench3d_plugins.smoothap_lora import validation
from bench3d_plugins.smoothap_lora.adapter import untrained
from bench3d_plugins.smoothap_lora.batches import AutocastNet, features_at, features_of
from bench3d_plugins.smoothap_lora.draws import Pairs, known_depth
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings
from bench3d_plugins.smoothap_lora.training import Training, fit
from bench3d_plugins.smoothap_lora.validation import Validator

QUICK: dict[str, Any] = {
    "points": 150,
    "positive": 0.03,
    "iterations": 6,
    "learning_rate": 1e-3,
    "evaluate_every": 3,
    "evaluate_pairs": 3,
}


@pytest.fixture(scope="module")
def model() -> DenseBackbone:
    return tiny()


def tiny() -> DenseBackbone:
    torch.set_num_threads(1)
    settings = BackboneSettings(grid=4)
    return load_registry().create(
        "backbone", "timm:vit_tiny_patch16_224", weights="random", settings=settings, device="cpu"
    )


def context(out: Path, progress: Progress | None = None, recipe: str = "r") -> FitContext:
    out.mkdir(parents=True, exist_ok=True)
    return FitContext(out=out, recipe=recipe, seed=0, progress=progress or Progress())


def new_training(model: DenseBackbone, root: Path, **changes: Any) -> Training:
    settings = SmoothAPSettings(**(QUICK | changes))
    adapted, net = untrained(model, settings, 0)
    return Training(adapted, net, Pairs(Balls(root).view_sets(), settings, 0), None, settings)


def weights_after(model: DenseBackbone, root: Path, steps: int = 2, **changes: Any) -> dict[str, torch.Tensor]:
    run = new_training(model, root, **changes)
    for iteration in range(steps):
        run.step(iteration)
    run.close()
    return run.export()


class Seen(Progress):
    """Keeps every value that was shown; `at` steps it interrupts."""

    def __init__(self, stop: int | None = None) -> None:
        self.values: list[dict[str, float]] = []
        self.stop = stop

    def advance(self, steps: int = 1, **values: float) -> None:
        self.values.append(values)
        if self.stop is not None and sum("loss" in v for v in self.values) == self.stop:
            raise KeyboardInterrupt


def test_a_fit_shows_what_it_does_and_leaves_an_artifact(model: DenseBackbone, tmp_path: Path) -> None:
    seen = Seen()
    settings = SmoothAPSettings(**QUICK)
    artifact = fit(model, Balls(tmp_path / "d"), context(tmp_path / "fit", seen), settings)
    steps = [v for v in seen.values if "loss" in v]
    assert len(steps) == 6 and [v["pairs"] for v in steps] == [1, 2, 3, 4, 5, 6]
    assert all(v["lr"] == 1e-3 and 0 < v["loss"] < 1 for v in steps)
    assert sum("score" in v for v in seen.values) == 2
    facts = json.loads((tmp_path / "fit" / "artifact.json").read_text())["facts"]
    assert facts["training_objects"] == ["ball-0", "ball-1"] and facts["held_out_objects"] == ["ball-2"]
    # LoRA: 4 blocks, q and v, A and B of 4 x 192; one convolution with bias.
    assert facts["parameters"] == 4 * 2 * 2 * 4 * 192 + 192 * 192 * 9 + 192
    assert facts["pairs"] == 6 and facts["best_iteration"] in (3, 6) and facts["random_weights"]
    assert facts["held_out_best"]["pcdp"] >= 0 and set(facts["held_out_before"]) == {"pcdp", "ape"}
    assert not (tmp_path / "fit" / "training").exists()
    assert artifact.recipe == "r"


def test_an_interrupted_fit_continues_bit_for_bit(model: DenseBackbone, tmp_path: Path) -> None:
    settings = SmoothAPSettings(**QUICK, checkpoint_seconds=1e-9, pairs_per_step=2, accumulate=2)
    whole = fit(model, Balls(tmp_path / "d"), context(tmp_path / "whole"), settings)
    with pytest.raises(KeyboardInterrupt):
        fit(model, Balls(tmp_path / "d"), context(tmp_path / "cut", Seen(stop=4)), settings)
    seen = Seen()
    resumed = fit(model, Balls(tmp_path / "d"), context(tmp_path / "cut", seen), settings)
    assert sum("loss" in v for v in seen.values) == 3  # the fourth step was not saved
    assert resumed.digest == whole.digest
    for name in ("adapter_model.safetensors", "conv.safetensors", "last.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    same = [{k: v for k, v in a.facts.items() if k != "seconds"} for a in (whole, resumed)]
    assert same[0] == same[1]


CHILD = """
import sys
from pathlib import Path
from test_training_run import SLOW, Balls, SmoothAPSettings, context, fit, tiny
root = Path(sys.argv[1])
fit(tiny(), Balls(root / "d"), context(root / "cut"), SmoothAPSettings(**SLOW))
"""
SLOW = QUICK | {"iterations": 15, "evaluate_every": 15, "checkpoint_seconds": 1e-9}


def test_a_killed_fit_continues_bit_for_bit(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], env=environment)
    state = tmp_path / "cut" / "training" / "state.safetensors"
    written: set[int] = set()
    while len(written) < 3:
        assert killed.poll() is None, "the fit ended before it could be killed"
        if state.exists():
            written.add(state.stat().st_mtime_ns)
        time.sleep(0.001)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert state.exists() and not (tmp_path / "cut" / "artifact.json").exists()
    seen = Seen()
    for folder in ("cut", "whole"):
        fit(tiny(), Balls(tmp_path / "d"), context(tmp_path / folder, seen), SmoothAPSettings(**SLOW))
    assert sum("loss" in v for v in seen.values) <= 2 * SLOW["iterations"] - 3
    for name in ("adapter_model.safetensors", "conv.safetensors", "last.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_training_brings_points_of_one_surface_together(model: DenseBackbone, tmp_path: Path) -> None:
    def loss_after(shuffled: bool) -> tuple[float, float]:
        run = new_training(model, tmp_path, iterations=25, learning_rate=3e-3, shuffled=shuffled, augment=False)
        losses = [run.step(i)["loss"] for i in range(25)]
        run.close()
        return float(np.mean(losses[:5])), float(np.mean(losses[-10:]))

    first, last = loss_after(shuffled=False)
    assert last < 0.8 * first
    first, last = loss_after(shuffled=True)
    assert last > 0.8 * first


def test_checkpointing_and_the_frozen_prefix_change_nothing(model: DenseBackbone, tmp_path: Path) -> None:
    plain = weights_after(model, tmp_path)
    saved = weights_after(model, tmp_path, checkpointing=True)
    for name, value in plain.items():
        assert torch.equal(value, saved[name]), name
    run = new_training(model, tmp_path)
    blocks = run.net.lora.base_model.model.model.blocks
    graphs: list[bool] = []
    for block in blocks:
        block.register_forward_hook(lambda m, i, out: graphs.append(out.requires_grad))
    run.step(0)
    run.close()
    assert graphs == [False] * 8 + [True] * 4


def test_bfloat16_reaches_the_network_and_comes_back(model: DenseBackbone) -> None:
    """The backbone's own full precision must not switch it off; a GPU is not needed to see that."""
    adapted, net = untrained(model, SmoothAPSettings(), 0)
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    full = features_of(adapted, [image])[0].values.detach()
    kinds: list[torch.dtype] = []
    net.conv.register_forward_hook(lambda m, i, out: kinds.append(out.dtype))
    adapted.net = AutocastNet(net)
    half = features_of(adapted, [image])[0].values
    assert kinds == [torch.bfloat16] and half.dtype == torch.float32
    torch.testing.assert_close(half.detach(), full, rtol=0.05, atol=0.05)
    half.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.trainable().values())


def test_batches_accumulation_and_steps_are_the_same_gradient(model: DenseBackbone, tmp_path: Path) -> None:
    together = weights_after(model, tmp_path, steps=1, pairs_per_step=4)
    apart = weights_after(model, tmp_path, steps=1, accumulate=4)
    for name, value in together.items():
        torch.testing.assert_close(value, apart[name], rtol=0, atol=2e-5)


def test_pairs_without_positives_teach_nothing(
    model: DenseBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench3d_plugins.smoothap_lora.draws.share_points", lambda *a: True)
    run = new_training(model, tmp_path, positive=1e-9)
    before = run.export()
    values = run.step(0)
    run.close()
    assert values == {"loss": 0.0, "lr": 1e-3, "pairs": 0, "skipped": values["skipped"]} and values["skipped"] >= 1
    assert all(torch.equal(value, before[name]) for name, value in run.export().items())


def test_a_gradient_that_is_not_finite_stops_the_fit(
    model: DenseBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = training_module.pair_loss

    def broken(first: torch.Tensor, *rest: Any) -> Any:
        first.register_hook(lambda gradient: gradient * torch.nan)
        return true(first, *rest)

    monkeypatch.setattr(training_module, "pair_loss", broken)
    run = new_training(model, tmp_path)
    with pytest.raises(Bench3DError, match="gradient"):
        run.step(0)
    run.close()


def test_the_patch_16_defect_stands_behind_its_flag(model: DenseBackbone) -> None:
    """Measured on the published code: at 80 cells x = 64 of 512 pixels sees cell 10.93 instead of 9.5 (from 0)."""
    wide = model.with_net(lambda net: net, {}) if hasattr(model, "with_net") else model
    wide.settings = BackboneSettings(grid=80)
    wide.net = lambda images: torch.arange(80.0).expand(1, 80, 80)[None].repeat(len(images), 1, 1, 1)  # type: ignore[assignment]
    (features,) = features_of(wide, [np.zeros((512, 512, 3), dtype=np.uint8)])
    ones = torch.ones_like(features.values)
    features = type(features)(torch.cat([features.values, ones], dim=1), features.geometry)
    xy = np.array([[64.0, 10.0], [256.0, 10.0], [445.0, 10.0], [500.0, 10.0]])

    def columns(as_published: bool) -> list[float]:
        values = features_at(features, xy, SmoothAPSettings(as_published=as_published))
        return [round(float(v), 2) for v in values[:, 0] / values[:, 1]]

    assert columns(False) == [9.5, 39.5, 69.03, 77.62]
    assert columns(True) == [10.93, 45.21, 78.96, 79.0]


def test_held_out_scores_of_perfect_and_of_blind_features(
    model: DenseBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = Balls(tmp_path, objects=2).view_sets()
    views = {view.image: view for s in sets for view in s.views}
    validator, again = (Validator(sets, 4, 120.0, seed=0) for _ in range(2))
    assert [p.object for p in validator.pairs] == ["ball-0", "ball-1", "ball-0", "ball-1"]
    np.testing.assert_array_equal(validator.pairs[0].target, again.pairs[0].target)

    def surface(model: DenseBackbone, images: Sequence[Any]) -> list[FeatureMap]:
        """A cell for each pixel, its feature the surface point there."""
        maps = []
        for path in images:
            view, values = views[path], torch.zeros(1, 3, SIZE, SIZE)
            rows, columns, depth = known_depth(view)
            xy = np.stack([columns, rows], axis=1) + 0.5
            world = unproject(view, xy, depth[rows, columns])
            values[0, :, rows, columns] = torch.from_numpy(world.T).float()
            geometry = PixelGeometry.identity((SIZE, SIZE)).with_grid((SIZE, SIZE), (1.0, 1.0))
            maps.append(FeatureMap(values, (geometry,)))
        return maps

    monkeypatch.setattr(validation, "load_rgb", lambda path, size: path)
    monkeypatch.setattr(validation, "features_of", surface)
    scores = validator.scores(model)
    assert scores.pcdp.tolist() == [1.0] * 4
    assert (scores.ape < 0.5 / SIZE * np.sqrt(2)).all()  # the nearest pixel
    blind = [FeatureMap(torch.ones_like(m.values), m.geometry) for m in surface(model, list(views)[:2])]
    monkeypatch.setattr(validation, "features_of", lambda model, images: blind)
    scores = validator.scores(model)
    assert (scores.pcdp < 0.5).all() and (scores.ape > 0.1).all()
