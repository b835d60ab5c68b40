"""What the page of a run shows: everything in its record, condensed. The whole record is in the table's download."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench3d.errors import Bench3DError
from bench3d.leaderboard.board import MEAN, Row, Table
from bench3d.leaderboard.page.words import (
    NOTHING,
    Shown,
    bytes_text,
    count_text,
    estimate,
    metric_text,
    seconds_text,
    time_text,
    unit_text,
)
from bench3d.records import Record

MOST_SETTINGS = 300
LONGEST = 240
_DIGEST = re.compile(r"[0-9a-f]{40,}")
Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Grid:
    """Numbers with a head for each row and column; `body` goes row by row."""

    title: str
    columns: Sequence[str]
    body: Sequence[tuple[str, Sequence[Shown]]]


def run_context(table: Table, row: Row, brief: bool = False) -> dict[str, Any]:
    """The context of the template.

    Args:
        brief: groups of the headline alone.
    """
    record = row.entry.record
    return {
        "table": table,
        "row": row,
        "record": record,
        "headline": row.cell(table.headline),
        "scores": _scores(record, table, row),
        "chance": _chance(record),
        "groups": list(_groups(record, brief)),
        "settings": _sections(record.identity.measurement),
        "cost": _cost(record),
        "provenance": _provenance(record),
        "fits": [(f.component, f.category or "all", f.recipe[:12], f.digest[:12], seconds_text(f.seconds)) for f in record.fits],
        "choices": [_choice(choice) for choice in record.choices],
        "command": _command(record),
    }  # fmt: skip


def _scores(record: Record, table: Table, row: Row) -> Grid:
    """Categories x metrics; best and tied as in the table."""
    metrics = list(dict.fromkeys(score.metric for score in record.scores))
    cells: dict[tuple[str, str], Shown] = {}
    units: dict[str, str] = {}
    for s in record.scores:
        cell = row.cell(s.metric, s.category)
        state = "best" if cell and cell.best else "tied" if cell and cell.tied else ""
        cells[s.category, s.metric] = estimate(s.value, s.unit, s.interval, s.interval_method, state, s.n)
        units[s.metric] = s.unit
    found = dict.fromkeys(score.category for score in record.scores)
    ordered = [*(c for c in found if c == MEAN), *(c for c in found if c != MEAN)]
    body = [(category, [cells.get((category, metric), NOTHING) for metric in metrics]) for category in ordered]
    return Grid("", [_head(metric, units[metric]) for metric in metrics], body)


def _chance(record: Record) -> list[Grid]:
    """Per name of a chance level: categories x metrics, with the interval of score minus chance."""
    found = []
    for name in dict.fromkeys(level.name for level in record.chance):
        mine = [level for level in record.chance if level.name == name]
        units = {level.metric: level.unit for level in mine}
        cells = {
            (level.category, level.metric): estimate(level.value, level.unit, level.margin, n=level.n) for level in mine
        }
        categories = dict.fromkeys(level.category for level in mine)
        ordered = [*(c for c in categories if c == MEAN), *(c for c in categories if c != MEAN)]
        body = [(category, [cells.get((category, metric), NOTHING) for metric in units]) for category in ordered]
        found.append(Grid(name.replace("_", " "), [_head(metric, unit) for metric, unit in units.items()], body))
    return found


def _groups(record: Record, brief: bool) -> Iterator[Grid]:
    """Per grouping and metric: bins x categories."""
    there = list(dict.fromkeys(group.metric for group in record.groups))
    metrics = there
    if brief and there:
        metrics = [record.headline if record.headline in there else there[0]]
    for by in dict.fromkeys(group.by for group in record.groups):
        for metric in metrics:
            mine = [group for group in record.groups if group.by == by and group.metric == metric]
            if not mine:
                continue
            categories = list(dict.fromkeys(group.category for group in mine))
            cells = {
                (g.bin, g.category): estimate(g.value, g.unit, None if brief else g.interval, g.interval_method, n=g.n)
                for g in mine
            }
            bins = sorted({group.bin for group in mine})
            body = [(name, [cells.get((name, category), NOTHING) for category in categories]) for name in bins]
            yield Grid(f"{_head(metric, mine[0].unit)} by {by}", categories, body)


def _head(metric: str, unit: str) -> str:
    return metric_text(metric) + (f" ({unit_text(unit)})" if unit else "")


def _sections(measurement: Mapping[str, Any]) -> list[tuple[str, Pairs]]:
    """The measurement, a part per component; what is no component comes first."""
    plain: Pairs = []
    parts: list[tuple[str, Pairs]] = []
    left = MOST_SETTINGS
    for key, value in measurement.items():
        pairs = list(_flat(value, ""))[:left]
        left -= len(pairs)
        if isinstance(value, Mapping) and value:
            name = value.get("name")
            head = f"{key}: {name}" if isinstance(name, str) else str(key)
            parts.append((_cut(head.replace("_", " ", 1)), [p for p in pairs if p[0] != "name"]))
        else:
            plain += [(_cut(str(key)), text) for _, text in pairs]
    return [("measurement", plain), *parts]


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Leaves with the keys that lead to them; `settings.` is left out."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            below = key if name == "settings" and isinstance(inner, Mapping) else f"{key}.{name}" if key else str(name)
            yield from _flat(inner, below)
    elif value not in ({}, None) or not key:
        yield _cut(key), _text(value)
    else:
        yield _cut(key), "none"


def _text(value: Any) -> str:
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return _cut(", ".join(_text(v) if not isinstance(v, list) else f"[{_text(v)}]" for v in value[:60]))
    return _cut(str(value))


def _cut(text: str) -> str:
    """Digests as their first 12 digits; any text at most `LONGEST` long."""
    if _DIGEST.fullmatch(text):
        return text[:12]
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _cost(record: Record) -> Pairs:
    cost = record.cost
    fitted = sorted(set(cost.fitted_parameters.values()))
    parts = ", ".join(f"{name} {seconds_text(value)}" for name, value in cost.seconds_per_image.items())
    pairs = [
        ("parameters of the backbone", count_text(cost.parameters)),
        ("fitted parameters", " to ".join(dict.fromkeys(count_text(n) for n in (fitted[0], fitted[-1]))) if fitted else ""),
        ("time of the fits", seconds_text(cost.fit_seconds)),
        ("time of the evaluation", seconds_text(cost.evaluate_seconds)),
        ("time per image", parts),
        ("most memory, process", bytes_text(cost.peak_memory_bytes)),
        ("most memory, device", bytes_text(cost.peak_device_bytes)),
        ("batch", count_text(cost.batch)),
    ]  # fmt: skip
    return [pair for pair in pairs if pair[1]]


def _provenance(record: Record) -> Pairs:
    made = record.provenance
    weights = list(_flat(made.weights, ""))[:40] if made.weights else []
    pairs = [
        ("started", time_text(made.time)),
        ("bench3d", made.bench3d + (f" at {_commit(made.commit)}" if made.commit else "")),
        ("device", made.device),
        ("platform", f"{made.platform}, Python {made.python}".removeprefix(", ")),
        ("threads", str(made.threads or "")),
        ("libraries", ", ".join(f"{name} {version}" for name, version in made.libraries.items())),
        ("preset", made.preset or ""),
        ("seed", str(made.seed)),
        *((f"weights {key}".strip(), text) for key, text in weights),
        ("data", ", ".join(f"{name} {_cut(print_)}" for name, print_ in made.data.items())),
        ("samples", f"{record.samples}" + (f", file {record.samples_sha256[:12]}" if record.samples_sha256 else "")),
    ]
    return [pair for pair in pairs if pair[1]]


def _commit(commit: str) -> str:
    name, dash, rest = commit.partition("-")
    return name[:12] + dash + rest


def _choice(choice: Any) -> dict[str, Any]:
    scores = ", ".join(f"{candidate}: {value:.4g}" for candidate, value in choice.scores[:20])
    return {"setting": choice.setting, "chosen": choice.chosen, "metric": choice.metric, "scores": scores}


def _command(record: Record) -> str:
    """The command that makes the run again; the one that was typed where none can be made of the measurement."""
    try:
        from bench3d.runner.respec import command_of

        return command_of(record)
    except (ImportError, Bench3DError, LookupError, TypeError, ValueError):
        return record.provenance.command
