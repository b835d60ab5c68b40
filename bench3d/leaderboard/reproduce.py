"""A published table beside what was measured, cell by cell, with tolerances and the known reasons for a difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench3d.leaderboard.entries import Entry
from bench3d.leaderboard.measured import Measured, measure
from bench3d.leaderboard.targets import LoadedTarget, PublishedCell
from bench3d.leaderboard.wanted import Selection, select

Verdict = Literal["within", "outside", "not measured", "cannot be compared"]


@dataclass(frozen=True)
class Compared:
    """One cell.

    Attributes:
        measured: None where no record counts for it.
        wanted: how many models the printed number is the mean of.
        allowed: how far the measured value may lie off, None where nothing can be measured.
        apart: what runs on synthetic data, with random weights or a limit show; never compared.
    """

    cell: PublishedCell
    measured: Measured | None
    wanted: int
    allowed: float | None
    verdict: Verdict
    apart: Measured | None = None

    @property
    def difference(self) -> float | None:
        """Measured minus published, in the unit of the metric."""
        return None if self.measured is None else self.measured.value - self.cell.value


@dataclass(frozen=True)
class Comparison:
    """A target with its cells compared.

    Attributes:
        left_out: why records of the target's components do not count -> how many.
    """

    loaded: LoadedTarget
    cells: tuple[Compared, ...]
    left_out: Mapping[str, int]

    @property
    def digits(self) -> int:
        """Digits after the point, as the paper prints them."""
        return (
            2 if any(abs(v.value * 10 - round(v.value * 10)) > 1e-6 for c in self.cells for v in c.cell.values) else 1
        )

    def count(self, *verdicts: Verdict) -> int:
        """How many printed cells have one of these verdicts as their best."""
        return sum(self.best(number) in verdicts for number in self.numbers())

    def numbers(self) -> tuple[int, ...]:
        """The printed cells that can be measured at all."""
        return tuple(dict.fromkeys(c.cell.number for c in self.cells if not c.cell.block.cannot))

    def best(self, number: int) -> Verdict:
        """The verdict of a printed cell: where its protocol is open, one kind of runs within tolerance is enough."""
        found = {c.verdict for c in self.cells if c.cell.number == number}
        order: tuple[Verdict, ...] = ("within", "outside", "not measured", "cannot be compared")
        return next(v for v in order if v in found)


def compare_target(loaded: LoadedTarget, entries: Sequence[Entry]) -> Comparison:
    """Sets the entries beside a target's printed numbers."""
    selection = select(loaded.target, entries)
    cells = tuple(_compared(cell, selection) for cell in loaded.cells)
    return Comparison(loaded, cells, dict(selection.left_out))


def _compared(cell: PublishedCell, selection: Selection) -> Compared:
    one, key = cell.one, (cell.place, cell.one.task)
    if cell.tolerance is None:
        return Compared(cell, None, 0, None, "cannot be compared")
    asked = (one.metric, one.category, cell.categories)
    apart = measure(selection.apart.get(key, ()), *asked, from_record=True)
    measured = measure(selection.counted.get(key, ()), *asked, from_record=cell.block.mean == "record")
    wanted = len(selection.models.get(key, ()))
    allowed = cell.tolerance.value
    if measured is None:
        return Compared(cell, None, wanted, allowed, "not measured", apart)
    if cell.tolerance.interval and measured.interval is not None:
        allowed += min(allowed, (measured.interval[1] - measured.interval[0]) / 2)
    off = abs(measured.value - cell.value)
    return Compared(cell, measured, wanted, allowed, "within" if off <= allowed + 1e-9 else "outside", apart)


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON."""
    loaded = comparison.loaded
    return {
        "target": loaded.name,
        "title": loaded.target.title,
        "source": loaded.short,
        "where": loaded.target.where,
        "citation": loaded.citation,
        "unavailable": loaded.target.unavailable or None,
        "coverage": {
            "printed": len({c.cell.number for c in comparison.cells}),
            "comparable": len(comparison.numbers()),
            "measured": comparison.count("within", "outside"),
            "within": comparison.count("within"),
        },
        "cells": [cell_values(c) for c in comparison.cells],
        "reasons": list(loaded.target.reasons),
        "left_out": dict(comparison.left_out),
    }


def cell_values(compared: Compared) -> dict[str, Any]:
    """A compared cell as JSON."""
    cell, one = compared.cell, compared.cell.one
    return {
        "method": cell.method,
        "setting": one.setting,
        "compared_as": cell.block.label,
        "task": one.task,
        "metric": one.metric,
        "category": one.category,
        "unit": one.unit,
        "published": cell.value,
        "read_off": one.read_off,
        "measured": measured_values(compared.measured),
        "models_wanted": compared.wanted,
        "difference": compared.difference,
        "tolerance": compared.allowed,
        "tolerance_because": cell.tolerance.because if cell.tolerance else None,
        "verdict": compared.verdict,
        "cannot": cell.block.cannot or None,
        "not_comparable": measured_values(compared.apart),
    }


def measured_values(measured: Measured | None) -> dict[str, Any] | None:
    """A measured number as JSON."""
    return None if measured is None else vars(measured)
