"""A table as LaTeX (booktabs), with every text escaped: no command comes out of a name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench3d.leaderboard.board import MEAN, Table
from bench3d.leaderboard.safety import plain_text
from bench3d.leaderboard.wide import Wide, WideCell, WideRow, caption, wide

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after a line's end it would be the option of the line's end
    "]": "{]}",
    "*": "{*}",  # the same
    "\u2013": "--",
    "\u2014": "---",
    "\u2019": "'",
    "\u2026": r"\dots{}",
    "\u2020": r"\dag{}",
    "\u2021": r"\ddag{}",
    "\u2191": r"\ensuremath{\uparrow}",
    "\u2193": r"\ensuremath{\downarrow}",
    "\u2192": r"\ensuremath{\rightarrow}",
    "\u2264": r"\ensuremath{\leq}",
    "\u2265": r"\ensuremath{\geq}",
    "\u2248": r"\ensuremath{\approx}",
    "\u2212": r"\ensuremath{-}",
    "\u00b1": r"\ensuremath{\pm}",
    "\u00d7": r"\ensuremath{\times}",
    "\u00b0": r"\ensuremath{^\circ}",
    "\u00b7": r"\ensuremath{\cdot}",
}
_HEAD = """\
% Table {id} of bench3d {version}. In the preamble: \\usepackage{{booktabs,graphicx}}
% Letters outside the Latin script need XeLaTeX or LuaLaTeX.
"""
_LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=')(?=')|(?<=,)(?=,)")
_APART = "\0"  # no plain text holds it
_WIDE = 9
_HEADING = 13


def escape_latex(text: str) -> str:
    """A text that LaTeX prints as it is, also first in a table's line and in captions; one line.

    Letters outside ASCII pass through: pdflatex knows those of the Latin script.
    """
    escaped = "".join(_SPECIAL.get(c, c) for c in _LIGATURE.sub(_APART, plain_text(text)))
    return escaped.replace(_APART, "{}")


def latex_table(table: Table, intervals: bool = True, version: str = "") -> str:
    """A `table` environment that compiles with booktabs and graphicx, no wider than its line.

    Raises:
        ValueError: the table has no metrics.
    """
    layout = wide(table, intervals)
    count = len(layout.columns)
    kind = "table*" if count >= _WIDE else "table"
    lines = [
        f"\\begin{{{kind}}}[t]",
        r"\centering\small",
        r"\setlength{\tabcolsep}{3pt}",
        f"\\caption{{{escape_latex(caption(table))}}}",
        f"\\label{{tab:{table.id}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        f"\\begin{{tabular}}{{@{{}}rl{'r' * count}@{{}}}}",
        r"\toprule",
        *_header(layout),
    ]
    for block in (layout.measured, layout.unranked, layout.chance):
        if block:
            lines += [r"\midrule", *map(_row, block)]
    if layout.reported:
        lines += [r"\midrule", f"\\multicolumn{{{count + 2}}}{{@{{}}l}}{{\\emph{{Reported by papers}}}} \\\\"]
        lines += map(_row, layout.reported)
    lines += [r"\bottomrule", r"\end{tabular}}", "", *_notes(layout), f"\\end{{{kind}}}"]
    head = _HEAD.format(id=table.id, version=plain_text(version))
    return head + "\n".join(lines) + "\n"


def _header(layout: Wide) -> list[str]:
    """The headline over its categories, and the names of the columns below."""
    names = [_stacked(c.title if c.category == MEAN else c.category) for c in layout.columns]
    if layout.categories == 1:
        return [_line(["", "Model", *names])]
    names[layout.categories - 1] = "mean"
    rest = [""] * (len(layout.columns) - layout.categories)
    over = f"\\multicolumn{{{layout.categories}}}{{c}}{{{escape_latex(layout.columns[0].title)}}}"
    return [
        _line(["", "", over, *rest]),
        f"\\cmidrule(lr){{3-{2 + layout.categories}}}",
        _line(["", "Model", *names]),
    ]


def _stacked(text: str) -> str:
    """A heading of several words in lines, so that it is no wider than its numbers."""
    lines: list[str] = []
    for word in text.split():
        if lines and (len(lines[-1]) + len(word) < _HEADING or (not word.isalpha() and len(word) < 4)):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    told = r" \\ ".join(escape_latex(line) for line in lines)
    return told if len(lines) == 1 else f"\\shortstack[r]{{{told}}}"


def _row(row: WideRow) -> str:
    name = escape_latex(row.name)
    note = f"\\textsuperscript{{{row.note}}}" if row.note else ""
    return _line([escape_latex(row.rank), name + note, *(_cell(cell) for cell in row.cells)])


def _cell(cell: WideCell) -> str:
    text = escape_latex(cell.text)
    text = f"\\textbf{{{text}}}" if cell.best else f"\\underline{{{text}}}" if cell.tied else text
    text += f"\\textsuperscript{{{escape_latex(cell.mark)}}}" if cell.mark else ""
    return f"{text} {{\\tiny {escape_latex(f'[{cell.interval}]')}}}" if cell.interval else text


def _notes(layout: Wide) -> list[str]:
    if not layout.notes:
        return []
    texts = [
        f"\\textsuperscript{{{escape_latex(m)}}}~{escape_latex(t)}" if m else escape_latex(t) for m, t in layout.notes
    ]
    return [r"\smallskip", r"\begin{minipage}{\linewidth}\raggedright\footnotesize", *texts, r"\end{minipage}"]


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
