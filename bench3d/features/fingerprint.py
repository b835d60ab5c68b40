"""What decides the features of a network, as one hash: tensors, classes, and plain attributes such as a layer number.

The source file of the outermost class or function counts too: who writes a backbone edits its forward pass more often
than the version in its registration. Code that it imports does not count.

Where something cannot be told (a closure, a hook, an attribute that is no plain value), the answer is None: such a
model is never cached. Versions of packages are not part of it.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from bench3d.data.hashing import Digest
from bench3d.errors import DataError
from bench3d.records import file_digest

SAMPLES = 32
"""Values of every tensor that a stamp compares."""

IGNORED = {"pretrained_cfg", "default_cfg"}
"""Attributes of timm's models that only say where weights came from."""


def canonical(parts: Any) -> str:
    """Sorted JSON of plain values."""
    return json.dumps(parts, sort_keys=True, separators=(",", ":"))


def class_name(value: object) -> str:
    """Module and qualified name of a value's class."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def net_parts(net: Any) -> Any | None:
    """What a network is apart from its tensors, as plain values.

    Args:
        net: a torch module; an instance of any class with plain attributes; a function of a module.
    """
    if isinstance(net, torch.nn.Module):
        own = _module_parts(net)
    elif isinstance(net, FunctionType):
        own = _function_name(net)
    else:
        own = plain(vars(net)) if hasattr(net, "__dict__") else None
    if own is None:
        return None
    module = net.__module__ if isinstance(net, FunctionType) else type(net).__module__
    return {"class": class_name(net), "own": own, "source": source_digest(module)}


@functools.cache
def source_digest(module: str) -> str:
    """sha256 of the file that an imported module came from, as it was when first asked; "" where there is none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        return file_digest(Path(file)) if file else ""
    except DataError:
        return ""


def net_tensors(net: Any) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name, those included that a state dict leaves out; empty for what is no module."""
    if not isinstance(net, torch.nn.Module):
        return {}
    named = [*net.named_parameters(remove_duplicate=False), *net.named_buffers(remove_duplicate=False)]
    return dict(named)


def digest_of(parts: Any, tensors: Mapping[str, torch.Tensor]) -> str:
    """sha256 over plain values and tensors: names, types, shapes, bytes."""
    digest = Digest()
    digest.add("parts", canonical(parts).encode())
    for name, tensor in sorted(tensors.items()):
        digest.add(f"{name} {tensor.dtype} {tuple(tensor.shape)}", _bytes(tensor))
    return digest.hexdigest()


def stamp_of(tensors: Mapping[str, torch.Tensor]) -> list[Any]:
    """Says cheaply whether tensors may have changed: address, version, and a sample of the values.

    The version counter does not see writing through `.data`, hence the sample.
    """
    stamps: list[Any] = []
    for name, tensor in tensors.items():
        version = -1 if tensor.is_inference() else tensor._version
        flat = tensor.detach().reshape(-1)
        sample = flat[:: max(1, flat.numel() // SAMPLES)]
        stamps.append((name, tensor.data_ptr(), tuple(tensor.shape), str(tensor.dtype), version, _bytes(sample)))
    return stamps


def plain(value: Any) -> Any | None:
    """A value as JSON knows it; arrays and tensors by their digest. None where it is not plain (None itself is "None").

    Settings (pydantic models) count by their fields.
    """
    if value is None:
        return "None"
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return digest_of("array", {"": torch.from_numpy(np.ascontiguousarray(value))})
    if isinstance(value, torch.Tensor):
        return digest_of("tensor", {"": value})
    if isinstance(value, BaseModel):
        return {"class": class_name(value), "fields": value.model_dump(mode="json")}
    if isinstance(value, FunctionType):
        return _function_name(value)
    if isinstance(value, (list, tuple)):
        items = [plain(v) for v in value]
        return None if any(i is None for i in items) else items
    if isinstance(value, Mapping):
        pairs = {str(k): plain(v) for k, v in value.items()}
        return None if any(v is None for v in pairs.values()) else pairs
    return None


def _function_name(function: FunctionType) -> str | None:
    known = function.__closure__ is None and "<" not in function.__qualname__
    return f"{function.__module__}.{function.__qualname__}" if known else None


def _module_parts(net: torch.nn.Module) -> Any | None:
    parts = []
    for name, module in net.named_modules(remove_duplicate=False):
        if module._forward_hooks or module._forward_pre_hooks:
            return None
        # What is not plain in a network (a norm's class, an activation function) is fixed by the class around it and
        # by its own modules; numbers (heads, a scale, a layer) are what changes.
        attributes = {k: plain(v) for k, v in vars(module).items() if not k.startswith("_") and k not in IGNORED}
        known = {k: v for k, v in attributes.items() if v is not None}
        parts.append([name, class_name(module), module.extra_repr(), known])
    return parts


def _bytes(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
