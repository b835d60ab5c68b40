"""Docstrings, which are plain text with Markdown's backticks and Google's sections, as reStructuredText."""

from __future__ import annotations

import re
from collections.abc import Sequence

TICKS = re.compile(r"(`+)(.+?)\1")
SPECIAL = re.compile(r"([\\*|]|(?<=\w)_(?=\W|$))")
SECTION = re.compile(r"^ *(?P<name>Args|Attributes|Raises):$")
ENTRY = re.compile(r"^(?P<names>[\w.*]+(?:, [\w.*]+)*): (?P<text>.*)$")
TITLES = {"Args": "Arguments", "Attributes": "Attributes", "Raises": "Raises"}


def restructured(lines: Sequence[str]) -> list[str]:
    """Sections as lists, indented blocks as literal ones, code marked and special characters escaped."""
    out: list[str] = []
    at = 0
    while at < len(lines):
        line, begun = lines[at], _paragraph_before(out)
        if SECTION.match(line):
            end = _end(lines, at + 1, _indent(line))
            out += _section(lines[at:end])
        elif begun is not None and line.strip() and _indent(line) >= begun + 4:
            end = _end(lines, at, begun)
            out += _literal(out, lines[at:end], begun)
        else:
            end = at + 1
            out.append(line if line.lstrip().startswith((">>>", "...")) else marked(line))
        at = end
    return out


def marked(line: str) -> str:
    """A line with code as literals, what would be markup otherwise escaped."""
    parts, at = [], 0
    for found in TICKS.finditer(line):
        parts += [SPECIAL.sub(r"\\\1", line[at : found.start()]), f"``{found[2].strip()}``"]
        if re.match(r"\w", line[found.end() :]):
            parts.append("\\ ")
        at = found.end()
    return "".join([*parts, SPECIAL.sub(r"\\\1", line[at:])])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _end(lines: Sequence[str], at: int, indent: int) -> int:
    """Index of the first line from `at` on that is indented no more than `indent`."""
    return next((i for i in range(at, len(lines)) if lines[i].strip() and _indent(lines[i]) <= indent), len(lines))


def _paragraph_before(out: Sequence[str]) -> int | None:
    """Indentation of the paragraph that a blank line has just ended; None within one."""
    if not out or out[-1].strip():
        return None
    return next((_indent(line) for line in reversed(out) if line.strip()), None)


def _literal(out: Sequence[str], block: Sequence[str], indent: int) -> list[str]:
    """A block under a paragraph: a session as it stands, anything else as a literal block."""
    if block[0].lstrip().startswith(">>>"):
        return [*block, ""]
    return [" " * indent + "::", "", *block, ""]


def _section(lines: Sequence[str]) -> list[str]:
    """A section of names as a list; several may share a line ("low, high: the ends")."""
    found = SECTION.match(lines[0])
    assert found is not None
    indent = _indent(lines[0])
    out = [f"{' ' * indent}**{TITLES[found['name']]}**", ""]
    for line in lines[1:]:
        text = line.strip()
        if _indent(line) == indent + 4 and text:
            entry = ENTRY.match(text)
            names = ", ".join(f"``{name}``" for name in entry["names"].split(", ")) + ": " if entry else ""
            out += ["", f"{' ' * indent}- {names}{marked(entry['text'] if entry else text)}"]
        elif text:
            out.append(f"{' ' * (indent + 2)}{marked(text)}")
    return [*out, ""]
