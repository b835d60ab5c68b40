"""The state that all code of a process shares and that a plugin must leave as it found it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Part:
    """One piece of the state.

    Attributes:
        name: as a sentence has it ("torch's default dtype").
        get: a value to compare and to put back.
        put: puts it back; None where that cannot be done.
        by_imports: whether well-behaved libraries change it when they are imported.
    """

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], None] | None
    by_imports: bool = False


def _signals() -> dict[int, Any]:
    return {int(number): signal.getsignal(number) for number in signal.valid_signals()}


def _put_signals(handlers: dict[int, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, handler)


def _put_environment(former: dict[str, str]) -> None:
    for name in set(os.environ) - set(former):
        del os.environ[name]
    os.environ.update({k: v for k, v in former.items() if os.environ.get(k) != v})


def _put_filters(former: list[Any]) -> None:
    warnings.filters[:] = former  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _put_deterministic(former: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(former[0], warn_only=former[1])


def _put_errors(former: Mapping[str, Any]) -> None:
    np.seterr(**former)


def _put_anomaly(on: bool) -> None:
    torch.autograd.set_detect_anomaly(on)


def _numpy_random() -> tuple[Any, ...]:
    state: Any = np.random.get_state()  # noqa: NPY002
    kind, keys, *rest = state
    return kind, keys.tobytes(), *rest


def _put_numpy_random(former: tuple[Any, ...]) -> None:
    kind, keys, *rest = former
    np.random.set_state((kind, np.frombuffer(keys, dtype=np.uint32), *rest))  # noqa: NPY002


def _cuda_random() -> tuple[bytes, ...]:
    if not torch.cuda.is_initialized():
        return ()
    return tuple(bytes(state.numpy().tobytes()) for state in torch.cuda.get_rng_state_all())


def _put_cuda_random(former: tuple[bytes, ...]) -> None:
    states = [torch.from_numpy(np.frombuffer(state, dtype=np.uint8).copy()) for state in former]
    torch.cuda.set_rng_state_all(states)


def _flag(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


def _torch_random() -> bytes:
    return bytes(torch.get_rng_state().numpy().tobytes())


def _put_torch_random(former: bytes) -> None:
    torch.set_rng_state(torch.from_numpy(np.frombuffer(former, dtype=np.uint8).copy()))


PARTS: tuple[Part, ...] = (
    Part("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Part("torch's default device", lambda: str(torch.get_default_device()), torch.set_default_device),
    Part("torch's random state", _torch_random, _put_torch_random),
    Part("CUDA's random state", _cuda_random, _put_cuda_random),
    Part("numpy's global random state", _numpy_random, _put_numpy_random),
    Part("the random module's state", random.getstate, random.setstate),
    Part("torch's gradient mode", torch.is_grad_enabled, torch._C._set_grad_enabled),
    Part("torch's anomaly detection", torch.is_anomaly_enabled, _put_anomaly),
    Part("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    Part(
        "torch's deterministic algorithms",
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        _put_deterministic,
    ),
    Part("torch's matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    Part("cudnn.enabled", *_flag(torch.backends.cudnn, "enabled")),
    Part("cudnn.benchmark", *_flag(torch.backends.cudnn, "benchmark")),
    Part("cudnn.deterministic", *_flag(torch.backends.cudnn, "deterministic")),
    Part("cudnn.allow_tf32", *_flag(torch.backends.cudnn, "allow_tf32")),
    Part(
        "autocast on the CPU",
        lambda: torch.is_autocast_enabled("cpu"),
        lambda on: torch.set_autocast_enabled("cpu", on),
    ),
    Part(
        "autocast on CUDA", lambda: torch.is_autocast_enabled("cuda"), lambda on: torch.set_autocast_enabled("cuda", on)
    ),
    Part("numpy's handling of floating-point errors", np.geterr, _put_errors),
    Part("the working folder", os.getcwd, os.chdir),
    Part("the environment", lambda: dict(os.environ), _put_environment, by_imports=True),
    Part("the warning filters", lambda: list(warnings.filters), _put_filters, by_imports=True),
    Part("signal handlers", _signals, _put_signals, by_imports=True),
    Part("sys.path", lambda: list(sys.path), lambda former: sys.path.__setitem__(slice(None), former), by_imports=True),
    Part("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit, by_imports=True),
    Part("sys.excepthook", lambda: sys.excepthook, lambda former: setattr(sys, "excepthook", former), by_imports=True),
)


def snapshot() -> dict[str, Any]:
    """All parts of the state by name."""
    return {part.name: part.get() for part in PARTS}


def changes(former: Mapping[str, Any], imports: bool = False) -> list[str]:
    """What differs now, as words for a sentence.

    Args:
        former: of `snapshot`.
        imports: modules may have been imported meanwhile: parts that libraries change then are passed over.
    """
    found = []
    for part in PARTS:
        now = part.get()
        if _same(now, former[part.name]) or (imports and part.by_imports):
            continue
        found.append(part.name + _words(former[part.name], now))
    return found


def restore(former: Mapping[str, Any]) -> None:
    """Puts back what differs from `former` and can be put back."""
    for part in PARTS:
        if part.put is not None and not _same(part.get(), former[part.name]):
            part.put(former[part.name])


@contextlib.contextmanager
def restored_state() -> Iterator[dict[str, Any]]:
    """The state after the block is what it was before; yields that."""
    former = snapshot()
    try:
        yield former
    finally:
        restore(former)


@contextlib.contextmanager
def stirred_random(seed: int) -> Iterator[None]:
    """Every global random generator in another state than before, put back after."""
    with restored_state():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        yield


def _same(a: Any, b: Any) -> bool:
    return bool(a == b)


def _words(former: Any, now: Any) -> str:
    """(from a to b) where both are short; which variables of a mapping."""
    if isinstance(former, dict) and isinstance(now, dict):
        names = sorted(str(k) for k in set(former) | set(now) if former.get(k) != now.get(k))
        return f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
    if all(isinstance(v, (bool, int, str, torch.dtype)) and len(str(v)) <= 60 for v in (former, now)):
        return f" (from {former} to {now})"
    return ""
