"""A fit of one category: the reference's mesh, the head and the vertex features, and the facts of what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench3d.contracts import FitContext, Model, MultiviewSource, ObjectSequence
from bench3d.errors import DataError, UsageError
from bench3d.fit.draws import derived_seed
from bench3d.fit.loop import LoopResult, train
from bench3d.morphable.networks import channels_of, seeded
from bench3d.morphable.pool import ViewPool
from bench3d.morphable.proxy_mesh import proxy_mesh
from bench3d.morphable.screening import Screened, screen
from bench3d.morphable.stage import Loss, Stage, steps_per_epoch, to_clip
from bench3d.morphable.validation import Validator
from bench3d.morphable.views import ViewBatch, read_cloud, split_sequences
from bench3d.plugins import renderer_for
from bench3d_plugins.uop3d.loss import clutter_cells, vertex_loss, visible_vertices
from bench3d_plugins.uop3d.network import UOP3DNetwork
from bench3d_plugins.uop3d.settings import UOP3DSettings

if TYPE_CHECKING:
    from bench3d.contracts import Renderer

CLOUD_LIMIT = 20000
STATE = "training"
"""Folder of the resumable state."""


@dataclass(frozen=True)
class Reference:
    """The rigid mesh: vertices (V, 3) and faces (F, 3), of which sequence, and why earlier ones gave none."""

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    skipped: dict[str, str]


class VertexStage(Stage):
    """The only stage: head, vertex features and clutter together."""

    name = "vertices"
    with_features = True
    network: UOP3DNetwork

    def __init__(
        self, network: UOP3DNetwork, pool: ViewPool, settings: UOP3DSettings, seed: int, renderer: Renderer
    ) -> None:
        per_epoch = steps_per_epoch(len(pool), settings.batch, settings.accumulate)
        iterations = settings.iterations or settings.epochs * per_epoch
        groups = [{"params": list(network.parameters()), "share": 1.0}]
        super().__init__(network, pool, settings, seed, iterations, settings.batch, settings.learning_rate, groups)
        self.clutter_samples = settings.clutter_samples
        self.temperature = settings.temperature
        self.renderer = renderer

    def losses(self, views: ViewBatch, generator: torch.Generator) -> dict[str, Loss]:
        """The cross-entropy of one batch."""
        assert views.features is not None
        network = self.network
        features = network.adapt(views.features)
        clip = to_clip(network.vertices[None], views.projection)
        cells, seen, covered = visible_vertices(
            self.renderer, clip, network.faces, views.valid, (features.shape[2], features.shape[3])
        )
        clutter = clutter_cells(covered, self.clutter_samples, generator)
        bank = torch.cat([network.vertex_features, network.clutter[None]])
        return {"vertex": (1.0, vertex_loss(features, cells, seen, clutter, bank, self.temperature))}

    def step(self, iteration: int) -> dict[str, float]:
        """See `Stage.step`; afterwards the features of vertices and clutter have length 1 again."""
        values = super().step(iteration)
        self.network.normalise()
        return dict(values)


def fit_category(
    model: Model, source: MultiviewSource, settings: UOP3DSettings, context: FitContext
) -> tuple[UOP3DNetwork, dict[str, Any]]:
    """Trains one category from the state in `context.out` where resumed: its network in eval mode, and facts.

    What cannot be trained on is left out; the facts count it and say why.

    Raises:
        UsageError: no category, no such reference sequence, or a model whose features do not fit.
        DataError: an image or mask is missing or broken, no sequence can be trained on, or no cloud carries a mesh.
        Bench3DError: the loss is no longer finite.
    """
    if context.category is None:
        raise UsageError("UOP3D is fitted per category.", "Name one with --category.")
    screened = screen(source.sequences(context.category))
    training, held_out = split_sequences(screened.sequences, settings.held_out)
    reference = reference_mesh(screened, training, settings, context.seed)
    context.progress.say(
        f"{context.category}: {len(training)} training sequences ({sum(len(s.frames) for s in training)} frames), "
        f"{len(held_out)} held out; mesh of {reference.name}, {len(reference.vertices)} vertices. "
        f"{screened.summary()}".rstrip()
    )
    renderer = renderer_for(context.device)
    with ViewPool(training, model, settings, context.seed, context.device) as pool:
        channels = channels_of(model, training, settings, context.device)
        mesh = torch.from_numpy(reference.vertices), torch.from_numpy(reference.faces)
        network = seeded(lambda: UOP3DNetwork(settings, channels, *mesh), context.seed).to(context.device)
        pool.prepare(context.progress)
        if settings.standardise:
            network.set_statistics(*pool.statistics(batches=50))
        stage = VertexStage(network, pool, settings, context.seed, renderer)
        result = train(stage, stage.plan(context), context.out / STATE, context.progress, context.resume)
    network.load_state_dict(result.last)
    network.eval()
    validator = Validator(held_out, model, settings, renderer, context.device)
    facts = {
        "training_sequences": [s.name for s in training],
        "held_out_sequences": [s.name for s in held_out],
        **screened.facts(),
        "training_frames": len(pool.frames),
        "held_out_frames": len(validator.frames),
        "reference_sequence": reference.name,
        "references_skipped": reference.skipped,
        "channels": channels,
        "parameters": sum(p.numel() for p in network.parameters()),
        "template_vertices": len(network.vertices),
        "template_faces": len(network.faces),
        "held_out_accuracy_10deg": validator.score(network.instance) if validator.frames else None,
        **_course(result),
    }
    return network, facts


def reference_mesh(
    screened: Screened, training: Sequence[ObjectSequence], settings: UOP3DSettings, seed: int
) -> Reference:
    """The mesh around the reference's cloud, canonical units: of the named one, else of the first that carries one.

    Raises:
        UsageError: there is no sequence of that name, or it was left out.
        DataError: no cloud encloses a volume.
    """
    wanted, named = training, settings.reference_sequence
    if named is not None:
        wanted = [s for s in screened.sequences if s.name == named]
        if not wanted:
            fault = screened.skipped_sequences.get(named)
            why = f"Of sequence {named} no mesh can be taken: {fault}." if fault else f"There is no sequence {named}."
            names = ", ".join(s.name for s in screened.sequences[:5])
            raise UsageError(why, f"There are {names}, ... (--set shape.reference_sequence=NAME).")
    skipped: dict[str, str] = {}
    for sequence in wanted:
        try:
            points = read_cloud(sequence, CLOUD_LIMIT, seed).numpy()
            drawn = derived_seed(seed, "mesh") % 2**32
            vertices, faces = proxy_mesh(points, seed=drawn, most_vertices=settings.mesh_vertices)
        except DataError as error:
            skipped[sequence.name] = str(error)
            continue
        return Reference(sequence.name, vertices.astype(np.float32), faces, skipped)
    name, why = next(iter(skipped.items()))
    raise DataError(f"No training sequence carries a mesh; {name}: {why}", "Choose other sequences, or check them.")


def _course(result: LoopResult) -> dict[str, Any]:
    return {"seconds": {"vertices": result.seconds}, "history": {"vertices": result.history}}
