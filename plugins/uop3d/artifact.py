"""What a fit of UOP3D leaves on disk; see `bench3d.morphable.artifact`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bench3d.contracts import Artifact, FitContext
from bench3d.errors import WeightsError
from bench3d.morphable.artifact import HINT, ArtifactFormat, ArtifactIndex
from bench3d_plugins.uop3d.network import UOP3DNetwork
from bench3d_plugins.uop3d.settings import UOP3DSettings

WEIGHTS = "network.safetensors"


class UOP3DIndex(ArtifactIndex):
    """`artifact.json`.

    Attributes:
        channels: C of the backbone's maps that the head was trained on.
    """

    channels: int
    settings: UOP3DSettings


FORMAT = ArtifactFormat("UOP3D", "bench3d.uop3d/1", UOP3DIndex, WEIGHTS)


def write_artifact(network: UOP3DNetwork, facts: dict[str, Any], context: FitContext) -> Artifact:
    """Writes a fitted network into `context.out`.

    Raises:
        OutputError: no space or no permission.
    """
    return FORMAT.write(
        context.out,
        {WEIGHTS: network.state_dict()},
        category=context.category,
        recipe=context.recipe,
        seed=context.seed,
        facts=facts,
        channels=network.channels,
        settings=network.settings,
    )


def load_network(folder: Path, device: str) -> UOP3DNetwork:
    """The fitted network in eval mode, without gradients.

    Raises:
        WeightsError: a file is missing, broken or does not fit the settings beside it.
    """
    content, values = FORMAT.open(folder), FORMAT.tensors(folder)
    vertices, faces = values.get("vertices"), values.get("faces")
    if vertices is None or faces is None or not _is_mesh(vertices, faces):
        raise WeightsError(f"{folder / WEIGHTS} holds no mesh (vertices, faces).", HINT)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
        network = UOP3DNetwork(content.settings, content.channels, vertices, faces)
    FORMAT.fill(network, folder, values)
    return network.to(device).eval().requires_grad_(False)


def _is_mesh(vertices: torch.Tensor, faces: torch.Tensor) -> bool:
    """Whether they are (V, 3) numbers and (F, 3) indices of them."""
    shaped = vertices.ndim == faces.ndim == 2 and vertices.shape[1] == faces.shape[1] == 3
    if not shaped or faces.is_floating_point() or not len(faces):
        return False
    return int(faces.min()) >= 0 and int(faces.max()) < len(vertices)
