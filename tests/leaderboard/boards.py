"""A small board made by hand, for tests of what shows boards. Every number here is made up."""

from __future__ import annotations

from pathlib import Path

from bench3d.leaderboard.board import MEAN, Board, Cell, Correlation, Metric, Point, ReportedRow, Row, Table
from bench3d.leaderboard.entries import Entry, Refusal
from bench3d.records import Identity, Marks, Provenance, Record, identity_hash

HEADLINE, OTHER = (
    Metric(name="accuracy@30deg", unit="%", higher_is_better=True),
    Metric(name="median error", unit="deg", higher_is_better=False),
)
CATEGORIES = ("bus", "car", "chair")
BINS = ("000-030", "030-060", "060-090", "090-120")


def entry(name: str, synthetic: bool = False, random: bool = False) -> Entry:
    """A record without scores, of a made-up measurement."""
    measurement = {"schema": "bench3d.measurement/1", "backbone": {"name": name}, "task": {"name": "t"}, "seed": 0}
    record = Record(
        label=name,
        identity=Identity(measurement=measurement, hash=identity_hash(measurement)),
        status="finished",
        headline=HEADLINE.name,
        marks=Marks(synthetic_data=synthetic, random_weights=random),
        provenance=Provenance(bench3d="0", python="3", seed=0, time="2000-01-01T00:00:00Z", command="bench3d run"),
    )
    return Entry(record, Path(f"runs/t/{name}/record.json"), None)


def row(name: str, value: float, rank: tuple[int, int] | None, groups: str = "", synthetic: bool = False) -> Row:
    """A row whose mean accuracy is `value`, with a category more and one less than it."""
    per = {c: value + d for c, d in zip(CATEGORIES, (-10.0, 0.0, 10.0), strict=True)}
    made = entry(name, synthetic, rank is None)
    cells = {
        c: Cell(value=v, n=100, interval=(v - 5, v + 5), method="bootstrap", clusters=40, chance=7.0)
        for c, v in per.items()
    }
    tied = bool(rank and rank[0] == 1)
    cells[MEAN] = Cell(
        value=value, n=300, interval=(value - 3, value + 3), method="bootstrap", clusters=120, chance=7.0,
        chance_name="random start", best=tied and groups == "a", tied=tied,
    )  # fmt: skip
    errors = {c: Cell(value=100 - cell.value, n=cell.n, interval=None) for c, cell in cells.items()}
    curve = [(b, value - 5 * i, value - 5 * i - 4, value - 5 * i + 4, 25) for i, b in enumerate(BINS)]
    return Row(
        id=made.record.identity.hash[:12], title=f"{name} + common3d", backbone=name, adapter="none",
        shape_model="common3d", model=name, family=f"{name}/common3d", ranked=rank is not None,
        unranked_because="" if rank else "random weights", rank=rank, groups=groups,
        cells={HEADLINE.name: cells, OTHER.name: errors}, coverage=(3, 3), curve={HEADLINE.name: curve},
        parameters=22_000_000, fitted_parameters=1_000_000, seconds_per_image=0.02 + value / 1000,
        memory_bytes=2_000_000_000, entry=made,
    )  # fmt: skip


def board() -> Board:
    """Two tables (one synthetic), a reported row, a correlation, a refusal."""
    rows = (
        row("dinov2", 75.0, (1, 2), "a"),
        row("clip", 72.0, (1, 2), "a"),
        row("mae", 40.0, (3, 3), "b"),
        row("untrained", 9.0, None),
    )
    reported = ReportedRow(
        method="Common3D", setting="unsupervised", source="CVPR'25 Common3D", where="Table 8",
        citation="Common3D, CVPR 2025.",
        values={HEADLINE.name: {"bus": 82.9, "car": 99.3, "chair": 67.8, MEAN: 75.3}},
        differs="mean over seven categories",
    )  # fmt: skip
    real = Table(
        id="t-paper", task="t", protocol="paper", summary="A made-up task.", dataset="d", synthetic=False,
        oracles=("crop",),
        headline=HEADLINE.name, metrics=(HEADLINE, OTHER), categories=CATEGORIES, rows=rows,
        reported=(reported,), comparisons=3,
    )  # fmt: skip
    twin = Table(
        id="t-paper-synthetic", task="t", protocol="paper", summary="A made-up task.", dataset="d", synthetic=True,
        limited=40,
        headline=HEADLINE.name, metrics=(HEADLINE, OTHER), categories=CATEGORIES,
        rows=(row("hog", 60.0, (1, 1), "a", True), row("rgb", 30.0, (2, 2), "b", True)), comparisons=1,
    )  # fmt: skip
    points = [
        Point(
            title=r.title,
            row_x=r.id,
            row_y=r.id,
            x=r.cells[OTHER.name][MEAN].value,
            y=r.cells[HEADLINE.name][MEAN].value,
            random_weights=not r.ranked,
        )
        for r in rows
    ]
    link = Correlation(
        table_x=real.id, metric_x=OTHER, table_y=real.id, metric_y=HEADLINE, points=points, rho=1.0,
        interval=(0.2, 1.0),
        p_value=0.08, n=4, random_weights=True,
    )  # fmt: skip
    refused = Refusal(path="runs/t/broken/record.json", reason="field scores.0.unit: missing.")
    return Board(
        tables=(real, twin), correlations=(link,), refused=(refused,), made="2000-01-02T00:00:00Z", bench3d="0"
    )
