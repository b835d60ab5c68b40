"""What a fit leaves (artifact.json beside peft's format), what can be read instead, and how it meets a backbone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save

from bench3d.contracts import Artifact, Model
from bench3d.errors import WeightsError
from bench3d.features.backbone import DenseBackbone
from bench3d.features.fingerprint import digest_of
from bench3d.features.weights import hub_file
from bench3d.files import write_bytes, write_json
from bench3d_plugins.smoothap_lora import peft_format, published
from bench3d_plugins.smoothap_lora.attention import Site
from bench3d_plugins.smoothap_lora.lora import AdaptedNet, Base, Weights, adapted, base_of, sites_of
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings

SCHEMA = "bench3d.smoothap-lora/1"
INDEX = "artifact.json"
LAST = "last.safetensors"
HUB = re.compile(r"([\w.-]+/[\w.-]+)/([\w./-]*\w)")
_HINT = "Train it again with --force."


class BaseFile(BaseModel):
    """The backbone in `artifact.json` (see lora.Base)."""

    model_config = ConfigDict(extra="forbid")

    name: str
    dim: int
    blocks: int
    digest: str


class ArtifactFile(BaseModel):
    """`artifact.json`.

    Attributes:
        digest: of the weights, whatever file they come from.
        blocks: indices of the blocks with LoRA.
        base: the network they belong to.
    """

    model_config = ConfigDict(extra="forbid")

    schema_: str
    recipe: str
    digest: str
    seed: int
    settings: SmoothAPSettings
    rank: int
    dim: int
    conv_layers: int
    blocks: list[int]
    base: BaseFile
    facts: dict[str, Any]


@dataclass(frozen=True)
class Found:
    """Weights and what their file says about the network they belong to.

    Attributes:
        blocks: indices; None where the file only says that they are the last ones.
        index: of our own artifacts.
    """

    origin: str
    weights: Weights
    blocks: tuple[int, ...] | None = None
    index: ArtifactFile | None = None


def write_artifact(
    folder: Path,
    net: AdaptedNet,
    settings: SmoothAPSettings,
    *,
    recipe: str,
    seed: int,
    facts: Mapping[str, Any],
    last: Mapping[str, torch.Tensor] | None = None,
) -> Artifact:
    """Writes the weights in `net`; `artifact.json` last, so that an artifact is whole where that file is.

    Args:
        folder: where to; made if need be.
        net: holds the weights to be used (the best ones).
        settings: of the fit.
        recipe: hash of what went in.
        seed: of the fit.
        facts: plain values for the record.
        last: weights of the last step by name, kept beside them.

    Raises:
        OutputError: no space or no permission.
    """
    peft_format.write_folder(folder, net)
    if last is not None:
        tensors = {name: value.detach().cpu().contiguous() for name, value in last.items()}
        write_bytes(folder / LAST, save(tensors))
    weights = net.weights()
    index = ArtifactFile(
        schema_=SCHEMA,
        recipe=recipe,
        digest=_digest(weights),
        seed=seed,
        settings=settings,
        rank=weights.rank,
        dim=weights.dim,
        conv_layers=len(weights.conv),
        blocks=[site.index for site in net.sites],
        base=BaseFile(**vars(net.base)),
        facts=dict(facts),
    )
    content = index.model_dump(mode="json")
    write_json(folder / INDEX, {"schema": content.pop("schema_"), **content})
    return Artifact(folder, recipe, index.digest, None, index.facts)


def load(path: Path | str) -> Artifact:
    """Reads and validates our artifact folder, a peft folder, a published .ckpt, or such a file of the hub.

    Raises:
        WeightsError: naming file and field, or key and shape.
    """
    found, path = read(path), _local(path)
    digest = _digest(found.weights)
    if found.index is not None:
        return Artifact(path, found.index.recipe, digest, None, found.index.facts)
    facts = {
        "checkpoint": path.name,
        "layout": found.origin,
        "rank": found.weights.rank,
        "dim": found.weights.dim,
        "blocks": len(found.weights.lora),
        "conv_layers": len(found.weights.conv),
    }
    return Artifact(path, digest, digest, None, facts)


def read(path: Path | str) -> Found:
    """The weights behind a path, validated. WeightsError as `load`."""
    path = _local(path)
    if path.is_file():
        return Found("authors", published.read_checkpoint(path))
    if (path / INDEX).exists():
        return _read_own(path)
    if (path / peft_format.CONFIG).exists():
        read = peft_format.read_folder(path)
        return Found("peft", read.weights, read.blocks)
    raise WeightsError(
        f"{path} holds neither {INDEX} nor {peft_format.CONFIG}: no smoothap-lora adapter.",
        "Train one with bench3d train, or give a published .ckpt file.",
    )


def _local(path: Path | str) -> Path:
    """The path, or where the hub's file lies on this disk."""
    if Path(path).exists():
        return Path(path)
    match = HUB.fullmatch(str(path))
    if match is None or Path(path).is_absolute():
        raise WeightsError(f"There is no checkpoint {path}.", published.HINT)
    return hub_file(match[1], [match[2]], "adapter smoothap-lora").path


def _read_own(folder: Path) -> Found:
    path = folder / INDEX
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is no readable JSON ({error}).", _HINT) from error
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise WeightsError(f"{path}: field schema is not {SCHEMA}.", _HINT)
    try:
        index = ArtifactFile.model_validate({"schema_": raw.pop("schema"), **raw})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise WeightsError(f"{path}: field {field}: {first['msg']}.", _HINT) from error
    read = peft_format.read_folder(folder)
    weights = read.weights
    stated = {"rank": index.rank, "dim": index.dim, "conv_layers": index.conv_layers, "blocks": index.blocks}
    held = {"rank": weights.rank, "dim": weights.dim, "conv_layers": len(weights.conv), "blocks": list(read.blocks)}
    for field, value in held.items():
        if stated[field] != value:
            raise WeightsError(f"{path}: field {field} is {stated[field]}, the weights beside it have {value}.", _HINT)
    if _digest(weights) != index.digest:
        raise WeightsError(f"{path}: field digest is not that of the weights beside it.", _HINT)
    return Found("bench3d", weights, read.blocks, index)


def apply(model: Model, artifact: Artifact) -> DenseBackbone:
    """A copy of `model` with LoRA and convolution, frozen.

    Raises:
        UsageError: the model is no network with attention.
        WeightsError: the artifact belongs to another backbone.
    """
    found = read(artifact.path)
    base, sites = match(model, found)
    assert isinstance(model, DenseBackbone)
    facts = {"name": "smoothap-lora", "digest": artifact.digest, "layout": found.origin}
    other, net = adapted(model, base, sites, found.weights.rank, len(found.weights.conv), facts)
    net.put(found.weights)
    return other


def match(model: Model, found: Found) -> tuple[Base, Sequence[Site]]:
    """What a backbone is, and its attention that the weights belong on. Raises as `apply`."""
    sites = sites_of(model)  # type: ignore[arg-type]
    assert isinstance(model, DenseBackbone)
    base, weights = base_of(model), found.weights
    index = None if found.index is None else found.index.base
    whose = "This adapter" if index is None else f"This adapter of {index.name}"
    hint = "Choose the backbone that it was trained on."
    for trained, mine, what in (
        (weights.dim, sites[-1].dim, "tokens of width"),
        (len(weights.conv[0][1]) if weights.conv else base.dim, base.dim, "features of width"),
        (base.blocks if index is None else index.blocks, base.blocks, "a number of running blocks (layer) of"),
    ):
        if trained != mine:
            raise WeightsError(f"{whose} is for {what} {trained}; {base.name} has {mine}.", hint)
    if index is not None and index.digest != base.digest:
        raise WeightsError(f"{whose} was trained on other weights than {base.name} has here (base.digest).", hint)
    count = len(weights.lora)
    blocks = found.blocks or tuple(range(len(sites) - count, len(sites)))
    if blocks[0] < 0 or blocks[-1] >= len(sites):
        raise WeightsError(
            f"{whose} has LoRA for {count} blocks up to {blocks[-1]}; {base.name} runs {len(sites)}.", hint
        )
    return base, [sites[i] for i in blocks]


def _digest(weights: Weights) -> str:
    return digest_of(SCHEMA, weights.tensors())
