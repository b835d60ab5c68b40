"""Training state in one file without pickle: tensors as safetensors, everything else as JSON in its header.

One file, written atomically, so that tensors and numbers always belong to the same iteration.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bench3d.errors import WeightsError
from bench3d.files import atomic_path


def save_state(path: Path, state: Any) -> None:
    """Writes nested dicts, lists and tuples of tensors, numbers, strings, booleans and None atomically.

    Raises:
        OutputError: no space or no permission.
        TypeError: a value of another kind.
    """
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_encode(state, tensors, "state"))
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"state": text})


def load_state(path: Path) -> Any:
    """What `save_state` wrote; tensors on the CPU.

    Raises:
        WeightsError: the file is missing, truncated or not one of ours.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as handle:
            metadata = handle.metadata() or {}
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
        return _decode(json.loads(metadata["state"]), tensors)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"The training state {path} cannot be read ({error or type(error).__name__}).",
            "Delete it (or use --force) to train from the beginning.",
        ) from error


def _encode(value: Any, tensors: dict[str, torch.Tensor], path: str) -> Any:
    if isinstance(value, torch.Tensor):
        # safetensors refuses tensors that share memory.
        tensors[path] = value.detach().cpu().clone().contiguous()
        return {"tensor": path}
    if isinstance(value, dict):
        pairs = enumerate(value.items())
        return {"dict": [[_key(k), _encode(v, tensors, f"{path}.{n}")] for n, (k, v) in pairs]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encode(v, tensors, f"{path}.{n}") for n, v in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a training state cannot hold {type(value).__name__} ({path})")


def _key(key: Any) -> int | str:
    if isinstance(key, (int, str)):
        return key
    raise TypeError(f"a training state cannot have keys of type {type(key).__name__}")


def _decode(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {k: _decode(v, tensors) for k, v in content}
    decoded = [_decode(v, tensors) for v in content]
    return decoded if kind == "list" else tuple(decoded)
