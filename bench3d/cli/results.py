"""`bench3d results show|diff|merge`: what lies in results folders, in tables."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds the commands."""
