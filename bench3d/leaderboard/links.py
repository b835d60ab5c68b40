"""The papers' finding as a living plot: multiview equivariance against pose, tracking, transfer, segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bench3d.leaderboard.board import Correlation, Metric, Point, Row, Table
from bench3d.metrics import spearman

CAUSE = "equivariance"
FEWEST = 3  # models in both tables


def correlations(tables: Sequence[Table], aspects: Mapping[str, str]) -> list[Correlation]:
    """Every table of equivariance against every other one of the same kind of data, over the models both have.

    Rows of several shape models in a table make a plot each. Of a model's variants the one that the others stand under
    is taken. `aspects` is table id -> what the task measures.
    """
    found = []
    for x in tables:
        for y in tables:
            if aspects.get(x.id) != CAUSE or aspects.get(y.id) in (CAUSE, "", None) or x.synthetic != y.synthetic:
                continue
            for rows in _by_shape_model(y):
                link = _correlation(x, y, rows)
                if link is not None:
                    found.append(link)
    return found


def _by_shape_model(table: Table) -> Iterator[list[Row]]:
    for name in sorted({row.shape_model for row in table.rows}):
        yield [row for row in table.rows if row.shape_model == name]


def _correlation(x: Table, y: Table, rows: Sequence[Row]) -> Correlation | None:
    metric_x, metric_y = x.metrics[0], y.metrics[0]
    shape = rows[0].shape_model
    mine, other = _models(x.rows, metric_x), _models(rows, metric_y)
    points = [_point(mine[name], metric_x, other[name], metric_y) for name in mine if name in other]
    if len(points) < FEWEST:
        return None
    turn_x, turn_y = (1.0 if m.higher_is_better else -1.0 for m in (metric_x, metric_y))
    rho, interval, p_value, n = spearman(
        np.array([turn_x * p.x for p in points]), np.array([turn_y * p.y for p in points])
    )
    return Correlation(
        table_x=x.id,
        metric_x=metric_x,
        table_y=y.id,
        metric_y=metric_y,
        points=points,
        rho=None if rho is None or np.isnan(rho) else float(rho),
        interval=interval,
        p_value=p_value,
        n=n,
        random_weights=any(p.random_weights for p in points),
        title_x=", ".join(filter(None, (x.task, x.protocol))),
        title_y=", ".join(filter(None, (y.task, y.protocol, f"+ {shape}" if shape != "none" else ""))),
    )


def _models(rows: Sequence[Row], metric: Metric) -> dict[str, Row]:
    """Model -> its row; the one without a variant goes before, then the order of the table."""
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda r: bool(r.variant)):
        if row.cell(metric.name) is not None:
            found.setdefault(row.model, row)
    return found


def _point(x: Row, metric_x: Metric, y: Row, metric_y: Metric) -> Point:
    a, b = x.cells[metric_x.name]["mean"], y.cells[metric_y.name]["mean"]
    return Point(
        title=y.title,
        row_x=x.id,
        row_y=y.id,
        x=a.value,
        y=b.value,
        x_interval=a.interval,
        y_interval=b.interval,
        random_weights=x.entry.record.marks.random_weights,
    )
