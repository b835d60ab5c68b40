"""What the record says in words about an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from bench3d_plugins.oneshot_pose.capture import Query


class Tally:
    """Counts of one run."""

    def __init__(self) -> None:
        self._listed: list[Query] = []
        self._left_out = 0
        self._rows: dict[str, int] = {}
        self._failed: dict[str, bool] = {}

    def listed(self, queries: Sequence[Query]) -> None:
        """Notes what a category holds; a second listing replaces the first."""
        self._listed = list(queries)

    def left_out(self, count: int) -> None:
        """Sets that cannot be split."""
        self._left_out = count

    def add(self, query: Query, rows: int, failed: bool) -> None:
        """Counts an evaluated query; once, however often it is tried."""
        self._rows[query.capture.id] = rows
        self._failed[query.id] = failed

    def sentences(self) -> list[str]:
        """All of it."""
        captures = {q.capture.id: q.capture for q in self._listed}
        references = sum(len(c.references) for c in captures.values())
        said = [f"{len(self._listed)} query views of {len(captures)} objects or scenes, {references} reference views."]
        if self._rows:
            rows = sorted(self._rows.values())
            failed = sum(self._failed.values())
            said.append(
                f"Banks of {rows[0]} to {rows[-1]} descriptors; {failed} of {len(self._failed)} frames got no pose."
            )
            empty = sorted(name for name, count in self._rows.items() if not count)
            if empty:
                said.append(f"Nothing could be reconstructed of {', '.join(empty[:5])}: every frame of it failed.")
        if self._left_out:
            said.append(f"{self._left_out} sets with fewer than three views are left out.")
        if len(captures) == 1:
            said.append(
                "There is a single object or scene: intervals are drawn over its query views and say nothing about "
                "other scenes."
            )
        return said
