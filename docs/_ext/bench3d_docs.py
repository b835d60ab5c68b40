"""Sphinx extension: a line `<!-- bench3d: WHAT ARGUMENTS -->` in a page becomes Markdown made from the code.

What can be asked for is in `generated.GENERATORS`. Docstrings, which are plain text with Markdown's backticks, are
turned into reStructuredText before napoleon reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from generated import GENERATORS

MARK = re.compile(r"^<!-- bench3d: (?P<what>[\w-]+)(?: (?P<arguments>.*?))? -->$", re.MULTILINE)
TICKS = re.compile(r"(`+)(.+?)\1")
SPECIAL = re.compile(r"([\\*|]|(?<=\w)_(?=\W|$))")


def filled(text: str) -> str:
    """The page with every mark replaced. KeyError for an unknown one."""

    def make(found: re.Match[str]) -> str:
        arguments = (found["arguments"] or "").strip()
        return GENERATORS[found["what"]](*([arguments] if arguments else []))

    return MARK.sub(make, text)


def restructured(lines: Iterable[str]) -> list[str]:
    """A docstring's lines with code marked, special characters escaped and indented blocks as literal ones."""
    out: list[str] = []
    literal: int | None = None  # indentation of the paragraph before a literal block
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if literal is not None:
            if not line.strip() or indent > literal:
                out.append(line)
                continue
            literal = None
        if line.lstrip().startswith(">>>"):
            out.append(line)
            continue
        if not line.strip():
            out.append(line)
            continue
        before = _paragraph_end(out)
        if before is not None and indent >= before[1] + 4 and not out[before[0]].rstrip().endswith("::"):
            text = out[before[0]].rstrip()
            out[before[0]] = text + ":" if text.endswith(":") else text
            if not text.endswith(":"):
                out[-1:] = ["", " " * before[1] + "::", ""]
            literal = before[1]
            out.append(line)
            continue
        out.append(_marked(line))
    return out


def _paragraph_end(out: list[str]) -> tuple[int, int] | None:
    """Index and indentation of the last line of a paragraph that a blank line follows; None elsewhere."""
    if len(out) < 2 or out[-1].strip():
        return None
    for at in range(len(out) - 2, -1, -1):
        if out[at].strip():
            return at, len(out[at]) - len(out[at].lstrip())
    return None


def _marked(line: str) -> str:
    parts, at = [], 0
    for found in TICKS.finditer(line):
        parts += [SPECIAL.sub(r"\\\1", line[at : found.start()]), f"``{found[2].strip()}``"]
        after = line[found.end() : found.end() + 1]
        if after and (after.isalnum() or after in "_"):
            parts.append("\\ ")
        at = found.end()
    return "".join([*parts, SPECIAL.sub(r"\\\1", line[at:])])


def process_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """autodoc's hook."""
    lines[:] = restructured(lines)


def read_page(app: Any, docname: str, source: list[str]) -> None:
    """Sphinx's hook when a page is read."""
    source[0] = filled(source[0])


def setup(app: Any) -> dict[str, Any]:
    """Sphinx's entry point. Pages depend on the whole code, so all are read again in every build."""
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", process_docstring, priority=100)
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: list(env.found_docs))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
