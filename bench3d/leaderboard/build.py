"""Records -> Board: tables with cells, ranks and ties; correlations between tables; what could not be taken and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from bench3d import __version__
from bench3d.contracts import NullProgress, Progress, TaskRegistration
from bench3d.errors import DataError
from bench3d.leaderboard.board import MEAN, Board, Metric, ReportedRow, Table
from bench3d.leaderboard.entries import Entry, Refusal
from bench3d.leaderboard.grouping import Group, grouped, misshapen
from bench3d.leaderboard.links import correlations
from bench3d.leaderboard.published import published_tables
from bench3d.leaderboard.ranking import ranked_rows
from bench3d.leaderboard.reported import reported_rows
from bench3d.leaderboard.runs import read_run, specs_of
from bench3d.machine import garbage_collection_off
from bench3d.plugins import load_registry
from bench3d.records import Record


@garbage_collection_off()
def build_board(
    entries: Sequence[Entry],
    *,
    refused: Sequence[Refusal] = (),
    reported: bool = True,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> Board:
    """Everything on the leaderboard.

    Args:
        entries: runs that did not finish are refused, with what their record says.
        refused: what could not be read before, to be shown too.
        reported: add the rows of papers.
        now: the time of the build, for one who wants the same bytes again.
    """
    progress = progress or NullProgress()
    turned_away = [*refused]
    finished = []
    for entry in entries:
        wrong = _wrong(entry)
        if wrong is None:
            finished.append(entry)
        else:
            turned_away.append(Refusal(path=_place(entry), reason=wrong))
    progress.start("comparing", len(finished))
    tables, aspects = [], {}
    for group in grouped(finished):
        made, bad = _table(group, reported, progress)
        turned_away += bad
        if made is not None:
            tables.append(made)
            aspects[made.id] = _aspect(group)
    progress.finish()
    if reported:
        tables += published_tables({t.task for t in tables if not t.synthetic})
    made_at = (now or datetime.now(timezone.utc)).isoformat(timespec="seconds")
    return Board(
        tables=tables,
        correlations=correlations(tables, aspects),
        refused=turned_away,
        made=made_at,
        bench3d=__version__,
    )


def _wrong(entry: Entry) -> str | None:
    """Why a run is in no table, None where it is in one."""
    if entry.record.status != "finished" or not entry.record.scores:
        return f"{entry.record.status}: {entry.record.message or 'it has no scores'}"
    return misshapen(entry)


def _place(entry: Entry) -> str:
    return "/".join(entry.path.parts[-3:])


def _registration(group: Group) -> TaskRegistration | None:
    name = group.key["task"]["name"]
    registry = load_registry()
    found = registry.get("task", name) if name in registry.names("task") else None
    return found if isinstance(found, TaskRegistration) else None


def _aspect(group: Group) -> str:
    registration = _registration(group)
    return registration.aspect if registration is not None else ""


def _table(group: Group, reported: bool, progress: Progress) -> tuple[Table | None, list[Refusal]]:
    runs, refused = [], []
    specs = specs_of(group.entries)
    given = [e.record.oracles for e in group.entries]
    oracles = tuple(name for name in given[0] if all(name in one for one in given))
    for entry in group.entries:
        try:
            runs.append(read_run(entry, specs, oracles))
        except DataError as error:
            refused.append(Refusal(path=_place(entry), reason=str(error)))
        progress.advance()
    if not runs:
        return None, refused
    rows, comparisons = ranked_rows(runs, specs)
    registration = _registration(group)
    protocol = group.key["protocol"] or {}
    metrics = _metrics([r.entry.record for r in runs])
    categories = sorted({s.category for r in runs for s in r.entry.record.scores} - {MEAN})
    shown: Sequence[ReportedRow] = ()
    synthetic = bool(group.key["dataset"].get("synthetic"))
    if reported and not synthetic:
        names = [m.name for m in metrics]
        shown = reported_rows(group.key["task"]["name"], str(protocol.get("name", "")), names, categories)
    table = Table(
        id=group.id,
        task=group.key["task"]["name"],
        protocol=str(protocol.get("name", "")),
        summary=registration.summary if registration is not None else "",
        dataset=str(group.key["dataset"].get("name", "")),
        synthetic=synthetic,
        limited=group.key["limit"],
        settings=group.settings,
        oracles=oracles,
        headline=metrics[0].name,
        metrics=metrics,
        categories=categories,
        rows=rows,
        reported=shown,
        comparisons=comparisons,
        notes=tuple(dict.fromkeys(n for r in runs for n in r.entry.record.notes))[:8],
    )
    return table, refused


def _metrics(records: Sequence[Record]) -> list[Metric]:
    """The columns of a table, the headline first."""
    found: dict[str, Metric] = {}
    for score in (s for record in records for s in record.scores):
        known = Metric(name=score.metric, unit=score.unit, higher_is_better=score.higher_is_better)
        found.setdefault(score.metric, known)
    headline = records[0].headline
    return sorted(found.values(), key=lambda m: m.name != headline)
