"""`bench3d reproduce TARGET`: a published table beside what was measured."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds the commands."""
