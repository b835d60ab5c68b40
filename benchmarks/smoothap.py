"""What a smoothap-lora training teaches: held-out objects before and after, with controls.

    python benchmarks/smoothap.py --data TWIN [--mesh RENDERINGS] [--frames RGBD] [--only trained,shuffled]
        [--json FILE] [--backbone timm:test_vit] [--weights random] [--start mae] [--grid 16] [--set NAME=JSON]

TWIN is a folder of Objaverse renderings, best a twin of some objects a category. They are split by number: the first
--training of each category are trained on, the others held out. PCDP@0.1 and APE of fixed held-out pairs up to 120
degrees apart, matches searched on the mask. Intervals: paired differences to the network without adapter, means of an
object, objects resampled (95 %, percentile bootstrap); for the only scene of --frames there is none.

The network is random (`--start mae`), so this shows what the training does, not what it does to a trained network. The
base settings are not the published ones: a grid of 16 cells on an object of 140 pixels has 9 cells across it, so that
the published negatives (0.1 of the object) begin within the cell; and a few hundred steps are not enough to learn
from images that are turned and recoloured (row `augmented`).

Rows: `trained`; `shuffled`, the same with random correspondences; `one object`, the same on one object; `augmented`,
with the published augmentation; `published rate`, learning rate 1e-5 without a schedule; `published radii`;
`published conv`, with the randomly initialised convolution; `mesh`, the same on the renderings of --mesh alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench3d.contracts import ViewSet
from bench3d.features.backbone import DenseBackbone
from bench3d.metrics.bootstrap import cluster_bootstrap
from bench3d.metrics.points import PointChance
from bench3d.plugins import load_registry, load_settings
from bench3d_plugins.smoothap_lora.adapter import untrained
from bench3d_plugins.smoothap_lora.draws import Pairs
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings
from bench3d_plugins.smoothap_lora.training import Training
from bench3d_plugins.smoothap_lora.validation import PCDP_AT, Scores, Validator

BASE = {
    "points": 400,
    "positive": 0.01,
    "negative": 0.3,
    "augment": False,
    "pairs_per_step": 2,
    "learning_rate": 1e-3,
    "learning_rate_schedule": "one_cycle",
}
MARKS = (1, 3, 10, 30, 100, 300, 1000, 3000)


@dataclass
class Bench:
    """What all rows share."""

    model: DenseBackbone
    base: SmoothAPSettings
    validators: dict[str, Validator]
    before: dict[str, Scores]
    seed: int


def opened(kind: str, name: str, root: Path) -> Any:
    """A data set of the registry at `root`."""
    return load_registry().create(kind, name, root=root, settings=None)


def split_by_object(sets: Sequence[ViewSet], training: int) -> tuple[list[ViewSet], list[ViewSet]]:
    """The first `training` objects of every category (name before the last dash), and the others."""
    groups: dict[str, list[ViewSet]] = defaultdict(list)
    for views in sets:
        groups[views.id.rpartition("-")[0]].append(views)
    return (
        [views for group in groups.values() for views in group[:training]],
        [views for group in groups.values() for views in group[training:]],
    )


def compare(before: Scores, after: Scores) -> dict[str, Any]:
    """Means over objects, and the difference with its interval."""
    out: dict[str, Any] = {}
    for name in ("pcdp", "ape"):
        a, b = getattr(before, name), getattr(after, name)
        names = sorted(set(before.objects))
        owner = np.array(before.objects)
        means = [(a[owner == n].mean(), b[owner == n].mean()) for n in names]
        differences = np.array([y - x for x, y in means])
        out[name] = {
            "before": float(np.mean([x for x, _ in means])),
            "after": float(np.mean([y for _, y in means])),
            "difference": float(differences.mean()),
            "interval": cluster_bootstrap(differences, names, "mean", seed=0, draws=10_000),
            "objects": len(names),
        }
    return out


def chance(validator: Validator) -> dict[str, float]:
    """What a random candidate scores, mean over pairs."""
    rows = []
    for pair in validator.pairs:
        size = pair.views[1].size
        xs, ys = (np.arange(0, n, pair.stride) + 0.5 for n in size)
        law = PointChance.rectangle(xs, ys) if pair.valid is None else PointChance(pair.valid, xs, ys)
        edge = min(size)
        rows.append((law.within(pair.target, PCDP_AT * edge).mean(), law.distance(pair.target).mean() / edge))
    return {"pcdp": float(np.mean([r[0] for r in rows])), "ape": float(np.mean([r[1] for r in rows]))}


def run_row(bench: Bench, sets: Sequence[ViewSet], changes: dict[str, Any], name: str) -> dict[str, Any]:
    """One training from the start, scored along the way."""
    settings = bench.base.model_copy(update=changes)
    model, net = untrained(bench.model, settings, bench.seed)
    training = Training(model, net, Pairs(sets, settings, bench.seed), None, settings)
    curve, losses, seconds = {}, [], 0.0
    marks = {m for m in MARKS if m < settings.iterations} | {settings.iterations}
    for iteration in range(settings.iterations):
        begun = time.monotonic()
        losses.append(training.step(iteration)["loss"])
        seconds += time.monotonic() - begun
        if iteration + 1 in marks:
            curve[iteration + 1] = compare(bench.before["held out"], bench.validators["held out"].scores(model))
            show(f"{name} @{iteration + 1}", curve[iteration + 1], f"loss {np.mean(losses[-50:]):.4f}")
    training.close()
    others = {
        key: compare(bench.before[key], validator.scores(model))
        for key, validator in bench.validators.items()
        if key != "held out"
    }
    for key, found in others.items():
        show(f"{name} on {key}", found)
    return {
        "changes": changes,
        "objects": [s.id for s in sets],
        "curve": curve,
        "others": others,
        "loss": {"first 20": float(np.mean(losses[:20])), "last 50": float(np.mean(losses[-50:]))},
        "skipped": dict(training.counts),
        "seconds per step": seconds / settings.iterations,
    }


def show(name: str, found: dict[str, Any], note: str = "") -> None:
    """One line of the table."""
    cells = []
    for metric, value in found.items():
        interval = value["interval"]
        span = "" if interval is None else f" [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]"
        cells.append(f"{metric} {100 * value['before']:.1f} -> {100 * value['after']:.1f} ({span.strip()})")
    print(f"{name:28} {'   '.join(cells)}   {note}", flush=True)


def backbone(arguments: argparse.Namespace) -> DenseBackbone:
    """The network to adapt."""
    registry = load_registry()
    settings = load_settings(registry.get("backbone", arguments.backbone), None, {"grid": arguments.grid})
    model = registry.create("backbone", arguments.backbone, weights=arguments.weights, settings=settings, device="cpu")
    assert isinstance(model, DenseBackbone)
    return model


@torch.no_grad()
def initialise_as_mae(model: DenseBackbone, seed: int) -> None:
    """Random weights as masked autoencoders start from (He et al., CVPR 2022): sine-cosine positions, Xavier layers.

    timm's own random weights are so small that every block is nearly the identity: features of a patch alone, which
    no low-rank change of attention can improve. Here blocks mix patches, and positions dominate as in trained ViTs.
    """
    vit: Any = model.net.model  # type: ignore[union-attr]
    generator = torch.Generator().manual_seed(seed)
    for module in vit.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            rows = module.weight.shape[0]
            bound = (6 / (rows + module.weight[0].numel())) ** 0.5
            module.weight.copy_((2 * torch.rand(module.weight.shape, generator=generator) - 1) * bound)
    side = round((vit.pos_embed.shape[1] - vit.num_prefix_tokens) ** 0.5)
    quarter = vit.embed_dim // 4
    angles = torch.arange(side)[:, None] / 10_000 ** (torch.arange(quarter) / quarter)
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)
    cells = torch.cat([axis[None].expand(side, -1, -1), axis[:, None].expand(-1, side, -1)], dim=-1)
    vit.pos_embed.zero_()
    vit.pos_embed[0, vit.num_prefix_tokens :] = cells.flatten(0, 1)


def rows_of(arguments: argparse.Namespace, training: list[ViewSet]) -> dict[str, tuple[list[ViewSet], dict[str, Any]]]:
    """Name -> training sets and what differs from the base settings."""
    rows: dict[str, tuple[list[ViewSet], dict[str, Any]]] = {
        "trained": (training, {}),
        "shuffled": (training, {"shuffled": True}),
        "one object": (training[:1], {}),
        "augmented": (training, {"augment": True}),
        "published rate": (training, {"learning_rate": 1e-5, "learning_rate_schedule": "constant"}),
        "published radii": (training, {"positive": 5e-3, "negative": 0.1}),
        "published conv": (training, {"conv_init": "published"}),
    }
    if arguments.mesh is not None:
        rows["mesh"] = (list(opened("dataset", "objaverse-renderings", arguments.mesh).view_sets("all")), {})
    if arguments.only:
        rows = {name: rows[name] for name in arguments.only.split(",")}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", default="timm:test_vit")
    parser.add_argument("--weights", default="random")
    parser.add_argument("--start", choices=("weights", "mae"), default="mae", help="mae: random as MAE starts")
    parser.add_argument("--grid", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--training", type=int, default=8, help="objects of a category to train on")
    parser.add_argument("--pairs", type=int, default=6, help="held-out pairs of an object")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="names of rows, comma-separated")
    parser.add_argument("--set", action="append", default=[], help="NAME=VALUE of the adapter's settings")
    parser.add_argument("--mesh", type=Path)
    parser.add_argument("--frames", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = backbone(arguments)
    if arguments.start == "mae":
        initialise_as_mae(model, arguments.seed)
    sets = opened("dataset", "objaverse-renderings", arguments.data).view_sets("all")
    training, held_out = split_by_object(sets, arguments.training)
    base = BASE | {"iterations": arguments.iterations}
    more = {key: json.loads(value) for key, _, value in (item.partition("=") for item in arguments.set)}
    settings = SmoothAPSettings.model_validate(base | more)
    validators = {"held out": Validator(held_out, arguments.pairs * len(held_out), settings.max_angle, arguments.seed)}
    if arguments.frames is not None:
        frames = opened("dataset", "rgbd-frames", arguments.frames).view_sets("all")
        validators["real frames"] = Validator(frames, 40, settings.max_angle, arguments.seed)
    before = {name: validator.scores(model) for name, validator in validators.items()}
    bench = Bench(model, settings, validators, before, arguments.seed)
    odds = {name: chance(validator) for name, validator in validators.items()}
    print(f"{len(training)} training objects, {len(held_out)} held out; chance {odds}", flush=True)
    rows = {name: run_row(bench, *row, name) for name, row in rows_of(arguments, training).items()}
    if arguments.json is not None:
        report = {
            "backbone": arguments.backbone,
            "weights": arguments.weights,
            "start": arguments.start,
            "grid": arguments.grid,
        }
        report |= {"settings": settings.model_dump(mode="json"), "chance": odds, "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
