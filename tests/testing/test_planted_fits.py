"""Faults of adapters and shape models: each is caught by the check that is for it, and by no other."""

import re

import planted_fits as planted
import pytest

from bench3d.contracts import NullProgress
from bench3d.data.twin import ensure_twin
from bench3d.plugins import load_registry
from bench3d.testing import adapters, shape_models
from bench3d.testing.checks import Options, run_checks, subject_from
from bench3d.testing.twins import tiny_spec

OWN = {module: [check.name for check in module.CHECKS] for module in (adapters, shape_models)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A tiny twin that all share: the toys look at none of its images."""
    root, registration = tmp_path_factory.mktemp("data"), load_registry().get("dataset", "co3d")
    ensure_twin(root, tiny_spec(registration), [registration], NullProgress())
    return root


def told(module, registration, factory, data, tmp_path):
    """Detail by check, of those that did not pass."""
    options = Options(backbone="rgb", data=data)
    subject = subject_from(registration, factory, tmp=tmp_path, options=options)
    found = run_checks(subject, OWN[module])
    passed = sum(result.state == "passed" for result in found)
    return {r.name: r.detail for r in found if r.state in ("failed", "error")}, passed


@pytest.mark.parametrize(
    "module, registration, factory",
    [
        (adapters, planted.adapter(), planted.Toy),
        (adapters, planted.adapter(per_category=True), planted.Toy),
        (shape_models, planted.shape_model(), planted.ToyShape),
    ],
)
def test_honest_ones_pass(module, registration, factory, data, tmp_path):
    found, passed = told(module, registration, factory, data, tmp_path)
    assert not found
    assert passed >= len(OWN[module]) - 1  # the recipe is for what is registered


ADAPTERS = {
    planted.ChangesTheModel: ("apply-keeps-model", "changes the model that it is given .its features"),
    planted.FitChangesTheModel: ("fit-keeps-model", "fit changes the model that it is given"),
    planted.FitSeedsTheProcess: ("fit-keeps-model", "torch's random state"),
    planted.LosesOnReload: ("reload", "makes a model with other features"),
    planted.LosesFacts: ("reload", "loses facts when it is loaded: loss"),
    planted.AnotherDigest: ("reload", "another digest when it is loaded"),
    planted.IgnoresItsSeed: ("fit-seed", "ignores its seed"),
    planted.DrawsGlobally: ("fit-seed", "with one seed give different artifacts"),
    planted.ForgetsWhereItWas: ("fit-interrupted", "interrupted and resumed gives another artifact"),
    planted.OwnRecipe: ("fit", "not the recipe of its fit"),
    planted.OwnCategory: ("fit", "is of category 'chair', the fit of None"),
    planted.TracebackOnBroken: ("broken-artifact", "an empty folder with a FileNotFoundError"),
    planted.SameFingerprint: ("fingerprint", "fingerprint of the backbone, and other features"),
    planted.ForgetsRandomWeights: ("capabilities", "random_weights=True, its backbone False"),
    planted.ClaimsMore: ("capabilities", "has pose, which its registration does not add"),
    planted.NoisyModel: ("hidden-randomness", "global random generator"),
    planted.NoVerb: ("makes", "gives a NoVerb without fit"),
}


@pytest.mark.parametrize("factory", ADAPTERS, ids=lambda f: f.__name__)
def test_a_fault_of_an_adapter_is_caught_once(factory, data, tmp_path):
    expected, sentence = ADAPTERS[factory]
    found, _ = told(adapters, planted.adapter(), factory, data, tmp_path)
    assert set(found) == {expected}, found
    assert re.search(sentence, found[expected]), found


SHAPES = {
    "mirrored": ({"pose": planted.mirrored}, "pose", "determinant is -1"),
    "scaled": ({"pose": planted.scaled}, "pose", "not orthonormal"),
    "behind the camera": ({"pose": planted.behind}, "pose", "behind the camera"),
    "random scores": ({"pose": planted.drawn}, "pose-repeats", "another score the second time"),
    "changes the oracles": ({"pose": planted.moves_the_given}, "pose-repeats", "changes the given translation"),
    "logits for a mask": ({"mask": planted.logits}, "mask", "not in .0, 1."),
    "faces of another mesh": ({"shape": planted.from_one}, "shape", "vertices that do not exist"),
    "a mesh of the batch": ({"shape": planted.of_the_batch}, "shape", "depends on its batch"),
    "centimetres": ({"shape": planted.in_metres}, "shape", "canonical units end at about 1"),
    "answers for all": ({"known": planted.any_category}, "other-category", "a category that was not fitted"),
}


@pytest.mark.parametrize("fault", SHAPES)
def test_a_fault_of_a_shape_model_is_caught_once(fault, data, tmp_path):
    methods, expected, sentence = SHAPES[fault]
    factory = planted.shape_with(**methods)
    found, _ = told(shape_models, planted.shape_model(), factory, data, tmp_path)
    assert set(found) == {expected}, found
    assert re.search(sentence, found[expected]), found


ORACLES = {
    "asks and is given": (("depth",), {"oracles": frozenset({"depth"}), "pose": planted.needs_depth}, None),
    "asks for none of its own": ((), {"oracles": frozenset({"depth"})}, "those of the registration .."),
    "needs none": (("depth",), {"oracles": frozenset({"depth"})}, "answers without the depth"),
    "falls over": (
        ("depth",),
        {"oracles": frozenset({"depth"}), "pose": planted.falls_over_without_depth},
        "falls over without the depth .* with an AttributeError",
    ),
}


@pytest.mark.parametrize("case", ORACLES)
def test_oracles_are_those_of_the_registration_and_needed(case, data, tmp_path):
    registered, methods, sentence = ORACLES[case]
    registration = planted.shape_model(oracles=registered)
    found, _ = told(shape_models, registration, planted.shape_with(**methods), data, tmp_path)
    assert set(found) == (set() if sentence is None else {"oracles"}), found
    assert sentence is None or re.search(sentence, found["oracles"]), found


def test_a_capability_that_is_not_there_is_missed(data, tmp_path):
    found, _ = told(shape_models, planted.shape_model(), planted.Toy, data, tmp_path)
    assert set(found) == {"capabilities"}
    assert "lacks mask, pose, shape" in found["capabilities"]


def test_what_is_not_registered_has_no_recipe_and_what_has_no_data_is_not_fitted(tmp_path):
    registration = planted.adapter(train_dataset=None)
    found = run_checks(subject_from(registration, planted.Toy, tmp=tmp_path), OWN[adapters])
    states = {r.name: (r.state, r.detail) for r in found}
    assert states["fit"] == ("skipped", "it names no training data (train_dataset)")
    assert not [r for r in found if r.state in ("failed", "error")]
