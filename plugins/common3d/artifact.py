"""What a fit leaves on disk: `artifact.json` with settings and facts, weights as safetensors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from bench3d.contracts import Artifact
from bench3d.errors import WeightsError
from bench3d.files import atomic_path, write_json
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.settings import Common3DSettings

SCHEMA = "bench3d.common3d/1"
INDEX = "artifact.json"
WEIGHTS = "network.safetensors"
LAST = "last.safetensors"
_HINT = "Train it again with --force."


class ArtifactFile(BaseModel):
    """`artifact.json`.

    Attributes:
        channels: C of the backbone's maps that the heads were trained on.
        files: sha256 of every other file of the artifact.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: str
    category: str
    recipe: str
    seed: int
    channels: int
    settings: Common3DSettings
    files: dict[str, str]
    facts: dict[str, Any]


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
    """Writes weights first and `artifact.json` last, so that an artifact is whole where that file is.

    Raises:
        OutputError: no space or no permission.
    """
    files = {}
    for name, weights in ((WEIGHTS, network.state_dict()), (LAST, last)):
        tensors = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
        with atomic_path(folder / name) as temporary:
            save_file(tensors, temporary)
        files[name] = _sha256(folder / name)
    content = ArtifactFile(
        schema_=SCHEMA,
        category=category,
        recipe=recipe,
        seed=seed,
        channels=network.channels,
        settings=network.settings,
        files=files,
        facts=facts,
    )
    write_json(folder / INDEX, _renamed(content.model_dump(mode="json"), "schema_", "schema"))
    return Artifact(folder, recipe, files[WEIGHTS], category, facts)


def read_artifact(folder: Path) -> Artifact:
    """Validates an artifact folder: the index, and that every file is the one it names.

    Raises:
        WeightsError: naming file and field.
    """
    content = _read_index(folder)
    for name, expected in content.files.items():
        if _sha256(folder / name) != expected:
            raise WeightsError(f"{folder / name} is not the file that {INDEX} describes (files.{name}).", _HINT)
    return Artifact(folder, content.recipe, content.files[WEIGHTS], content.category, content.facts)


def load_network(folder: Path, device: str) -> Common3DNetwork:
    """The fitted network in eval mode, without gradients.

    Raises:
        WeightsError: a file is missing, broken or does not fit the settings beside it.
    """
    content = _read_index(folder)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced at once
        network = Common3DNetwork(content.settings, content.channels)
    path = folder / WEIGHTS
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read ({error}).", _HINT) from error
    except RuntimeError as error:
        detail = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{path} does not fit the settings in {INDEX}: {detail}", _HINT) from error
    broken = [name for name, value in network.state_dict().items() if not torch.isfinite(value).all()]
    if broken:
        raise WeightsError(f"{path} holds values that are not finite ({broken[0]}).", _HINT)
    return network.to(device).eval().requires_grad_(False)


def _read_index(folder: Path) -> ArtifactFile:
    path = folder / INDEX
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"{folder} holds no {INDEX}: no Common3D artifact.", "Train one with bench3d train."
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is no readable JSON ({error}).", _HINT) from error
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise WeightsError(f"{path}: field schema is not {SCHEMA}.", _HINT)
    try:
        content = ArtifactFile.model_validate(_renamed(raw, "schema", "schema_"))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise WeightsError(f"{path}: field {field}: {first['msg']}.", _HINT) from error
    if WEIGHTS not in content.files or set(content.files) - {WEIGHTS, LAST}:
        raise WeightsError(f"{path}: field files must name {WEIGHTS}, and {LAST} at most.", _HINT)
    return content


def _renamed(values: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in values.items()}


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as handle:
            digest = hashlib.sha256()
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error}).", _HINT) from error
    return digest.hexdigest()
