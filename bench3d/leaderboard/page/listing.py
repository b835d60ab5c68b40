"""A record as lists of names and values: its measurement, cost and provenance, and what a table's runs share."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from bench3d.leaderboard.page.words import bytes_text, count_text, seconds_text, time_text
from bench3d.records import Choice, Fit, Record

MOST_SETTINGS = 300
LONGEST = 240
MEASUREMENT, COST, PROVENANCE = "measurement", "cost", "provenance"
_DIGEST = re.compile(r"[0-9a-f]{40,}")
Pairs = list[tuple[str, str]]
Sections = dict[str, Pairs]


def sections(record: Record) -> Sections:
    """Everything about a run that is no score, by headings: the measurement and its components, cost, provenance."""
    found = _measured(record.identity.measurement)
    extra = {COST: _cost(record), PROVENANCE: _provenance(record)}
    extra["fits"] = [_fit(fit) for fit in record.fits]
    extra["chosen on validation data"] = [_choice(choice) for choice in record.choices]
    for head, pairs in extra.items():
        found.setdefault(head, []).extend(pairs)
    return {head: pairs for head, pairs in found.items() if pairs}


def shared(of_runs: Sequence[Sections]) -> Sections:
    """What all runs that have a heading say alike under it; nothing for a single run."""
    common: dict[str, dict[tuple[str, str], None]] = {}
    for one in of_runs:
        for head, pairs in one.items():
            there = set(pairs)
            common[head] = {p: None for p in common.get(head, pairs) if p in there}
    return {head: list(pairs) for head, pairs in common.items() if pairs} if len(of_runs) > 1 else {}


def split(one: Sections, common: Mapping[str, Collection[tuple[str, str]]]) -> tuple[Sections, int]:
    """A run's own part, and how many values are left out because all share them."""
    own = {head: [p for p in pairs if p not in common.get(head, ())] for head, pairs in one.items()}
    left_out = sum(map(len, one.values())) - sum(map(len, own.values()))
    return {head: pairs for head, pairs in own.items() if pairs}, left_out


def _measured(measurement: Mapping[str, Any]) -> Sections:
    plain: Pairs = []
    parts: Sections = {}
    left = MOST_SETTINGS
    for key, value in measurement.items():
        pairs = list(_flat(value, ""))[:left]
        left -= len(pairs)
        if isinstance(value, Mapping) and value:
            name = value.get("name")
            head = f"{key}: {name}" if isinstance(name, str) else str(key)
            parts.setdefault(_cut(head.replace("_", " ", 1)), []).extend(p for p in pairs if p[0] != "name")
        else:
            plain += [(_cut(str(key)), text) for _, text in pairs]
    return {MEASUREMENT: plain, **parts}


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Leaves with the keys that lead to them; `settings.` is left out."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            if name == "settings" and isinstance(inner, Mapping):
                yield from _flat(inner, key) if inner else ()
            else:
                yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield _cut(key), _text(value)


def _text(value: Any) -> str:
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return _cut(", ".join(f"[{_text(v)}]" if isinstance(v, list) else _text(v) for v in value[:60]))
    return _cut(str(value))


def _cut(text: str) -> str:
    """Digests as their first 12 digits; any text at most `LONGEST` long."""
    if _DIGEST.fullmatch(text):
        return text[:12]
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _cost(record: Record) -> Pairs:
    cost = record.cost
    fitted = sorted(set(cost.fitted_parameters.values()))
    ends = dict.fromkeys(count_text(n) for n in (fitted[0], fitted[-1])) if fitted else ()
    pairs = [
        ("parameters of the backbone", count_text(cost.parameters)),
        ("fitted parameters", " to ".join(ends)),
        ("time of the fits", seconds_text(cost.fit_seconds)),
        ("time of the evaluation", seconds_text(cost.evaluate_seconds)),
        ("time per image", ", ".join(f"{n} {seconds_text(v)}" for n, v in cost.seconds_per_image.items())),
        ("most memory, process", bytes_text(cost.peak_memory_bytes)),
        ("most memory, device", bytes_text(cost.peak_device_bytes)),
        ("batch", count_text(cost.batch)),
    ]
    return [pair for pair in pairs if pair[1]]


def _provenance(record: Record) -> Pairs:
    made = record.provenance
    commit, dash, rest = (made.commit or "").partition("-")
    pairs = [
        ("started", time_text(made.time)),
        ("bench3d", made.bench3d),
        ("commit", commit[:12] + dash + rest),
        ("device", made.device),
        ("platform", made.platform),
        ("python", made.python),
        ("threads", str(made.threads or "")),
        ("libraries", ", ".join(f"{name} {version}" for name, version in made.libraries.items())),
        ("preset", made.preset or ""),
        ("seed", str(made.seed)),
        *((f"weights {key}".strip(), text) for key, text in list(_flat(made.weights, ""))[:40] if made.weights),
        ("data", ", ".join(f"{name} {_cut(digest)}" for name, digest in made.data.items())),
        ("samples", str(record.samples)),
        ("sidecar", (record.samples_sha256 or "")[:12]),
    ]
    return [pair for pair in pairs if pair[1]]


def _fit(fit: Fit) -> tuple[str, str]:
    name = fit.component + (f", {fit.category}" if fit.category else "")
    seconds = f", {seconds_text(fit.seconds)}" if fit.seconds is not None else ""
    return _cut(name), f"recipe {fit.recipe[:12]}, artifact {fit.digest[:12]}{seconds}"


def _choice(choice: Choice) -> tuple[str, str]:
    scores = ", ".join(f"{candidate}: {value:.4g}" for candidate, value in choice.scores[:20])
    return _cut(choice.setting), _cut(f"{choice.chosen}, by {choice.metric} ({scores})")
