"""Samples of a record against the same samples computed again, value by value.

A value agrees within the tolerance that its task states for it (another batch size, another device); where it states
none, to a millionth. What only describes a sample (its cluster, its bins, weights, chance levels) has to be the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench3d.contracts import MetricSpec

RELATIVE = 1e-6
"""Tolerance of a value that has none of its own, and of weights, relative to it."""
CHANCE_RELATIVE = 1e-4
INCOMPARABLE = 1e9
"""Deviation, in tolerances, of a value that is there only once."""
NOTED = 0.1
"""Deviation of a sample, in tolerances, from which on its direction counts."""
_TINY = 1e-12

Values = Mapping[tuple[str, str], Mapping[str, Any]]
"""(category, id) -> a line of a sidecar."""


@dataclass(frozen=True)
class Deviation:
    """A sample whose values lie beyond tolerance.

    `then` and `now` are the value that lies farthest off, `ratio` by how many tolerances; `beyond` how many values of
    the sample do; `favours` how many of them are better in the record than now, less those that are worse.
    """

    category: str
    id: str
    key: str
    then: float | None
    now: float | None
    ratio: float
    beyond: int
    favours: int


@dataclass(frozen=True)
class Lean:
    """Whether deviations go one way: small ones that all flatter the record would hide within the tolerance.

    A sample counts with the mean of its values' deviations, in tolerances, each cut at one; positive where the record's
    values are the better ones. `mean` is over all samples, `better` and `worse` count those beyond a tenth.
    """

    mean: float
    better: int
    worse: int


@dataclass(frozen=True)
class Agreement:
    """How far two sets of values of the same samples agree.

    Attributes:
        values: that were compared; `beyond` those beyond tolerance.
        largest: deviation, in tolerances.
        deviations: of samples and keys with values beyond tolerance, the largest first.
        described: sentences about samples that are described otherwise: a cluster, a bin, a weight, a chance level.
        by_key: key -> (values, beyond, largest deviation in the value's own unit).
        leans: key -> how much better the record's values are, within tolerance and beyond.
    """

    values: int = 0
    beyond: int = 0
    largest: float = 0.0
    deviations: Sequence[Deviation] = ()
    described: Sequence[str] = ()
    by_key: Mapping[str, tuple[int, int, float]] = field(default_factory=dict)
    leans: Mapping[str, Lean] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of the values, those that agree, in [0, 1]."""
        return 1.0 if self.values == 0 else 1.0 - self.beyond / self.values


def compare_samples(metrics: Sequence[MetricSpec], then: Values, now: Values) -> Agreement:
    """Compares the samples of `now` with those of the same names in `then`. KeyError where `then` lacks one."""
    keys = _keys(metrics)
    deviations: list[Deviation] = []
    described: list[str] = []
    counts = {key: [0, 0, 0.0] for key in keys}
    leaning: dict[str, list[float]] = {key: [] for key in keys}
    largest = 0.0
    for name, here in now.items():
        there = then[name]
        described += [f"{name[0]}/{name[1]}: {what}" for what in _described(metrics, there, here)]
        for key, (tolerance, sign) in keys.items():
            a, b = _numbers(there, key), _numbers(here, key)
            if a is None and b is None:
                continue
            ratios, apart = _ratios(a, b, tolerance, RELATIVE)
            found = counts[key]
            found[0] += int(np.sum(~np.isnan(ratios)))
            found[1] += int(np.sum(ratios > 1))
            found[2] = max(found[2], apart)
            largest = max(largest, float(np.nanmax(ratios, initial=0.0)))
            leaning[key].append(_leaning(a, b, ratios, sign))
            if (ratios > 1).any():
                deviations.append(_deviation(name, key, a, b, ratios, sign))
    return Agreement(
        values=sum(int(c[0]) for c in counts.values()),
        beyond=sum(int(c[1]) for c in counts.values()),
        largest=largest,
        deviations=sorted(deviations, key=lambda d: (-d.ratio, d.category, d.id, d.key)),
        described=described,
        by_key={key: (int(c[0]), int(c[1]), float(c[2])) for key, c in counts.items()},
        leans={key: _lean(np.array(mine)) for key, mine in leaning.items() if mine},
    )


def _leaning(a: np.ndarray | None, b: np.ndarray | None, ratios: np.ndarray, sign: int) -> float:
    """Of one sample, see `Lean`."""
    known = ratios < INCOMPARABLE  # False for NaN
    if a is None or b is None or a.shape != b.shape or not known.any():
        return 0.0
    return float(np.mean(np.minimum(ratios[known], 1.0) * np.sign(a[known] - b[known]) * sign))


def _lean(leaning: np.ndarray) -> Lean:
    return Lean(float(leaning.mean()), int(np.sum(leaning > NOTED)), int(np.sum(leaning < -NOTED)))


def _keys(metrics: Sequence[MetricSpec]) -> dict[str, tuple[float | None, int]]:
    """Key of a value -> its strictest tolerance, and +1 where larger is better, -1 where smaller is."""
    found: dict[str, tuple[float | None, int]] = {}
    for metric in metrics:
        fraction = metric.reduce.startswith("fraction")  # of small values
        sign = 1 if metric.higher_is_better != fraction else -1
        stated = [t for t in (found.get(metric.value, (None, 0))[0], metric.tolerance) if t is not None]
        found[metric.value] = (min(stated, default=None), sign)
    return found


def _described(metrics: Sequence[MetricSpec], then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What of a sample's description is not the same."""
    for name, pick in (("cluster", "cluster"), ("bins", "groups")):
        if (then.get(pick) or None) != (now.get(pick) or None):
            yield f"another {name}" if name == "cluster" else f"other {name}"
        parts = [v.get("parts") or {} for v in (then, now)]
        if (parts[0].get(pick) or None) != (parts[1].get(pick) or None):
            yield f"other {name}{'s' if name == 'cluster' else ''} of its parts"
    exact = {m.weight: RELATIVE for m in metrics if m.weight is not None}
    exact |= {key: CHANCE_RELATIVE for m in metrics for key in (m.chance or {}).values()}
    for key, relative in exact.items():
        a, b = _numbers(then, key), _numbers(now, key)
        if (a is not None or b is not None) and (_ratios(a, b, None, relative)[0] > 1).any():
            yield f"another {key}"


def _numbers(value: Mapping[str, Any], key: str) -> np.ndarray | None:
    """A column of the parts, or the sample's own number as a column of one; NaN where there is none.

    A column that holds anything but numbers counts as not there.
    """
    column = (value.get("parts") or {}).get(key)
    if column is None:
        number = value.get(key)
        if number is None:
            return None
        column = [number]
    try:
        return np.array([np.nan if v is None else v for v in column], dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _ratios(
    a: np.ndarray | None, b: np.ndarray | None, tolerance: float | None, relative: float
) -> tuple[np.ndarray, float]:
    """Deviations in tolerances (N,), NaN where neither has a value, and the largest in the values' unit."""
    if a is None or b is None or a.shape != b.shape:
        longest = max(0 if a is None else len(a), 0 if b is None else len(b), 1)
        return np.full(longest, INCOMPARABLE), 0.0
    if tolerance is None:
        allowed = relative * np.maximum(np.abs(a), np.abs(b)) + _TINY
    else:
        allowed = np.full(len(a), max(tolerance, _TINY))
    apart = np.abs(a - b)
    ratios = np.minimum(apart / allowed, INCOMPARABLE)
    ratios = np.where(np.isnan(a) != np.isnan(b), INCOMPARABLE, ratios)
    return ratios, float(np.nanmax(apart)) if np.isfinite(apart).any() else 0.0


def _deviation(
    name: tuple[str, str], key: str, a: np.ndarray | None, b: np.ndarray | None, ratios: np.ndarray, sign: int
) -> Deviation:
    worst, favours = int(np.nanargmax(ratios)), 0
    if a is not None and b is not None and a.shape == b.shape:
        better = np.nan_to_num(np.sign(a - b)) * sign
        favours = int(better[ratios > 1].sum())

    def at(column: np.ndarray | None) -> float | None:
        known = column is not None and worst < len(column) and not np.isnan(column[worst])
        return float(column[worst]) if column is not None and known else None

    beyond = int(np.sum(ratios > 1))
    return Deviation(name[0], name[1], key, at(a), at(b), float(ratios[worst]), beyond, favours)
