"""Markdown tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any


def cell(value: Any) -> str:
    """Text for a cell of a Markdown table: no line ends, bars, HTML or emphasis by accident."""
    parts = re.split(r"(`[^`]*`)", " ".join(str(value).split()))
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(r"([\\*_<>\[\]])", r"\\\1", parts[at])
    return "".join(parts).replace("|", "\\|")


def code(value: Any) -> str:
    """Code for a cell."""
    text = " ".join(str(value).split()).replace("|", "\\|")
    return f"`{text}`" if text else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
