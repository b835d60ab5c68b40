"""Adapters and shape models: `fit` leaves an artifact, `apply` makes a new model from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3d.contracts.progress import NullProgress, Progress

if TYPE_CHECKING:
    from bench3d.contracts.data import MultiviewSource
    from bench3d.contracts.model import Model


@dataclass(frozen=True)
class Artifact:
    """What a fit leaves: a folder with `artifact.json` and safetensors files, and its facts.

    `recipe` is the hash of everything that went in (identity); `digest` the hash of what came out (provenance).
    """

    path: Path
    recipe: str
    digest: str
    category: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class FitContext:
    """What the host hands to `fit`.

    Attributes:
        out: an existing folder that belongs to this fit; resumable state and the final files go there.
        recipe: hash to store in the artifact.
        category: canonical name, None where the method is not per category.
        categories: what of the data a fit that is not per category may see; ("all",) for data without categories.
        seed: every random draw derives from it.
        device: "cpu" or "cuda".
        resume: continue from state found in `out`.
    """

    out: Path
    recipe: str
    seed: int
    device: str = "cpu"
    category: str | None = None
    categories: tuple[str, ...] = ("all",)
    resume: bool = True
    progress: Progress = field(default_factory=NullProgress)


class ShapeModel(ABC):
    """The two verbs. An Adapter has the same ones; its model only changes features.

    An adapter that others can read also has `formats`, the names of formats, and
    `export(artifact, model, out, format) -> Path` (`bench3d adapter export`).
    """

    @abstractmethod
    def fit(self, model: Model, source: MultiviewSource, context: FitContext) -> Artifact:
        """Trains on `source` with the features of `model` and leaves an artifact in `context.out`."""

    @abstractmethod
    def load(self, path: Path) -> Artifact:
        """Reads and validates an artifact folder; raises WeightsError with file and field."""

    @abstractmethod
    def apply(self, model: Model, artifacts: Mapping[str, Artifact], device: str) -> Model:
        """A new model with the added capabilities; `model` itself stays as it is. Keys are categories."""
