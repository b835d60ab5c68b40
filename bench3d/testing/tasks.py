"""Checks of a task: what it declares, and how it evaluates a few samples of a tiny twin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench3d.contracts import Encoder, ImageRequest, MetricSpec, TaskRegistration
from bench3d.errors import Bench3DError, CapabilityError
from bench3d.testing.checks import Check, Skip, require
from bench3d.testing.subjects import Subject
from bench3d.testing.task_values import FRACTIONS, check_even, check_metric, check_same, column_of, is_number, no_number

ORACLES = {"category": "category", "intrinsics": "intrinsics", "translation": "translation", "box": "box"}
"""Field of Given -> the oracle that a protocol must name for it."""
VALUES = "its values"


def metrics(subject: Subject) -> str:
    """Metrics are told apart, versioned, and say how they are averaged."""
    registration = subject.registration
    assert isinstance(registration, TaskRegistration)
    protocols = registration.protocols or (None,)
    names: list[str] = []
    for protocol in protocols:
        settings = subject.settings(**(protocol.settings if protocol is not None else {}))
        declared = subject.create(settings=settings, protocol=protocol).metrics
        require(bool(declared), "It declares no metric.", "Set `metrics`, a sequence of MetricSpec.")
        names = [m.name for m in declared]
        twice = sorted({n for n in names if names.count(n) > 1})
        require(not twice, f"Two of its metrics are called {twice[:1]}.")
        for metric in declared:
            check_metric(metric)
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def listing(subject: Subject) -> str:
    """Samples have unique ids, are the same every time, and a limit takes them evenly."""
    from bench3d.testing.rehearsal import stage

    with stage(subject, limit=10**6) as one, stage(subject, limit=10**6) as other:
        ids = [sample.id for sample in one.samples]
        require(bool(ids), "It has no sample on the tiny twin.")
        require(all(isinstance(i, str) and i for i in ids), "An id of its samples is no text.")
        require(len(set(ids)) == len(ids), "Two of its samples have one id.")
        require(ids == [s.id for s in other.samples], "Its samples differ, or their order does, the second time.")
        for limit in sorted({1, 2, max(1, len(ids) // 2), len(ids)}):
            taken = [s.id for s in one.task.samples(one.dataset, one.category, limit)]
            again = [s.id for s in one.task.samples(one.dataset, one.category, limit)]
            check_even(ids, taken, limit)
            require(taken == again, f"limit={limit} takes other samples the second time.", "It is seeded by nothing.")
    return f"{len(ids)} samples"


def values(subject: Subject) -> str:
    """Every sample's values are JSON with id, cluster and category, and hold what the metrics read."""
    found, declared = _single(subject)
    registration = subject.registration
    assert isinstance(registration, TaskRegistration)
    for metric in declared:
        read = [v for v in column_of(metric.value, found) if v is not None]
        require(
            bool(read) or metric.name != registration.headline,
            f"The headline {metric.name} reads {metric.value!r}, which no sample has.",
        )
        require(
            all(is_number(v) for v in read), f"{metric.name} reads {metric.value!r}, which holds {no_number(read)!r}."
        )
        if read and metric.weight is not None:
            require(bool(column_of(metric.weight, found)), f"{metric.name} is weighed by {metric.weight!r}: not there.")
    return f"{len(found)} samples, {len(found[0])} keys"


def chance(subject: Subject) -> str:
    """Every chance column of a metric is there and in its range."""
    found, declared = _single(subject)
    wanted = [
        (metric, name, key)
        for metric in declared
        for name, key in (metric.chance or {}).items()
        if any(v is not None for v in column_of(metric.value, found))
    ]
    if not wanted:
        raise Skip("no metric names a chance level")
    if any(not column_of(key, found) for _, _, key in wanted):  # some levels are drawn from training poses
        found = _with_training(subject) or found
    for metric, name, key in wanted:
        column = [v for v in column_of(key, found) if v is not None]
        require(bool(column), f"The chance level {name} of {metric.name} reads {key!r}, which no sample has.")
        require(all(is_number(v) for v in column), f"{key!r} holds {no_number(column)!r}, not a number.")
        if metric.reduce in FRACTIONS or (metric.unit == "%" and metric.higher_is_better):
            worst = max(column, key=lambda v: abs(v - 0.5))
            require(
                abs(worst - 0.5) <= 0.5 + 1e-9,
                f"{key!r} holds {worst:.3g}: the chance of a fraction is a probability from 0 to 1.",
            )
    return f"{len(wanted)} levels"


def _with_training(subject: Subject) -> list[dict[str, Any]]:
    """Values as a run with a shape model has them; empty where no plugin offers training data of the category."""
    from bench3d.testing.rehearsal import stage, training_data

    with stage(subject) as one:
        source = training_data(subject, one.category)
        return [] if source is None else one.evaluate(1, source)


def batch(subject: Subject) -> str:
    """One sample at a time gives what three at once give."""
    from bench3d.testing.rehearsal import SAMPLES, stage

    single, declared = _single(subject)
    if len(single) < 2:
        raise Skip("the tiny twin has a single sample")
    with stage(subject) as other:
        together = other.evaluate(SAMPLES)
    allowed = {m.value: m.tolerance for m in declared if m.tolerance is not None}
    check_same(single, together, allowed, f"in a batch of {SAMPLES}")
    return f"{len(single)} samples"


def deterministic(subject: Subject) -> None:
    """Evaluated again from scratch, every value is the same."""
    from bench3d.testing.rehearsal import stage
    from bench3d.testing.state import stirred_random

    single, _ = _single(subject)
    with stirred_random(99), stage(subject) as other:
        again = other.evaluate(1)
    for one, two in zip(single, again, strict=True):
        different = sorted(k for k in one.keys() | two.keys() if not k.endswith("_ms") and one.get(k) != two.get(k))
        require(
            not different,
            f"{one['id']}: {', '.join(different)} differ the second time.",
            "Draw from a generator that the settings' seed and the sample's id decide.",
        )


def model_unchanged(subject: Subject) -> None:
    """Evaluation leaves the model as it was."""
    from bench3d.testing.models import contents
    from bench3d.testing.rehearsal import Guesser, floor_backbone, stage

    model = Guesser(floor_backbone(subject.device, subject.options.backbone))
    with stage(subject, model=model) as one:
        before = contents(model)
        one.evaluate(1)
        model.given = set()
        after = contents(model)
    changed = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    require(not changed, f"Evaluation changes the model: {', '.join(changed[:3])}.", "Work on copies.")


def oracles(subject: Subject) -> str:
    """Under every protocol a sample is evaluated, and the model is given what the protocol names and nothing else."""
    from bench3d.testing.rehearsal import Guesser, stage

    registration = subject.registration
    assert isinstance(registration, TaskRegistration)
    if not registration.protocols:
        raise Skip("it has no protocols")
    for protocol in registration.protocols:
        with stage(subject, protocol=protocol, limit=1) as one:
            one.evaluate(1)
            assert isinstance(one.model, Guesser)
            given = one.model.given
        require("rotation" not in given, f"Under {protocol.name} the model is given the rotation it is asked for.")
        for field in sorted(given & ORACLES.keys()):
            named = ORACLES[field] in protocol.oracles
            # An assumed camera is no oracle: the true one differs from image to image.
            require(
                named or field == "intrinsics",
                f"Under {protocol.name} the model is given {field}, which the protocol does not name.",
                f"Add {ORACLES[field]!r} to its oracles, or leave it out of Given.",
            )
    return ", ".join(p.name for p in registration.protocols)


def requires(subject: Subject) -> str:
    """A model without what the task requires is refused with CapabilityError."""
    from bench3d.testing.rehearsal import Unable, floor_backbone, stage

    registration = subject.registration
    assert isinstance(registration, TaskRegistration)
    if not registration.requires:
        raise Skip("it requires nothing")
    for capability in registration.requires:
        model = Unable(floor_backbone(subject.device, subject.options.backbone), [capability])
        try:
            with stage(subject, model=model, limit=1) as one:
                one.evaluate(1)
        except CapabilityError:
            continue
        except Exception as error:
            require(
                False,
                f"A model without {capability} ends in {type(error).__name__} ({error}), not in CapabilityError.",
                "In `prepare`: if the capability is not in model.capabilities, raise CapabilityError.",
            )
        require(False, f"It requires {capability}, and a model without it is evaluated all the same.")
    return ", ".join(registration.requires)


def images(subject: Subject) -> str:
    """What it asks its encoder for it has announced, so that images are loaded ahead and computed once."""
    from bench3d.testing.rehearsal import stage

    with stage(subject, limit=2) as one:
        announced = list(one.task.images(one.samples))
        require(all(isinstance(r, ImageRequest) for r in announced), "images() gives something else than ImageRequest.")
        asked = _listen(one.session.encoder)
        one.evaluate(1)
    if not asked and not announced:
        raise Skip("it asks the encoder for nothing")
    missing = [r for r in asked if r not in set(announced)]
    require(
        not missing,
        f"evaluate asks for {missing[0].path.name if missing else ''}, which images() did not announce.",
        "images(samples) lists every request in the order of its first use.",
    )
    return f"{len(announced)} announced"


def _listen(encoder: Encoder) -> list[ImageRequest]:
    """What is asked of an encoder from now on."""
    asked: list[ImageRequest] = []
    maps = encoder.maps

    def listening(request: ImageRequest) -> Any:
        asked.append(request)
        return maps(request)

    encoder.maps = listening  # type: ignore[method-assign]
    return asked


def pictures(subject: Subject) -> str:
    """Pictures, where it draws any, are files under the folder it is given."""
    from bench3d.testing.rehearsal import stage

    out = subject.folder("pictures")
    with stage(subject) as one:
        found = one.evaluate(1)
        made = list(one.task.pictures(one.model, one.samples, found, out, subject.device))
    for path in made:
        require(
            isinstance(path, Path) and path.is_relative_to(out) and path.is_file() and path.stat().st_size > 0,
            f"The picture {path} is no file under the folder that pictures() is given.",
        )
    return f"{len(made)} pictures"


def scores(subject: Subject) -> str:
    """The host makes scores of the values, the headline among them."""
    from bench3d.runner.aggregate import chance_levels, groups
    from bench3d.runner.aggregate import scores as make_scores

    registration = subject.registration
    assert isinstance(registration, TaskRegistration)
    found, declared = _single(subject)
    try:
        made = make_scores(declared, found, 0)
        levels, binned = chance_levels(declared, found, 0), groups(declared, found, 0)
    except Bench3DError:
        raise
    except Exception as error:
        require(False, f"Its values cannot be averaged: {type(error).__name__}: {error}.")
    names = {score.metric for score in made}
    require(registration.headline in names, f"No score of the headline {registration.headline} comes of its values.")
    return f"{len(made)} scores, {len(levels)} chance levels, {len(binned)} groups"


def notes(subject: Subject) -> str:
    """Its notes are sentences."""
    from bench3d.testing.rehearsal import stage

    with stage(subject, limit=1) as one:
        one.evaluate(1)
        said = list(one.task.notes())
    require(all(isinstance(n, str) and n.strip() for n in said), f"notes() gives {said!r}, not sentences.")
    return f"{len(said)} notes"


def _single(subject: Subject) -> tuple[list[dict[str, Any]], Sequence[MetricSpec]]:
    """Values of samples evaluated one by one, and the metrics; once a subject."""
    from bench3d.testing.rehearsal import stage

    def make() -> tuple[list[dict[str, Any]], Sequence[MetricSpec]]:
        with stage(subject) as one:
            return one.evaluate(1), one.task.metrics

    found: tuple[list[dict[str, Any]], Sequence[MetricSpec]] = subject.shared(VALUES, make)
    return found


_KIND = ("task",)
CHECKS = (
    Check("metrics", _KIND, "Metrics are told apart, versioned, and say how they are averaged.", metrics),
    Check("listing", _KIND, "Samples are the same every time, and a limit takes them evenly.", listing),
    Check("values", _KIND, "Values are JSON with id, cluster and category, and what the metrics read.", values),
    Check("chance", _KIND, "Chance columns are there and in their range.", chance),
    Check("scores", _KIND, "The host makes scores of the values, the headline among them.", scores),
    Check("batch", _KIND, "A batch of three gives what single samples give.", batch),
    Check("deterministic", _KIND, "The second time every value is the same.", deterministic),
    Check("model-unchanged", _KIND, "Evaluation leaves the model as it was.", model_unchanged),
    Check("oracles", _KIND, "Under each protocol the model is given what that names, and nothing else.", oracles),
    Check("requires", _KIND, "A model that lacks a required capability is refused.", requires),
    Check("images", _KIND, "The images it asks for were announced.", images),
    Check("pictures", _KIND, "Pictures do not fail.", pictures),
    Check("notes", _KIND, "Notes are sentences.", notes),
)
