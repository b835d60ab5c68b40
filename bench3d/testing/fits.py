"""What adapters and shape models are checked on, and the checks of a fit: artifact, reload, seed, interruption.

The stage is the cheapest backbone that is compatible, at a few cells, and the tiny twin of the training data. So that
a fit lasts seconds, the author proposes settings (`check_settings`, see `bench3d.testing.subjects.check_settings`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
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
from bench3d.errors import Bench3DError, WeightsError
from bench3d.plugins import incompatibilities, load_registry, load_settings, settings_model
from bench3d.plugins.registry import missing_extras
from bench3d.records import identity_hash
from bench3d.records.identity import identity_settings
from bench3d.testing.images import square
from bench3d.testing.models import (
    check_state,
    contents,
    largest_difference,
    require_no_changes,
    values_of,
)
from bench3d.testing.state import changes, restored_state, stirred_random
from bench3d.testing.subjects import SMALL_GRID, CheckFailed, Skip, Subject, require
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
    recipe = identity_hash({"check": subject.name, "settings": identity_settings(subject.settings(), "fit"), "seed": seed})
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


def fitted(subject: Subject) -> Artifact:
    """The artifact that the checks share."""
    artifact: Artifact = subject.shared("a fit", lambda: fit_once(subject))
    return artifact


def key_of(subject: Subject) -> str:
    """The key of an artifact in what `apply` is given."""
    return stage_of(subject).category or ALL


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


def check_makes(subject: Subject) -> str:
    """The factory gives an object with the verbs fit, load and apply."""
    return type(fitter(subject)).__name__


def check_fit(subject: Subject) -> str:
    """A fit leaves a whole artifact in its folder, of its recipe and category, with facts that are JSON."""
    artifact = fitted(subject)
    stage, context = stage_of(subject), context_of(subject, artifact.path)
    name = f"The artifact of {subject.name}"
    require(isinstance(artifact, Artifact), f"{subject.name}.fit gives a {type(artifact).__name__}, not an Artifact.")
    require(artifact.path.parent == subject.tmp, f"{name} lies in {artifact.path}, not in the folder of the fit.")
    index = artifact.path / INDEX
    require(index.is_file(), f"{name} has no {INDEX}.", "Write it last: an artifact is whole where it stands.")
    try:
        written = json.loads(index.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckFailed(f"{INDEX} of {subject.name} is no JSON ({error}).") from error
    for where, recipe in (("artifact", artifact.recipe), (INDEX, written.get("recipe"))):
        require(recipe == context.recipe, f"{name} has not the recipe of its fit ({where}).", "Store context.recipe.")
    require(
        artifact.category == stage.category,
        f"{name} is of category {artifact.category!r}, the fit of {stage.category!r}.",
        "per_category of the registration says whether there is one a category.",
    )
    require(isinstance(artifact.digest, str) and len(artifact.digest) >= 8, f"{name} has no digest.")
    try:
        json.dumps(dict(artifact.facts), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckFailed(f"{name} has facts that are no JSON ({error}).") from error
    return f"on {stage.name}, {sum(f.stat().st_size for f in artifact.path.rglob('*') if f.is_file()) / 1e3:.0f} kB"


def check_fit_keeps(subject: Subject) -> None:
    """A fit changes neither the model that it is given nor the state of the process."""
    stage = stage_of(subject)
    fitted(subject)
    batch = square(stage.model, 2)
    before, features = contents(stage.model), values_of(stage.model, batch)
    one, data = fitter(subject), stage.data.open()
    context = context_of(subject, subject.folder("again"))
    with restored_state() as former:
        again = one.fit(stage.model, data, context)
        found = changes(former)
    subject.shared("a second fit", lambda: again)
    _same_model(subject, "fit", stage.model, before, difference=largest_difference(features, values_of(stage.model, batch)))
    require_no_changes(found, f"{subject.name}.fit")


def check_seed(subject: Subject) -> None:
    """One seed gives one artifact, bit for bit, whatever the global random state; another seed another."""
    first = fitted(subject)

    def again() -> Artifact:
        with stirred_random(3):
            return fit_once(subject)

    with stirred_random(3):
        second: Artifact = again()
    require(
        first.digest == second.digest,
        f"Two fits of {subject.name} with one seed give different artifacts ({first.digest[:8]}, {second.digest[:8]}).",
        "Derive every draw from context.seed (bench3d.fit.draws), none from a global generator.",
    )
    require(
        fit_once(subject, seed=1).digest != first.digest,
        f"{subject.name} ignores its seed: seeds 0 and 1 give the same artifact.",
        "Derive every draw from context.seed (bench3d.fit.draws).",
    )


def check_interruption(subject: Subject) -> str:
    """A fit that is interrupted and begun again in its folder gives what an uninterrupted one gives."""
    whole, out, ctrl_c = fitted(subject), subject.folder("interrupted"), Interrupter()
    try:
        fit_once(subject, out=out, progress=ctrl_c)
    except KeyboardInterrupt:
        pass
    if not ctrl_c.done:
        raise Skip("the fit shows no values on its progress, so nobody can interrupt it at a known step")
    again = fit_once(subject, out=out)
    require(
        again.digest == whole.digest,
        f"A fit of {subject.name} that was interrupted and resumed gives another artifact.",
        "Save generator states with the weights (bench3d.fit.loop does), or begin anew.",
    )
    return ""


def check_reload(subject: Subject) -> None:
    """An artifact that is copied elsewhere and loaded afresh is the same, and makes the same model."""
    artifact, stage = fitted(subject), stage_of(subject)
    copy = subject.folder("moved") / "artifact"
    shutil.copytree(artifact.path, copy)
    one = fitter(subject)
    loaded = one.load(copy)
    for field in ("digest", "recipe", "category"):
        there, here = getattr(artifact, field), getattr(loaded, field)
        require(there == here, f"The artifact of {subject.name} has another {field} when it is loaded: {here!r}.")
    facts = json.loads(json.dumps(dict(artifact.facts)))
    lost = sorted(k for k in facts if k not in loaded.facts or json.loads(json.dumps(loaded.facts[k])) != facts[k])
    require(not lost, f"The artifact of {subject.name} loses facts when it is loaded: {', '.join(lost[:3])}.")
    batch = square(stage.model, 2, stage.category)
    with restored_state():
        made = fitter(subject).apply(stage.model, {key_of(subject): artifact}, subject.device)
        again = one.apply(stage.model, {key_of(subject): loaded}, subject.device)
    difference = largest_difference(values_of(made, batch), values_of(again, batch))
    require(
        difference == 0,
        f"{subject.name}: the model of a loaded artifact has other features than that of the fit (by {difference:.1e}).",
        "Everything that `apply` uses has to be in the artifact's files.",
    )


def check_broken_artifact(subject: Subject) -> None:
    """A folder without an artifact, and an index that is cut off, are refused with a WeightsError."""
    copy = subject.folder("broken") / "artifact"
    shutil.copytree(fitted(subject).path, copy)
    index = copy / INDEX
    index.write_bytes(index.read_bytes()[: index.stat().st_size // 2])
    for path, what in ((subject.folder("empty"), "an empty folder"), (copy, f"an {INDEX} that is cut off")):
        try:
            fitter(subject).load(path)
        except WeightsError:
            continue
        except Exception as error:
            kind = "error" if isinstance(error, Bench3DError) else "traceback"
            raise CheckFailed(
                f"{subject.name}.load answers to {what} with a {type(error).__name__} ({kind}).",
                "Raise WeightsError, naming file and field.",
            ) from error
        raise CheckFailed(f"{subject.name}.load takes {what} for an artifact.", "Raise WeightsError.")


def check_apply_keeps(subject: Subject) -> None:
    """`apply` makes a new model and changes neither the one that it is given nor the state of the process."""
    stage, artifact, one = stage_of(subject), fitted(subject), fitter(subject)
    batch = square(stage.model, 2, stage.category)
    before, features, print_ = contents(stage.model), values_of(stage.model, batch), stage.model.fingerprint()
    capabilities = stage.model.capabilities
    made: list[Any] = []
    check_state(
        lambda: made.append(one.apply(stage.model, {key_of(subject): artifact}, subject.device)), f"{subject.name}.apply"
    )
    require(made[0] is not stage.model, f"{subject.name}.apply gives back the model that it was given.", "Make a new one.")
    values_of(made[0], batch)
    difference = largest_difference(features, values_of(stage.model, batch))
    _same_model(subject, "apply", stage.model, before, difference=difference)
    require(
        stage.model.fingerprint() == print_ and stage.model.capabilities == capabilities,
        f"{subject.name}.apply changes the fingerprint or the capabilities of the model that it is given.",
        "Leave its attributes alone.",
    )
    require(
        made[0].random_weights == stage.model.random_weights,
        f"{subject.name}: the applied model says random_weights={made[0].random_weights}, its backbone "
        f"{stage.model.random_weights}.",
        "Hand it on: every record says whether weights are random.",
    )


def check_applied_fingerprint(subject: Subject) -> str:
    """The applied model has a fingerprint of its own where its features differ from the given model's."""
    stage, model = stage_of(subject), applied(subject)
    batch = square(stage.model, 2, stage.category)
    here, there = model.fingerprint(stage.category), stage.model.fingerprint(stage.category)
    if here is None:
        return "None: its features are never cached"
    differs = largest_difference(values_of(model, batch), values_of(stage.model, batch)) != 0
    require(
        here != there or not differs,
        f"{subject.name}: the applied model has the fingerprint of the backbone, and other features.",
        "Hash the artifact's weights as well: a cache would mix the two.",
    )
    return here[:12] if differs else "its features are the backbone's"


def _same_model(subject: Subject, verb: str, model: Model, before: dict[str, str], *, difference: float) -> None:
    after = contents(model)
    changed = [name for name in before if after.get(name) != before[name]]
    require(
        not changed and difference == 0,
        f"{subject.name}.{verb} changes the model that it is given ({', '.join(changed[:3]) or 'its features'}).",
        "Work on a deep copy (copy.deepcopy, DenseBackbone.with_net).",
    )


FIT_CHECKS: tuple[tuple[str, Callable[[Subject], str | None], tuple[str, ...]], ...] = (
    ("makes", check_makes, ()),
    ("fit", check_fit, ("makes",)),
    ("fit-keeps-model", check_fit_keeps, ("fit",)),
    ("fit-seed", check_seed, ("fit",)),
    ("fit-interrupted", check_interruption, ("fit", "fit-seed")),
    ("broken-artifact", check_broken_artifact, ("fit",)),
    ("apply-keeps-model", check_apply_keeps, ("fit", "fit-keeps-model")),
    ("reload", check_reload, ("fit", "apply-keeps-model")),
    ("fingerprint", check_applied_fingerprint, ("fit", "apply-keeps-model")),
)
