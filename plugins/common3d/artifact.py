"""What a fit of Common3D leaves on disk; see `bench3d.morphable.artifact`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bench3d.contracts import Artifact
from bench3d.morphable.artifact import INDEX, ArtifactFormat, ArtifactIndex
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.settings import Common3DSettings

__all__ = ["INDEX", "LAST", "SCHEMA", "WEIGHTS", "load_network", "read_artifact", "write_artifact"]

SCHEMA = "bench3d.common3d/1"
WEIGHTS = "network.safetensors"
LAST = "last.safetensors"


class Common3DIndex(ArtifactIndex):
    """`artifact.json`.

    Attributes:
        channels: C of the backbone's maps that the heads were trained on.
    """

    channels: int
    settings: Common3DSettings


FORMAT = ArtifactFormat("Common3D", SCHEMA, Common3DIndex, WEIGHTS, (LAST,))


def write_artifact(
    folder: Path,
    network: Common3DNetwork,
    last: dict[str, torch.Tensor],
    *,
    category: str,
    recipe: str,
    seed: int,
    facts: dict[str, Any],
) -> Artifact:
    """Writes the network with its best weights, and its `last` ones.

    Raises:
        OutputError: no space or no permission.
    """
    return FORMAT.write(
        folder,
        {WEIGHTS: network.state_dict(), LAST: last},
        category=category,
        recipe=recipe,
        seed=seed,
        facts=facts,
        channels=network.channels,
        settings=network.settings,
    )


def read_artifact(folder: Path) -> Artifact:
    """Validates an artifact folder: the index, and that every file is the one it names.

    Raises:
        WeightsError: naming file and field.
    """
    return FORMAT.read(folder)


def load_network(folder: Path, device: str) -> Common3DNetwork:
    """The fitted network in eval mode, without gradients.

    Raises:
        WeightsError: a file is missing, broken or does not fit the settings beside it.
    """
    content = FORMAT.open(folder)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
        network = Common3DNetwork(content.settings, content.channels)
    FORMAT.fill(network, folder)
    return network.to(device).eval().requires_grad_(False)
