"""Planning: what is there, to do or missing; and the identity that a run gets from it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench3d.errors import DataError, UnknownNameError, UsageError, WeightsError
from bench3d.records import RunIndex
from bench3d.runner import PlanStep, plan_fits, plan_run
from bench3d.runner.memo import planning_session


def states(plan):
    return {step.what: step.state for step in plan.steps}


def test_a_plan_says_what_is_there_and_what_is_to_do(spec, go):
    before = plan_run(spec)
    assert states(before) == {
        "backbone fake-net": "todo",
        "dataset fake-data": "done",
        "fake-shape of car": "todo",
        "fake-shape of chair": "todo",
        "record": "todo",
    }
    assert not before.already_done and not spec.results.exists()
    go(spec)
    after = plan_run(spec)
    assert after.identity == before.identity and after.record_path == before.record_path
    assert after.already_done and set(states(after).values()) == {"todo", "done"}
    assert states(after)["fake-shape of car"] == states(after)["record"] == "done"


def test_missing_data_are_a_step_and_then_a_sentence(spec, go, tmp_path):
    plan = plan_run(replace(spec, data=tmp_path / "elsewhere"))
    assert PlanStep("record", "missing", "its identity depends on the data") in plan.steps
    assert states(plan)["dataset fake-data"] == states(plan)["fake-shape of car"] == "missing"
    assert plan.identity is None and not plan.already_done
    with pytest.raises(DataError, match="fake-data was not found"):
        go(spec, data=tmp_path / "elsewhere")
    assert not spec.results.exists()


def test_a_task_says_what_to_add(spec):
    with pytest.raises(UsageError, match=r"fake-task needs a shape model .*--shape-model .*fake-shape"):
        plan_run(replace(spec, shape_model="none"))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"categories": ("chiar",)}, UnknownNameError, "chair"),
        ({"protocol": "eezy"}, UnknownNameError, "easy"),
        ({"settings": {"task": {"ofset": "1"}}}, UsageError, "offset"),
        ({"settings": {"data": {"vews": "1"}}}, UsageError, "vews"),
        ({"settings": {"adapter": {"rank": "8"}}}, UsageError, "no adapter here"),
        ({"settings": {"shap": {"rate": "1"}}}, UsageError, "shape"),
        ({"synthetic": True, "categories": ("chiar",)}, UnknownNameError, "chair"),
        ({"synthetic": True, "settings": {"data": {"views": "many"}}}, UsageError, r"data\.views"),
        ({"weights": "absent.pt"}, WeightsError, "absent.pt"),
        ({"task": None}, UsageError, "--task"),
        ({"limit": 0}, UsageError, "at least one"),
    ],
)
def test_mistakes_are_sentences(spec, changes, error, words):
    with pytest.raises(error, match=words):
        plan_run(replace(spec, **changes))


def test_identity_is_blind_to_what_changes_no_number(spec, tmp_path):
    identity = plan_run(spec).identity
    same = [
        {"settings": {"task": {"batch": "1"}}},
        {"settings": {"shape": {"rate": "0.50"}}},
        {"categories": ("chair", "car")},
        {"device": "auto"},
        {"results": tmp_path / "other"},
        {"visualize": True},
        {"force": True},
        {"offline": True},
        {"protocol": "easy"},
    ]
    assert {plan_run(replace(spec, **changes)).identity for changes in same} == {identity}


def test_identity_sees_everything_that_changes_a_number(spec, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"1")
    (tmp_path / "v.bin").write_bytes(b"2")
    other = tmp_path / "data2" / "fake"
    other.mkdir(parents=True)
    for name in ("car", "chair"):
        (other / f"{name}.json").write_text(json.dumps([5.0, 15.0]))
    changes = [
        {},
        {"seed": 1},
        {"limit": 2},
        {"categories": ("car",)},
        {"protocol": "tough"},
        {"weights": "random"},
        {"weights": str(tmp_path / "w.bin")},
        {"weights": str(tmp_path / "v.bin")},
        {"backbone": "fake-floor"},
        {"data": tmp_path / "data2"},
        {"synthetic": True, "categories": ("car", "chair")},
        {"synthetic": True, "categories": ("car", "chair"), "settings": {"data": {"views": "2"}}},
        {"settings": {"backbone": {"layer": "1"}}},
        {"settings": {"shape": {"rate": "0.25"}}},
        {"settings": {"shape": {"steps": "9"}}},
        {"settings": {"task": {"offset": "1"}}},
    ]
    identities = [plan_run(replace(spec, **change)).identity for change in changes]
    assert len(set(identities)) == len(changes)


def test_a_bumped_result_version_changes_the_identity(spec, fakes):
    import dataclasses

    from bench3d.plugins import load_registry

    before = plan_run(spec).identity
    registry = load_registry()
    key = ("backbone", "fake-net")
    registration, owner = registry._entries[key]
    registry._entries[key] = (dataclasses.replace(registration, result_version=2), owner)
    assert plan_run(spec).identity != before


def test_weights_by_content_not_by_name(spec, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"same")
    (tmp_path / "b.bin").write_bytes(b"same")
    a, b = (plan_run(replace(spec, weights=str(tmp_path / name))).identity for name in ("a.bin", "b.bin"))
    assert a == b


def test_recipes_of_fits_ignore_the_task_and_the_limit(spec):
    def recipes(**changes):
        return {job.category: job.recipe for job in plan_run(replace(spec, **changes)).jobs}

    base = recipes()
    assert recipes(limit=1, protocol="tough", settings={"task": {"offset": "3"}}) == base
    assert recipes(categories=("car",)) == {"car": base["car"]}
    assert recipes(settings={"shape": {"steps": "9"}}) == base
    assert recipes(settings={"shape": {"rate": "0.1"}})["car"] != base["car"]
    assert recipes(seed=1)["car"] != base["car"]
    assert recipes(settings={"backbone": {"layer": "2"}})["car"] != base["car"]
    assert recipes(weights="random")["car"] != base["car"]
    jobs = plan_fits(replace(spec, task=None)).jobs
    assert {job.category: job.recipe for job in jobs} == base


def test_training_without_anything_to_train_is_a_sentence(spec):
    with pytest.raises(UsageError, match="nothing to train"):
        plan_fits(replace(spec, task=None, shape_model="none"))


def test_a_broken_record_is_named_unless_forced(spec, go):
    plan, _ = go(spec)
    plan.record_path.write_text('{"schema": "bench3d.record/2"}')
    with pytest.raises(DataError, match=r"record\.json, field"):
        plan_run(spec)
    assert go(spec, force=True)[1].status == "finished"


TWIN = """
import sys
from pathlib import Path
from bench3d.runner import RunSpec, plan_run
spec = RunSpec(backbone="hog", task="pascal3d-pose", shape_model="common3d", synthetic=True,
               data=Path(sys.argv[1]), results=Path(sys.argv[1]) / "r")
plan = plan_run(spec)
assert "torch" not in sys.modules, "planning imported torch"
print(plan.identity, *[step.state for step in plan.steps])
"""


def test_the_quickstart_is_planned_without_torch_and_files(tmp_path):
    """Two processes agree, and the twin need not be there."""
    answers = {
        subprocess.run(
            [sys.executable, "-c", TWIN, str(tmp_path / n)], check=True, capture_output=True, text=True
        ).stdout
        for n in ("a", "b")
    }
    (answer,) = answers
    identity, *rest = answer.split()
    assert len(identity) == 64 and "missing" not in rest
    assert not list(Path(tmp_path).rglob("*"))


def test_an_index_gives_the_plans_that_the_folder_gives(spec, go):
    go(spec)
    index = RunIndex(spec.results)
    for changes in ({}, {"seed": 1}, {"force": True}, {"visualize": True}):
        with_index, without = (plan_run(replace(spec, **changes), *given) for given in ((index,), ()))
        assert with_index == without and with_index.record == without.record
    assert plan_run(spec, index).already_done


def test_a_record_that_has_gone_since_the_plan_is_none(spec, go):
    go(spec)
    plan = plan_run(spec)
    plan.record_path.unlink()
    assert plan.already_done and plan.record is None


def test_a_session_reads_data_and_weights_once_and_forgets_them(spec, fakes, tmp_path, monkeypatch):
    weights = tmp_path / "w.bin"
    weights.write_bytes(b"1")
    spec = replace(spec, weights=str(weights))
    opened = []
    create = fakes.Data.__init__

    def counted(self, *arguments, **named):
        opened.append(1)
        create(self, *arguments, **named)

    monkeypatch.setattr(fakes.Data, "__init__", counted)
    before = plan_run(spec).identity
    opened.clear()
    with planning_session(), planning_session():
        assert {plan_run(replace(spec, seed=n)).identity is not None for n in range(3)} == {True}
        assert plan_run(spec).identity == before and len(opened) == 1
        weights.write_bytes(b"2")
        assert plan_run(spec).identity == before
    changed = plan_run(spec).identity
    (spec.data / "fake" / "car.json").write_text("[1.0]")
    assert len({before, changed, plan_run(spec).identity}) == 3


def test_in_a_session_missing_data_stay_missing_for_every_plan(spec, tmp_path):
    absent = replace(spec, data=tmp_path / "elsewhere")
    with planning_session():
        assert [str(plan_run(replace(absent, seed=n)).problem)[:23] for n in (0, 1)] == ["fake-data was not found"] * 2
        assert plan_run(spec).identity is not None
