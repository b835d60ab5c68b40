"""The embedded backbone: the network with the weights that ship beside this module."""

from __future__ import annotations

from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from bench3d.errors import UsageError, WeightsError
from bench3d.features.backbone import DenseBackbone
from bench3d.features.settings import BackboneSettings
from bench3d.features.weights import file_facts, load_exactly, read_state_dict, weights_file
from bench3d_plugins.tiny.names import NAME, STEPS, weights_name
from bench3d_plugins.tiny.network import DEPTH, MEAN, PATCH, STD, WIDTH, build


class LayerFeatures(torch.nn.Module):
    """The network's features after one block, (B, 3, H, W) -> (B, C, h, w)."""

    def __init__(self, model: torch.nn.Module, layer: int, norm: bool) -> None:
        super().__init__()
        self.model, self.layer, self.norm = model, layer, norm

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Of normalised images whose sides are whole patches."""
        (values,) = self.model.forward_intermediates(  # type: ignore[operator]
            images, indices=[self.layer], norm=self.norm, intermediates_only=True, output_fmt="NCHW", stop_early=True
        )
        return values


def create(weights: str, settings: BackboneSettings, device: str, step: int | None = None) -> DenseBackbone:
    """The backbone after `step` steps of its pretraining, None for the end.

    `weights`: "pretrained" (shipped), "random" (seed `settings.seed`) or a file of the same network.

    Raises:
        UsageError: no such layer, or a revision.
        WeightsError: a file is missing or does not fit.
    """
    layer = DEPTH - 1 if settings.layer is None else settings.layer + DEPTH * (settings.layer < 0)
    if not 0 <= layer < DEPTH:
        raise UsageError(f"backbone.layer={settings.layer}: {NAME} has layers 0 to {DEPTH - 1}.")
    network = build(settings.seed)
    facts: dict[str, Any] = {"weights": {"source": "random", "seed": settings.seed}}
    if weights == "pretrained":
        if settings.revision is not None:
            raise UsageError(f"backbone.revision={settings.revision}: the weights of {NAME} come with bench3d itself.")
        facts = _load_shipped(network, weights_name(step))
    elif (path := weights_file(weights)) is not None:
        facts = _load(network, path)
    net = LayerFeatures(network, layer, settings.tokens == "normed").eval()
    return DenseBackbone(
        net,
        patch=PATCH,
        settings=settings,
        device=device,
        mean=MEAN,
        std=STD,
        random_weights=weights == "random",
        facts={"dim": WIDTH, "layer": layer, "layers": DEPTH, "tokens": settings.tokens, **facts},
    )


def _load_shipped(network: torch.nn.Module, name: str) -> dict[str, Any]:
    try:
        with as_file(files("bench3d_plugins.tiny") / "weights" / name) as path:
            facts = _load(network, path)
    except WeightsError as error:
        raise WeightsError(
            f"The weights {name} that ship with bench3d cannot be loaded: {error.message}",
            f"Install bench3d again, or make them (bench3d pretrain {NAME}) and give them with --weights FILE.",
        ) from error
    return {**facts, "weights": {"source": "package", "id": name, "sha256": facts["weights_sha256"]}}


def _load(network: torch.nn.Module, path: Path) -> dict[str, Any]:
    state = {name: value.float() for name, value in read_state_dict(path).items()}
    load_exactly(network, state, path.name)
    about = file_facts(path)
    return {"weights": about, "weights_sha256": about["sha256"]}


steps = SimpleNamespace(**{f"at_{step}": partial(create, step=step) for step in STEPS})
