"""Shell completion of names: backbones, adapters, shape models, tasks, protocols, data sets, grids, kinds.

Typer writes the shell's part (`bench3d --install-completion`). Here every option and argument that holds a name learns
which there are, in one place and only when a shell asks: no command pays for it, and none declares it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bench3d.contracts import TaskRegistration
from bench3d.plugins import load_registry
from bench3d.plugins.registry import KINDS

Source = Callable[[Any], Iterable[tuple[str, str]]]


def attach(command: Any) -> None:
    """Teaches the parameters of a command, and of the commands in it, to complete names."""
    for parameter in getattr(command, "params", ()):
        source = _source(parameter, str(getattr(command, "name", "")))
        if source is not None:
            parameter.shell_complete = _completer(source)
    for inner in getattr(command, "commands", {}).values():
        attach(inner)


def _source(parameter: Any, command: str) -> Source | None:
    metavar = str(getattr(parameter, "metavar", None) or "")
    if "GRID" in metavar:
        return _grids
    if command == "describe" and parameter.name == "name":
        return lambda context: _registered(*KINDS)
    if command == "list" and parameter.name == "kind":
        return lambda context: [(f"{kind}s", "") for kind in KINDS]
    if command in ("describe", "check", "fetch", "synth") and parameter.name in ("name", "names", "dataset"):
        return lambda context: _registered("dataset")
    return _BY_NAME.get(str(parameter.name))


def _registered(*kinds: str) -> list[tuple[str, str]]:
    return [(r.name, r.summary) for kind in kinds for r in load_registry().registrations(kind)]


def _protocols(context: Any) -> list[tuple[str, str]]:
    """Those of the task that stands on the line already, else of all."""
    asked = context.params.get("task") or ()
    asked = [asked] if isinstance(asked, str) else asked
    tasks = [t for t in load_registry().registrations("task") if isinstance(t, TaskRegistration)]
    known = [t for t in tasks if t.name in asked] or tasks
    return list({p.name: (p.name, p.summary) for t in known for p in t.protocols}.values())


def _grids(context: Any) -> list[tuple[str, str]]:
    from importlib.resources import files

    folder = files("bench3d.configs") / "grids"
    return [(f.name.removesuffix(".yaml"), "") for f in folder.iterdir() if f.name.endswith(".yaml")]


_BY_NAME: dict[str, Source] = {
    "backbone": lambda context: _registered("backbone"),
    "adapter": lambda context: [("none", ""), *_registered("adapter", "shape-model")],
    "shape_model": lambda context: [("none", ""), *_registered("shape-model")],
    "task": lambda context: _registered("task"),
    "protocol": _protocols,
    "executor": lambda context: _registered("executor"),
}


def _completer(source: Source) -> Callable[[Any, str], list[Any]]:
    def complete(context: Any, incomplete: str) -> list[Any]:
        item = _item_class()
        before, comma, word = incomplete.rpartition(",")  # `--backbone a,b`: the last of a list
        try:
            found = sorted({name: text for name, text in source(context)}.items())
        except Exception:
            return []  # a shell waits: a broken plugin is told of by the command itself
        return [item(f"{before}{comma}{name}", help=text) for name, text in found if name.startswith(word)]

    return complete


def _item_class() -> Any:
    """The class of one completion: typer brings click along since 0.22, and needs it installed before."""
    try:
        from typer._click.shell_completion import CompletionItem
    except ImportError:
        from click.shell_completion import CompletionItem  # type: ignore[assignment, no-redef]
    return CompletionItem
