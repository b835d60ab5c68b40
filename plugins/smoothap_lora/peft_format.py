"""peft's own format, beside it the convolution: adapter_config.json, adapter_model.safetensors, conv.safetensors."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from bench3d.errors import WeightsError
from bench3d.files import make_folder, write_bytes
from bench3d_plugins.smoothap_lora.lora import ADAPTER, PROJECTIONS, AdaptedNet, Weights

CONFIG = "adapter_config.json"
MODEL = "adapter_model.safetensors"
CONV = "conv.safetensors"

KEY = re.compile(r".*?(\d+)\.(?:[A-Za-z_]\w*\.)*(\w+)\.lora_([AB])\.weight")
PLAIN = {"peft_type": "LORA", "bias": "none", "use_dora": False, "use_rslora": False, "modules_to_save": None}
"""What these fields of adapter_config.json have to be, where they stand: anything else computes something else."""

HINT = "Give a folder that bench3d or peft wrote for q_proj and v_proj of a vision transformer."


@dataclass(frozen=True)
class PeftFolder:
    """What such a folder holds: the indices of its blocks, ascending, and their weights."""

    blocks: tuple[int, ...]
    weights: Weights


def write_folder(folder: Path, net: AdaptedNet) -> None:
    """Writes what `PeftModel.save_pretrained` writes, and the convolution.

    Raises:
        OutputError: no space or no permission.
    """
    make_folder(folder)
    with tempfile.TemporaryDirectory() as name:
        net.lora.save_pretrained(name, save_embedding_layers=False)
        made = Path(name) if ADAPTER == "default" else Path(name) / ADAPTER
        for file in (MODEL, CONFIG):
            write_bytes(folder / file, (made / file).read_bytes())
    write_bytes(folder / CONV, save(conv_tensors(net.weights())))


def conv_tensors(weights: Weights) -> dict[str, torch.Tensor]:
    """The convolution as the state dict of a sequence of layers."""
    tensors: dict[str, torch.Tensor] = {}
    for index, (weight, bias) in enumerate(weights.conv):
        tensors |= {f"{index}.weight": weight, f"{index}.bias": bias}
    return tensors


def read_folder(folder: Path) -> PeftFolder:
    """Reads such a folder; without conv.safetensors there is no convolution.

    Raises:
        WeightsError: naming file and field.
    """
    rank, scale = _read_config(folder / CONFIG)
    path = folder / MODEL
    found: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in _tensors(path).items():
        match = KEY.fullmatch(key)
        if match is None or match[2] not in ("q_proj", "v_proj"):
            raise WeightsError(f"{path}: {key} is not LoRA of q_proj or v_proj of a block.", HINT)
        found.setdefault(int(match[1]), {})[f"{match[2][0]}.{match[3].lower()}"] = value
    if not found:
        raise WeightsError(f"{path} holds no tensors.", HINT)
    blocks, dim = [], None
    for index in sorted(found):
        for name in (f"{p}.{kind}" for p in PROJECTIONS for kind in "ab"):
            if name not in found[index]:
                raise WeightsError(f"{path}: block {index} lacks {name[0]}_proj.lora_{name[-1].upper()}.", HINT)
            value = found[index][name]
            dim = dim or value.shape[-1]
            shape = (rank, dim) if name.endswith("a") else (dim, rank)
            if tuple(value.shape) != shape:
                where = f"{name[0]}_proj.lora_{name[-1].upper()} of block {index}"
                raise WeightsError(f"{path}: {where} has the shape {tuple(value.shape)} instead of {shape}.", HINT)
        blocks.append({k: v * scale if k.endswith("b") and scale != 1 else v for k, v in found[index].items()})
    return PeftFolder(tuple(sorted(found)), Weights(tuple(blocks), _conv(folder / CONV)))


def _read_config(path: Path) -> tuple[int, float]:
    """Rank and scaling."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error}).", HINT) from error
    except ValueError as error:
        raise WeightsError(f"{path} is no readable JSON ({error}).", HINT) from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path} is no JSON object.", HINT)
    for field, wanted in PLAIN.items():
        if config.get(field, wanted) != wanted:
            raise WeightsError(f"{path}: field {field} is {config[field]!r}, only {wanted!r} is understood.", HINT)
    for field in ("rank_pattern", "alpha_pattern"):
        if config.get(field):
            raise WeightsError(f"{path}: field {field} is set; one rank and scaling for all is understood.", HINT)
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise WeightsError(f"{path}: field r is {rank!r}, not a positive integer.", HINT)
    if not isinstance(alpha, (int, float)) or isinstance(alpha, bool):
        raise WeightsError(f"{path}: field lora_alpha is {alpha!r}, not a number.", HINT)
    return rank, alpha / rank


def _conv(path: Path) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    if not path.exists():
        return ()
    tensors = _tensors(path)
    layers = []
    for index in range(len(tensors) // 2):
        weight, bias = tensors.pop(f"{index}.weight", None), tensors.pop(f"{index}.bias", None)
        if weight is None or bias is None:
            raise WeightsError(f"{path}: {index}.weight or {index}.bias is missing.", HINT)
        dim = len(bias)
        if tuple(weight.shape) != (dim, dim, 3, 3) or bias.ndim != 1:
            raise WeightsError(f"{path}: {index}.weight has the shape {tuple(weight.shape)}, no 3x3 kernels.", HINT)
        layers.append((weight, bias))
    if tensors:
        raise WeightsError(f"{path}: {min(tensors)} is not part of a convolution.", HINT)
    return tuple(layers)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, Any] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read ({str(error).splitlines()[0]}).", HINT) from error
    for key, value in tensors.items():
        if not value.is_floating_point() or not torch.isfinite(value).all():
            raise WeightsError(f"{path}: {key} holds values that are not finite numbers.", HINT)
    return {key: value.float() for key, value in tensors.items()}
