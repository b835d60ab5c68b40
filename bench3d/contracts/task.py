"""A task: a dataset, a protocol and metrics. The host batches, aggregates, bootstraps and writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bench3d.contracts.encoding import ImageRequest, Session
    from bench3d.contracts.model import Model


Over = Literal["samples", "parts", "clusters"]
Across = Literal["macro", "samples", "pooled"]


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """How per-sample values become one score.

    A sample may consist of parts (the keypoints of a pair, the targets of a source view): its value "parts" is a
    mapping of columns, lists of one length, and the metric then reads a column.

    Attributes:
        name: e.g. "accuracy@30deg".
        value: key of the per-sample value, or column of the parts, that it reads.
        reduce: "mean", "median", "fraction_below" (strict `<` of `threshold`) or "fraction_at_most" (`<=`).
        threshold: for the fractions, in the unit of the value.
        unit: "%", "deg", ... ("%" scores are stored as fractions times 100).
        higher_is_better: direction.
        version: bumped when the definition changes.
        over: what the statistic of a category is taken over: "samples" (a sample with parts counts as the mean of its
            parts), "parts" (all parts of all samples together) or "clusters" (a cluster counts as the mean of its
            rows).
        weight: column of the parts that weighs them, such as a number of correspondences; None for equal weights.
        across: how categories become one: "macro" (their unweighted mean), "samples" (their mean weighted by the
            number of samples) or "pooled" (all rows together).
        order: averaging order in words, e.g. "image > category > unweighted mean over categories".
        chance: name of a chance level -> key or column that holds its exact expectation. For a fraction that is the
            probability in [0, 1] that a draw counts, so scores are means; for "mean" and "median" it is a value of
            the metric's own kind, reduced the same way.
        grouped: whether the host scores every bin of the samples' `groups` with it.
        tolerance: how far the value of a sample may lie off where another device or batch size computed it, in the
            unit of `value`; None where nothing is promised.
    """

    name: str
    value: str
    reduce: str
    unit: str
    higher_is_better: bool
    threshold: float | None = None
    version: int = 1
    over: Over = "samples"
    weight: str | None = None
    across: Across = "macro"
    order: str = "image > category > unweighted mean over categories"
    chance: Mapping[str, str] | None = None
    grouped: bool = True
    tolerance: float | None = None


class Task(ABC):
    """One evaluation. Constructed by its factory with resolved settings and a protocol."""

    metrics: Sequence[MetricSpec]

    def open(self, session: Session) -> None:
        """Called once, before anything else: the model, the encoder of images, the device. By default ignored."""
        return

    def images(self, samples: Sequence[Any]) -> Iterable[ImageRequest]:
        """The images that `evaluate` will ask the session's encoder for, in the order of their first use."""
        return ()

    @abstractmethod
    def samples(self, dataset: Any, category: str, limit: int | None) -> Sequence[Any]:
        """The samples of a category in a fixed order, at most `limit` of them (evenly spread, seeded by nothing)."""

    @abstractmethod
    def prepare(self, model: Model, category: str, source: Any) -> None:
        """Called once a category before evaluation: training poses for chance levels and the like."""

    @abstractmethod
    def evaluate(self, model: Model, samples: Sequence[Any], device: str) -> Sequence[Mapping[str, Any]]:
        """Values of every sample of one batch: JSON numbers, strings, lists; must hold `id`, `cluster`, `category`.

        `groups` may hold a mapping such as {"azimuth": "330-30"}: the host scores every bin as well. `parts` may hold
        columns (see MetricSpec); its own `groups` are columns of bin names, its `cluster` a column that replaces the
        sample's. `binned` may hold {"motion": {"fast": {"AJ": 0.2}}}: what replaces the sample's own values in a bin
        of the parts' groups, for a value that is no mean of the parts. Keys that end in `_ms` are milliseconds of a
        part of the work. Samples have an attribute `id`.
        """

    def notes(self) -> Sequence[str]:
        """Sentences for the record about what was evaluated: a known defect of a list, images that were missing."""
        return ()

    def pictures(
        self, model: Model, samples: Sequence[Any], values: Sequence[Mapping[str, Any]], out: Path, device: str
    ) -> Iterator[Path]:
        """Pictures a person wants to look at, written under `out`; by default none."""
        return iter(())
