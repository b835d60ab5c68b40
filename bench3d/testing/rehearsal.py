"""A task at work on the tiny twin: with the cheapest backbone there is, and poses that are only guessed.

No backbone is named here: the floor is whatever plugin offers a backbone without parameters and weights.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bench3d.contracts import (
    BackboneRegistration,
    DatasetRegistration,
    FeatureMesh,
    Given,
    ImageBatch,
    Model,
    PoseEstimate,
    Protocol,
    Session,
    Task,
    TaskRegistration,
    WeightedMap,
)
from bench3d.errors import PluginError
from bench3d.features.encoder import FeatureEncoder
from bench3d.geometry.rotations import random_rotations
from bench3d.plugins import load_registry, load_settings
from bench3d.plugins.registry import missing_extras
from bench3d.runner.evaluate import BatchSize, evaluate_category
from bench3d.testing.subjects import SMALL_GRID, CheckFailed, Skip, Subject
from bench3d.testing.twins import Stand, given_folder, registered_reader, write_twin

SAMPLES = 3
_FAR = 5.0
_SCORE_CELLS = 8


class Guesser(Model):
    """A backbone's features, and poses, masks and shapes that depend on nothing but the sample's id.

    Attributes:
        given: oracles that it was handed, by name; of all calls together.
    """

    capabilities = frozenset({"features", "pose", "mask", "shape"})
    random_weights = True

    def __init__(self, floor: Model) -> None:
        self.floor = floor
        self.canvas = floor.canvas
        self.given: set[str] = set()

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        """The backbone's."""
        return self.floor.features(batch)

    def pose(self, batch: ImageBatch, given: Given) -> PoseEstimate:
        """Rotations drawn by the ids."""
        self.given |= {name for name, value in vars(given).items() if value is not None}
        drawn = [random_rotations(1, _generator(one))[0] for one in batch.ids]
        rotation = torch.from_numpy(np.stack(drawn)).float().to(batch.images.device)
        far = torch.tensor([[0.0, 0.0, _FAR]]).repeat(len(batch), 1).to(rotation)
        translation = far if given.translation is None else given.translation.to(rotation)
        score = torch.tensor([_generator(one).random() for one in batch.ids]).to(rotation)
        return PoseEstimate(rotation, translation, score, start_rotation=rotation.transpose(1, 2))

    def mask(self, batch: ImageBatch, given: Given, pose: PoseEstimate) -> torch.Tensor:
        """A disc in the middle."""
        at = torch.linspace(-1.0, 1.0, _SCORE_CELLS)
        disc = (at[:, None].square() + at[None].square() < 0.5).float()
        return disc.repeat(len(batch), 1, 1).to(batch.images.device)

    def shape(self, batch: ImageBatch, given: Given) -> tuple[torch.Tensor, torch.Tensor]:
        """A tetrahedron."""
        corners = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).to(batch.images.device)
        faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], dtype=torch.int32)
        return corners.repeat(len(batch), 1, 1), faces.to(batch.images.device)

    def template(self, category: str) -> FeatureMesh:
        """The same tetrahedron."""
        corners = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        return FeatureMesh(corners, torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], dtype=torch.int32))


class Unable(Guesser):
    """The same without some capabilities: what of them is called raises CapabilityError, as every model's does."""

    def __init__(self, floor: Model, lacks: Sequence[str]) -> None:
        super().__init__(floor)
        self.capabilities = frozenset(self.capabilities - set(lacks))
        for name in lacks:
            setattr(self, name, getattr(super(Guesser, self), name))


def _generator(text: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))


def floor_backbone(device: str, wanted: str | None = None) -> Model:
    """The backbone without parameters and weights that has the fewest channels, or the one that is wanted.

    Raises:
        Skip: no plugin offers one.
    """
    registry = load_registry()
    free = [
        r
        for r in registry.registrations("backbone")
        if isinstance(r, BackboneRegistration) and r.params == 0 and r.weights is None and not missing_extras(r)
    ]
    if wanted is None and not free:
        raise Skip("no plugin offers a backbone without weights")
    name = wanted or min(free, key=lambda r: (r.dim or 0, r.name)).name
    settings = load_settings(registry.get("backbone", name), wanted={"grid": SMALL_GRID})
    made: Model = registry.create("backbone", name, weights="random", settings=settings, device=device)
    return made


def data_of(subject: Subject) -> Stand:
    """What a task is rehearsed on: the twin of its data set, else of another one that it accepts; once a subject."""
    registration = subject.registration
    assert isinstance(registration, TaskRegistration)

    def make() -> Stand:
        registry = load_registry()
        own = registry.get("dataset", registration.dataset)
        others = [r for r in registry.registrations("dataset") if isinstance(r, DatasetRegistration)]
        assert isinstance(own, DatasetRegistration)
        if subject.options.data is not None:
            return given_folder(own, subject.options.data, registered_reader(own))
        fits = [own, *(r for r in others if registration.accepts is not None and registration.accepts in r.provides)]
        # One that has categories cannot stand in for one that has none, nor the other way round.
        with_twin = [
            r for r in fits if r.synth is not None and (r is own or bool(r.categories) == bool(own.categories))
        ]
        if not with_twin:
            raise Skip(f"{own.name} has no synthetic twin, nor has another data set that it accepts; use --data")
        chosen = with_twin[0]
        return write_twin(chosen, subject.folder("twin"), registered_reader(chosen))

    stand: Stand = subject.shared("its data", make)
    return stand


def training_data(subject: Subject, category: str) -> Any:
    """A reader of aligned videos of the category, as shape models are fitted on; None where no plugin offers a twin."""
    for registration in load_registry().registrations("dataset"):
        assert isinstance(registration, DatasetRegistration)
        if "sequences" in registration.provides and category in registration.categories and registration.synth:
            stand = write_twin(registration, subject.folder("training"), registered_reader(registration))
            return stand.open()
    return None


@dataclass
class Stage:
    """One task with its model, its data and an open session."""

    task: Task
    protocol: Protocol | None
    model: Model
    session: Session
    dataset: Any
    category: str
    samples: Sequence[Any]

    def evaluate(self, batch: int, source: Any = None) -> list[dict[str, Any]]:
        """The values of all samples, through the host.

        Args:
            batch: samples at a time.
            source: training data, as a run with a shape model has them.

        Raises:
            CheckFailed: they break the contract.
        """
        found: list[dict[str, Any]] = []
        batches = evaluate_category(self.task, self.session, self.category, self.samples, source, BatchSize(batch))
        with contextlib.closing(batches):
            try:
                for values in batches:
                    found += values
            except PluginError as error:
                raise CheckFailed(error.message, error.hint) from error
        return found


@contextlib.contextmanager
def stage(
    subject: Subject, protocol: Protocol | None = None, model: Model | None = None, limit: int = SAMPLES
) -> Iterator[Stage]:
    """A fresh task, opened on the tiny twin with a fresh model, under its first protocol or another one."""
    registration = subject.registration
    assert isinstance(registration, TaskRegistration)
    stand = data_of(subject)
    if protocol is None and registration.protocols:
        protocol = registration.protocols[0]
    settings = subject.settings(**(protocol.settings if protocol is not None else {}))
    task: Task = subject.create(settings=settings, protocol=protocol)
    used = model or Guesser(floor_backbone(subject.device, subject.options.backbone))
    with FeatureEncoder(used, device=subject.device, batch=2, workers=1) as encoder:
        session = Session(model=used, encoder=encoder, device=subject.device)
        task.open(session)
        dataset = stand.open()
        samples = task.samples(dataset, stand.category, limit)
        yield Stage(task, protocol, used, session, dataset, stand.category, samples)
