"""The authors' published checkpoints (qq456cvb/3DCorrEnhance): Lightning .ckpt files, read and written (tasks.md i).

At the top level w_a_000, w_b_000, ... with index 2 * block + (0 for q, 1 for v), counted from the first adapted block,
and state_dict = {"refine_conv": {"weight", "bias"}}. Beside them lie Lightning's own entries, optimiser states among
them, which are not looked at. Nothing says on which backbone it was trained but the width.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PosixPath, WindowsPath
from typing import Any

import torch

from bench3d.errors import WeightsError
from bench3d.files import atomic_path
from bench3d_plugins.smoothap_lora.lora import PROJECTIONS, Weights

LIGHTNING = {"epoch": 0, "global_step": 0, "pytorch-lightning_version": "2.4.0", "loops": {}}
"""What Lightning's `load_from_checkpoint` looks for."""

HINT = "Give a checkpoint of 3DCorrEnhance, such as qq456cvb/3DCorrEnhance/dinov2_base.ckpt."

_PLAIN = [PosixPath, WindowsPath, defaultdict, list, dict, set, int, float]
"""Classes without behaviour of their own that callbacks of Lightning keep beside the weights."""


def read_checkpoint(path: Path) -> Weights:
    """LoRA and convolution of a published checkpoint. Nothing in the file is executed.

    Raises:
        WeightsError: unreadable, or a key or shape is not what the published code writes; says which.
    """
    content = _read(path)
    conv = _conv(content, path)
    dim = conv[0].shape[0]
    numbers = {k: {int(m[1]) for key in content if (m := re.fullmatch(rf"w_{k}_(\d+)", str(key)))} for k in "ab"}
    count = max(numbers["a"] | numbers["b"], default=-1) + 1
    if count == 0 or count % 2:
        raise WeightsError(f"{path}: {count} keys w_a_000, w_a_001, ...: a q and a v of each block are needed.", HINT)
    rank: int | None = None
    blocks: list[dict[str, torch.Tensor]] = []
    for index in range(count):
        a = _tensor(content, f"w_a_{index:03d}", (rank, dim), path)
        rank = a.shape[0]
        b = _tensor(content, f"w_b_{index:03d}", (dim, rank), path)
        if index % 2 == 0:
            blocks.append({})
        projection = PROJECTIONS[index % 2]
        blocks[-1] |= {f"{projection}.a": a, f"{projection}.b": b}
    return Weights(tuple(blocks), (conv,))


def write_checkpoint(path: Path, weights: Weights) -> None:
    """Writes the layout that the published code loads; needs exactly one convolution."""
    content: dict[str, Any] = dict(LIGHTNING)
    ((kernel, bias),) = weights.conv
    content["state_dict"] = {"refine_conv": {"weight": kernel, "bias": bias}}
    for block, values in enumerate(weights.lora):
        for offset, projection in enumerate(PROJECTIONS):
            for kind in "ab":
                content[f"w_{kind}_{2 * block + offset:03d}"] = values[f"{projection}.{kind}"]
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with torch.serialization.safe_globals(_PLAIN):  # type: ignore[arg-type]
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises UnpicklingError, RuntimeError, OSError, EOFError and more for a broken file.
        lines = [line.strip() for line in str(error).splitlines() if "Unsupported" in line or "GLOBAL" in line]
        reason = (lines or str(error).strip().splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")
        raise WeightsError(f"{path} is no readable checkpoint ({reason}).", HINT) from error
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds no mapping but a {type(content).__name__}.", HINT)
    return content


def _conv(content: Mapping[str, Any], path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    state = content.get("state_dict")
    conv = state.get("refine_conv") if isinstance(state, Mapping) else None
    if not isinstance(conv, Mapping):
        raise WeightsError(f"{path}: the key state_dict.refine_conv is missing.", HINT)
    named = {f"state_dict.refine_conv.{key}": value for key, value in conv.items()}
    weight = _tensor(named, "state_dict.refine_conv.weight", (None, None, 3, 3), path)
    dim = weight.shape[0]
    weight = _tensor(named, "state_dict.refine_conv.weight", (dim, dim, 3, 3), path)
    return weight, _tensor(named, "state_dict.refine_conv.bias", (dim,), path)


def _tensor(content: Mapping[str, Any], key: str, shape: tuple[int | None, ...], path: Path) -> torch.Tensor:
    """The tensor of `key` in float32; None in `shape` stands for any size."""
    value = content.get(key)
    if value is None:
        raise WeightsError(f"{path}: the key {key} is missing.", HINT)
    if not isinstance(value, torch.Tensor):
        raise WeightsError(f"{path}: {key} is no tensor but a {type(value).__name__}.", HINT)
    fits = value.ndim == len(shape) and all(e in (None, s) for e, s in zip(shape, value.shape, strict=True))
    if not fits or 0 in value.shape:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise WeightsError(f"{path}: {key} has the shape {tuple(value.shape)} instead of ({wanted}).", HINT)
    if not value.is_floating_point() or not torch.isfinite(value).all():
        raise WeightsError(f"{path}: {key} holds values that are not finite numbers.", HINT)
    return value.detach().to(torch.float32, copy=True).contiguous()
