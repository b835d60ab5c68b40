"""The checks that a kit runs on whatever model its subject makes: a backbone, or one with something on top."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench3d.contracts import ImageBatch, Model
from bench3d.testing import models
from bench3d.testing.checks import Check, Subject
from bench3d.testing.images import frames, square

SOUND = ("contract", "eval-mode", "unchanged", "determinism", "hidden-randomness")
"""What all further checks of features take for granted."""


def model_checks(
    kind: str, made: Callable[[Subject], Model], first: str, category: Callable[[Subject], str | None] = lambda _: None
) -> tuple[Check, ...]:
    """Checks of the features of a model.

    Args:
        kind: of the subjects.
        made: gives the subject's model; asked by every check, so it should be `Subject.shared`.
        first: name of the check that makes it.
        category: of the batches, where the model has one network a category.
    """

    def two(subject: Subject) -> tuple[Model, ImageBatch]:
        model = made(subject)
        return model, square(model, 2, category(subject))

    def contract(subject: Subject) -> str:
        model = made(subject)
        shapes = [models.check_contract(model, g, category(subject)) for _, g in frames(model, square_only=True)]
        return "; ".join(sorted(set(shapes)))

    def state(subject: Subject) -> None:
        model, batch = two(subject)
        with torch.inference_mode():
            models.check_state(lambda: model.features(batch), f"{subject.name}.features")

    def check(name: str, says: str, run: Callable[[Subject], str | None], *needs: str) -> Check:
        return Check(name, (kind,), says, run, needs)

    return (
        check("contract", "Maps are float32, finite, (B, C, h, w), with a geometry that fits.", contract, first),
        check("eval-mode", "No network is in training mode.", lambda s: models.check_eval_mode(made(s)), first),
        check(
            "unchanged",
            "Computing features changes neither the model nor the batch.",
            lambda s: models.check_unchanged(*two(s)),
            "contract",
            "eval-mode",
        ),
        check(
            "determinism",
            "The same batch twice gives the same bits.",
            lambda s: models.check_repeatable(*two(s)),
            "contract",
            "eval-mode",
            "unchanged",
        ),
        check(
            "hidden-randomness",
            "Features do not follow a global random generator.",
            lambda s: models.check_no_hidden_randomness(*two(s)),
            "contract",
            "eval-mode",
            "determinism",
        ),
        check(
            "batch",
            "Eight images at once, in any order, give what they give one by one.",
            lambda s: models.check_batch(made(s), category=category(s)),
            *SOUND,
        ),
        check("no-graph", "Features keep no gradient graph.", lambda s: models.check_no_graph(*two(s)), "contract"),
        check(
            "state",
            "Computing features leaves the process's shared state as it was.",
            state,
            "contract",
            "hidden-randomness",
        ),
        check("describe", "Facts are JSON that a record can hold.", lambda s: models.check_describe(made(s)), first),
    )
