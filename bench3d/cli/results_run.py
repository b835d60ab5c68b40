"""One run whole: scores, chance, groups as charts, cost, what was measured, where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from bench3d.cli.output import duration
from bench3d.cli.results_table import age_of
from bench3d.cli.views import footer, group_tables, number, print_heading, record_table
from bench3d.leaderboard.badges import badge_of
from bench3d.leaderboard.rows import ANGLES, row_of
from bench3d.leaderboard.runs import Run
from bench3d.records import Record, short

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.leaderboard.entries import Entry

BAR, NO_BAR = "━", "╌"
BAR_WIDTH = 40


def run_values(entry: Entry) -> dict[str, Any]:
    """The record as it is written, and what is known of it beside it."""
    badge, reason = badge_of(entry.path.parent, entry.record)
    return {"path": str(entry.path), "badge": badge, "badge_reason": reason, "record": entry.record.as_json()}


def print_run(entry: Entry, out: Console) -> None:
    """Everything that a run left, for people."""
    record = entry.record
    print_heading(record, out)
    if record.scores:
        out.print()
        out.print(record_table(record, out.width))
    _print_groups(entry, out)
    out.print()
    for line in footer(record):
        out.print(line)
    _section("Measured", _measured(record), out)
    _section("Came from", _origin(entry), out)
    if record.provenance.command:
        out.print(Text("\nCommand", style="bold"))
        out.print(Text(record.provenance.command, style="cyan"), soft_wrap=True)
    out.print(Text(f"\nRecord: {entry.path}"), soft_wrap=True)
    for name in record.pictures:
        out.print(Text(f"Picture: {entry.path.parent / name}"), soft_wrap=True)


def _print_groups(entry: Entry, out: Console) -> None:
    """The headline against the view angle as bars, and by the other groupings as small tables."""
    record = entry.record
    curve = row_of(Run(entry), 1, "").curve.get(record.headline, ())
    drawn = next((a for a in ANGLES if any(g.by == a for g in record.groups)), None) if len(curve) > 1 else None
    score = record.score(record.headline) or next((s for s in record.scores if s.metric == record.headline), None)
    if drawn is not None and score is not None:
        out.print(Text(f"\n{record.headline} by {drawn} [degrees]", style="bold"))
        out.print(_bars(curve, score.unit, out.width))
    others = record.model_copy(update={"groups": [g for g in record.groups if g.by != drawn]})
    tables = group_tables(others, out.width)
    if tables:
        out.print()
    for table in tables:
        out.print(table)


def _bars(curve: Any, unit: str, width: int) -> Table:
    """A bar per bin: of a hundred for percents, else of the largest value."""
    top = 100.0 if unit == "%" else max((value for _, value, *_ in curve), default=0.0) or 1.0
    longest = max(10, min(BAR_WIDTH, width - 40))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="dim", justify="right", no_wrap=True)
    for name, value, low, high, n in curve:
        length = round(longest * min(max(value / top, 0.0), 1.0))
        bar = Text(BAR * length, style="cyan").append(NO_BAR * (longest - length), "dim")
        interval = "" if low is None else f"[{number(low, unit)}, {number(high, unit)}]"
        table.add_row(Text(name), bar, number(value, unit), interval, f"n {n:,}")
    return table


def _section(title: str, lines: Mapping[str, str], out: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines.items():
        if value:
            table.add_row(Text(name), Text(value))
    if table.row_count:
        out.print(Text(f"\n{title}", style="bold"))
        out.print(table)


def _measured(record: Record) -> dict[str, str]:
    """The parts of the measurement, a line each: name, version and settings."""
    lines = {"identity": record.identity.hash}
    for key, value in record.identity.measurement.items():
        if key != "schema":
            lines[key.replace("_", " ")] = _words(value)
    return lines


def _words(value: Any) -> str:
    """A part of a measurement in words: `hog 1: grid 32, colour no`."""
    if isinstance(value, Mapping):
        rest = dict(value)
        name = str(rest.pop("name", ""))
        version = rest.pop("result_version", rest.pop("version", None))
        settings = rest.pop("settings", {})
        parts = [f"{k} {_word(v)}" for k, v in {**rest, **(settings if isinstance(settings, Mapping) else {})}.items()]
        title = f"{name} (version {version})" if version is not None else name
        return ": ".join(part for part in (title, ", ".join(parts)) if part)
    return _word(value)


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{k} {_word(v)}" for k, v in value.items()) + ")" if value else "none"
    if isinstance(value, list):
        return ", ".join(_word(v) for v in value) if len(value) < 9 else f"{len(value)} values"
    if isinstance(value, str) and len(value) == 64 and all(c in "0123456789abcdef" for c in value):
        return short(value)
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _origin(entry: Entry) -> dict[str, str]:
    record = entry.record
    origin = record.provenance
    versions = [f"bench3d {origin.bench3d}", f"Python {origin.python}"]
    versions += [f"{name} {version}" for name, version in origin.libraries.items()]
    threads = [f"{origin.threads} thread{'' if origin.threads == 1 else 's'}"] if origin.threads else []
    badge, reason = badge_of(entry.path.parent, record)
    samples = f"{record.samples:,}" + ("" if entry.sidecar is not None else " (their values are missing)")
    fits = [
        f"{f.component} of {f.category or 'all'}: recipe {short(f.recipe)}, content {short(f.digest)}"
        + (f", {duration(f.seconds)}" if f.seconds is not None else "")
        for f in record.fits
    ]
    return {
        "started": f"{origin.time} ({age_of(entry)} ago)",
        "commit": origin.commit or "not recorded",
        "versions": ", ".join(versions),
        "device": ", ".join(part for part in (origin.device, origin.platform, *threads) if part),
        "preset": origin.preset or "",
        "weights": _word(origin.weights) if origin.weights else "",
        "fits": "\n".join(fits),
        "samples": samples,
        "checked": f"{badge}{f': {reason}' if reason else ''}",
    }
