"""`bench3d plugin`: the group of what plugin authors need."""

from __future__ import annotations

import typer

from bench3d.cli import plugin_check, plugin_list, plugin_new


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    plugin_new.register(group)
    plugin_check.register(group)
    plugin_list.register(group)
    app.add_typer(
        group,
        name="plugin",
        help="Write plugins: a package to begin with, its checks, what is loaded and what it is asked.",
        epilog="Example: bench3d plugin list",
    )
