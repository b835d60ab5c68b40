"""A comparison as CSV and as Markdown."""

from __future__ import annotations

import csv
import io

from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.markdown import escape_markdown
from bench3d.leaderboard.measured import Measured
from bench3d.leaderboard.reproduce import Compared, Comparison
from bench3d.leaderboard.targets import PublishedCell

CSV_COLUMNS = (
    "target", "source", "where", "method", "setting", "compared_as", "task", "metric", "category", "unit", "published",
    "read_off", "measured", "low", "high", "spread", "models", "models_wanted", "difference", "tolerance", "verdict",
    "runs",
)  # fmt: skip


def comparison_csv(comparison: Comparison) -> str:
    """A line per cell; empty where nothing was measured. Numbers are whole, nothing is rounded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    loaded = comparison.loaded
    for c in comparison.cells:
        one, m = c.cell.one, c.measured
        low, high = m.interval if m is not None and m.interval is not None else (None, None)
        measured = (None,) * 5 if m is None else (m.value, low, high, m.spread, m.models)
        writer.writerow(
            [
                loaded.name, loaded.short, loaded.target.where, c.cell.method, one.setting, c.cell.block.label,
                one.task, one.metric, one.category, one.unit, c.cell.value, "yes" if one.read_off else "no", *measured,
                c.wanted, c.difference, c.allowed, c.verdict, "" if m is None else " ".join(m.runs),
            ]
        )  # fmt: skip
    return out.getvalue()


def comparison_markdown(comparison: Comparison) -> str:
    """A heading, the table, what cannot be compared, and the known reasons."""
    loaded = comparison.loaded
    lines = [
        f"# {escape_markdown(loaded.name)}: {escape_markdown(loaded.target.title)}",
        "",
        escape_markdown(f"{loaded.target.where}. {loaded.citation}".removeprefix(". ")),
        "",
    ]
    if loaded.target.unavailable:
        return "\n".join([*lines, escape_markdown(loaded.target.unavailable), ""])
    lines += [
        f"{escape_markdown(coverage(comparison))} 95 % intervals in brackets; a dash is a cell that was not measured.",
        "",
        "| Row | Metric | Category | Measured | Models | Published | Difference | Tolerance | Verdict |",
        "| :--- | :--- | :--- | ---: | ---: | ---: | ---: | ---: | :--- |",
    ]
    lines += [_line(c, comparison.digits) for c in comparison.cells if not c.cell.block.cannot]
    cannot: dict[str, list[str]] = {}
    for c in comparison.cells:
        if c.cell.block.cannot:
            cannot.setdefault(c.cell.block.cannot, []).append(f"{c.cell.method} ({c.cell.one.task})")
    for heading, items in (
        ("Cannot be compared here", [f"{', '.join(dict.fromkeys(who))}: {why}." for why, who in cannot.items()]),
        ("Known reasons for a difference", loaded.target.reasons),
    ):
        if items:
            lines += ["", f"## {heading}", "", *(f"- {escape_markdown(item)}" for item in items)]
    return "\n".join(lines) + "\n"


def coverage(comparison: Comparison) -> str:
    """3 of 8 cells are measured: 2 within tolerance, 1 outside."""
    total, measured = len(comparison.numbers()), comparison.count("within", "outside")
    text = f"{measured} of {total} cell{'' if total == 1 else 's'} {'is' if measured == 1 else 'are'} measured"
    if measured:
        text += f": {comparison.count('within')} within tolerance, {comparison.count('outside')} outside"
    return f"{text}."


def published_text(cell: PublishedCell) -> str:
    """22.6, 36.84, 33.0; what is read off to a tenth."""
    return f"{cell.value:.1f}" if cell.one.read_off else f"{cell.value:.2f}".removesuffix("0")


def measured_text(measured: Measured | None, digits: int) -> str:
    """72.0 [70.1, 74.2], or a dash."""
    if measured is None:
        return "-"
    text = f"{measured.value:.{digits}f}"
    if measured.interval is None:
        return text
    low, high = measured.interval
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def _line(c: Compared, digits: int) -> str:
    one, m = c.cell.one, c.measured
    row = f"{c.cell.method}, {c.cell.block.label}" if c.cell.block.label else c.cell.method
    texts = (row, f"{one.task} {one.metric} {one.unit}", "mean" if one.category == MEAN else one.category)
    cells = [*map(escape_markdown, texts), measured_text(m, digits)]
    cells += [f"{0 if m is None else m.models}/{c.wanted}"]
    cells += [f"{'about ' if one.read_off else ''}{published_text(c.cell)}"]
    cells += ["" if c.difference is None else f"{c.difference:+.{digits}f}", f"{c.allowed:.{digits}f}", c.verdict]
    return f"| {' | '.join(cells)} |"
