"""A task: a dataset, a protocol and metrics. The host batches, aggregates, bootstraps and writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench3d.contracts.model import Model


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """How per-sample values become one score.

    Attributes:
        name: e.g. "accuracy@30deg".
        value: key of the per-sample value it reads.
        reduce: "mean", "median" or "fraction_below" (strict `<` of `threshold`).
        threshold: for "fraction_below", in the unit of the value.
        unit: "%", "deg", ... ("%" scores are stored as fractions times 100).
        higher_is_better: direction.
        version: bumped when the definition changes.
        order: averaging order, e.g. "image > category > mean over categories".
        chance: name of a chance level -> key of the per-sample value that holds its exact expectation. For
            "fraction_below" that is the probability in [0, 1] that a draw is below the threshold, so scores are
            means; for "mean" and "median" it is a value of the metric's own kind, reduced the same way.
    """

    name: str
    value: str
    reduce: str
    unit: str
    higher_is_better: bool
    threshold: float | None = None
    version: int = 1
    order: str = "image > category > unweighted mean over categories"
    chance: Mapping[str, str] | None = None


class Task(ABC):
    """One evaluation. Constructed by its factory with resolved settings and a protocol."""

    metrics: Sequence[MetricSpec]

    @abstractmethod
    def samples(self, dataset: Any, category: str, limit: int | None) -> Sequence[Any]:
        """The samples of a category in a fixed order, at most `limit` of them (evenly spread, seeded by nothing)."""

    @abstractmethod
    def prepare(self, model: Model, category: str, source: Any) -> None:
        """Called once a category before evaluation: training poses for chance levels and the like."""

    @abstractmethod
    def evaluate(self, model: Model, samples: Sequence[Any], device: str) -> Sequence[Mapping[str, Any]]:
        """Values of every sample of one batch: JSON numbers, strings, lists; must hold `id`, `cluster`, `category`.

        `groups` may hold a mapping such as {"azimuth": "330-30"}: the host scores every bin as well. Keys that end in
        `_ms` are milliseconds of a part of the work. Samples have an attribute `id`.
        """

    def pictures(
        self, model: Model, samples: Sequence[Any], values: Sequence[Mapping[str, Any]], out: Path, device: str
    ) -> Iterator[Path]:
        """Pictures a person wants to look at, written under `out`; by default none."""
        return iter(())
