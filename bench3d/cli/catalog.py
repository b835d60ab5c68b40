"""`bench3d list` and `bench3d describe`: what is registered, without torch."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import asdict
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, gigabytes, print_json
from bench3d.contracts import (
    BackboneRegistration,
    DatasetRegistration,
    LoggerRegistration,
    Registration,
    RendererRegistration,
    ShapeModelRegistration,
    TaskRegistration,
)
from bench3d.errors import UnknownNameError
from bench3d.plugins import Registry, load_preset, load_registry, preset_names, settings_model
from bench3d.plugins.names import did_you_mean
from bench3d.plugins.registry import KINDS, install_line, missing_extras

if TYPE_CHECKING:
    from rich.console import RenderableType


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        "list",
        short_help="What is registered: backbones, adapters, shape models, tasks, ...",
        epilog="Example: bench3d list backbones 'dino*'",
    )(list_)
    app.command(
        "describe",
        short_help="Everything about one name: settings, presets, protocols.",
        epilog="Example: bench3d describe hog",
    )(describe)


def list_(
    kind: Annotated[str | None, typer.Argument(help=f"One of: {', '.join(k + 's' for k in KINDS)}.")] = None,
    pattern: Annotated[str | None, typer.Argument(metavar="[GLOB]", help="Only names like this.")] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List what is registered: backbones, adapters, shape models, tasks, datasets, ..."""
    registry = load_registry()
    if kind is not None and pattern is None and any(c in kind for c in "*?["):
        kind, pattern = None, kind
    found = [
        r
        for r in registry.registrations(_kind(kind))
        if pattern is None or fnmatch.fnmatch(r.name.casefold(), pattern.casefold())
    ]
    if as_json:
        print_json([_row(registry, r) for r in found])
    elif not found:
        where = f" {kind}" if kind else ""
        console(stderr=True).print(f"Nothing{where} is registered{f' that matches {pattern}' if pattern else ''}.")
    else:
        _print_list(registry, found)


def _kind(word: str | None) -> str | None:
    if word is None:
        return None
    wanted = word.casefold().replace("_", "-").replace(" ", "-")
    for kind in KINDS:
        if wanted in (kind, kind + "s", kind.replace("-", ""), kind.replace("-", "") + "s"):
            return kind
    raise UnknownNameError(f"There is no kind {word}.", did_you_mean(word, [k + "s" for k in KINDS]))


def _row(registry: Registry, r: Registration) -> dict[str, Any]:
    return {
        "kind": r.kind,
        "name": r.name,
        "summary": r.summary,
        "facts": facts(r),
        "missing": missing_extras(r),
        "package": registry.distribution(r),
    }


def facts(r: Registration) -> str:
    """The few facts of a registration that decide whether somebody wants it, in one line."""
    parts: list[str] = []
    if isinstance(r, BackboneRegistration):
        parts = [f"{r.params / 1e6:.0f} M" if r.params else "", f"patch {r.patch}" if r.patch else ""]
        parts.append("no weights" if r.weights is None and not r.name.endswith(":") else "")
        parts.append("weights included" if r.weights is not None and r.weights.shipped else "")
    elif isinstance(r, ShapeModelRegistration):
        parts = ["adds " + ", ".join(r.adds) if r.adds else "", f"fits on {r.train_dataset}" if r.train_dataset else ""]
    elif isinstance(r, TaskRegistration):
        parts = ["needs " + ", ".join(r.requires) if r.requires else "", " | ".join(p.name for p in r.protocols)]
    elif isinstance(r, DatasetRegistration):
        parts = [f"{len(r.categories)} categories" if r.categories else "", gigabytes(r.bytes)]
        parts.append("has a twin" if r.synth else "")
    elif isinstance(r, RendererRegistration):
        parts = [", ".join(r.devices)]
    elif isinstance(r, LoggerRegistration) and r.target:
        parts = [f"{r.name}:{r.target}, else {r.default}" if r.default else f"{r.name}:{r.target}"]
    return "; ".join(p for p in parts if p)


def _print_list(registry: Registry, found: list[Registration]) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    names = max(len(r.name) for r in found)
    for kind in KINDS:
        rows = [r for r in found if r.kind == kind]
        if not rows:
            continue
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=names, no_wrap=True, style="bold")
        table.add_column(ratio=3)
        table.add_column(ratio=2, style="dim")
        for r in rows:
            note = facts(r)
            package = registry.distribution(r)
            if package != "bench3d":
                note = f"{note}; from {package}" if note else f"from {package}"
            text = Text(note)
            if missing_extras(r):
                text.append(f"{'; ' if note else ''}needs {', '.join(missing_extras(r))}", style="yellow")
            table.add_row(Text(r.name + ("NAME" if r.name.endswith(":") else "")), Text(r.summary), text)
        out.print(Text(kind.replace("-", " ") + "s", style="bold cyan"))
        out.print(table)
        out.print()


def describe(
    name: Annotated[str, typer.Argument(help="Any registered name, of any kind.")],
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what is known about one name: settings with defaults, presets, protocols, licence, citation."""
    registry = load_registry()
    found = []
    for kind in KINDS:
        try:
            found.append(registry.find(kind, name))
        except UnknownNameError:
            family = [r for r in registry.registrations(kind) if r.name == name]
            found.extend(family)
    if not found:
        raise UnknownNameError(
            f"Nothing is named {name}.", did_you_mean(name, [r.name for r in registry.registrations()])
        )
    pages = [details(registry, r) for r in found]
    if as_json:
        print_json(pages if len(pages) > 1 else pages[0])
        return
    for page in pages:
        print_page(page)


def details(registry: Registry, r: Registration) -> dict[str, Any]:
    """Everything known about a registration, ready for JSON. Imports its settings module, never its factory."""
    page = {k: v for k, v in asdict(r).items() if k not in ("settings", "presets", "protocols")}
    page = {"kind": r.kind, **page, "package": registry.distribution(r), "missing": missing_extras(r)}
    if missing_extras(r):
        page["install"] = install_line(r)
    page["settings"] = _settings(r)
    page["presets"] = {n: load_preset(r, n).summary for n in preset_names(r)}
    if isinstance(r, TaskRegistration):
        page["protocols"] = [asdict(p) for p in r.protocols]
    if isinstance(r, DatasetRegistration):
        from bench3d.cli.data import presence

        page["present"] = presence(r)
    return page


def _settings(r: Registration) -> list[dict[str, Any]]:
    rows = []
    for key, info in settings_model(r).model_fields.items():
        default = "required" if info.is_required() else info.get_default(call_default_factory=True)
        plain = default.model_dump() if hasattr(default, "model_dump") else default
        rows.append(
            {"key": key, "default": plain, "type": type_name(info.annotation), "description": info.description or ""}
        )
    return rows


def type_name(annotation: Any) -> str:
    """A setting's type for people: "int or none", "on | off", "list of float"."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(inner[0])
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (Union, UnionType):
        return " or ".join(type_name(a) for a in inner)
    if origin in (tuple, list, set, frozenset):
        return f"list of {type_name(inner[0])}"
    if annotation is type(None):
        return "none"
    return getattr(annotation, "__name__", str(annotation))


def print_page(page: dict[str, Any]) -> None:
    """Prints what `details` gave."""
    from rich.text import Text

    out = console()
    title = Text(page["name"], style="bold cyan")
    title.append(f"  {page['kind'].replace('-', ' ')}", style="dim")
    out.print(title)
    out.print(Text(page["summary"]))
    for line in _facts_of(page):
        out.print(line)
    for heading, body in _sections(page):
        out.print()
        out.print(Text(heading, style="bold"))
        out.print(body)
    out.print()


def _facts_of(page: dict[str, Any]) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    skip = {
        "kind",
        "name",
        "summary",
        "settings",
        "presets",
        "protocols",
        "categories",
        "factory",
        "extras",
        "missing",
        "present",
        "synth",
        "downloads",
    }
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for key, value in page.items():
        if key not in skip and value not in (None, "", (), [], {}, False):
            table.add_row(key.replace("_", " "), Text(_fact(key, value)))
    if "present" in page:
        there = page["present"]
        table.add_row("official data", Text(f"{'there' if there['official'] else 'not there'}: {there['folder']}"))
        table.add_row("twins", Text(", ".join(there["twins"]) or "none"))
    if page.get("categories"):
        table.add_row("categories", Text(", ".join(page["categories"])))
    return [table]


def _fact(key: str, value: Any) -> str:
    if key == "bytes":
        return gigabytes(value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {_fact(k, v)}".removesuffix(" yes") for k, v in value.items() if v)
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    if value is True:
        return "yes"
    return f"{value:,}" if isinstance(value, int) and value >= 100_000 else str(value)


def _sections(page: dict[str, Any]) -> list[tuple[str, RenderableType]]:
    from rich.table import Table
    from rich.text import Text

    from bench3d.plugins.settings import SCOPES

    def table(rows: Sequence[tuple[str, ...]]) -> Table:
        grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
        for _ in rows[0]:
            grid.add_column(overflow="fold")
        for row in rows:
            grid.add_row(*(Text(cell) for cell in row))
        return grid

    sections: list[tuple[str, RenderableType]] = []
    if page["settings"]:
        scope = SCOPES.get(page["kind"], page["kind"])
        rows = [(f"{scope}.{s['key']}", str(s["default"]), s["description"] or s["type"]) for s in page["settings"]]
        sections.append(("Settings (--set key=value) and their defaults", table(rows)))
    if page["presets"]:
        sections.append(("Presets", table([(k, v) for k, v in page["presets"].items()])))
    if page.get("protocols"):
        protocols = [(f"{p['name']} v{p['version']}", _protocol(p)) for p in page["protocols"]]
        sections.append(("Protocols", table(protocols)))
    return sections


def _protocol(protocol: dict[str, Any]) -> str:
    summary = protocol["summary"].rstrip(".")
    given = f"Given to the model: {', '.join(protocol['oracles']) or 'nothing but the image'}."
    return f"{summary[:1].upper()}{summary[1:]}. {given}" if summary else given
