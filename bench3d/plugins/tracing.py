"""Tracing: which plugin was asked what, with what, and how long it took; one line a call on standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

TRACE = "BENCH3D_TRACE"
"""Environment variable that switches it on, for child processes as well."""
_LONG = 60
_on = bool(os.environ.get(TRACE))


def start() -> None:
    """Switches it on in this process and in those it starts from now on."""
    global _on  # noqa: PLW0603
    os.environ[TRACE] = "1"
    _on = True


def stop() -> None:
    """Switches it off again."""
    global _on  # noqa: PLW0603
    os.environ.pop(TRACE, None)
    _on = False


def is_on() -> bool:
    """Whether calls are traced."""
    return _on


def loaded(plugin: str, count: int, seconds: float) -> None:
    """A line for a plugin that was imported and has registered `count` things."""
    _line(seconds, plugin, f"import, bench3d_register() -> {count} registration{'' if count == 1 else 's'}")


def call(plugin: str, hook: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What `function` returns or raises, traced where tracing is on."""
    if not _on:
        return function(**arguments)
    said = ", ".join(f"{k}={short(v)}" for k, v in arguments.items())
    begun = time.perf_counter()
    try:
        answer = function(**arguments)
    except BaseException as error:
        _line(time.perf_counter() - begun, plugin, f"{hook}({said}) raised {type(error).__name__}: {error}")
        raise
    shown = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer if answer else None
    _line(time.perf_counter() - begun, plugin, f"{hook}({said}) -> {short(shown)}")
    return answer


def short(value: Any) -> str:
    """A value in at most 60 characters; registrations and plans by their names."""
    for key in ("name", "label"):
        named = getattr(value, key, None)
        if isinstance(named, str) and named and not isinstance(value, type):
            return named
    if isinstance(value, Mapping):
        inner = ", ".join(f"{k}: {v!r}" for k, v in list(value.items())[:8])
        return _cut(f"{{{inner}{', ...' if len(value) > 8 else ''}}}")
    if value is None or isinstance(value, (str, int, float, bool, list, tuple)):
        return _cut(repr(value))
    return type(value).__name__


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 4]} ..."


def _line(seconds: float, plugin: str, what: str) -> None:
    print(f"trace {seconds * 1e3:9.2f} ms  {plugin:<23}  {' '.join(what.split())}", file=sys.stderr, flush=True)
