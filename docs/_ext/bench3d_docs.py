"""Sphinx extension: a line `<!-- bench3d: WHAT ARGUMENTS -->` in a page becomes Markdown made from the code.

What can be asked for is in `generated.GENERATORS`. Docstrings, which are plain text with Markdown's backticks, are
turned into reStructuredText before napoleon reads them.
"""

from __future__ import annotations

import re
from typing import Any

from docstrings import restructured
from generated import GENERATORS

MARK = re.compile(r"^<!-- bench3d: (?P<what>[\w-]+)(?: (?P<arguments>.*?))? -->$", re.MULTILINE)


def filled(text: str) -> str:
    """The page with every mark replaced. KeyError for an unknown one."""

    def make(found: re.Match[str]) -> str:
        arguments = (found["arguments"] or "").strip()
        return GENERATORS[found["what"]](*([arguments] if arguments else []))

    return MARK.sub(make, text)


def process_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Autodoc's hook."""
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
