"""Fenced blocks of the pages under docs/, and commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, further words behind it, its text, its line in the page."""

    language: str
    words: tuple[str, ...]
    body: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command and the lines that are shown beneath it; "..." in them stands for anything."""

    command: str
    shown: tuple[str, ...]
    line: int


def pages() -> list[Path]:
    """Every page."""
    return sorted(p for p in DOCS.rglob("*.md") if not any(part.startswith("_") for part in p.relative_to(DOCS).parts))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        words = match["info"].split() or [""]
        found.append(Block(words[0], tuple(words[1:]), match["body"], text[: match.start()].count("\n") + 1))
    return found


def steps(block: Block) -> list[Step]:
    """Commands of a console block."""
    found: list[Step] = []
    for number, line in enumerate(block.body.splitlines(), block.line + 1):
        if line.startswith("$ "):
            found.append(Step(line[2:], (), number))
        elif found and found[-1].command.endswith("\\"):
            found[-1] = Step(f"{found[-1].command}\n{line.removeprefix('>')}", (), found[-1].line)
        elif found and line.strip():
            found[-1] = Step(found[-1].command, (*found[-1].shown, line), found[-1].line)
    return found


def missing(shown: Iterator[str] | tuple[str, ...], output: str) -> list[str]:
    """Lines that are shown in a page and that no line of the output is like, in this order."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    lost, at = [], 0
    for line in shown:
        wanted = re.compile(".*".join(re.escape(" ".join(part.split())) for part in line.split("...")))
        hit = next((i for i in range(at, len(lines)) if wanted.search(lines[i])), None)
        if hit is None:
            lost.append(line)
        else:
            at = hit + 1
    return lost
