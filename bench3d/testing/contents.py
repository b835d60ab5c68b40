"""The networks, tensors and arrays that an object holds, wherever they hide in it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from bench3d.features.fingerprint import digest_of

DEPTH, MOST = 6, 10_000
"""How deep, and among how many objects, they are looked for."""


def reachable(root: Any) -> Iterator[Any]:
    """Torch modules, tensors and arrays that an object holds: in attributes, containers, closures, bound methods."""
    queue: list[tuple[Any, int]] = [(root, 0)]
    seen: dict[int, Any] = {}
    while queue and len(seen) < MOST:
        thing, depth = queue.pop()
        if id(thing) in seen or depth > DEPTH:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, (torch.nn.Module, torch.Tensor, np.ndarray)):
            yield thing
        else:
            queue.extend((inner, depth + 1) for inner in _inside(thing))


def contents(root: Any) -> dict[str, str]:
    """Digest of every parameter, buffer, tensor and array that `reachable` finds, by name."""
    found: dict[str, str] = {}
    for number, thing in enumerate(reachable(root)):
        if isinstance(thing, torch.nn.Module):
            named = {**dict(thing.named_parameters()), **dict(thing.named_buffers())}
            found.update({name: digest_of("", {"": tensor}) for name, tensor in named.items()})
        elif isinstance(thing, torch.Tensor):
            found[f"tensor {number}"] = digest_of("", {"": thing})
        elif thing.dtype != object:
            found[f"array {number}"] = digest_of("", {"": torch.from_numpy(np.ascontiguousarray(thing).view(np.uint8))})
    return found


def _inside(thing: Any) -> list[Any]:
    if isinstance(thing, (str, bytes, int, float, type, ModuleType)) or thing is None:
        return []
    if isinstance(thing, Mapping):
        return list(thing.values())
    if isinstance(thing, (list, tuple, set, frozenset)):
        return list(thing)
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, FunctionType):
        cells = [cell.cell_contents for cell in thing.__closure__ or () if _filled(cell)]
        used = [thing.__globals__.get(name) for name in thing.__code__.co_names]
        networks = [value for value in used if isinstance(value, torch.nn.Module)]
        return [*cells, *networks, *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
    return list(getattr(thing, "__dict__", {}).values())


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
