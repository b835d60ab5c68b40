"""The adapter's verbs: fit, load, apply, export; and the network that training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench3d.contracts import Artifact, FitContext, Model, ShapeModel
from bench3d.errors import UsageError
from bench3d.features.backbone import DenseBackbone
from bench3d.fit.draws import derived_generator
from bench3d_plugins.smoothap_lora import artifact as files
from bench3d_plugins.smoothap_lora import conv, lora
from bench3d_plugins.smoothap_lora import export as exports
from bench3d_plugins.smoothap_lora.lora import AdaptedNet
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings


class SmoothAPLoRA(ShapeModel):
    """smoothap-lora with given settings; one artifact for all categories."""

    formats = exports.FORMATS

    def __init__(self, settings: SmoothAPSettings) -> None:
        self.settings = settings

    def fit(self, model: Model, source: Any, context: FitContext) -> Artifact:
        """Trains on the view sets of `source`, at the settings' grid, and leaves an artifact in `context.out`.

        Raises:
            UsageError: the model is no dense backbone.
        """
        from bench3d_plugins.smoothap_lora.training import fit

        if not isinstance(model, DenseBackbone):
            raise UsageError("smoothap-lora adapts a backbone, not what is fitted on top of one.")
        return fit(model.with_grid(self.settings.grid), source, context, self.settings)

    def load(self, path: Path) -> Artifact:
        """Reads our artifact folder, a peft folder or a published .ckpt; WeightsError names file and field."""
        return files.load(path)

    def apply(self, model: Model, artifacts: Mapping[str, Artifact], device: str) -> Model:
        """`model` with LoRA and convolution, frozen.

        Raises:
            UsageError: the model is no network with attention.
            WeightsError: the artifact belongs to another backbone.
        """
        if len(artifacts) != 1:
            raise UsageError(f"smoothap-lora takes one artifact for all categories, not {len(artifacts)}.")
        return files.apply(model, next(iter(artifacts.values())))

    def export(self, artifact: Artifact, model: Model, out: Path, format: str) -> Path:
        """Writes the artifact as `peft`, `authors` or `merged`; `model` is the backbone it belongs to."""
        return exports.export(artifact, model, out, format)


def untrained(model: DenseBackbone, settings: SmoothAPSettings, seed: int) -> tuple[DenseBackbone, AdaptedNet]:
    """Where training starts: a copy of `model` with LoRA and convolution, those unfrozen; and its network.

    With the identity convolution it gives exactly the features of `model`.

    Raises:
        UsageError: the model is no network with attention, or has fewer blocks than the settings name.
    """
    sites = lora.last_sites(model, settings.blocks)
    base, facts = lora.base_of(model), {"name": "smoothap-lora"}
    other, net = lora.adapted(model, base, sites, settings.rank, settings.conv_layers, facts)
    lora.initialise(net, derived_generator(seed, "smoothap-lora", "lora"))
    conv.initialise(net.conv, settings.conv_init, derived_generator(seed, "smoothap-lora", "conv"))
    net.unfreeze()
    return other, net


def create(settings: SmoothAPSettings) -> SmoothAPLoRA:
    """The registration's factory."""
    return SmoothAPLoRA(settings)
