"""`bench3d plugin list` and `bench3d plugin trace`: what is installed, in which state, and what plugins are asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from bench3d.cli.doctor import standing_alone
from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.plugins import Registry, load_registry, tracing
from bench3d.plugins.points import ONLY

LIST_EPILOG = f"""\b
{ONLY} restricts what is loaded, by a comma list of names or globs of plugins or packages:
    {ONLY}=acme,my-*     only these, and bench3d's own
    {ONLY}=-acme         all but this one; -timm leaves out one of bench3d's own
    {ONLY}='-*'          bench3d's own only
\b
A plugin whose import hangs or crashes is left out until it is edited or installed anew, or `bench3d doctor` finds it
well; BENCH3D_PLUGIN_SECONDS is the limit (default 10).
\b
Example: bench3d plugin list --json
"""


@dataclass(frozen=True)
class Row:
    """One plugin. `state`: loaded, left out, other version, timed out, crashed, excluded; `registers`: "kind name"."""

    plugin: str
    package: str
    version: str
    state: str
    registers: list[str]
    milliseconds: float | None = None
    why: str = ""
    hint: str = ""


def register(group: typer.Typer) -> None:
    """Adds the two commands to `bench3d plugin`."""
    group.command("list", short_help="Every plugin: package, version, state, what it adds.", epilog=LIST_EPILOG)(list_)
    group.command(
        "trace",
        short_help="Run a command and show what plugins are asked.",
        epilog="Example: bench3d plugin trace matrix --task pascal3d-pose",
        context_settings={
            "ignore_unknown_options": True,
            "allow_extra_args": True,
            "allow_interspersed_args": False,
        },
    )(trace)


def list_(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """List every plugin with package, version, state, what it registers; where it is not used, why and what to do."""
    found = rows(load_registry())
    if as_json:
        print_json([asdict(row) for row in found])
    else:
        _print(found, load_registry().notices)


def rows(registry: Registry) -> list[Row]:
    """Every installed plugin: the loaded ones in the order of loading, then those that are not used."""
    found = []
    for plugin in registry.plugins:
        key = (plugin.distribution, plugin.name)
        lost = [f for f in registry.failures if (f.distribution, f.plugin) == key]
        taken = [c for c in registry.collisions if (c.left_out, c.plugin) == key]
        why = [f.reason for f in lost] + [f"the {c.kind} {c.name} is {c.kept}'s already." for c in taken]
        hints = dict.fromkeys(f.hint for f in lost)
        if taken:
            hints[f"Uninstall one of the two, or leave one out by {ONLY}=-{plugin.name}."] = None
        names = [f"{r.kind} {r.name}" for r in registry.of(plugin)]
        spent = round(plugin.seconds * 1e3, 2)
        found.append(Row(plugin.name, key[0], plugin.version, "loaded", names, spent, " ".join(why), " ".join(hints)))
    loaded = {(p.distribution, p.name) for p in registry.plugins}
    unused = [f for f in registry.failures if (f.distribution, f.plugin) not in loaded]
    for f in (*unused, *registry.excluded):
        found.append(Row(f.plugin, f.distribution, f.version, f.state, [], why=f.reason, hint=f.hint))
    return found


def _print(found: list[Row], notices: list[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    styles = {"loaded": "green", "excluded": "yellow"}
    out = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("plugin", "package", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("registers", ratio=1)
    for row in found:
        body = Text(_names(row.registers))
        for text, style in ((row.why, "yellow"), (row.hint, "dim")):
            if text:
                body.append(("\n" if body.plain else "") + standing_alone(text), style=style)
        package = f"{row.package} {row.version}".strip()
        table.add_row(Text(row.plugin, style="bold"), package, Text(row.state, styles.get(row.state, "bold red")), body)
    out.print(table)
    for notice in notices:
        out.print(Text(notice, style="yellow"))


def _names(registers: list[str]) -> str:
    """Kinds once, at most eight names of each: "backbone hog, rgb; task pose"."""
    kinds: dict[str, list[str]] = {}
    for item in registers:
        kind, _, name = item.partition(" ")
        kinds.setdefault(kind, []).append(name)
    more = {k: f" and {len(n) - 8} more" if len(n) > 8 else "" for k, n in kinds.items()}
    return "; ".join(f"{k} {', '.join(n[:8])}{more[k]}" for k, n in kinds.items())


def trace(
    ctx: typer.Context,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="A command of bench3d and its options.")],
) -> None:
    """Run a command of bench3d; each call of a plugin is a line on standard error.

    A line says how long it took, which plugin, which hook, with what in short, and the answer. Child processes that the
    command starts are traced as well.
    """
    from bench3d.cli.main import main

    arguments = [a for i, a in enumerate((*command, *ctx.args)) if not (i == 0 and a in ("--", "bench3d"))]
    registry = load_registry()
    tracing.start()
    try:
        for plugin in registry.plugins:
            tracing.loaded(plugin.name, len(registry.of(plugin)), plugin.seconds)
        code = main(arguments)
    finally:
        tracing.stop()
    raise typer.Exit(code)
