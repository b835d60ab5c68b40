"""`bench3d results diff`: two runs, or two results folders, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.cli.results_lookup import LateProgress, SearchOption, find_record, names_record
from bench3d.errors import UsageError

if TYPE_CHECKING:
    from bench3d.leaderboard.compare_folders import Changed, FolderComparison
    from bench3d.leaderboard.compare_paired import Comparison
    from bench3d.leaderboard.entries import Entry


def register(group: typer.Typer) -> None:
    """Adds the command."""
    group.command(
        "diff",
        short_help="Two runs, or two results folders, compared.",
        epilog="Example: bench3d results diff 3f2a91 7c04be --results bench3d-results",
    )(diff)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run (record.json, its folder, its identity) or a folder.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one of the same kind.")],
    results: SearchOption = None,
    samples: Annotated[int, typer.Option(metavar="N", min=0, help="Samples that differ most to show.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="Every field, metric and category.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare two runs on the samples that both have, or two results folders run by run.

    Of two runs: what differs in the measurement and in where it came from, whether their numbers may be compared, the
    difference B - A of every metric with a 95 % interval and a paired p-value over clusters, and the samples on which
    they disagree most. Of two folders: runs that only one has, and runs of one identity with other numbers.
    """
    kinds = [names_record(text) for text in (a, b)]
    if kinds[0] != kinds[1]:
        one, other = (a, b) if kinds[0] else (b, a)
        raise UsageError(f"{one} is one run and {other} is a folder of runs.", "Give two runs, or two results folders.")
    if kinds[0]:
        _diff_runs(find_record(a, results or []), find_record(b, results or []), samples, everything, as_json)
    else:
        _diff_folders(Path(a), Path(b), everything, as_json)


def _diff_runs(a: Entry, b: Entry, samples: int, everything: bool, as_json: bool) -> None:
    from bench3d.cli.results_diff_view import print_comparison
    from bench3d.leaderboard.compare_paired import compare_records

    found = compare_records((a.record, a.path), (b.record, b.path), samples=samples)
    if as_json:
        print_json(_comparison_values(found, a.path, b.path))
    else:
        print_comparison(found, a.path, b.path, everything, console())


def _diff_folders(a: Path, b: Path, everything: bool, as_json: bool) -> None:
    from bench3d.cli.results_diff_view import print_folders
    from bench3d.leaderboard.compare_folders import compare_folders

    with LateProgress() as progress:
        found = compare_folders(a, b, progress)
    if as_json:
        print_json(_folder_values(found))
    else:
        print_folders(found, a, b, everything, console())


def _comparison_values(found: Comparison, a: Path, b: Path) -> dict[str, Any]:
    return {
        "a": {"record": str(a), "label": found.a.label, "identity": found.a.identity.hash},
        "b": {"record": str(b), "label": found.b.label, "identity": found.b.identity.hash},
        "comparable": not found.obstacles,
        "obstacles": list(found.obstacles),
        "measurement": [vars(change) for change in found.measurement],
        "provenance": [vars(change) for change in found.provenance],
        "samples": {"shared": found.shared, "only_a": found.only_a, "only_b": found.only_b},
        "metrics": [
            {
                "metric": metric.name,
                "unit": metric.unit,
                "higher_is_better": metric.higher_is_better,
                "differences": [{**vars(d), "difference": d.difference} for d in differences],
            }
            for metric, differences in found.metrics
        ],
        "left_out": list(found.left_out),
        "disagreements": {
            "metric": None if found.judged is None else found.judged.name,
            "value": None if found.judged is None else found.judged.value,
            "samples": [vars(d) for d in found.disagreements],
        },
    }


def _folder_values(found: FolderComparison) -> dict[str, Any]:
    def run(entry: Entry) -> dict[str, Any]:
        return {
            "label": entry.record.label,
            "identity": entry.record.identity.hash,
            "status": entry.record.status,
            "record": str(entry.path),
        }

    def changed(change: Changed) -> dict[str, Any]:
        largest = {key: getattr(change, key) for key in ("largest_score", "largest_sample")}
        keys = ("status", "scores", "of_scores", "samples", "of_samples", "within", "problem")
        return {
            "a": run(change.a),
            "b": run(change.b),
            **{key: getattr(change, key) for key in keys},
            **{key: None if value is None else vars(value) for key, value in largest.items()},
            "provenance": [vars(c) for c in change.provenance],
        }

    return {
        "only_a": [run(e) for e in found.only_a],
        "only_b": [run(e) for e in found.only_b],
        "same": [run(e) for e in found.same],
        "changed": [changed(c) for c in found.changed],
        "left_out": [vars(r) for r in found.refused],
    }
