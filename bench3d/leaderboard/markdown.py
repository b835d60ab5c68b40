"""A table as GitHub-flavoured Markdown, with every text escaped: no HTML, link, code or column comes out of a name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench3d.leaderboard.board import MEAN, Table
from bench3d.leaderboard.safety import plain_text
from bench3d.leaderboard.wide import WideCell, WideRow, caption, wide

_MARKED = re.compile(r"([\\`*_\[\]|~$])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BEGINS = re.compile(r"^(\s*)(\d*)([-+=#.)])")
_ADDRESS = re.compile(r"(?i)\b(?P<scheme>[a-z][a-z0-9.+-]*|mailto|xmpp):(?=//|\S+@)")


def escape_markdown(text: str) -> str:
    """A text that Markdown shows as it is, in a paragraph and in a table's cell: one line, no HTML, no links.

    Addresses, which GitHub makes links without being asked, are broken up by entities.
    """
    text = "".join(_ENTITIES.get(c, c) for c in plain_text(text))
    text = _MARKED.sub(r"\\\1", text)
    text = re.sub(r"(?i)\b(www)\.", r"\1&#46;", _ADDRESS.sub(r"\g<scheme>&#58;", text))
    return _BEGINS.sub(r"\1\2\\\3", text)


def markdown_table(table: Table, intervals: bool = True) -> str:
    """A heading, the table, and its notes. ValueError where the table has no metrics."""
    layout = wide(table, intervals)
    head = ["Rank", "Model"]
    for column in layout.columns:
        head.append(escape_markdown(column.category if column.category != MEAN else column.title))
    lines = [
        f"# {escape_markdown(table.title)}",
        "",
        f"{escape_markdown(caption(table))} Categories show {escape_markdown(layout.columns[0].title)}."
        if layout.categories > 1
        else escape_markdown(caption(table)),
        "",
        _line(head),
        _line(["---:", ":---", *["---:"] * len(layout.columns)]),
    ]
    lines += [_row(row) for row in (*layout.measured, *layout.unranked, *layout.chance)]
    if layout.reported:
        lines.append(_line(["", "**Reported by papers**", *[""] * len(layout.columns)]))
        lines += [_row(row) for row in layout.reported]
    lines.append("")
    for mark, note in layout.notes:
        lines.append(f"- {f'<sup>{mark}</sup> ' if mark else ''}{escape_markdown(note)}")
    return "\n".join(lines).rstrip("\n") + "\n"


def _row(row: WideRow) -> str:
    name = escape_markdown(row.name)
    note = f" <sup>{row.note}</sup>" if row.note else ""
    return _line([row.rank, name + note, *(_cell(cell) for cell in row.cells)])


def _cell(cell: WideCell) -> str:
    text = f"**{cell.text}**" if cell.best else f"<ins>{cell.text}</ins>" if cell.tied else cell.text
    text += f"<sup>{cell.mark}</sup>" if cell.mark else ""
    return f"{text} <sub>[{cell.interval}]</sub>" if cell.interval else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
