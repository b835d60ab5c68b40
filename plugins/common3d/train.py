"""A whole fit of one category: statistics, template, appearance, and the facts of what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from bench3d.contracts import FitContext, Model, MultiviewSource, ObjectSequence
from bench3d.errors import UsageError
from bench3d.fit.loop import LoopResult, train
from bench3d.morphable.networks import channels_of, seeded
from bench3d.morphable.pool import ViewPool
from bench3d.morphable.screening import screen
from bench3d.morphable.stage import Stage, steps_per_epoch
from bench3d.morphable.validation import Validator
from bench3d.morphable.views import read_cloud, split_sequences
from bench3d.plugins import renderer_for
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.stages import AppearanceStage, TemplateStage, Workshop
from bench3d_plugins.common3d.variation import set_latent_variation, set_raw_basis

if TYPE_CHECKING:
    from bench3d.contracts import Renderer

CLOUD_LIMIT = 20000


@dataclass
class Fitted:
    """A fitted category.

    Attributes:
        network: with its best weights, in eval mode.
        last: weights after the last iteration.
        facts: counts, times, histories, held-out score; JSON values.
    """

    network: Common3DNetwork
    last: dict[str, torch.Tensor]
    facts: dict[str, Any] = field(default_factory=dict)


def fit_category(model: Model, source: MultiviewSource, settings: Common3DSettings, context: FitContext) -> Fitted:
    """Trains one category in two stages (protocol page, section 4), from the state in `context.out` where resumed.

    What cannot be trained on is left out; the facts count it and say why.

    Raises:
        UsageError: no category, or a model whose features do not fit.
        DataError: an image or mask is missing or broken, or no sequence can be trained on.
        Bench3DError: a loss is no longer finite.
    """
    if context.category is None:
        raise UsageError("Common3D is fitted per category.", "Name one with --category.")
    screened = screen(source.sequences(context.category))
    training, held_out = split_sequences(screened.sequences, settings.held_out)
    renderer = renderer_for(context.device)
    context.progress.say(
        f"{context.category}: {len(training)} training sequences ({sum(len(s.frames) for s in training)} frames), "
        f"{len(held_out)} held out. {screened.summary()}".rstrip()
    )
    with ViewPool(training, model, settings, context.seed, context.device) as pool:
        network = new_network(settings, channels_of(model, training, settings, context.device), context.seed)
        network.to(context.device)
        pool.prepare(context.progress)
        if settings.standardise:
            network.set_statistics(*pool.statistics(batches=50))
        set_raw_basis(network, pool)
        clouds = [read_cloud(s, CLOUD_LIMIT, context.seed).to(context.device) for s in training]
        shop = Workshop(network, settings, pool, clouds, renderer, context.seed)
        validator = _validator(held_out, model, settings, renderer, context.device)
        template, appearance = _run_stages(shop, validator, context)
        network.load_state_dict(appearance.best)
        network.eval()
        set_latent_variation(network, pool)
    facts = {
        "training_sequences": [s.name for s in training],
        "held_out_sequences": [s.name for s in held_out],
        **screened.facts(),
        "training_frames": len(pool.frames),
        "held_out_frames": 0 if validator is None else len(validator.frames),
        "channels": network.channels,
        "parameters": sum(p.numel() for p in network.parameters()),
        "template_vertices": len(network.template()[0]),
        "template_faces": len(network.template()[1]),
        "latent_directions": len(network.latent_deviations),
        "held_out_accuracy_10deg": appearance.best_score,
        "best_iteration": appearance.best_iteration,
        "seconds": {"template": template.seconds, "appearance": appearance.seconds},
        "history": {"template": template.history, "appearance": appearance.history},
    }
    return Fitted(network, appearance.last, facts)


def new_network(settings: Common3DSettings, channels: int, seed: int) -> Common3DNetwork:
    """A network with weights that depend on the seed alone."""
    return seeded(lambda: Common3DNetwork(settings, channels), seed)


def _run_stages(shop: Workshop, validator: Validator | None, context: FitContext) -> tuple[LoopResult, LoopResult]:
    settings = shop.settings
    first = steps_per_epoch(len(shop.pool), settings.template_batch or settings.batch, settings.accumulate)
    second = steps_per_epoch(len(shop.pool), settings.batch, settings.accumulate)
    begin = TemplateStage(shop, settings.template_iterations or settings.template_epochs * first)
    template = _run(begin, context)
    shop.network.load_state_dict(template.last)
    stage = AppearanceStage(shop, settings.appearance_iterations or settings.appearance_epochs * second, validator)
    return template, _run(stage, context, None if validator is None else settings.validate_every or second)


def _run(stage: Stage, context: FitContext, every: int | None = None) -> LoopResult:
    state = context.out / f"stage-{stage.name}"
    return train(stage, stage.plan(context, every), state, context.progress, context.resume)


def _validator(
    held_out: Sequence[ObjectSequence], model: Model, settings: Common3DSettings, renderer: Renderer, device: str
) -> Validator | None:
    validator = Validator(held_out, model, settings, renderer, device)
    return validator if validator.frames else None
