"""`bench3d results show|diff|merge`: what lies in results folders, in tables."""

from __future__ import annotations

import typer

from bench3d.cli import results_diff, results_merge, results_show

EXAMPLE = "Example: bench3d results show bench3d-results --task pascal3d-pose"


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    results_show.register(group)
    results_diff.register(group)
    results_merge.register(group)
    about = "What lies in results folders: tables, comparisons, merging."
    app.add_typer(group, name="results", help=about, epilog=EXAMPLE)
