"""What stands at the end of a grid: the headline value of every run, what failed and why, and where results are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from bench3d.cli.grid_options import again
from bench3d.cli.grid_totals import count_states
from bench3d.cli.grid_view import MOST_LINES, count, grouped, print_reasons, states_text
from bench3d.cli.views import marks, number
from bench3d.errors import DataError
from bench3d.grid.model import GridPlan, Node

if TYPE_CHECKING:
    from rich.console import Console

MOST_FAILURES = 20


@dataclass(frozen=True)
class Result:
    """The headline score of a finished run, over all its categories."""

    metric: str
    value: float
    unit: str
    n: int
    interval: tuple[float, float] | None
    higher_is_better: bool
    marks: tuple[str, ...] = ()

    def text(self) -> str:
        """accuracy@30deg 90.7 %."""
        return f"{self.metric} {number(self.value, self.unit)} {self.unit}".rstrip()


def result_of(node: Node) -> Result | None:
    """The headline score in a run's record; None where there is no finished one, or it has no score."""
    from bench3d.records.schema import read_record

    if node.kind != "run" or node.folder is None:
        return None
    try:
        record = read_record(node.folder / "record.json")
    except DataError:
        return None
    scores = [s for s in record.scores if s.metric == record.headline] or record.scores
    if record.status != "finished" or not scores:
        return None
    best = record.score(scores[0].metric) or scores[0]
    return Result(
        best.metric, best.value, best.unit, best.n, best.interval, best.higher_is_better, tuple(marks(record))
    )


def results_of(nodes: Sequence[Node]) -> dict[str, Result]:
    """Headline scores by node id."""
    found = ((n.id, result_of(n)) for n in nodes if n.state == "done")
    return {node_id: result for node_id, result in found if result is not None}


def result_values(results: dict[str, Result]) -> dict[str, Any]:
    """Headline scores as JSON, by node id."""
    return {node_id: vars(result) for node_id, result in results.items()}


def print_end(plan: GridPlan, grid: str, results: Path, out: Console) -> None:
    """The summary after a grid. `grid` and `results` are what the user typed, for the commands that it names."""
    runs = plan.runs()
    scores = results_of(runs)
    out.print()
    out.print(Text(plan.name, style="bold cyan").append(f"  {count(len(runs), 'run')}: ", "default not bold"), end="")
    out.print(states_text(count_states(runs)))
    for mark in sorted({m for score in scores.values() for m in score.marks}):
        out.print(Text(mark, style="bold yellow"))
    done = [n for n in runs if n.id in scores]
    if done:
        out.print(result_table(done, scores))
    failed = [n for n in plan.nodes if n.state == "failed"]
    if failed:
        out.print(Text("\nFailed", style="bold red"))
    for node in failed[:MOST_FAILURES]:
        out.print(Text(f"{node.title}: ", style="bold").append(node.reason or "see its log", "default not bold"))
        out.print(Text(f"  {again('logs', grid, results, node.id)}", style="cyan"), soft_wrap=True)
    if len(failed) > MOST_FAILURES:
        out.print(f"... and {len(failed) - MOST_FAILURES} more: {again('status', grid, results)}", soft_wrap=True)
    print_reasons([n for n in plan.nodes if n.state in ("blocked", "missing", "incompatible")], out)
    out.print(Text(f"\nResults: {plan.results}"), soft_wrap=True)
    if failed:
        out.print(Text(f"Once more, what failed: {again('retry', grid, results)}"), soft_wrap=True)


def result_table(nodes: Sequence[Node], scores: dict[str, Result]) -> Table:
    """A line per run with its value and interval; of many runs, a line per group with their range."""
    groups = grouped(nodes)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("run", overflow="fold", ratio=1)
    table.add_column("metric", overflow="fold")
    single = len(nodes) <= MOST_LINES
    for heading in ("value", "interval", "n") if single else ("runs", "lowest", "mean", "highest"):
        table.add_column(heading, justify="right", no_wrap=True)
    part = ""
    for group in groups:
        if group.part != part:
            part = group.part
            table.add_row(Text(part, style="bold"))
        metrics: dict[tuple[str, str], list[Result]] = {}
        for node in group.nodes:
            score = scores[node.id]
            metrics.setdefault((score.metric, score.unit), []).append(score)
        for (metric, unit), mine in metrics.items():
            name = f"{metric} {unit}".rstrip()
            cells = _one(mine[0]) if single else _several(mine)
            table.add_row(Text(group.label), Text(name, style="dim"), *cells)
    return table


def _one(score: Result) -> list[Text]:
    span = "" if score.interval is None else f"[{', '.join(number(v, score.unit) for v in score.interval)}]"
    return [Text(number(score.value, score.unit), style="bold"), Text(span, style="dim"), Text(str(score.n))]


def _several(scores: Sequence[Result]) -> list[Text]:
    values = [s.value for s in scores]
    three = (min(values), sum(values) / len(values), max(values))
    return [Text(str(len(values))), *(Text(number(v, scores[0].unit)) for v in three)]
