"""How long work reports itself; the command line draws it, a test or a library user ignores it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType


class Progress:
    """A sink for progress. The base class is silent: override what you want to show."""

    def start(self, name: str, total: int | None) -> None:
        """A stage of `total` steps begins (None: unknown length). Stages do not nest."""

    def advance(self, steps: int = 1, **values: float) -> None:
        """`steps` more are done; `values` are the latest losses or scores to show beside the bar."""

    def report(self, step: int, values: Mapping[str, float]) -> None:
        """For whoever keeps it: mean losses, or a held-out score, after `step` iterations of the stage."""

    def finish(self) -> None:
        """The stage is over."""

    def say(self, message: str) -> None:
        """One line that stays on the screen."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()


class NullProgress(Progress):
    """Says nothing."""
