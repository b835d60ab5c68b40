"""The finetuning itself: pairs of views, features at their points, a loss over correspondences (tasks.md i).

Only LoRA and the refine convolution have gradients: what runs before the first adapted block leaves no graph behind,
so its activations are freed as they are computed.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import nn

from bench3d.contracts import Artifact, FitContext, ViewSet
from bench3d.errors import Bench3DError, UsageError
from bench3d.features.backbone import DenseBackbone
from bench3d.fit.draws import derived_seed, learning_rate
from bench3d.fit.loop import LoopPlan, LoopResult, train
from bench3d_plugins.smoothap_lora.adapter import untrained
from bench3d_plugins.smoothap_lora.artifact import write_artifact
from bench3d_plugins.smoothap_lora.batches import features_at, features_of, on_gpu, running_model
from bench3d_plugins.smoothap_lora.draws import Pairs, TrainingPair, split_sets, with_depth
from bench3d_plugins.smoothap_lora.lora import AdaptedNet
from bench3d_plugins.smoothap_lora.losses import CorrespondenceLoss, correspondence_loss
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings
from bench3d_plugins.smoothap_lora.validation import Validator

FOLDER = "training"
"""Where the state to resume from stands, until the fit is whole."""
WORKERS = 4


class Training:
    """One optimiser over LoRA and convolution; a trainable of `bench3d.fit`.

    Args:
        model: an adapted backbone, and `net` its network; its parameters to train are unfrozen.
        pairs: where training pairs come from.
        validator: of the held-out score, None without one.
        settings: of the fit.
    """

    def __init__(
        self,
        model: DenseBackbone,
        net: AdaptedNet,
        pairs: Pairs,
        validator: Validator | None,
        settings: SmoothAPSettings,
    ) -> None:
        self.model, self.net, self.pairs, self.validator, self.settings = model, net, pairs, validator, settings
        self.weights = net.trainable()
        self.running = running_model(model, net, settings)
        self.optimiser = torch.optim.AdamW(
            list(self.weights.values()), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.counts: Counter[str] = Counter()
        self.before: dict[str, float] = {}
        self.workers = ThreadPoolExecutor(max_workers=min(WORKERS, os.cpu_count() or 1))
        self.ahead: dict[int, list[Future[TrainingPair]]] = {}

    def step(self, iteration: int) -> Mapping[str, float]:
        """One step over `accumulate` batches of pairs: mean loss, learning rate, pairs seen and skipped so far."""
        settings = self.settings
        if iteration == 0 and self.validator is not None:
            self.before = self._held_out()
        rate = learning_rate(settings.learning_rate, settings.learning_rate_schedule, iteration, settings.iterations)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        total, taught = 0.0, 0
        for part in range(settings.accumulate):
            losses = self._losses(self._batch(iteration * settings.accumulate + part))
            if losses:
                value = torch.stack(losses).sum()
                value.backward()
                total, taught = total + float(value.detach()), taught + len(losses)
        if taught:
            self._update(taught)
        skipped = sum(self.counts.values()) - self.counts["pairs"]
        return {"loss": total / max(1, taught), "lr": rate, "pairs": self.counts["pairs"], "skipped": skipped}

    def _update(self, taught: int) -> None:
        """An AdamW step along the mean gradient of `taught` pairs. Bench3DError where it is not finite."""
        for parameter in self.weights.values():
            if parameter.grad is not None:
                parameter.grad /= taught
        norm = nn.utils.clip_grad_norm_(list(self.weights.values()), self.settings.gradient_clip)
        if not torch.isfinite(norm):
            raise Bench3DError("smoothap-lora: the gradient is no longer finite.", "Lower adapter.learning_rate.")
        self.optimiser.step()

    def _losses(self, pairs: Sequence[TrainingPair]) -> list[torch.Tensor]:
        """The loss of every pair that has positives."""
        views = [view for pair in pairs for view in pair.views]
        maps = features_of(self.running, [view.image for view in views])
        sampled = [features_at(m, view.xy, self.settings) for m, view in zip(maps, views, strict=True)]
        points = [torch.from_numpy(view.points).to(s.device) for view, s in zip(views, sampled, strict=True)]
        found = []
        for n in range(0, len(views), 2):
            loss = pair_loss(sampled[n], sampled[n + 1], points[n], points[n + 1], self.settings)
            if loss.pairs:
                found.append(loss.value)
            self.counts["pairs" if loss.pairs else "no positives"] += 1
        return found

    def _batch(self, number: int) -> list[TrainingPair]:
        """Batch `number` of pairs, while the next one is decoded."""
        waiting = self.ahead.pop(number, None) or self._submit(number)
        following = number + 1
        if following < self.settings.iterations * self.settings.accumulate:
            self.ahead = {following: self._submit(following)}
        pairs = [future.result() for future in waiting]
        for pair in pairs:
            self.counts.update(pair.skipped)
        return pairs

    def _submit(self, number: int) -> list[Future[TrainingPair]]:
        count = self.settings.pairs_per_step
        return [self.workers.submit(self.pairs.pair, number * count + n) for n in range(count)]

    def state(self) -> Any:
        """What is trained, AdamW's moments and the counts; all draws follow from the iteration."""
        return {
            "weights": dict(self.weights),
            "optimiser": self.optimiser.state_dict(),
            "counts": dict(self.counts),
            "before": self.before,
        }

    def load_state(self, state: Any) -> None:
        """Continues from `state`."""
        put(self.weights, state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.counts, self.before = Counter(state["counts"]), state["before"]

    def evaluate(self) -> float | None:
        """Held-out PCDP@0.1."""
        return None if self.validator is None else self._held_out()["pcdp"]

    def _held_out(self) -> dict[str, float]:
        assert self.validator is not None
        scores = self.validator.scores(self.model)
        return {"pcdp": float(scores.pcdp.mean()), "ape": float(scores.ape.mean())}

    def export(self) -> dict[str, torch.Tensor]:
        """What is trained, on the CPU."""
        return {name: value.detach().cpu().clone().contiguous() for name, value in self.weights.items()}

    def close(self) -> None:
        """Stops the decoding threads."""
        self.workers.shutdown(wait=True, cancel_futures=True)


def chosen(training: list[ViewSet], settings: SmoothAPSettings) -> list[ViewSet]:
    """The training objects that the settings name.

    Raises:
        UsageError: `first_object` lies behind the last one.
    """
    if settings.first_object >= len(training):
        raise UsageError(
            f"adapter.first_object={settings.first_object}: there are {len(training)} training objects, from 0 on."
        )
    stop = None if settings.objects is None else settings.first_object + settings.objects
    return training[settings.first_object : stop]


def fit(model: DenseBackbone, source: Any, context: FitContext, settings: SmoothAPSettings) -> Artifact:
    """Finetunes on the view sets of `source` and leaves an artifact in `context.out`; best weights by held-out score.

    Raises:
        UsageError: the model is no network with attention.
        DataError: no set with depth, or a file that is missing or broken.
        Bench3DError: loss or gradient is no longer finite.
    """
    read = getattr(source, "training_sets", source.view_sets)
    sets = [views for category in context.categories for views in read(category)]
    training, held_out = split_sets(with_depth(sets), settings.held_out)
    training = chosen(training, settings)
    adapted, net = untrained(model, settings, context.seed)
    validator = None
    if held_out:
        seed = derived_seed(context.seed, "validation")
        validator = Validator(held_out, settings.evaluate_pairs, settings.max_angle, seed)
    trained = sum(p.numel() for p in net.trainable().values())
    context.progress.say(
        f"smoothap-lora: {trained:,} parameters, {len(training)} training objects, {len(held_out)} held out."
    )
    if settings.precision == "bf16" and not on_gpu(model):
        context.progress.say("smoothap-lora: adapter.precision=bf16 is for a GPU; on the CPU it stays fp32.")
    run = Training(adapted, net, Pairs(training, settings, context.seed), validator, settings)
    try:
        result = train(run, _plan(settings, context, validator), context.out / FOLDER, context.progress, context.resume)
        put(run.weights, result.best)
        facts = {
            "training_objects": [s.id for s in training],
            "held_out_objects": [s.id for s in held_out],
            "training_views": sum(len(s.views) for s in training),
            "held_out_views": sum(len(s.views) for s in held_out),
            "parameters": trained,
            "random_weights": model.random_weights,
            **_outcome(run, result),
        }
    finally:
        run.close()
    artifact = write_artifact(
        context.out, net, settings, recipe=context.recipe, seed=context.seed, facts=facts, last=result.last
    )
    shutil.rmtree(context.out / FOLDER, ignore_errors=True)
    return artifact


def _plan(settings: SmoothAPSettings, context: FitContext, validator: Validator | None) -> LoopPlan:
    return LoopPlan(
        name="smoothap-lora",
        iterations=settings.iterations,
        evaluate_every=None if validator is None else settings.evaluate_every or settings.iterations,
        checkpoint_seconds=settings.checkpoint_seconds,
        recipe=context.recipe,
    )


def _outcome(run: Training, result: LoopResult) -> dict[str, Any]:
    skipped = {reason: count for reason, count in sorted(run.counts.items()) if reason != "pairs"}
    best = run.validator is not None
    return {
        "pairs": run.counts["pairs"],
        "skipped": skipped,
        "held_out_before": run.before or None,
        "held_out_best": run._held_out() if best else None,
        "best_iteration": result.best_iteration,
        "history": result.history,
        "seconds": result.seconds,
    }


def pair_loss(
    first: torch.Tensor,
    second: torch.Tensor,
    first_points: torch.Tensor,
    second_points: torch.Tensor,
    settings: SmoothAPSettings,
) -> CorrespondenceLoss:
    """The loss that the settings name, over features (N, C), (M, C) and points (N, 3), (M, 3) of two views."""
    return correspondence_loss(
        first,
        second,
        first_points,
        second_points,
        loss=settings.loss,
        positive=settings.positive,
        negative=settings.negative,
        temperature=settings.temperature,
    )


@torch.no_grad()
def put(weights: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    """Copies values of the same names and shapes; KeyError or RuntimeError where they are others."""
    for name, weight in weights.items():
        weight.copy_(values[name])
