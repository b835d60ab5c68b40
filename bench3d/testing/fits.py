"""What adapters and shape models are checked on: a small backbone, tiny training data, and a fit of a few steps.

The stage is the cheapest backbone that is compatible, at a few cells, and the tiny twin of the training data. So that
a fit lasts seconds, the author proposes settings (`check_settings`, see `bench3d.testing.subjects.check_settings`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.contracts import (
    AdapterRegistration,
    Artifact,
    BackboneRegistration,
    DatasetRegistration,
    FitContext,
    Model,
    Progress,
    ShapeModelRegistration,
)
from bench3d.plugins import incompatibilities, load_registry, load_settings, settings_model
from bench3d.plugins.registry import missing_extras
from bench3d.records import identity_hash
from bench3d.records.identity import identity_settings
from bench3d.testing.contents import contents
from bench3d.testing.images import square
from bench3d.testing.models import (
    largest_difference,
    values_of,
)
from bench3d.testing.state import changes, restored_state
from bench3d.testing.subjects import SMALL_GRID, Skip, Subject, require
from bench3d.testing.twins import ALL, Stand, given_folder, registered_reader, write_twin

INDEX = "artifact.json"


class Interrupter(Progress):
    """A progress at which the user presses Ctrl-C when a stage is under way."""

    def __init__(self) -> None:
        self.done = False

    def advance(self, steps: int = 1, **values: float) -> None:
        """Interrupts once, at the first step that shows a value (a loss)."""
        if values and not self.done:
            self.done = True
            raise KeyboardInterrupt


@dataclass(frozen=True)
class Stage:
    """A backbone and training data. `category` is None where a fit is for all categories."""

    name: str
    model: Model
    data: Stand
    category: str | None


def stage_of(subject: Subject) -> Stage:
    """The stage of a subject, made once.

    Raises:
        Skip: there is no compatible backbone, or the training data have no twin.
    """
    stage: Stage = subject.shared("backbone and training data", lambda: _make_stage(subject))
    return stage


def _make_stage(subject: Subject) -> Stage:
    registration = subject.registration
    assert isinstance(registration, (AdapterRegistration, ShapeModelRegistration))
    if registration.train_dataset is None:
        raise Skip("it names no training data (train_dataset)")
    dataset = load_registry().get("dataset", registration.train_dataset)
    assert isinstance(dataset, DatasetRegistration)
    make = registered_reader(dataset)
    if subject.options.data is not None:
        data = given_folder(dataset, subject.options.data, make)
    else:
        data = write_twin(dataset, subject.folder("twin"), make)
    single = isinstance(registration, ShapeModelRegistration) or registration.per_category
    name = subject.options.backbone or cheapest_backbone(registration)
    return Stage(name, backbone(subject, name), data, data.category if single else None)


def cheapest_backbone(registration: AdapterRegistration | ShapeModelRegistration) -> str:
    """The registered backbone with the fewest parameters that no plugin objects to; families are left out.

    Raises:
        Skip: there is none.
    """
    registry = load_registry()
    adapter = registration if isinstance(registration, AdapterRegistration) else None
    shape = registration if isinstance(registration, ShapeModelRegistration) else None
    able = [
        b
        for b in registry.registrations("backbone")
        if isinstance(b, BackboneRegistration)
        and not b.name.endswith(":")
        and b.params is not None
        and not missing_extras(b)
        and not incompatibilities(registry, b, adapter, shape, None)
    ]
    if not able:
        raise Skip("no registered backbone is compatible with it; name one with --backbone")
    return min(able, key=lambda b: (b.params or 0, -(b.dim or 0), b.name)).name


def backbone(subject: Subject, name: str) -> Model:
    """A fresh instance of a backbone, small and with random weights."""
    registry = load_registry()
    registration = registry.get("backbone", name)
    small = {"grid": SMALL_GRID} if "grid" in settings_model(registration).model_fields else {}
    settings = load_settings(registration, overrides={**small, **subject.options.backbone_settings})
    with restored_state():
        made: Model = registry.create(
            "backbone", name, weights=subject.options.weights, settings=settings, device=subject.device
        )
    return made


def fitter(subject: Subject) -> Any:
    """A fresh adapter or shape model."""
    made = subject.create()
    for verb in ("fit", "load", "apply"):
        require(
            callable(getattr(made, verb, None)),
            f"The factory of {subject.name} gives a {type(made).__name__} without {verb}.",
            "Derive from bench3d.contracts.ShapeModel.",
        )
    return made


def context_of(subject: Subject, out: Path, seed: int = 0, progress: Progress | None = None) -> FitContext:
    """What the host would hand to `fit`."""
    stage = stage_of(subject)
    recipe = identity_hash(
        {"check": subject.name, "settings": identity_settings(subject.settings(), "fit"), "seed": seed}
    )
    return FitContext(
        out=out,
        recipe=recipe,
        seed=seed,
        device=subject.device,
        category=stage.category,
        categories=(stage.data.category,),
        progress=progress or Progress(),
    )


def fit_once(subject: Subject, seed: int = 0, out: Path | None = None, progress: Progress | None = None) -> Artifact:
    """One fit from fresh objects; the state of the process is put back."""
    stage = stage_of(subject)
    context = context_of(subject, out or subject.folder("fit"), seed, progress)
    with restored_state():
        artifact: Artifact = fitter(subject).fit(stage.model, stage.data.open(), context)
    return artifact


@dataclass(frozen=True)
class Fitted:
    """A fit and what it did besides.

    Attributes:
        model_changes: tensors of the given model that are not as they were; `difference` of its features.
        state_changes: of the process, see `state.changes`.
    """

    artifact: Artifact
    model_changes: list[str]
    difference: float
    state_changes: list[str]


def first_fit(subject: Subject) -> Fitted:
    """The fit that the checks share, observed."""

    def make() -> Fitted:
        stage, context = stage_of(subject), context_of(subject, subject.folder("fit"))
        batch = square(stage.model, 2, stage.category)
        before, features = contents(stage.model), values_of(stage.model, batch)
        one, source = fitter(subject), stage.data.open()
        with restored_state() as former:
            artifact = one.fit(stage.model, source, context)
            found = changes(former, imports=True)
        after = contents(stage.model)
        return Fitted(
            artifact,
            [name for name in before if after.get(name) != before[name]],
            largest_difference(features, values_of(stage.model, batch)),
            found,
        )

    fit: Fitted = subject.shared("a fit", make)
    return fit


def fitted(subject: Subject) -> Artifact:
    """The artifact that the checks share."""
    return first_fit(subject).artifact


def key_of(subject: Subject) -> str:
    """The key of an artifact in what `apply` is given."""
    return stage_of(subject).category or ALL


def category_of(subject: Subject) -> str | None:
    """The category of batches that the applied model is shown."""
    return stage_of(subject).category


def applied(subject: Subject) -> Model:
    """The stage's model with the shared artifact, loaded as a run loads it."""

    def make() -> Model:
        one = fitter(subject)
        artifact = one.load(fitted(subject).path)
        with restored_state():
            model = one.apply(stage_of(subject).model, {key_of(subject): artifact}, subject.device)
        require(isinstance(model, Model), f"{subject.name}.apply gives a {type(model).__name__}, not a Model.")
        return model

    model: Model = subject.shared("the applied model", make)
    return model
