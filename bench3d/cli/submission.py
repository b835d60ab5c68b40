"""`bench3d leaderboard submit|validate`: records on their way into the leaderboard."""

from __future__ import annotations

import typer


def register(group: typer.Typer) -> None:
    """Adds the commands."""
