"""What `bench3d results diff` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from bench3d.cli.results_table import refusal_line
from bench3d.cli.views import marks, number
from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.compare import ABSENT, Change
from bench3d.leaderboard.compare_folders import Changed, FolderComparison, Largest
from bench3d.leaderboard.compare_paired import Comparison, Difference
from bench3d.records import short

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.contracts import MetricSpec
    from bench3d.leaderboard.entries import Entry

MOST_CHANGES, MOST_RUNS, LONGEST = 24, 20, 60
CLEAR = 0.05


def print_comparison(found: Comparison, a: Path, b: Path, everything: bool, out: Console) -> None:
    """Two runs: who they are, what differs, whether they compare, the differences, the samples."""
    for side, record, path in (("A", found.a, a), ("B", found.b, b)):
        line = Text(f"{side}  ", style="bold cyan").append(record.label, "bold")
        line.append(f"  {short(record.identity.hash)}", "dim not bold")
        line.append("".join(f"  {mark}" for mark in marks(record)), "bold yellow")
        out.print(line)
        out.print(Text(f"   {path}", style="dim"), soft_wrap=True)
    out.print()
    if found.obstacles:
        out.print(Text("The numbers may not be compared:", style="bold red"))
        for reason in found.obstacles:
            out.print(Text(f"  {reason}"))
    else:
        out.print(Text("The numbers may be compared: same task, protocol and data.", style="green"))
    _print_changes("Measurement", found.measurement, everything, out)
    _print_changes("Came from", found.provenance, everything, out)
    if found.shared or found.only_a or found.only_b:
        _print_samples(found, out)
    if found.metrics:
        out.print(_differences(found, everything))
        out.print(_legend(found, everything))
    if found.left_out:
        out.print(Text("\nNot compared", style="bold"))
        for reason in found.left_out:
            out.print(Text(f"  {reason}"))
    if found.disagreements:
        _print_disagreements(found, out)


def _print_changes(title: str, changes: Sequence[Change], everything: bool, out: Console) -> None:
    heading = Text(f"\n{title}: ", style="bold")
    if not changes:
        out.print(heading.append("nothing differs", "default not bold"))
        return
    differ = f"{len(changes)} field{' differs' if len(changes) == 1 else 's differ'}"
    out.print(heading.append(differ, "default not bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("field", overflow="fold", ratio=3)
    table.add_column("A", overflow="fold", ratio=2)
    table.add_column("B", overflow="fold", ratio=2)
    shown = changes if everything else changes[:MOST_CHANGES]
    for change in shown:
        table.add_row(Text(change.field), _value(change.a, everything), _value(change.b, everything))
    out.print(table)
    if len(shown) < len(changes):
        out.print(Text(f"... and {len(changes) - len(shown)} more (--all)", style="dim"))


def _value(value: Any, whole: bool) -> Text:
    if value is ABSENT or value == ABSENT:
        return Text(ABSENT, style="dim")
    if isinstance(value, str):
        text = short(value) if len(value) == 64 and not whole else value
    else:
        text = json.dumps(value, ensure_ascii=False)
    return Text(text if whole or len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def _print_samples(found: Comparison, out: Console) -> None:
    line = Text("\nSamples: ", style="bold").append(f"{found.shared:,} in both", "default not bold")
    line.append(f", {found.only_a:,} only in A, {found.only_b:,} only in B", "default not bold")
    out.print(line)


def _differences(found: Comparison, everything: bool) -> Table:
    """The headline by category, the other metrics over all; every category of every metric with `everything`."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("metric", overflow="fold", min_width=12)
    table.add_column("category", overflow="fold")
    for name in ("A", "B", "B - A", "p", "n", "clusters"):
        table.add_column(name, justify="right", no_wrap=True)
    ordered = sorted(found.metrics, key=lambda item: item[0] is not found.judged)
    for metric, differences in ordered:
        whole = everything or metric is found.judged
        for place, one in enumerate(differences if whole else differences[-1:]):
            title = f"{metric.name}{'' if metric.unit in metric.name else f' {metric.unit}'}"
            arrow = "↑" if metric.higher_is_better else "↓"
            head = Text(f"{title} {arrow}") if place == 0 or not whole else Text("")
            table.add_row(head, *_line(metric, one))
    return table


def _line(metric: MetricSpec, one: Difference) -> list[Text]:
    bold = "bold" if one.category == MEAN else ""
    clear = one.p_value is not None and one.p_value < CLEAR
    better = (one.difference > 0) == metric.higher_is_better
    style = ("bold green" if better else "bold red") if clear and one.difference else bold
    gap = Text("").append(_signed(one.difference, metric.unit), style)
    if one.interval is not None:
        low, high = (_signed(v, metric.unit) for v in one.interval)
        gap.append(f" [{low},\u00a0{high}]", "dim")
    values = [Text(number(v, metric.unit), style=bold) for v in (one.a, one.b)]
    return [
        Text(one.category, style=bold),
        *values,
        gap,
        _p(one.p_value),
        Text(f"{one.n:,}"),
        Text(f"{one.clusters:,}"),
    ]


def _signed(value: float, unit: str) -> str:
    text = number(value, unit)
    return text if text.startswith("-") else f"+{text}"


def _p(value: float | None) -> Text:
    if value is None:
        return Text("-", style="dim")
    text = "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
    return Text(text, style="bold" if value < CLEAR else "")


def _legend(found: Comparison, everything: bool) -> Text:
    text = (
        "B - A on the shared samples alone, with its 95 % interval; p: two-sided, Student's t over clusters, not"
        " adjusted for several metrics. n: rows that the metric counts (samples, parts or clusters)."
    )
    if not everything and len(found.metrics) > 1:
        text += " Other metrics by category: --all."
    return Text(text, style="dim")


def _print_disagreements(found: Comparison, out: Console) -> None:
    assert found.judged is not None
    measured = found.judged.value
    behind = f" (behind {found.judged.name})" if measured != found.judged.name else ""
    out.print(Text(f"\nSamples that differ most in {measured}{behind}", style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("sample", overflow="fold")
    table.add_column("category", overflow="fold")
    for name in ("A", "B", "B - A"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found.disagreements:
        values = [f"{one.a:.4g}", f"{one.b:.4g}", f"{one.b - one.a:+.4g}"]
        table.add_row(Text(one.id), Text(one.category), *(Text(value) for value in values))
    out.print(table)


def print_folders(found: FolderComparison, a: Path, b: Path, everything: bool, out: Console) -> None:
    """Two folders: what only one has, and what changed."""
    out.print(Text("A  ", style="bold cyan").append(str(a), "default not bold"), soft_wrap=True)
    out.print(Text("B  ", style="bold cyan").append(str(b), "default not bold"), soft_wrap=True)
    for side, entries in (("A", found.only_a), ("B", found.only_b)):
        if entries:
            out.print(Text(f"\nOnly in {side}: {len(entries)}", style="bold"))
            _print_names(entries, everything, out)
    both = len(found.same) + len(found.changed)
    out.print(Text(f"\nIn both: {both}", style="bold"))
    if found.same:
        all_same = not found.changed
        text = f"  {len(found.same)} with the same numbers in every score and sample (timings do not count)"
        out.print(Text(text, style="green" if all_same else ""))
    for change in found.changed:
        _print_changed(change, out)
    if found.refused:
        out.print(Text("\nLeft out", style="bold"))
        for refusal in found.refused:
            out.print(Text("  ").append_text(refusal_line(refusal)), soft_wrap=True)


def _print_names(entries: Sequence[Entry], everything: bool, out: Console) -> None:
    shown = entries if everything else entries[:MOST_RUNS]
    for entry in shown:
        out.print(_name(entry, "  "))
    if len(shown) < len(entries):
        out.print(Text(f"  ... and {len(entries) - len(shown)} more (--all)", style="dim"))


def _name(entry: Entry, indent: str) -> Text:
    status = "" if entry.record.status == "finished" else f"  {entry.record.status}"
    text = Text(f"{indent}{entry.record.label}").append(f"  {short(entry.record.identity.hash)}", "dim")
    return text.append(status, "yellow")


def _print_changed(change: Changed, out: Console) -> None:
    word = "within the tolerances" if change.within else "CHANGED"
    out.print(_name(change.a, "  ").append(f"  {word}", "yellow" if change.within else "bold red"))
    if change.status:
        out.print(Text(f"    {change.status}"))
    if change.problem:
        out.print(Text(f"    {change.problem}", style="red"), soft_wrap=True)
    for what, count, total, largest in (
        ("scores", change.scores, change.of_scores, change.largest_score),
        ("samples", change.samples, change.of_samples, change.largest_sample),
    ):
        if count:
            out.print(Text(f"    {count:,} of {total:,} {what} differ{_largest(largest)}"))
    if change.provenance:
        fields = ", ".join(f"{c.field} {_value(c.a, False)} and {_value(c.b, False)}" for c in change.provenance[:4])
        out.print(Text(f"    made with other: {fields}", style="dim"))


def _largest(largest: Largest | None) -> str:
    if largest is None:
        return ""
    return f"; most in {largest.what}: {largest.a:.6g} and {largest.b:.6g}"
