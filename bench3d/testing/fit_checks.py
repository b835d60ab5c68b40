"""Checks of adapters and shape models alike: the fit, its artifact, and the model that it makes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from bench3d.contracts import Artifact
from bench3d.errors import Bench3DError, WeightsError
from bench3d.plugins.settings import SCOPES
from bench3d.testing.checks import Check
from bench3d.testing.contents import contents
from bench3d.testing.fits import (
    INDEX,
    Interrupter,
    applied,
    category_of,
    cheapest_backbone,
    context_of,
    first_fit,
    fit_once,
    fitted,
    fitter,
    key_of,
    stage_of,
)
from bench3d.testing.images import square
from bench3d.testing.model_checks import SOUND, model_checks
from bench3d.testing.models import check_state, largest_difference, require_no_changes, values_of
from bench3d.testing.state import restored_state, stirred_random
from bench3d.testing.subjects import CheckFailed, Skip, Subject, require

_UNKNOWN = 3
_RECIPE = """
import json, sys
from bench3d.errors import UnknownNameError
from bench3d.runner import plan_fits
from bench3d.runner.spec import spec_from
try:
    plan = plan_fits(spec_from(json.loads(sys.argv[1])))
except UnknownNameError:
    raise SystemExit(3)
loaded = [name for name in ("torch", "timm", "torchvision", "peft") if name in sys.modules]
print(json.dumps({"recipe": plan.jobs[0].recipe if plan.jobs else None, "loaded": loaded}))
"""


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
    """A fit changes neither the model that it is given nor the shared state of the process."""
    fit = first_fit(subject)
    _require_same(subject, "fit", fit.model_changes, fit.difference)
    require_no_changes(fit.state_changes, f"{subject.name}.fit")


def check_seed(subject: Subject) -> None:
    """One seed gives one artifact, bit for bit, whatever the global random state; another seed another."""
    first = fitted(subject)
    with stirred_random(3):
        second = fit_once(subject)
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


def check_interruption(subject: Subject) -> None:
    """A fit that is interrupted and begun again in its folder gives what an uninterrupted one gives."""
    whole, out, ctrl_c = fitted(subject), subject.folder("interrupted"), Interrupter()
    try:
        fit_once(subject, out=out, progress=ctrl_c)
    except KeyboardInterrupt:
        if not ctrl_c.done:
            raise
    if not ctrl_c.done:
        raise Skip("the fit shows no values on its progress, so nobody can interrupt it at a known step")
    again = fit_once(subject, out=out)
    require(
        again.digest == whole.digest,
        f"A fit of {subject.name} that was interrupted and resumed gives another artifact.",
        "Save generator states with the weights (bench3d.fit.loop does), or begin anew.",
    )


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
        f"{subject.name}: the loaded artifact makes a model with other features (by {difference:.1e}).",
        "Everything that `apply` uses has to be in the artifact's files.",
    )


def check_recipe(subject: Subject) -> str:
    """The recipe of a fit can be told without torch, weights or training, and follows the settings."""
    registration = subject.registration
    if not subject.registered or registration.train_dataset is None:  # type: ignore[attr-defined]
        raise Skip("it is not registered, or names no training data")
    backbone = subject.options.backbone or cheapest_backbone(registration)  # type: ignore[arg-type]
    scope = SCOPES[subject.kind]
    words = {"backbone": backbone, "synthetic": True, "weights": "random", "results": str(subject.tmp)}
    words["adapter" if subject.kind == "adapter" else "shape_model"] = subject.name
    words["settings"] = {
        scope: {k: v for k, v in subject.settings().model_dump(mode="json", exclude_unset=True).items()}
    }
    done = subprocess.run(
        [sys.executable, "-c", _RECIPE, json.dumps(words)], capture_output=True, text=True, check=False, timeout=100
    )
    if done.returncode == _UNKNOWN:
        raise Skip("another process does not know it: it is not installed")
    require(done.returncode == 0, f"Planning a fit of {subject.name} fails: {done.stderr.strip()[-200:]}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    require(
        not answer["loaded"],
        f"Planning a fit of {subject.name} imports {' and '.join(answer['loaded'])}.",
        "Import them inside the functions that use them.",
    )
    require(bool(answer["recipe"]), f"A fit of {subject.name} has no recipe.")
    return str(answer["recipe"])[:12]


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
        lambda: made.append(one.apply(stage.model, {key_of(subject): artifact}, subject.device)),
        f"{subject.name}.apply",
    )
    require(
        made[0] is not stage.model, f"{subject.name}.apply gives back the model that it was given.", "Make a new one."
    )
    values_of(made[0], batch)
    difference = largest_difference(features, values_of(stage.model, batch))
    after = contents(stage.model)
    _require_same(subject, "apply", [name for name in before if after.get(name) != before[name]], difference)
    require(
        stage.model.fingerprint() == print_ and stage.model.capabilities == capabilities,
        f"{subject.name}.apply changes the fingerprint or the capabilities of the model that it is given.",
        "Leave its attributes alone.",
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


def _require_same(subject: Subject, verb: str, changed: list[str], difference: float) -> None:
    require(
        not changed and difference == 0,
        f"{subject.name}.{verb} changes the model that it is given ({', '.join(changed[:3]) or 'its features'}).",
        "Work on a deep copy (copy.deepcopy, DenseBackbone.with_net).",
    )


def check_capabilities(subject: Subject) -> str:
    """The applied model has its backbone's capabilities and those that the registration adds, no others."""
    wanted = stage_of(subject).model.capabilities | set(getattr(subject.registration, "adds", ()))
    model = applied(subject)
    have, random = model.capabilities, stage_of(subject).model.random_weights
    lacks, more = sorted(wanted - have), sorted(have - wanted)
    require(not lacks, f"The model of {subject.name} lacks {', '.join(lacks)} in its capabilities.")
    require(
        not more,
        f"The model of {subject.name} has {', '.join(more)}, which its registration does not add.",
        "Name them in adds of a ShapeModelRegistration.",
    )
    require(
        model.random_weights == random,
        f"The model of {subject.name} says random_weights={model.random_weights}, its backbone {random}.",
        "Hand it on: every record says whether weights are random.",
    )
    return ", ".join(sorted(have))


def fit_checks(kind: str) -> tuple[Check, ...]:
    """The checks of a fit and of the model that it makes, for adapters or shape models."""

    def check(name: str, run: Callable[[Subject], str | None], *needs: str) -> Check:
        return Check(name, (kind,), (run.__doc__ or "").split("\n")[0], run, needs)

    return (
        check("makes", check_makes),
        check("fit", check_fit, "makes"),
        check("fit-keeps-model", check_fit_keeps, "fit"),
        check("fit-seed", check_seed, "fit"),
        check("fit-interrupted", check_interruption, "fit", "fit-seed"),
        check("recipe", check_recipe),
        check("broken-artifact", check_broken_artifact, "fit"),
        check("apply-keeps-model", check_apply_keeps, "fit", "fit-keeps-model"),
        check("reload", check_reload, "fit", "apply-keeps-model"),
        check("capabilities", check_capabilities, "fit"),
        *model_checks(kind, applied, "fit", category_of),
        check("fingerprint", check_applied_fingerprint, "fit", "reload", *SOUND),
    )
