"""What is done with videos before anything is trained on them: filtering and cleaning, and aligning to one frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import numpy as np

    from bench3d.contracts.data import ObjectSequence
    from bench3d.contracts.progress import Progress


@dataclass(frozen=True)
class PrepareReport:
    """What the preparation of a category found.

    Attributes:
        kept: sequences that a reader uses; left_out: how many others, by reason.
        made: of those that were looked at, how many were worked on now; the others were prepared before.
        points, meshes: of the kept sequences' clouds in all, and how many have a mesh.
        empty_frames: of the kept sequences, left out for an empty mask.
        problems: files that are missing or broken, a sentence each.
    """

    category: str
    kept: int
    left_out: Mapping[str, int]
    made: int
    points: int
    meshes: int
    seconds: float
    empty_frames: int = 0
    problems: tuple[str, ...] = ()


class Preparer(Protocol):
    """Does beforehand, in parallel, what a reader otherwise does when its data are first read, and keeps it."""

    def __call__(
        self, root: Path, settings: Any, categories: Sequence[str] | None, progress: Progress, workers: int
    ) -> Iterable[PrepareReport]:
        """Prepares the data set at `root` category by category (None: all that are there) with `workers` processes.

        What was prepared before is left alone; broken off at any point, it goes on there the next time. Reading gives
        the same with and without it.

        Raises:
            DataError: a category is missing, or its annotations are broken.
            OutputError: nothing can be kept.
            Busy: another process prepares the same.
        """


@dataclass(frozen=True)
class PublishedAlignment:
    """Alignments that others have published, read from their files.

    Attributes:
        tables: reference -> category -> sequence -> (4, 4) similarity from the sequence's own frame to labelled axes.
        labels: category -> sequence -> (3, 3) rotation from the sequence's own frame to labelled axes.
        variant: which of several alignments was read; variants: all there are.
        skipped: files that were left out, with the reason.
    """

    tables: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
    labels: Mapping[str, Mapping[str, np.ndarray]]
    variant: str | None = None
    variants: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)


class Aligner(Protocol):
    """What aligning needs of a data set. `align` of its registration makes one: (root, settings) -> Aligner.

    Attributes:
        backbone: whose features are taken where a user names none.
    """

    backbone: ClassVar[str]

    def present(self) -> list[str]:
        """Categories that are here."""

    def raw_sequences(self, category: str) -> tuple[list[ObjectSequence], dict[str, int]]:
        """Sequences each in its own frame and unit, and how many were left out, by reason. They can be pickled.

        Their points are cleaned clouds; bench3d.morphable.alignment_stages.LeftOut comes from one that is of no use.

        Raises:
            DataError: the category or its annotations are missing or broken as a whole.
        """

    def references(self, category: str) -> Mapping[str, str]:
        """Names of published reference sequences ("r0", ...), in their order; empty where there are none."""

    def truth(self, category: str) -> Mapping[str, np.ndarray] | None:
        """Of a synthetic twin: the exact (4, 4) alignments, for reports only; None where nobody knows them."""

    def published(self, folder: Path, variant: str | None = None) -> PublishedAlignment:
        """Reads what the method's authors published, from a copy of their files in `folder`.

        Raises:
            DataError: no such files there, or no such variant.
        """
