"""What `run` and `train` show: the plan before, the table after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from bench3d.cli.output import duration, gigabytes

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.records.schema import ChanceLevel, GroupScore, Record, Score

STATES = {"done": ("there", "green"), "todo": ("to do", "cyan"), "missing": ("MISSING", "bold red")}
MEAN = "mean"
MOST_BINS, WIDEST = 13, 110  # bins of a grouping that fit side by side, and characters of their names


def print_plan(plan: Any, out: Console, estimate: Mapping[str, float]) -> None:
    """What will be done, and what is there, to do or missing. `plan` is a RunPlan."""
    out.print(Text("Plan", style="bold cyan"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="bold")
    table.add_column()
    for step in plan.steps:
        word, style = STATES.get(step.state, (step.state, ""))
        table.add_row(Text(word, style=style), Text(step.what), Text(step.detail))
    out.print(table)
    costs = [duration(estimate["seconds"])] if "seconds" in estimate else []
    costs += [f"{gigabytes(estimate['memory_bytes'])} of memory"] if "memory_bytes" in estimate else []
    costs += [f"{gigabytes(estimate['disk_bytes'])} of disk"] if "disk_bytes" in estimate else []
    if costs:
        out.print(Text(f"Estimated: {', '.join(costs)}", style="dim"))
    if getattr(plan, "already_done", False):
        out.print(Text("This run is finished: its record is shown. --force runs it again.", style="green"))
    out.print()


def number(value: float, unit: str) -> str:
    """A score for people: 87.5 for percents, 6.3 for degrees."""
    return f"{value:.1f}" if unit in ("%", "deg") else f"{value:.4g}"


def with_interval(score: Score, below: bool) -> Text:
    """The value, and its interval in grey beside or below it."""
    text = Text(number(score.value, score.unit))
    if score.interval is not None:
        low, high = (number(v, score.unit) for v in score.interval)
        text.append("\n" if below else " ").append(f"[{low},\u00a0{high}]", style="dim")
    return text


def record_table(record: Record, width: int) -> Table:
    """Metrics as columns, categories as rows, the mean last, then a row per chance level.

    Metrics without a chance level, where others have one, are diagnostics: they are shown without interval. Where
    `width` columns are too few, intervals go below their values.
    """
    wide = _record_table(record, False)
    return wide if _natural_width(wide) <= width else _record_table(record, True)


def _record_table(record: Record, below: bool) -> Table:
    metrics, averages = _columns(record)
    judged = {c.metric for c in record.chance} or set(metrics)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    for metric in metrics:
        table.add_column(Text(_heading(record, metric)), justify="right", overflow="fold")
    table.add_column("n", justify="right")
    categories = sorted({s.category for s in record.scores} - {MEAN})
    for category in categories if len(categories) == 1 else [*categories, MEAN]:
        _score_row(table, record, metrics, category, category, below, judged)
    for average in averages:
        _score_row(table, record, [f"{m} {average}" for m in metrics], MEAN, f" {average}", below, set())
    if record.chance:
        table.add_row(Text("by chance:", style="dim"))
    for name in dict.fromkeys(c.name for c in record.chance):
        levels = {(c.metric, c.category): c for c in record.chance if c.name == name}
        cells = []
        for metric in metrics:
            level = levels.get((metric, MEAN)) or next((c for (m, _), c in levels.items() if m == metric), None)
            cells.append(Text(number(level.value, level.unit) if level else "", style="dim"))
        table.add_row(Text(f" {name.replace('_', ' ')}", style="dim"), *cells, "")
        if len({c.name for c in record.chance}) == 1:
            table.add_row(Text(" over chance", style="dim"), *(_margin(levels, m, below) for m in metrics), "")
    return table


def _columns(record: Record) -> tuple[list[str], list[str]]:
    """The metrics that get a column, and the other averages of them, such as "per pair" of "APE per pair"."""
    names = list(dict.fromkeys(s.metric for s in record.scores))
    averages = {n: n.partition(" per ")[2] for n in names if " per " in n and n.partition(" per ")[0] in names}
    return [n for n in names if n not in averages], [f"per {a}" for a in dict.fromkeys(averages.values())]


def _score_row(
    table: Table, record: Record, metrics: Sequence[str], category: str, label: str, below: bool, judged: set[str]
) -> None:
    scores = [record.score(m, category) for m in metrics]
    if any(scores):
        cells = [_cell(s, below, s.metric in judged) if s else Text("-") for s in scores]
        n = max(s.n for s in scores if s)
        table.add_row(Text(label, style="bold" if label == MEAN else ""), *cells, str(n))


def group_tables(record: Record, width: int) -> list[Table]:
    """The headline metric by every grouping of a few bins: the bins as columns, averaged over the categories.

    Bins that do not fit side by side into `width` columns stand in several tables.
    """
    tables = []
    mine = [g for g in record.groups if g.metric == record.headline]
    for by in dict.fromkeys(g.by for g in mine):
        bins: dict[str, list[GroupScore]] = {}
        for group in mine:
            if group.by == by:
                bins.setdefault(group.bin, []).append(group)
        if not 1 < len(bins) <= MOST_BINS or sum(len(name) + 2 for name in bins) > WIDEST:
            continue
        if all(name.isdigit() for name in bins):
            continue  # numbers of things, such as of a category's keypoints, mean nothing across categories
        tables += _fitting(by, list(bins.items()), width)
    return tables


def _fitting(by: str, bins: list[tuple[str, list[GroupScore]]], width: int) -> list[Table]:
    """One table of the bins, or halves of them until each fits."""
    table = _group_table(by, bins)
    if len(bins) == 1 or _natural_width(table) <= width:
        return [table]
    half = (len(bins) + 1) // 2
    return [*_fitting(by, bins[:half], width), *_fitting(by, bins[half:], width)]


def _group_table(by: str, bins: list[tuple[str, list[GroupScore]]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(f"by {by.replace('_', ' ')}", style="dim", no_wrap=True)
    for name, _ in bins:
        table.add_column(name, justify="right")
    one = bins[0][1][0]
    means = [sum(g.value for g in found) / len(found) for _, found in bins]
    table.add_row(f" {one.metric} {one.unit}", *(number(value, one.unit) for value in means))
    table.add_row(" n", *(str(sum(g.n for g in found)) for _, found in bins), style="dim")
    return table


def _natural_width(table: Table) -> int:
    """Columns that a table takes where there is room."""
    from rich.console import Console
    from rich.measure import measure_renderables

    endless = Console(width=1000)
    return measure_renderables(endless, endless.options, [table]).maximum


def _margin(levels: Mapping[tuple[str, str], ChanceLevel], metric: str, below: bool) -> Text:
    """The paired interval of score minus chance; empty where there is none."""
    level = levels.get((metric, MEAN)) or next((c for (m, _), c in levels.items() if m == metric), None)
    if level is None or level.margin is None:
        return Text("")
    low, high = (f"{value:+.{0 if below else 1}f}" for value in level.margin)
    return Text(f"[{low}, {high}]".replace(" ", "\n" if below else " "), style="dim")


def _cell(score: Score, below: bool, judged: bool) -> Text:
    return with_interval(score, below) if judged else Text(number(score.value, score.unit))


def _heading(record: Record, metric: str) -> str:
    """One word a line, as in "start / accuracy / @30deg / %"."""
    unit = next(s.unit for s in record.scores if s.metric == metric)
    return "\n".join(metric.replace("_", " ").replace("@", " @").split() + [unit])


def print_heading(record: Record, out: Console) -> None:
    """Label, status, what keeps it from ranking, and the message of a run that failed."""
    title = Text(record.label, style="bold cyan")
    if record.status != "finished":
        title.append(f"  {record.status.upper()}", style="bold red")
    out.print(title)
    for mark in marks(record):
        out.print(Text(mark, style="bold yellow"))
    if record.message:
        out.print(Text(record.message, style="red"))


def print_record(record: Record, path: Path | None, out: Console) -> None:
    """The table, what was given to the model, what keeps the record from ranking, and where it is."""
    out.print()
    print_heading(record, out)
    if record.scores:
        out.print(record_table(record, out.width))
        for table in group_tables(record, out.width):
            out.print(table)
    for line in footer(record):
        out.print(line)
    count = len(record.pictures)
    pictures = f" and {count} picture{'s' if count > 1 else ''} beside it" if count else ""
    if path is not None:
        out.print(Text(f"Record: {path}{pictures}"), soft_wrap=True)


def marks(record: Record) -> list[str]:
    """What keeps a record from ranking beside real ones, in capitals."""
    found = ["SYNTHETIC DATA"] if record.marks.synthetic_data else []
    found += ["RANDOM WEIGHTS"] if record.marks.random_weights else []
    found += [f"LIMITED to {record.marks.limited} images of a category"] if record.marks.limited else []
    return [" · ".join(found)] if found else []


def footer(record: Record) -> list[Text]:
    """Interval, protocol, oracles and cost, a line each."""
    lines = []
    if record.bootstrap is not None:
        level = f"{record.bootstrap.level * 100:.0f} %"
        few = any(s.interval_method == "student-t" for s in record.scores)
        student = "; Student's t where there are fewer than 30 effective clusters" if few else ""
        lines.append(f"[low, high]: {level} interval over clusters, {record.bootstrap.draws} draws{student}")
    protocol = record.identity.measurement.get("protocol")
    name = protocol.get("name") if isinstance(protocol, dict) else protocol
    given = f"Given to the model (oracles): {', '.join(record.oracles) or 'nothing but the image'}"
    lines.append(f"Protocol {name}. {given}" if name else given)
    for choice in record.choices:
        rest = ", ".join(f"{value}: {score:.4g}" for value, score in choice.scores)
        lines.append(f"{choice.setting} = {choice.chosen}, chosen on validation data by {choice.metric} ({rest})")
    lines += [f"Note: {note}" for note in record.notes]
    cost = record.cost
    parts = [f"fits {duration(cost.fit_seconds)}"] if cost.fit_seconds is not None else []
    if cost.evaluate_seconds is not None:
        parts.append(f"evaluation {duration(cost.evaluate_seconds)}")
    parts += [f"{k} {v * 1000:.0f} ms per image" for k, v in cost.seconds_per_image.items()]
    if cost.peak_memory_bytes:
        parts.append(f"peak memory {gigabytes(cost.peak_memory_bytes)}")
    if parts:
        lines.append("Cost: " + ", ".join(parts))
    return [Text(line, style="dim") for line in lines]


def print_artifacts(artifacts: Sequence[Any], out: Console) -> None:
    """What a training left, a line per category."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_column()
    for artifact in artifacts:
        numbers = {k: v for k, v in artifact.facts.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        shown = "  ".join(f"{k} {v:.4g}" for k, v in list(numbers.items())[:4])
        table.add_row(artifact.category or "all", Text(str(artifact.path)), Text(shown, style="dim"))
    out.print(table)
