"""`bench3d leaderboard build|serve`, and the group that the other leaderboard commands join."""

from __future__ import annotations

import typer

from bench3d.cli import submission, verify


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    submission.register(group)
    verify.register(group)
    app.add_typer(group, name="leaderboard", help="Tables, page and submissions made of records.")
