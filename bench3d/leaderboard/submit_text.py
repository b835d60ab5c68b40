"""The text of a submission's pull request: what was measured, what came out, where, and how to make it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bench3d.leaderboard.markdown import escape_markdown
from bench3d.leaderboard.safety import plain_text
from bench3d.leaderboard.validate import Validation
from bench3d.leaderboard.validate_case import Finding
from bench3d.records import Record, Score, short
from bench3d.runner.respec import command_of

MEAN = "mean"
_CHECKLIST = (
    "I ran these myself; nothing in the files was edited by hand.",
    "The data are the published ones, unchanged (`bench3d data check`).",
    "The model was not trained or tuned on the test data, or the text above says how.",
    "The weights and their licence are named, and others may get them.",
    "I agree that the records are published under the licence of this repository.",
)


def pull_request(records: Sequence[Record], checked: Validation, size: int) -> tuple[str, str]:
    """Title (plain) and text (GitHub-flavoured Markdown, records' texts escaped) of a pull request of `size` bytes."""
    runs = "1 run" if len(records) == 1 else f"{len(records)} runs"
    tasks = sorted({_name(r, "task") for r in records})
    labels = sorted({r.label for r in records})
    what = labels[0] if len(labels) == 1 else f"{labels[0]} and {len(labels) - 1} more"
    title = plain_text(f"Leaderboard: {what} on {', '.join(tasks)}", 200)
    lines = [f"Adds {runs} to the leaderboard, written by `bench3d leaderboard submit`.", ""]
    for record in records:
        lines += _section(record)
    lines += _findings([f for f in checked.findings if f.level != "error"])
    lines += ["## Checklist", "", *(f"- [ ] {sentence}" for sentence in _CHECKLIST), ""]
    lines += [f"The records take {size / 1e6:.2f} MB.", ""]
    return title, "\n".join(lines)


def _section(record: Record) -> list[str]:
    m, origin, cost = record.identity.measurement, record.provenance, record.cost
    components = " + ".join(_name(record, k) for k in ("backbone", "adapter", "shape_model") if m.get(k))
    protocol = f", protocol {_name(record, 'protocol')}" if m.get("protocol") else ""
    facts = [
        (
            "Measured",
            f"{components} on {_name(record, 'task')}{protocol}, {record.samples} samples, seed {m.get('seed')}",
        ),
        ("Ground truth given", ", ".join(record.oracles) or "none"),
        ("Data", ", ".join(f"{name} {short(digest)}" for name, digest in origin.data.items())),
        ("Weights", ", ".join(f"{k} {_shortened(v)}" for k, v in origin.weights.items())),
        ("Fits", ", ".join(f"{f.component}/{f.category or 'all'} {short(f.digest)}" for f in record.fits) or "none"),
        ("Hardware", ", ".join(filter(None, (origin.device, origin.platform)))),
        ("Time", _time(record)),
        ("Parameters", "" if cost.parameters is None else f"{cost.parameters:,}"),
        ("Code", f"bench3d {origin.bench3d}, {origin.commit or 'no commit: installed'}"),
        ("Marks", ", ".join(_marks(record)) or "none"),
        ("Identity", record.identity.hash),
    ]
    lines = [f"## {escape_markdown(record.label)} on {escape_markdown(_name(record, 'task'))}", ""]
    lines += [f"- {name}: {escape_markdown(text)}" for name, text in facts if text]
    lines += [f"- Note: {escape_markdown(note)}" for note in record.notes]
    lines += [
        "",
        *_table(record),
        "",
        "Made again by:",
        "",
        *_code(command_of(record) or record.provenance.command),
        "",
    ]
    return lines


def _table(record: Record) -> list[str]:
    """Metrics of the mean and of every category, with intervals; the headline first."""
    categories = [MEAN, *dict.fromkeys(s.category for s in record.scores if s.category != MEAN)]
    metrics = sorted(dict.fromkeys(s.metric for s in record.scores), key=lambda name: name != record.headline)
    lines = ["| Metric | " + " | ".join(escape_markdown(c) for c in categories) + " |"]
    lines.append("| :--- |" + " ---: |" * len(categories))
    for metric in metrics:
        cells = [_cell(record.score(metric, category)) for category in categories]
        lines.append(f"| {escape_markdown(metric)} | " + " | ".join(cells) + " |")
    if any(s.interval_method == "student-t" for s in record.scores):
        lines += ["", "† Fewer than 30 effective clusters: the interval is Student's t over clusters."]
    return lines


def _cell(score: Score | None) -> str:
    if score is None:
        return ""
    interval = "" if score.interval is None else f" ({score.interval[0]:.4g} to {score.interval[1]:.4g})"
    few = "†" if score.interval_method == "student-t" else ""
    return f"{score.value:.4g} {escape_markdown(score.unit)}{interval}{few}"


def _findings(findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    told = list(dict.fromkeys(f"- {f.level}, {f.check}: {escape_markdown(f.sentence)}" for f in findings))
    return ["## What validation says", "", *told, ""]


def _code(text: str) -> list[str]:
    """A fenced block that its content cannot leave."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, text, fence]


def _marks(record: Record) -> list[str]:
    marks = record.marks
    found = ["synthetic data"] if marks.synthetic_data else []
    found += ["random weights"] if marks.random_weights else []
    return found + ([f"at most {marks.limited} samples per category"] if marks.limited is not None else [])


def _time(record: Record) -> str:
    cost = record.cost
    parts = [(cost.fit_seconds, "fits"), (cost.evaluate_seconds, "evaluation")]
    return ", ".join(f"{seconds:.0f} s of {what}" for seconds, what in parts if seconds is not None)


def _name(record: Record, part: str) -> str:
    value = record.identity.measurement.get(part)
    return str(value.get("name", "")) if isinstance(value, dict) else ""


def _shortened(value: Any) -> str:
    text = str(value)
    return short(text) if re.fullmatch(r"[0-9a-f]{64}", text) else text
