"""Executing runs on the fake world: records, resuming, memory, faults."""

import errno
import json
import os
import threading
from dataclasses import replace

import pytest

from bench3d.contracts import NullProgress
from bench3d.errors import Bench3DError, DataError, OutputError, PluginError
from bench3d.records import RunStore, read_record, read_samples
from bench3d.runner import execute, fit_all, plan_fits, plan_run


def evaluated(fakes):
    return [name for what, *rest in fakes.CALLS if what == "evaluate" for name in rest[0]]


def test_a_run_leaves_hand_worked_scores(spec, go):
    """car 5, 15 | 40, 100: half below 30, median 27.5; chair 5 | 100: half, median 52.5."""
    plan, record = go(spec)
    assert read_record(plan.record_path) == record
    assert record.status == "finished" and record.headline == "accuracy@30deg"
    rows = {(s.metric, s.category): (s.value, s.n) for s in record.scores}
    assert rows == {
        ("accuracy@30deg", "car"): (50.0, 4),
        ("accuracy@30deg", "chair"): (50.0, 2),
        ("accuracy@30deg", "mean"): (50.0, 6),
        ("median error", "car"): (27.5, 4),
        ("median error", "chair"): (52.5, 2),
        ("median error", "mean"): (40.0, 6),
    }
    score = record.score("accuracy@30deg")
    assert (score.threshold, score.inequality, score.unit) == (30.0, "<", "%")
    assert 0 <= score.interval[0] < 50 < score.interval[1] <= 100
    assert {(c.name, c.category): c.value for c in record.chance} == {
        ("guess", "car"): 25.0, ("guess", "chair"): 25.0, ("guess", "mean"): 25.0,
    }  # fmt: skip
    even = {(g.category, g.bin): g.value for g in record.groups if g.metric == "median error" and g.by == "even"}
    assert even == {("car", "yes"): 22.5, ("car", "no"): 57.5, ("chair", "yes"): 5.0, ("chair", "no"): 100.0}
    assert record.oracles == ["category"]
    assert record.cost.parameters == 7 and record.cost.seconds_per_image == {"features": 0.002}
    assert [f.category for f in record.fits] == ["car", "chair"] and record.cost.fit_seconds is not None
    samples = read_samples(plan.record_path.parent / "samples.jsonl")
    assert [s["id"] for s in samples] == ["car-0", "car-1", "car-2", "car-3", "chair-0", "chair-1"]
    assert record.samples == 6


def test_what_was_left_out_of_training_data_is_counted_in_every_record(spec, go, fakes):
    fakes.FAULTS["left out"] = {"car": {"empty masks": 2, "NaN cameras": 1, "no frames": 0}, "chair": {}}
    _, record = go(spec)
    sentence = "Left out of the training data of fake-shape for car: NaN cameras (1), empty masks (2)."
    assert record.notes == [sentence]
    fakes.FAULTS.clear()
    _, again = go(spec, settings={"task": {"offset": "2"}})  # another run with the artifact that stands
    assert sentence in again.notes


def test_a_record_names_no_folder_of_this_machine(spec, go, tmp_path):
    plan, _ = go(spec)
    assert str(tmp_path) not in plan.record_path.read_text()


def test_a_finished_run_is_not_run_again_unless_forced(spec, go, fakes):
    _, first = go(spec)
    fakes.CALLS.clear()
    _, again = go(spec)
    assert again == first and fakes.CALLS == []
    _, forced = go(spec, force=True)
    assert len(evaluated(fakes)) == 6 and forced.identity == first.identity
    assert ("fit", "car") not in fakes.CALLS, "--force of a run keeps its fits"


def test_marks(spec, go):
    _, plain = go(spec)
    assert plain.marks.model_dump() == {"synthetic_data": False, "random_weights": False, "limited": None}
    _, marked = go(spec, limit=1, weights="random", synthetic=True, categories=("car",))
    assert marked.marks.model_dump() == {"synthetic_data": True, "random_weights": True, "limited": 1}
    assert marked.score("accuracy@30deg").n == 1 and marked.score("accuracy@30deg").interval is None


def test_the_twin_is_written_once_and_only_when_needed(spec, go, fakes, tmp_path):
    go(spec, synthetic=True, categories=("car", "chair"))
    twins = [call for call in fakes.CALLS if call[0] == "twin"]
    assert [call[1] for call in twins] == [("car", "chair", "bus")]
    fakes.CALLS.clear()
    go(spec, synthetic=True, categories=("car",))
    assert "twin" not in [call[0] for call in fakes.CALLS]
    assert (tmp_path / "data" / "synthetic" / "quickstart" / "twin.json").is_file()


def test_out_of_memory_halves_the_batch_and_changes_no_number(spec, go, fakes, tmp_path, told):
    _, roomy = go(spec)
    fakes.FAULTS["room for"] = 1
    fakes.CALLS.clear()
    _, tight = go(spec, told, results=tmp_path / "tight")
    assert [s.model_dump() for s in tight.scores] == [s.model_dump() for s in roomy.scores]
    assert (roomy.cost.batch, tight.cost.batch) == (4, 1)
    assert [line for line in told.lines if line.startswith("Out of")] == [
        "Out of memory: going on with 2 images at a time.",
        "Out of memory: going on with 1 images at a time.",
    ]
    assert [len(names) for what, *rest in fakes.CALLS if what == "evaluate" for names in rest] == [4, 2, *[1] * 6]


def test_out_of_memory_with_one_image_is_a_record_and_a_sentence(spec, fakes, go):
    fakes.FAULTS["room for"] = 0
    with pytest.raises(Bench3DError, match="one image at a time"):
        go(spec)
    record = plan_run(spec).record
    assert record.status == "out-of-memory" and record.samples == 0


def test_an_interrupted_run_says_so_and_goes_on(spec, go, fakes, told):
    fakes.FAULTS |= {"at": "chair-0", "error": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        go(spec)
    plan = plan_run(spec)
    assert plan.record.status == "interrupted" and plan.record.samples == 4 and not plan.already_done
    assert plan.record.message == "Interrupted after 4 samples."
    assert next(s.detail for s in plan.steps if s.what == "record").endswith("interrupted before")
    fakes.FAULTS.clear()
    fakes.CALLS.clear()
    _, record = go(spec, told)
    assert evaluated(fakes) == ["chair-0", "chair-1"]
    assert record.status == "finished" and record.samples == 6
    assert record.score("median error").value == 40.0
    assert "Going on after 4 samples of an unfinished run." in told.lines
    assert not list(spec.results.rglob(".attempts"))


def test_samples_of_another_fit_are_not_taken_over(spec, go, fakes):
    fakes.FAULTS |= {"at": "chair-0", "error": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        go(spec)
    fakes.FAULTS.clear()
    fakes.FAULTS["digest"] = "d2"
    fakes.CALLS.clear()
    go(spec)
    assert len(evaluated(fakes)) == 6


def test_a_failed_run_says_why_without_folders(spec, go, fakes, tmp_path):
    fakes.FAULTS |= {"at": "car-0", "error": DataError(f"{tmp_path}/data/fake/car.png is no image.")}
    with pytest.raises(DataError):
        go(spec)
    record = plan_run(spec).record
    assert (record.status, record.message) == ("failed", "DataError: car.png is no image.")
    fakes.FAULTS.clear()
    assert go(spec)[1].status == "finished"


def test_a_failed_fit_leaves_a_record_too(spec, go, fakes):
    fakes.FAULTS["fit"] = Bench3DError("the loss became nan.")
    with pytest.raises(Bench3DError):
        go(spec)
    assert plan_run(spec).record.status == "failed"
    fakes.FAULTS["fit"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        go(spec)
    assert plan_run(spec).record.status == "interrupted"


def test_a_failure_never_replaces_a_finished_record(spec, go, fakes):
    _, first = go(spec)
    fakes.FAULTS |= {"at": "car-0", "error": RuntimeError("broken")}
    with pytest.raises(RuntimeError):
        go(spec, force=True)
    assert plan_run(spec).record == first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v[:-1], "gave 3 values for 4 samples"),
        (lambda v: [{**x, "error": float("nan")} for x in v], "no JSON"),
        (lambda v: [{k: x[k] for k in x if k != "cluster"} for x in v], "cluster"),
        (lambda v: list(reversed(v)), "those of"),
    ],
)
def test_a_task_that_breaks_its_contract_is_named(spec, go, fakes, change, words):
    fakes.FAULTS["values"] = change
    with pytest.raises(PluginError, match=words):
        go(spec)


def test_a_record_says_where_a_fit_saw_what_was_evaluated(spec, go, fakes, tmp_path):
    _, clean = go(spec)
    assert clean.notes == []
    fakes.FAULTS["trained on"] = ["car-0", "car-3", "elsewhere"]
    _, seen = go(spec, results=tmp_path / "other")
    fits = [f"{fit.component} was trained on 2 of the 6 objects evaluated here." for fit in seen.fits]
    assert seen.notes == fits and len(fits) == 2


def test_fits_are_made_once(spec, fakes):
    first = fit_all(plan_fits(replace(spec, task=None)), NullProgress())
    second = fit_all(plan_fits(replace(spec, task=None)), NullProgress())
    assert [a.path for a in first] == [a.path for a in second]
    assert [call for call in fakes.CALLS if call[0] == "fit"] == [("fit", "car"), ("fit", "chair")]
    fit_all(plan_fits(replace(spec, task=None, force=True)), NullProgress())
    assert len([call for call in fakes.CALLS if call[0] == "fit"]) == 4
    note = json.loads((first[0].path / "fit.json").read_text())
    assert note["recipe"] == first[0].recipe and note["inputs"]["category"] == "car"


def test_two_processes_do_not_train_the_same_thing(spec, fakes):
    """Claims hold between threads as between processes."""
    gate = threading.Barrier(4)

    def train():
        plan = plan_fits(replace(spec, task=None))
        gate.wait()
        fit_all(plan, NullProgress())

    threads = [threading.Thread(target=train) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(call for call in fakes.CALLS if call[0] == "fit") == [("fit", "car"), ("fit", "chair")]


def test_pictures_are_listed_and_never_fatal(spec, go, fakes, told):
    _, record = go(spec)
    assert record.pictures == []
    fakes.CALLS.clear()
    plan, drawn = go(spec, told, visualize=True)
    assert drawn.pictures == ["pictures/car/one.png", "pictures/chair/one.png"]
    assert evaluated(fakes) == [] and read_record(plan.record_path) == drawn
    fakes.FAULTS["picture"] = ValueError("no colours")
    _, record = go(spec, told, visualize=True, force=True)
    assert record.status == "finished" and record.pictures[0] == "pictures/car/one.png"
    assert "No pictures of car: ValueError: no colours" in told.lines


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_full_disk_leaves_nothing_half_written(spec, go, fakes, monkeypatch, code):
    fit_all(plan_fits(replace(spec, task=None)), NullProgress())

    def refuse(*_):
        raise OSError(code, "refused")

    plan = plan_run(spec)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError):
        execute(plan, NullProgress())
    monkeypatch.undo()
    assert RunStore(spec.results).find(plan.identity) is None
    assert not [p for p in (spec.results / "runs").rglob("*") if p.is_file()]


def test_results_that_are_a_file_are_a_sentence(spec, go, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="a file stands where a folder is needed"):
        go(spec, results=tmp_path / "taken")


def test_observers_hear_of_the_run(spec, go, install):
    install(
        "watcher",
        """
        from bench3d.plugins import hookimpl
        HEARD = []
        @hookimpl
        def bench3d_run_started(plan): HEARD.append(plan.label)
        @hookimpl
        def bench3d_sample_done(values): HEARD.append(values["id"])
        @hookimpl
        def bench3d_run_finished(record): HEARD.append(record.status); raise RuntimeError("never fatal")
    """,
    )
    import watcher_plugin

    go(spec)
    assert watcher_plugin.HEARD[0] == "fake-net-fake-shape-easy" and watcher_plugin.HEARD[-1] == "finished"
    assert len(watcher_plugin.HEARD) == 8
