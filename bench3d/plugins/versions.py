"""Versions: what a plugin was made for, and names that go out of use.

A plugin says which plugin API it was made for by `bench3d_api = 1` in its module (nothing means 1); a registration may
say `api=1` of its own kind's contract. Numbers rise only when something that plugins relied on changes: a new optional
field or hook leaves them alone. What is to go is first `deprecated` for at least one release.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import fields
from types import ModuleType
from typing import Any

import pluggy

from bench3d import __version__, contracts
from bench3d.contracts import Registration

API_VERSION = 1
"""Version of the hook set (bench3d.plugins.hooks) and of the common part of a registration."""
OLDEST_API = 1
"""The oldest version whose plugins still load."""

_loading: ContextVar[str] = ContextVar("bench3d_plugin", default="")
_warned: set[tuple[str, str]] = set()
_KEYWORD = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r"(\w+)\.__init__\(\) missing \d+ required keyword-only arguments?: (.+)")
_IMPORT = re.compile(r"cannot import name '(\w+)' from '(bench3d(?:\.\w+)*)'")
_HOOK = re.compile(r"unknown hook '(\w+)'")


class Unfit(Exception):
    """A plugin that was made for another bench3d, or that gave something its hook does not allow.

    Args:
        reason: one sentence.
        hint: the next step; empty where `bench3d doctor` is the only one.
        state: "left out" or "other version".
    """

    def __init__(self, reason: str, hint: str = "", state: str = "left out") -> None:
        super().__init__(reason)
        self.reason, self.hint, self.state = reason, hint, state


class Bench3DDeprecationWarning(DeprecationWarning):
    """Something of bench3d's that a plugin uses goes out of use. The command line shows it as one line."""


def check_api(module: ModuleType, distribution: str) -> int:
    """The API version that a plugin's module states, 1 where it states none.

    Raises:
        Unfit: not a whole number, or one that this bench3d does not serve.
    """
    stated = getattr(module, "bench3d_api", 1)
    if isinstance(stated, bool) or not isinstance(stated, int):
        raise Unfit(f"bench3d_api = {stated!r} in {module.__name__} is no whole number.", "Write bench3d_api = 1.")
    _served("it was", "plugin API", stated, (OLDEST_API, API_VERSION), distribution)
    return stated


def check_contract(item: Registration, distribution: str) -> None:
    """Whether a registration was made for a contract that this bench3d serves.

    Raises:
        Unfit: for another one; the plugin's other registrations are not touched by that.
    """
    if item.api is None:
        return
    if isinstance(item.api, bool) or not isinstance(item.api, int):
        raise Unfit(f"{item.kind} {item.name} has api={item.api!r}, which is no whole number.", "Write api=1.")
    kind = type(item)
    serves = (kind.oldest_contract, kind.contract)
    _served(f"the {item.kind} {item.name} was", f"{item.kind} contract", item.api, serves, distribution)


def _served(who: str, what: str, stated: int, serves: tuple[int, int], distribution: str) -> None:
    oldest, newest = serves
    if oldest <= stated <= newest:
        return
    known = f"{newest}" if oldest == newest else f"{oldest} to {newest}"
    upgrade, other = ("bench3d", distribution) if stated > newest else (distribution, "bench3d")
    raise Unfit(
        f"{who} made for version {stated} of the {what}, and bench3d {__version__} serves {known}.",
        f"Run pip install --upgrade {upgrade} (or install another release of {other}).",
        "other version",
    )


def explain(error: BaseException) -> Unfit | None:
    """A plugin's error as a sentence, where it comes from having been made for another bench3d; else None."""
    text = str(error)
    if isinstance(error, TypeError) and (found := _KEYWORD.search(text)):
        return _unknown_field(found[1], found[2], _stated(error))
    if isinstance(error, TypeError) and (found := _MISSING.search(text)) and hasattr(contracts, found[1]):
        named = found[2].replace("'", "")
        return Unfit(f"{found[1]} needs {named}.", f"Give {named}; see the documentation of bench3d.contracts.")
    if isinstance(error, ImportError) and (found := _IMPORT.search(text)):
        close = _misspelt(found[1], dir(sys.modules.get(found[2], contracts)))
        return Unfit(
            f"bench3d {__version__} has no {found[1]} in {found[2]}.",
            _misspelt_or_newer(close),
            "left out" if close else "other version",
        )
    if isinstance(error, pluggy.PluginValidationError) and (found := _HOOK.search(text)):
        from bench3d.plugins import hooks

        close = _misspelt(found[1], [n for n in dir(hooks) if n.startswith("bench3d_")])
        return Unfit(f"bench3d {__version__} has no hook {found[1]}.", _misspelt_or_newer(close))
    return None


def _unknown_field(name: str, field: str, stated: int) -> Unfit | None:
    known = getattr(contracts, name, None)
    if not (isinstance(known, type) and hasattr(known, "__dataclass_fields__")):
        return None
    close = _misspelt(field, [f.name for f in fields(known)])
    versions = f"plugin API {API_VERSION}; it was made for {stated}"
    return Unfit(
        f"{name} has no field {field} in bench3d {__version__} ({versions}).",
        _misspelt_or_newer(close),
        "left out" if close else "other version",
    )


def _misspelt(name: str, known: list[str]) -> list[str]:
    """What it was meant to be, where only a letter or two is wrong: else it is a name of another bench3d."""
    return difflib.get_close_matches(name, known, n=1, cutoff=0.85)


def _misspelt_or_newer(close: list[str]) -> str:
    if close:
        return f"Did you mean {close[0]}?"
    return "It may have been made for a newer bench3d: pip install --upgrade bench3d."


def _stated(error: BaseException) -> int:
    """What the plugin said of its version before it failed, read off the module that the error passed through."""
    trace, stated = error.__traceback__, 1
    while trace is not None:
        found = trace.tb_frame.f_globals.get("bench3d_api")
        stated = found if isinstance(found, int) else stated
        trace = trace.tb_next
    return stated


@contextlib.contextmanager
def working_on(plugin: str) -> Iterator[None]:
    """Names the plugin that what is `deprecated` inside is charged to."""
    token = _loading.set(plugin)
    try:
        yield
    finally:
        _loading.reset(token)


def deprecated(what: str, *, since: str, until: str, replacement: str, stacklevel: int = 2) -> None:
    """Warns that something plugins use goes out of use, once per plugin and thing.

    Args:
        what: the name that goes, such as "BackboneRegistration.patch".
        since: the release of bench3d that began to warn.
        until: the release that will no longer have it; at least one release later.
        replacement: what to use instead, in a few words.
        stacklevel: of `warnings.warn`: 2 is the caller of the function that calls this one.
    """
    plugin = _loading.get() or str(sys._getframe(stacklevel).f_globals.get("__name__", "?")).partition(".")[0]
    _once(plugin, _going(what, since, until, replacement), stacklevel + 1)


def _going(what: str, since: str, until: str, replacement: str) -> str:
    return f"uses {what}, which is going since bench3d {since} and gone in {until}: use {replacement}."


def _once(plugin: str, text: str, stacklevel: int) -> None:
    if (plugin, text) not in _warned:
        _warned.add((plugin, text))
        warnings.warn(f"Plugin {plugin} {text}", Bench3DDeprecationWarning, stacklevel=stacklevel + 1)


class HookGoing(Bench3DDeprecationWarning):
    """For `hookspec(warn_on_impl=HookGoing("bench3d_old", since=..., until=..., replacement=...))`.

    pluggy warns with this one object for each plugin that implements the hook: the plugin's name is put in when shown.
    """

    def __init__(self, what: str, *, since: str, until: str, replacement: str) -> None:
        super().__init__(_going(what, since, until, replacement))

    def __str__(self) -> str:
        return f"Plugin {_loading.get() or '?'} {super().__str__()}"


def show_plainly() -> None:
    """Shows these warnings as one plain line on standard error, as the command line does; others stay as they are."""
    warnings.simplefilter("always", Bench3DDeprecationWarning)
    shown = warnings.showwarning
    if getattr(shown, "of_bench3d", False):
        return

    def show(message: Any, category: type[Warning], *more: Any, **options: Any) -> None:
        if issubclass(category, Bench3DDeprecationWarning):
            print(message, file=sys.stderr)
        else:
            shown(message, category, *more, **options)

    show.of_bench3d = True  # type: ignore[attr-defined]
    warnings.showwarning = show
