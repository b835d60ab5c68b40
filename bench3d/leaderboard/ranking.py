"""The rows of one table in their order, with rank intervals, tie groups and marks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench3d.contracts import MetricSpec
from bench3d.leaderboard.board import MEAN, Row
from bench3d.leaderboard.grouping import family_key, variants
from bench3d.leaderboard.judge import Verdict, best_and_tied, judged
from bench3d.leaderboard.rows import row_of
from bench3d.leaderboard.runs import Run


def ranked_rows(runs: Sequence[Run], specs: Mapping[str, MetricSpec]) -> tuple[list[Row], int]:
    """The rows of a table, best first, and how many pairs were tested."""
    total = len({s.category for r in runs for s in r.entry.record.scores} - {MEAN})
    named = _variants(runs)
    rows = [row_of(run, total, named[i]) for i, run in enumerate(runs)]
    ranked = [i for i, run in enumerate(runs) if not run.unranked]
    headline = runs[0].entry.record.headline
    order = ranked
    comparisons = 0
    if ranked and headline in specs:
        verdict = judged(specs[headline], [runs[i].rows[headline] for i in ranked])
        comparisons = verdict.comparisons
        order = sorted((ranked[k] for k in verdict.order), key=lambda i: -rows[i].coverage[0])  # stable
        for k, i in enumerate(ranked):
            low, high = (int(v) for v in verdict.ranks[k])
            rows[i] = replace(rows[i], rank=(low, high), groups=verdict.letters[k])
        _mark(rows, ranked, runs, specs, headline, verdict)
    rest = sorted(set(range(len(runs))) - set(order), key=lambda i: _worth(rows[i], headline, specs))
    return [rows[i] for i in [*order, *rest]], comparisons


def _worth(row: Row, headline: str, specs: Mapping[str, MetricSpec]) -> float:
    cell = row.cell(headline)
    if cell is None:
        return math.inf
    return -cell.value if headline not in specs or specs[headline].higher_is_better else cell.value


def _mark(
    rows: list[Row],
    ranked: Sequence[int],
    runs: Sequence[Run],
    specs: Mapping[str, MetricSpec],
    headline: str,
    verdict: Verdict,
) -> None:
    """Marks the best and the ties: of the headline in every category and over all, of other metrics over all."""
    widest = max(rows[i].coverage[0] for i in ranked)
    for name, spec in specs.items():
        members = [i for i in ranked if name in runs[i].rows]
        if not members:
            continue
        columns = sorted({c for i in members for c in rows[i].cells.get(name, {})}) if name == headline else [MEAN]
        for column in columns:
            if name == headline and column == MEAN:
                found = verdict
            else:
                found = judged(
                    spec, [runs[i].rows[name] for i in members], None if column == MEAN else column, letters=False
                )
            values = {}
            for k, i in enumerate(members):
                cell = rows[i].cell(name, column)
                if cell is not None and (column != MEAN or rows[i].coverage[0] == widest):
                    values[k] = cell.value
            best, tied = best_and_tied(values, found, spec.higher_is_better)
            for k in tied:
                _set(rows, members[k], name, column, k in best)


def _set(rows: list[Row], i: int, metric: str, column: str, best: bool) -> None:
    row = rows[i]
    cells = {m: dict(c) for m, c in row.cells.items()}
    cells[metric][column] = replace(cells[metric][column], best=best, tied=True)
    rows[i] = replace(row, cells=cells)


def _variants(runs: Sequence[Run]) -> list[str]:
    families: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        families.setdefault(family_key(run.entry), []).append(i)
    found = [""] * len(runs)
    for members in families.values():
        for i, word in zip(members, variants([runs[i].entry for i in members]), strict=True):
            found[i] = word
    return found
