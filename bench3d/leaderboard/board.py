"""What the leaderboard shows, as plain data: the builder fills it, pages, exports and the command line only read it.

Rows are compared inside a table alone: one task, one protocol and its settings, the same data, the same limit.
Synthetic data have tables of their own, and a row of random weights has no rank anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench3d.leaderboard.entries import Badge, Entry, Refusal

MEAN = "mean"
"""Name of the column over all categories."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One metric of one category (or `MEAN`) of one run.

    Attributes:
        value: in `Metric.unit`.
        interval: 95 %, None with fewer than two clusters.
        method: "bootstrap", "wilson" (a fraction), or "student-t" with fewer than 30 effective clusters (marked in
            every display).
        n, clusters: samples, and what was resampled.
        chance: the best of the chance levels, None where there is none; `chance_name` says which.
        best, tied: it is the best of its column; it does not differ significantly from the best (after Holm).
    """

    value: float
    n: int
    interval: tuple[float, float] | None = None
    method: str | None = None
    clusters: int | None = None
    chance: float | None = None
    chance_name: str = ""
    best: bool = False
    tied: bool = False


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A column of numbers."""

    name: str
    unit: str
    higher_is_better: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run in a table.

    Attributes:
        id: the first 12 digits of its identity: names its page, unique on a board.
        title: backbone + adapter + shape model, for people.
        model: what the same features are called in every table (backbone, weights, adapter): joins tables.
        family, variant: rows of one family differ only in settings; `variant` says in which ("rank 8", "seed 1"), ""
            for the row that the others stand under.
        ranked: takes part in ranks; else `unranked_because` says why not ("random weights").
        rank: interval of ranks that the pairwise tests leave (1 is best), None where it is not ranked.
        groups: letters; two rows that share one do not differ significantly (after Holm).
        cells: metric -> category or MEAN -> cell.
        coverage: categories it has, categories of the table.
        curve: metric -> bins of the view angle in order -> (value, low, high, n).
        badge: how far its numbers were checked.
    """

    id: str
    title: str
    backbone: str
    adapter: str
    shape_model: str
    model: str
    family: str
    variant: str = ""
    ranked: bool = True
    unranked_because: str = ""
    rank: tuple[int, int] | None = None
    groups: str = ""
    cells: Mapping[str, Mapping[str, Cell]] = field(default_factory=dict)
    coverage: tuple[int, int] = (1, 1)
    curve: Mapping[str, Sequence[tuple[str, float, float | None, float | None, int]]] = field(default_factory=dict)
    parameters: int | None = None
    fitted_parameters: int | None = None
    seconds_per_image: float | None = None
    memory_bytes: int | None = None
    badge: Badge = "self-reported"
    flags: Sequence[str] = ()
    entry: Entry = field(repr=False)

    def cell(self, metric: str, category: str = MEAN) -> Cell | None:
        """One cell, None where the run has none."""
        return self.cells.get(metric, {}).get(category)


@dataclass(frozen=True, kw_only=True)
class ReportedRow:
    """A row that a paper reports. It is shown apart from measured rows and never ranked.

    Attributes:
        values: metric -> category or MEAN -> value, in the unit of the metric.
        source: the paper, short; `where` the table or figure; `citation` in full.
        read_off: read off a plot (error about half a point), not printed as a number.
        differs: why it is not measured as the table's rows are; "" where nothing is known to differ.
    """

    method: str
    setting: str
    values: Mapping[str, Mapping[str, float]]
    source: str
    where: str
    citation: str
    read_off: bool = False
    differs: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Runs that may be compared.

    Attributes:
        id: lower-case letters, digits and dashes; unique on a board, the same in every build.
        synthetic: on a synthetic twin.
        limited: samples per category where --limit was given.
        settings: what sets this table apart from others of its task and protocol, in words.
        metrics: the headline first.
        rows: best first; rows without a rank after those with one.
        notes: sentences that a reader of the numbers has to know.
    """

    id: str
    task: str
    protocol: str
    summary: str
    dataset: str
    synthetic: bool
    limited: int | None = None
    settings: str = ""
    oracles: Sequence[str] = ()
    headline: str = ""
    metrics: Sequence[Metric] = ()
    categories: Sequence[str] = ()
    rows: Sequence[Row] = ()
    reported: Sequence[ReportedRow] = ()
    comparisons: int = 0
    notes: Sequence[str] = ()

    @property
    def title(self) -> str:
        """For headings."""
        parts = [self.task, self.protocol, self.settings, "synthetic twin" if self.synthetic else ""]
        return ", ".join(part for part in parts if part)

    def metric(self, name: str) -> Metric:
        """The column of a name. KeyError where there is none."""
        return {m.name: m for m in self.metrics}[name]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model in two tables: `x` and `y` with their intervals."""

    title: str
    row_x: str
    row_y: str
    x: float
    y: float
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None
    random_weights: bool = False


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation of two tables over the models that both have.

    `random_weights` says that untrained networks are among the points.

    The sign is turned so that +1 means: better in x, better in y. `interval` and `p_value` are None below four models.
    """

    table_x: str
    metric_x: Metric
    table_y: str
    metric_y: Metric
    points: Sequence[Point]
    rho: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    n: int
    random_weights: bool = False
    title_x: str = ""
    title_y: str = ""

    @property
    def titles(self) -> tuple[str, str]:
        """What the two tables are called, for people; their ids where nothing else is known."""
        return self.title_x or self.table_x, self.title_y or self.table_y


@dataclass(frozen=True, kw_only=True)
class Board:
    """Everything on the leaderboard. `made` is the time of the build, ISO 8601 in UTC."""

    tables: Sequence[Table]
    correlations: Sequence[Correlation] = ()
    refused: Sequence[Refusal] = ()
    made: str = ""
    bench3d: str = ""

    def table(self, name: str) -> Table:
        """The table of an id. KeyError where there is none."""
        return {t.id: t for t in self.tables}[name]
