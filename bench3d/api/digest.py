"""What stands for an object of a notebook in an identity: one hash of its tensors, plain attributes and code.

Code counts as Python runs it: the byte code of the class and its bases, and of the functions of the same module that it
calls, so that an edited cell is another object; another version of Python is one too. Code of other modules and of
installed libraries counts by its name.
"""

from __future__ import annotations

import secrets
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from bench3d.features.fingerprint import class_name, digest_of, net_parts, net_tensors, plain

ONCE = "once-"
"""Begins what stands for an object that cannot be told from others: no result of it is ever taken for another's."""
_LIBRARIES = {"site-packages", "dist-packages"}


def object_digest(thing: Any) -> str:
    """sha256 of an object; or a token that is never given again, beginning with `ONCE`, where it holds something that
    has no plain value (an open file, a compiled function, a module with hooks).
    """
    seen: dict[int, str] = {}
    tensors: dict[str, torch.Tensor] = {}
    try:
        parts = _value(thing, "", seen, tensors)
    except _Untold:
        return ONCE + secrets.token_hex(16)
    return digest_of(parts, tensors)


def modules_of(function: Any) -> list[torch.nn.Module]:
    """The torch modules that a function has in its closure, its defaults or the globals it names, or an instance in its
    attributes.
    """
    if isinstance(function, torch.nn.Module):
        return [function]
    if isinstance(function, types.MethodType):
        return modules_of(function.__self__)
    values = dict(_inner(function)) if isinstance(function, types.FunctionType) else getattr(function, "__dict__", {})
    return [v for v in values.values() if isinstance(v, torch.nn.Module)]


class _Untold(Exception):
    pass


def _value(value: Any, where: str, seen: dict[int, str], tensors: dict[str, torch.Tensor]) -> Any:
    """A value as JSON; its tensors go to `tensors` under the place where they are."""
    if id(value) in seen:
        return {"same as": seen[id(value)]}
    simple = None if isinstance(value, (types.FunctionType, torch.Tensor, list, tuple, Mapping)) else plain(value)
    if simple is not None:
        return simple
    seen[id(value)] = where
    if isinstance(value, torch.Tensor):
        tensors[where] = value
        return "tensor"
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    if isinstance(value, (list, tuple)):
        return [_value(v, f"{where}[{n}]", seen, tensors) for n, v in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(k): _value(v, f"{where}[{k}]", seen, tensors) for k, v in value.items()}
    if isinstance(value, (types.FunctionType, types.MethodType)):
        return _callable(value, where, seen, tensors)
    return _object(value, where, seen, tensors)


def _callable(value: Any, where: str, seen: dict[int, str], tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, types.FunctionType):
        return _function(value, where, seen, tensors)
    return {"self": _value(value.__self__, f"{where}.self", seen, tensors), "method": value.__func__.__qualname__}


def _object(value: Any, where: str, seen: dict[int, str], tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.nn.Module):
        return _network(value, where, seen, tensors)
    if isinstance(value, (types.ModuleType, type, types.BuiltinFunctionType)):
        return {"named": f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"}
    if isinstance(value, (torch.device, torch.dtype)):
        return str(value)
    return {
        "class": class_name(value),
        "code": _class_code(type(value), where, seen, tensors),
        "own": _state(value, where, seen, tensors),
    }


def _state(value: Any, where: str, seen: dict[int, str], tensors: dict[str, torch.Tensor]) -> Any:
    """What pickle would write of an instance; an open file, a generator or a lock has nothing of that kind."""
    try:
        reduced = value.__reduce_ex__(4)
    except Exception as error:
        raise _Untold from error
    if isinstance(reduced, str):
        return reduced
    parts = [list(part) if hasattr(part, "__next__") else part for part in reduced]
    return [_value(part, f"{where}.{n}", seen, tensors) for n, part in enumerate(parts)]


def _network(net: torch.nn.Module, where: str, seen: dict[int, str], tensors: dict[str, torch.Tensor]) -> Any:
    own = net_parts(net)
    if own is None:
        raise _Untold
    tensors.update({f"{where}/{k}": v for k, v in net_tensors(net).items()})
    classes = {class_name(m): type(m) for m in net.modules()}
    code = {name: _class_code(cls, f"{where}:{name}", seen, tensors) for name, cls in classes.items()}
    # Not the file of the outermost class: in a notebook there is none, and a script holds more than the network.
    return {"own": own["own"], "class": own["class"], "code": code, "more": _attributes(net, where, seen, tensors)}


def _attributes(net: torch.nn.Module, where: str, seen: dict[int, str], tensors: dict[str, torch.Tensor]) -> Any:
    """What modules hold that is neither plain nor a module: functions, and all else of those that are no library's."""
    found = {}
    for name, module in net.named_modules():
        for key, value in vars(module).items():
            told = key.startswith("_") or isinstance(value, (torch.nn.Module, torch.Tensor)) or plain(value) is not None
            code = isinstance(value, (types.FunctionType, types.MethodType))
            if not told and (code or not _foreign(type(module).__module__)):
                found[f"{name}.{key}"] = _value(value, f"{where}/{name}.{key}", seen, tensors)
    return found


def _foreign(module: str) -> bool:
    """Whether a module is Python's or an installed library's: its code counts by name."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "bench3d":
        return top != "__main__"
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not _LIBRARIES.isdisjoint(Path(file).parts)


def _class_code(cls: type, where: str, seen: dict[int, str], tensors: dict[str, torch.Tensor]) -> Any:
    """Code of a class and its bases, those of torch and of libraries by name."""
    found: dict[str, Any] = {}
    for one in cls.__mro__:
        name = f"{one.__module__}.{one.__qualname__}"
        if _foreign(one.__module__):
            found[name] = "by name"
            continue
        methods = {}
        for key, member in vars(one).items():
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(function, types.FunctionType):
                methods[key] = _value(function, f"{where}.{key}", seen, tensors)
            elif not key.startswith("__"):
                methods[key] = plain(member)
        found[name] = methods
    return found


def _function(function: types.FunctionType, where: str, seen: dict[int, str], tensors: dict[str, torch.Tensor]) -> Any:
    name = f"{function.__module__}.{function.__qualname__}"
    if _foreign(function.__module__):
        return name
    inner = {}
    for key, value in _inner(function):
        elsewhere = isinstance(value, (types.FunctionType, type)) and value.__module__ != function.__module__
        if elsewhere or isinstance(value, types.ModuleType):
            inner[key] = f"{getattr(value, '__module__', '')}.{value.__name__}"
        elif isinstance(value, type):
            inner[key] = _class_code(value, f"{where}>{key}", seen, tensors)
        else:
            inner[key] = _value(value, f"{where}>{key}", seen, tensors)
    return {"name": name, "code": _code(function.__code__), "inner": inner}


def _inner(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function holds or names: closure, defaults, and globals of its module."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not filled yet
            continue
    for number, value in enumerate(function.__defaults__ or ()):
        yield f"default {number}", value
    for key, value in (function.__kwdefaults__ or {}).items():
        yield f"default {key}", value
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield f"global {name}", function.__globals__[name]


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*inner)


def _code(code: types.CodeType) -> list[Any]:
    """Byte code and constants, without file names and line numbers."""
    constants = [
        _code(c) if isinstance(c, types.CodeType) else sorted(map(repr, c)) if isinstance(c, frozenset) else repr(c)
        for c in code.co_consts
    ]
    return [code.co_code.hex(), constants, list(code.co_names), list(code.co_varnames), list(code.co_freevars)]
