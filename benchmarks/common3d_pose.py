"""What the numbers of a fitted Common3D are worth: the same template and images with other features and other starts.

    python benchmarks/common3d_pose.py --data DATA --results RESULTS [--set data.seed=1] [--split plain] [--json FILE]

Uses the fits that `bench3d run --backbone hog --adapter common3d --task pascal3d-pose --synthetic` left (and makes
what is missing). Rows: the trained model, its best start without refinement, refinement from the true pose, several
starts refined; raw features averaged onto the template (no learning, as given and standardised), an untrained adapter
with the same averaging, an untrained adapter and field, the trained model's silhouette evidence alone (every vertex
has the mean feature), and the true silhouette alone (an oracle that sees only the shape's outline).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bench3d.contracts import ImageBatch, NullProgress
from bench3d.metrics import rotation_error_deg
from bench3d.morphable.pool import ViewPool
from bench3d.morphable.pose import Instance
from bench3d.morphable.stage import to_clip
from bench3d.morphable.views import split_sequences
from bench3d.plugins import parse_set, renderer_for
from bench3d.runner import RunSpec, plan_run
from bench3d.runner.fits import fit_and_apply
from bench3d.runner.models import settle_numerics
from bench3d.runner.run import make_task
from bench3d_plugins.common3d.model import Common3DModel
from bench3d_plugins.common3d.train import new_network

Embed = Callable[[torch.Tensor], torch.Tensor]


class Variant(Common3DModel):
    """A fitted model whose features, vertex features or background are replaced."""

    def __init__(self, base: Common3DModel, change: Callable[[Instance, ImageBatch], Instance]) -> None:
        super().__init__(base.base, base.networks, base.settings, base.device)
        self.change = change

    def instance(self, batch: ImageBatch, category: str | None) -> Instance:
        return self.change(super().instance(batch, category), batch)


def averaged(pool: ViewPool, model: Common3DModel, category: str, embed: Embed) -> tuple[torch.Tensor, torch.Tensor]:
    """Embedded training features averaged onto the deformed template at the true poses: (V, D) and background (D,)."""
    network, renderer = model.networks[category], renderer_for("cpu")
    vertices, faces = network.template()
    sums, counts, outside = None, torch.zeros(len(vertices), 1), []
    size = pool.settings.batch
    for start in range(0, len(pool) - size + 1, size):
        views = pool.batch(list(range(start, start + size)), 0, True)
        assert views.features is not None
        with torch.inference_mode():
            clip = to_clip(network.deform(vertices, network.latent(views.features)), views.projection)
            maps = embed(views.features).permute(0, 2, 3, 1)
            raster = renderer.rasterize(clip.contiguous(), faces, (maps.shape[1], maps.shape[2]))
        face = raster[..., 3].long() - 1
        hit = face >= 0
        if sums is None:
            sums = torch.zeros(len(vertices), maps.shape[3])
        weights = torch.stack([raster[..., 0], raster[..., 1], 1 - raster[..., 0] - raster[..., 1]], -1)[hit]
        for k in range(3):
            index = faces.long()[face[hit]][:, k]
            sums.index_add_(0, index, weights[:, k : k + 1] * maps[hit])
            counts.index_add_(0, index, weights[:, k : k + 1])
        outside.append(maps[~hit].mean(0))
    assert sums is not None
    mean = sums / counts.clamp_min(1e-6)
    mean[counts[:, 0] < 1e-3] = mean[counts[:, 0] >= 1e-3].mean(0)
    return F.normalize(mean, dim=1), F.normalize(torch.stack(outside).mean(0), dim=0)


def variants(plan: Any, model: Common3DModel, category: str) -> dict[str, Common3DModel]:
    """All rows that need no other start, by name."""
    settings, seed = model.settings, plan.spec.seed
    source = plan.resolved.train[plan.resolved.shape.name].open()
    training, _ = split_sequences(source.sequences(category), settings.held_out)
    network = model.networks[category]
    fresh = new_network(settings, network.channels, seed + 1).eval()
    fresh.set_statistics(network.feature_mean, network.feature_std)

    def raw(maps: torch.Tensor) -> torch.Tensor:
        return F.normalize(maps, dim=1)

    def standardised(maps: torch.Tensor) -> torch.Tensor:
        mean, std = network.feature_mean[:, None, None], network.feature_std[:, None, None]
        return F.normalize((maps - mean) / std, dim=1)

    def untrained(maps: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return fresh.adapt(maps)

    def with_features(embed: Embed, field: torch.Tensor, background: torch.Tensor) -> Common3DModel:
        def change(instance: Instance, batch: ImageBatch) -> Instance:
            maps = model.base.features(batch)[0].map.values
            return replace(instance, features=embed(maps), vertex_features=field, background=background)

        return Variant(model, change)

    def outline(instance: Instance, batch: ImageBatch) -> Instance:
        mean = F.normalize(instance.vertex_features.mean(0), dim=0)
        return replace(instance, vertex_features=mean.expand_as(instance.vertex_features))

    with ViewPool(training, model.base, settings, seed, "cpu") as pool:
        pool.prepare(NullProgress())
        rows = {
            "raw features averaged": with_features(raw, *averaged(pool, model, category, raw)),
            "raw standardised averaged": with_features(standardised, *averaged(pool, model, category, standardised)),
            "untrained adapter averaged": with_features(untrained, *averaged(pool, model, category, untrained)),
        }
    with torch.inference_mode():
        field, background = fresh.vertex_features(network.template()[0]), fresh.background_feature()
    rows["untrained"] = with_features(untrained, field, background)
    rows["trained, outline only"] = Variant(model, outline)
    return rows


def true_outline(task: Any, model: Common3DModel) -> Callable[[list[Any]], Common3DModel]:
    """A model per batch whose cells know only whether they lie on the true silhouette."""
    from bench3d.geometry.crops import mask_zoom, resample
    from bench3d_plugins.single_object.protocol import cad_mask, project

    def for_samples(samples: list[Any]) -> Common3DModel:
        masks = []
        for sample in samples:
            mask = cad_mask(sample)
            centre = project(np.zeros((1, 3)), sample.cam_T_obj, sample.intrinsics)[0][0]
            crop = mask_zoom(mask, centre, model.settings.canvas)
            masks.append(resample(mask.astype(np.float32), crop))

        def change(instance: Instance, batch: ImageBatch) -> Instance:
            h, w = instance.features.shape[2:]
            share = F.interpolate(torch.from_numpy(np.stack(masks))[:, None], size=(h, w), mode="area")
            field = torch.zeros(len(instance.vertex_features), 2)
            field[:, 0] = 1
            return replace(
                instance,
                features=torch.cat([share, 1 - share], dim=1),
                vertex_features=field,
                background=torch.tensor([0.0, 1.0]),
            )

        return Variant(model, change)

    return for_samples


def errors(task: Any, samples: list[Any], model_for: Any, from_truth: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Rotation errors in degrees after refinement and of the best start."""
    final, start = [], []
    for at in range(0, len(samples), 8):
        chunk = samples[at : at + 8]
        model = model_for(chunk) if callable(model_for) else model_for
        ready = task.prepared(model, chunk)
        truth = np.stack([s.cam_T_obj[:3, :3] for s in chunk])
        given = replace(ready.given, rotation=torch.from_numpy(truth) if from_truth else None)
        estimate = model.pose(ready.batch, given)
        assert estimate.start_rotation is not None
        final.append(rotation_error_deg(estimate.rotation.double().numpy(), truth))
        start.append(rotation_error_deg(estimate.start_rotation.double().numpy(), truth))
    return np.concatenate(final), np.concatenate(start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="hog")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--results", type=Path, default=Path("bench3d-results"))
    parser.add_argument("--category", action="append", default=[])
    parser.add_argument("--split", default="plain")
    parser.add_argument("--protocol", default=None)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    plan = plan_run(
        RunSpec(
            backbone=args.backbone, shape_model="common3d", task="pascal3d-pose", synthetic=True, data=args.data,
            results=args.results, categories=tuple(args.category), seed=args.seed, protocol=args.protocol,
            settings=parse_set([*args.settings, f"task.split={args.split}"]),
        )
    )  # fmt: skip
    settle_numerics(offline=True)
    model = fit_and_apply(plan, "cpu", NullProgress()).model
    assert isinstance(model, Common3DModel) and plan.resolved.test is not None
    task, dataset = make_task(plan), plan.resolved.test.open()
    table: dict[str, dict[str, dict[str, float]]] = {}
    for category in plan.categories:
        samples = list(task.samples(dataset, category, args.limit))
        several = Common3DModel(
            model.base, model.networks, model.settings.model_copy(update={"refine_starts": 8}), "cpu"
        )
        final, start = errors(task, samples, model)
        rows = {"trained": final, "trained, best start": start}
        rows["trained, 8 starts refined"] = errors(task, samples, several)[0]
        if args.protocol in (None, "paper"):
            rows["trained, from the true pose"] = errors(task, samples, model, from_truth=True)[0]
            rows["true outline only"] = errors(task, samples, true_outline(task, model))[0]
        for name, variant in variants(plan, model, category).items():
            rows[name] = errors(task, samples, variant)[0]
        for name, found in rows.items():
            table.setdefault(name, {})[category] = {
                "accuracy@30deg": float((found < 30).mean() * 100), "accuracy@10deg": float((found < 10).mean() * 100),
                "median": float(np.median(found)), "n": len(found),
            }  # fmt: skip
    for row in table.values():
        row["mean"] = {k: float(np.mean([row[c][k] for c in plan.categories])) for k in row[plan.categories[0]]}
    columns = [*plan.categories, "mean"]
    print(f"{'30 / 10 degrees, %':30}" + "".join(f"{c:>16}" for c in columns))
    for name, row in table.items():
        cells = [f"{row[c]['accuracy@30deg']:.1f} / {row[c]['accuracy@10deg']:.1f}" for c in columns]
        print(f"{name:30}" + "".join(f"{cell:>16}" for cell in cells))
    if args.json:
        args.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
