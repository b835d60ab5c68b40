"""`bench3d leaderboard verify`: a sample of a record, computed again."""

from __future__ import annotations

import typer


def register(group: typer.Typer) -> None:
    """Adds the commands."""
