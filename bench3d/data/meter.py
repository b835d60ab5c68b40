"""Bytes on a Progress."""

from __future__ import annotations

from bench3d.contracts import Progress


class Meter:
    """A stage in bytes: shown as MB from 10 MB on (a bar in GB would hardly move), else as kB or bytes."""

    UNITS = ((10**6, "MB"), (10**3, "kB"), (1, "bytes"))

    def __init__(self, progress: Progress, name: str, total: int | None) -> None:
        self._unit, word = next(((u, w) for u, w in self.UNITS if (total or 10**7) >= 10 * u), self.UNITS[-1])
        self._progress = progress
        self._bytes = self._shown = 0
        progress.start(f"{name} ({word})", None if total is None else max(1, total // self._unit))

    def add(self, count: int) -> None:
        """So many more bytes."""
        self.reach(self._bytes + count)

    def reach(self, count: int) -> None:
        """So many bytes in all; never goes back."""
        self._bytes = max(self._bytes, count)
        units = self._bytes // self._unit
        self._progress.advance(units - self._shown)
        self._shown = units
