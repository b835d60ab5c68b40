"""The shape model's three verbs: fit, load, apply."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench3d.contracts import Artifact, FitContext, Model, MultiviewSource, ShapeModel
from bench3d_plugins.zsp.artifact import FORMAT, load_references, write_artifact
from bench3d_plugins.zsp.reference import collect
from bench3d_plugins.zsp.settings import ZSPSettings


class ZSP(ShapeModel):
    """ZSP with given settings; one artifact a category. Nothing is trained: a fit collects the references."""

    def __init__(self, settings: ZSPSettings) -> None:
        self.settings = settings

    def fit(self, model: Model, source: MultiviewSource, context: FitContext) -> Artifact:
        """Leaves the references of a category in `context.out`."""
        references, facts = collect(model, source, self.settings, context)
        facts = {**facts, "random_weights": model.random_weights}
        return write_artifact(references, self.settings, facts, context)

    def load(self, path: Path) -> Artifact:
        """Reads and validates an artifact folder; WeightsError names file and field."""
        return FORMAT.read(path)

    def apply(self, model: Model, artifacts: Mapping[str, Artifact], device: str) -> Model:
        """`model` with poses of the artifacts' categories."""
        from bench3d_plugins.zsp.model import ZSPModel

        references = {category: load_references(artifact.path) for category, artifact in artifacts.items()}
        return ZSPModel(model, references, self.settings, device)


def create(settings: ZSPSettings) -> ZSP:
    """The registration's factory."""
    return ZSP(settings)
