"""The shape model's three verbs: fit, load, apply."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from bench3d.contracts import Artifact, FitContext, Model, MultiviewSource, ShapeModel
from bench3d_plugins.uop3d.artifact import FORMAT, load_network, write_artifact
from bench3d_plugins.uop3d.settings import UOP3DSettings
from bench3d_plugins.uop3d.train import STATE, fit_category


class UOP3D(ShapeModel):
    """UOP3D with given settings; one artifact a category."""

    def __init__(self, settings: UOP3DSettings) -> None:
        self.settings = settings

    def fit(self, model: Model, source: MultiviewSource, context: FitContext) -> Artifact:
        """Trains one category and leaves an artifact in `context.out`; the training state is removed at the end."""
        network, facts = fit_category(model, source, self.settings, context)
        artifact = write_artifact(network, {**facts, "random_weights": model.random_weights}, context)
        shutil.rmtree(context.out / STATE, ignore_errors=True)
        return artifact

    def load(self, path: Path) -> Artifact:
        """Reads and validates an artifact folder; WeightsError names file and field."""
        return FORMAT.read(path)

    def apply(self, model: Model, artifacts: Mapping[str, Artifact], device: str) -> Model:
        """`model` with pose, mask and shape of the artifacts' categories."""
        from bench3d_plugins.uop3d.model import UOP3DModel

        networks = {category: load_network(artifact.path, device) for category, artifact in artifacts.items()}
        return UOP3DModel(model, networks, self.settings, device)


def create(settings: UOP3DSettings) -> UOP3D:
    """The registration's factory."""
    return UOP3D(settings)
