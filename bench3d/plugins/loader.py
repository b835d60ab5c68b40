"""Loading: each entry point in its own try, so that one broken plugin never takes the others down."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import pluggy

from bench3d.contracts import Registration
from bench3d.plugins import hooks
from bench3d.plugins.registry import REGISTRATIONS, Failure, Plugin, Registry

GROUP = "bench3d"
HOST = "bench3d"  # its own distribution: loaded first, so that its names cannot be taken over


class WrongAnswer(Exception):
    """A plugin gave something that its hook does not allow."""


@functools.cache
def load_registry() -> Registry:
    """The registry of everything installed, loaded once per process. Never raises for a broken plugin."""
    return build_registry(entry_points(group=GROUP))


def build_registry(points: Iterable[EntryPoint]) -> Registry:
    """Loads entry points in a fixed order: bench3d's own, then by distribution and entry-point name."""
    registry = Registry()
    for point in sorted(points, key=_order):
        distribution, version = _origin(point)
        try:
            plugin = _load(point, distribution, version)
            found = _registered(plugin)
        except (Exception, SystemExit) as error:
            registry.failures.append(Failure(point.name, distribution, _reason(error), traceback.format_exc()))
            continue
        registry.plugins.append(plugin)
        for registration in found:
            registry.add(registration, distribution)
    return registry


def _origin(point: EntryPoint) -> tuple[str, str]:
    if point.dist is None:
        return "unknown", ""
    return point.dist.name or "unknown", point.dist.version or ""


def _order(point: EntryPoint) -> tuple[bool, str, str]:
    distribution, _ = _origin(point)
    return distribution != HOST, distribution.casefold(), point.name


def _load(point: EntryPoint, distribution: str, version: str) -> Plugin:
    module = point.load()
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(module, name=point.name)
    manager.check_pending()  # a misspelt hook would otherwise never be called, silently
    if not manager.get_hookcallers(module):
        raise WrongAnswer(f"{point.value} implements no hook (is a function marked with @hookimpl?)")
    return Plugin(point.name, distribution, version, module, manager)


def _registered(plugin: Plugin) -> list[Registration]:
    found: list[Registration] = []
    for answer in plugin.manager.hook.bench3d_register():
        if isinstance(answer, (str, bytes, Registration)) or not isinstance(answer, Iterable):
            raise WrongAnswer(f"bench3d_register must return a list of registrations, not {type(answer).__name__}")
        for item in answer:
            _check(item)
            found.append(item)
    return found


def _check(item: object) -> None:
    if not isinstance(item, REGISTRATIONS):
        raise WrongAnswer(f"bench3d_register returned {type(item).__name__}, which is not a registration")
    if not isinstance(item.name, str) or not item.name or any(c.isspace() for c in item.name):
        raise WrongAnswer(f"{type(item).__name__} has the name {item.name!r}: a word without spaces is needed")
    for key in ("factory", "settings", "presets"):
        value = getattr(item, key)
        if value is None and key != "factory":
            continue
        if not isinstance(value, str) or not all(value.partition(":")):
            raise WrongAnswer(f'{item.kind} {item.name} has {key}={value!r}: write it as "module:name"')


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, WrongAnswer) else f"{type(error).__name__}: "
    return f"{kind}{text or 'no message'}".rstrip(".") + "."
