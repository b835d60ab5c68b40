"""Loading: each entry point in its own try and in limited time, so that no broken plugin takes the others down."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from types import ModuleType

import pluggy

from bench3d.contracts import Registration
from bench3d.plugins import hooks, tracing, watch
from bench3d.plugins.points import GROUP, HOST, ONLY, Point, Selection, in_order, installed
from bench3d.plugins.registry import REGISTRATIONS, Failure, Plugin, Registry
from bench3d.plugins.versions import Unfit, check_api, check_contract, explain, working_on

__all__ = ["GROUP", "HOST", "build_registry", "load_registry", "try_out"]


@functools.cache
def load_registry() -> Registry:
    """The registry of everything installed, loaded once per process. Never raises for a broken plugin."""
    return build_registry()


def build_registry(found: Iterable[EntryPoint] | None = None) -> Registry:
    """Loads entry points in a fixed order: bench3d's own, then by distribution and entry-point name.

    Args:
        found: the entry points; None for those installed.
    """
    points = installed() if found is None else in_order(found)
    registry = Registry()
    selection = Selection.from_environment()
    registry.notices += selection.unknown(points)
    chosen = []
    for point in points:
        reason = selection.reason(point)
        if reason is None:
            chosen.append(point)
        else:
            registry.excluded.append(_failure(point, "excluded", reason, f"Change or unset {ONLY}."))
    seconds = watch.limit_seconds()
    memory = watch.Memory.load() if seconds else None
    verdicts = _verdicts([p for p in chosen if not p.own], memory, seconds) if memory is not None else {}
    for point in chosen:
        verdict = verdicts.get(point, watch.FIT)
        if verdict is None:
            continue  # never seen, and a shell that waits for completions is no time to try it
        if verdict != watch.FIT:
            registry.failures.append(_given_up(point, verdict))
        else:
            _add(registry, point, 0 if point.own else seconds, memory)
    if memory is not None:
        memory.save()
    return registry


def try_out(point: Point) -> tuple[Failure | None, int]:
    """Loads one plugin into a registry of its own: why it is left out, and how many registrations it makes."""
    registry = Registry()
    _add(registry, point, 0, None)
    return next(iter(registry.failures), None), len(registry.registrations())


def _verdicts(points: list[Point], memory: watch.Memory, seconds: float) -> dict[Point, watch.Verdict | None]:
    """What is known of third-party plugins; those not known are tried in a child, where that can be remembered."""
    known = {p: memory.verdict(p) for p in points}
    new = [p for p, verdict in known.items() if verdict is None]
    if not new or watch.completing():
        return known
    if not memory.writable():
        return known | dict.fromkeys(new, watch.FIT)
    from bench3d.plugins import probe  # most commands need no child process

    def waiting(point: Point) -> None:
        print(f"Waiting for the plugin {point.name} (package {point.distribution}) to load ...", file=sys.stderr)

    for trial in probe.try_in_turn(new, seconds, waiting):
        known[trial.point] = trial.verdict
        if trial.state != "untried":
            memory.learn(trial.point, trial.verdict)
    return known


def _add(registry: Registry, point: Point, seconds: float, memory: watch.Memory | None) -> None:
    """Loads one plugin into the registry, or notes why not."""
    begun = time.perf_counter()
    try:
        with working_on(point.name), _no_output(point):
            plugin, found = watch.within(seconds, lambda: _load(point))
    except watch.TimedOut:
        verdict = watch.Verdict("timed out", f"its import took more than {seconds:g} s.")
        if memory is not None:
            memory.learn(point, verdict)
        registry.failures.append(_given_up(point, verdict))
        return
    except (Exception, SystemExit) as error:
        told = error if isinstance(error, Unfit) else explain(error)
        state, hint = told.state if told else "left out", (told.hint if told else "") or _next_step(point, error)
        reason = told.reason if told else _reason(error)
        registry.failures.append(_failure(point, state, reason, hint, traceback.format_exc()))
        return
    plugin.seconds = time.perf_counter() - begun
    registry.plugins.append(plugin)
    if tracing.is_on():
        tracing.loaded(point.name, len(found), plugin.seconds)
    for registration in found:
        try:
            check_contract(registration, point.distribution)
        except Unfit as error:
            registry.failures.append(_failure(point, error.state, error.reason, error.hint))
            continue
        registry.add(registration, point.distribution, point.name)


def _failure(point: Point, state: str, reason: str, hint: str, trace: str = "") -> Failure:
    return Failure(point.name, point.distribution, reason, trace, state, hint, point.version)


def _given_up(point: Point, verdict: watch.Verdict) -> Failure:
    hint = "It is tried again by `bench3d doctor`, and when it is installed anew or edited."
    if verdict.state == "timed out":
        hint += f" {watch.SECONDS}=60 gives it more time."
    return _failure(point, verdict.state, verdict.reason, f"{hint} {ONLY}=-{point.name} leaves it out.")


def _next_step(point: Point, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"Install what it needs ({error.name.partition('.')[0]}), or leave it out by {ONLY}=-{point.name}."
    return f"Tell its author (`bench3d doctor --debug` shows the traceback), or leave it out by {ONLY}=-{point.name}."


@contextlib.contextmanager
def _no_output(point: Point) -> Iterator[None]:
    """What a plugin prints while it loads goes to standard error: standard output belongs to the command."""
    if point.own:
        yield
    elif watch.completing():
        with contextlib.ExitStack() as stack:
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
            yield
    else:
        with contextlib.redirect_stdout(sys.stderr):
            yield


def _load(point: Point) -> tuple[Plugin, list[Registration]]:
    module = point.entry().load()
    if isinstance(module, ModuleType):
        check_api(module, point.distribution)
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(_specifications())
    manager.register(module, name=point.name)
    manager.check_pending()  # a misspelt hook would otherwise never be called, silently
    if not manager.get_hookcallers(module):
        raise Unfit(
            f"{point.value} implements no hook (is a function marked with @hookimpl?).",
            "See the documentation of bench3d.plugins.hooks.",
        )
    plugin = Plugin(point.name, point.distribution, point.version, module, manager)
    return plugin, _registered(plugin)


@functools.cache
def _specifications() -> ModuleType:
    """The hooks alone: pluggy looks at every name of what it is given, for every plugin."""
    alone = ModuleType(hooks.__name__)
    for name, value in vars(hooks).items():
        if name.startswith("bench3d_"):
            setattr(alone, name, value)
    return alone


def _registered(plugin: Plugin) -> list[Registration]:
    found: list[Registration] = []
    for answer in plugin.manager.hook.bench3d_register():
        if isinstance(answer, (str, bytes, Registration)) or not isinstance(answer, Iterable):
            raise Unfit(f"bench3d_register must return a list of registrations, not {type(answer).__name__}.")
        for item in answer:
            _check(item)
            found.append(item)
    return found


def _check(item: object) -> None:
    if not isinstance(item, REGISTRATIONS):
        raise Unfit(f"bench3d_register returned {type(item).__name__}, which is not a registration.")
    if not isinstance(item.name, str) or not item.name or any(c.isspace() for c in item.name):
        raise Unfit(f"{type(item).__name__} has the name {item.name!r}: a word without spaces is needed.")
    for key in ("factory", "settings", "presets"):
        value = getattr(item, key)
        if value is None and key != "factory":
            continue
        if not isinstance(value, str) or not all(value.partition(":")):
            raise Unfit(f'{item.kind} {item.name} has {key}={value!r}: write it as "module:name".')


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text or 'no message'}".rstrip(".") + "."
