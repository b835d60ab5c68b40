"""What changed between two builds of a board: as data, and in a bounded number of words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bench3d.leaderboard.board import MEAN, Board
from bench3d.leaderboard.board_file import board_json

Rank = tuple[int, int] | None
Kind = Literal["rescored", "new-table", "gone-table", "new-row", "gone-row", "rank", "badge"]
MOST = 12
_HEADINGS: dict[Kind, str] = {
    "rescored": "Scores of the same measurement that differ from the last build",
    "new-table": "New tables",
    "gone-table": "Tables that are gone",
    "new-row": "New runs",
    "gone-row": "Runs that are gone",
    "rank": "Ranks",
    "badge": "Checks",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change.

    Attributes:
        kind: "rescored" is suspicious: a measurement has one result, so somebody changed a record or the code without a
            new `result_version`.
        table, table_title: where.
        row, row_title: the run, "" for a change of a whole table. A row that is gone has no page.
        words: the change alone ("rank 3 to 1-2"), without the names of table and run.
        before, after: ranks, badges, or the first score that differs, as they were and are; None where there is none.
    """

    kind: Kind
    table: str
    table_title: str
    row: str = ""
    row_title: str = ""
    words: str = ""
    before: Any = None
    after: Any = None

    @property
    def suspicious(self) -> bool:
        """A reader has to know of it before believing the board."""
        return self.kind == "rescored"

    def sentence(self) -> str:
        """The change in one line of plain text."""
        names = [name for name in (self.table_title, self.row_title) if name]
        return f"{': '.join(names)}{f': {self.words}' if self.words else ''}"


@dataclass(frozen=True, kw_only=True)
class Section:
    """Changes of one kind: the first ones, and how many more there are."""

    kind: Kind
    heading: str
    changes: Sequence[Change]
    more: int

    def lines(self) -> list[str]:
        """A sentence per change; the last one says how many are left out."""
        return [c.sentence() for c in self.changes] + ([f"and {self.more} more"] if self.more else [])


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is new since the build of `since` (ISO 8601), None for the first build. Suspicious changes come first."""

    since: str | None = None
    changes: Sequence[Change] = field(default_factory=tuple)

    def sections(self, most: int = MOST) -> list[Section]:
        """The changes by kind, at most `most` of each."""
        found = []
        for kind, heading in _HEADINGS.items():
            of_kind = [c for c in self.changes if c.kind == kind]
            if of_kind:
                more = max(0, len(of_kind) - most)
                found.append(Section(kind=kind, heading=heading, changes=of_kind[:most], more=more))
        return found

    def summary(self) -> str:
        """One sentence: how much changed."""
        if self.since is None:
            return "The first build: nothing to compare with."
        counts = {kind: sum(c.kind == kind for c in self.changes) for kind in _HEADINGS}
        parts = [
            _count(counts["new-table"], "new table"),
            _count(counts["gone-table"], "table gone", "tables gone"),
            _count(counts["new-row"], "new run"),
            _count(counts["gone-row"], "run gone", "runs gone"),
            _count(counts["rescored"], "changed score"),
            _count(counts["rank"], "moved rank"),
            _count(counts["badge"], "new check"),
        ]
        told = ", ".join(part for part in parts if part)
        return f"Since the build of {self.since}: {told or 'nothing changed'}."

    def as_json(self, most: int = MOST) -> dict[str, Any]:
        """Counts of everything, and the first changes of each kind."""
        return {
            "since": self.since,
            "counts": {k: n for k in _HEADINGS if (n := sum(c.kind == k for c in self.changes))},
            "changes": [
                {
                    "kind": c.kind,
                    "table": c.table,
                    "row": c.row,
                    "before": c.before,
                    "after": c.after,
                    "text": c.sentence(),
                }
                for s in self.sections(most)
                for c in s.changes
            ],
        }


def changes(before: Mapping[str, Any] | None, board: Board) -> Changes:
    """What differs from an earlier board.json (as `read_board_json` gives it), None where there was none.

    Runs are told apart by their identities and numbers are compared at the six digits of the file. The rows of a new or
    vanished table are not listed one by one.
    """
    if before is None:
        return Changes()
    old = {t["id"]: t for t in before["tables"]}
    new = {t["id"]: t for t in board_json(board)["tables"]}
    found: list[Change] = []
    for name, table in new.items():
        if name in old:
            found += _in_table(old[name], table)
        else:
            found.append(_of_table("new-table", table))
    found += [_of_table("gone-table", table) for name, table in old.items() if name not in new]
    order = list(_HEADINGS)
    return Changes(since=str(before["made"]), changes=sorted(found, key=lambda c: order.index(c.kind)))


def _of_table(kind: Kind, table: Mapping[str, Any]) -> Change:
    return Change(kind=kind, table=table["id"], table_title=table["title"], words=_count(len(table["rows"]), "run"))


def _in_table(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    was = {r["identity"]: r for r in old["rows"]}
    now = {r["identity"]: r for r in new["rows"]}

    def change(kind: Kind, row: Mapping[str, Any], words: str, before: Any = None, after: Any = None) -> Change:
        title = f"{row['title']}, {row['variant']}" if row.get("variant") else row["title"]
        return Change(
            kind=kind, table=new["id"], table_title=new["title"], row=row["id"], row_title=title,
            words=words, before=before, after=after,
        )  # fmt: skip

    for identity, row in now.items():
        rank, score = _rank(row), _headline(row, new)
        if identity not in was:
            parts = [score, f"rank {rank_text(rank)}" if rank else ""]
            yield change("new-row", row, ", ".join(part for part in parts if part), None, rank)
            continue
        earlier = was[identity]
        yield from _compared(earlier, row, new, change)
        if _rank(earlier) != rank:
            words = f"rank {rank_text(_rank(earlier))} to {rank_text(rank)}"
            yield change("rank", row, words, _rank(earlier), rank)
        if earlier["badge"] != row["badge"]:
            yield change("badge", row, f"{earlier['badge']} to {row['badge']}", earlier["badge"], row["badge"])
    for identity, row in was.items():
        if identity not in now:
            yield change("gone-row", row, _headline(row, old), _rank(row), None)


def _compared(
    earlier: Mapping[str, Any], row: Mapping[str, Any], table: Mapping[str, Any], change: Callable[..., Change]
) -> Iterator[Change]:
    """The scores of one measurement, then and now: means first in the words, and how many differ."""
    was, now = _values(earlier), _values(row)
    both = [key for key in now if key in was]
    differ = [key for key in both if was[key] != now[key]]
    gone = [key for key in was if key not in now]
    if not differ and not gone:
        return
    if differ:
        metric, category = first = min(differ, key=lambda k: (k[0] != table["headline"], k[1] != MEAN))
        unit = next((m["unit"] for m in table["metrics"] if m["name"] == metric), "")
        words = f"{metric} of {category} {apart(was[first], now[first])}{f' {unit}' if unit else ''}"
        rest = len(differ) - 1 + len(gone)
        words += f", and {_count(rest, 'more score')}" if rest else ""
        yield change("rescored", row, words, was[first], now[first])
    else:
        yield change("rescored", row, f"{_count(len(gone), 'score')} no longer there")


def _values(row: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    return {(m, c): cell[0] for m, cells in row["cells"].items() for c, cell in cells.items()}


def _rank(row: Mapping[str, Any]) -> Rank:
    rank = row.get("rank")
    return (rank[0], rank[1]) if rank else None


def rank_text(rank: Rank) -> str:
    """An interval of ranks in words: "1-2", "3", "none"."""
    if rank is None:
        return "none"
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}-{rank[1]}"


def apart(before: float, after: float) -> str:
    """Two numbers with as many digits as it takes to tell them apart: "75.01 to 75.02"."""
    for digits in range(1, 9):
        texts = f"{before:.{digits}f}", f"{after:.{digits}f}"
        if texts[0] != texts[1]:
            return f"{texts[0]} to {texts[1]}"
    return f"{before:.6g} to {after:.6g}"


def _headline(row: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    cell = row["cells"].get(table["headline"], {}).get(MEAN)
    unit = next((m["unit"] for m in table["metrics"] if m["name"] == table["headline"]), "")
    return "" if cell is None else f"{table['headline']} {cell[0]:.4g}{f' {unit}' if unit else ''}"


def _count(number: int, one: str, many: str | None = None) -> str:
    """Nothing for none, "1 run", "3 runs"."""
    return "" if number == 0 else f"{number} {one if number == 1 else many or one + 's'}"
