"""The shape model's three verbs: fit, load, apply."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from bench3d.contracts import Artifact, FitContext, Model, MultiviewSource, ShapeModel
from bench3d_plugins.common3d.artifact import load_network, read_artifact, write_artifact
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.train import fit_category


class Common3D(ShapeModel):
    """Common3D with given settings; one artifact a category."""

    def __init__(self, settings: Common3DSettings) -> None:
        self.settings = settings

    def fit(self, model: Model, source: MultiviewSource, context: FitContext) -> Artifact:
        """Trains one category and leaves an artifact in `context.out`; the training state is removed at the end."""
        fitted = fit_category(model, source, self.settings, context)
        facts = {**fitted.facts, "random_weights": model.random_weights}
        artifact = write_artifact(
            context.out,
            fitted.network,
            fitted.last,
            category=context.category or "",
            recipe=context.recipe,
            seed=context.seed,
            facts=facts,
        )
        for stage in ("stage-template", "stage-appearance"):
            shutil.rmtree(context.out / stage, ignore_errors=True)
        return artifact

    def load(self, path: Path) -> Artifact:
        """Reads and validates an artifact folder; WeightsError names file and field."""
        return read_artifact(path)

    def apply(self, model: Model, artifacts: Mapping[str, Artifact], device: str) -> Model:
        """`model` with pose, mask and shape of the artifacts' categories."""
        from bench3d_plugins.common3d.model import Common3DModel

        networks = {category: load_network(artifact.path, device) for category, artifact in artifacts.items()}
        return Common3DModel(model, networks, self.settings, device)


def create(settings: Common3DSettings) -> Common3D:
    """The registration's factory."""
    return Common3D(settings)
