"""`run`, `train` and `predict`: what they hand to the runner and what they show, with a runner that does nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import bench3d.runner as runner
from bench3d.cli.output import duration, gigabytes
from bench3d.cli.progress import PlainProgress
from bench3d.cli.views import record_table
from bench3d.contracts import Artifact
from bench3d.errors import DataError
from bench3d.records.identity import identity_hash
from bench3d.records.schema import Record

METRICS = [
    ("accuracy@30deg", "%", True),
    ("accuracy@10deg", "%", True),
    ("median error", "deg", False),
    ("start accuracy@30deg", "%", True),
    ("start accuracy@10deg", "%", True),
]


def make_record(**changes: object) -> Record:
    measurement = {"protocol": {"name": "paper", "version": 1}}
    scores = [
        {
            "metric": metric, "category": category, "value": 80 + 2.25 * i if unit == "%" else 6.5, "unit": unit,
            "n": 100 if category != "mean" else 300, "interval": [78.1, 92.9] if unit == "%" else [5.5, 8.0],
            "higher_is_better": up, "version": 1, "order": "image > category",
        }
        for i, category in enumerate(["car", "chair", "bus", "mean"])
        for metric, unit, up in METRICS
    ]  # fmt: skip
    chance = [
        {"metric": metric, "name": name, "category": category, "value": 1.4, "unit": unit, "n": 100}
        for name in ("random_start", "training_pose", "constant_pose")
        for category in ("car", "mean")
        for metric, unit, _ in METRICS[:3]
    ]
    values = {
        "schema": "bench3d.record/2",
        "label": "hog-common3d-paper",
        "identity": {"measurement": measurement, "hash": identity_hash(measurement)},
        "status": "finished",
        "scores": scores,
        "chance": chance,
        "bootstrap": {"draws": 1000, "level": 0.95, "seed": 0},
        "oracles": ["translation", "intrinsics", "crop-mask:cad"],
        "marks": {"synthetic_data": True, "random_weights": True},
        "cost": {"fit_seconds": 321.0, "evaluate_seconds": 42.0, "seconds_per_image": {"features": 0.02}},
        "provenance": {"bench3d": "0.1.0", "python": "3.11", "seed": 0, "time": "2026-01-01T00:00:00Z"},
        "samples": 300,
    }
    return Record.model_validate(values | changes)


@pytest.fixture
def fake(monkeypatch):
    """A runner that notes its spec and gives `fake.record` back."""
    seen = SimpleNamespace(spec=None, record=make_record(), error=None, already_done=False)

    def plan_run(spec):
        seen.spec = spec
        steps = [
            runner.PlanStep("backbone hog", "done", "needs no weights"),
            runner.PlanStep("synthetic twin quickstart", "todo", "car, chair, bus; 30 videos x 10 frames"),
            runner.PlanStep("dataset co3d", "missing", "there is no folder"),
        ]
        nothing = SimpleNamespace(adapter=None, shape=None, task=None, test=None)  # for the plugins' estimates
        done, path = seen.already_done, Path("r/record.json")
        return SimpleNamespace(steps=steps, record_path=path, already_done=done, resolved=nothing)

    def execute(plan, progress):
        progress.start("car: common3d", 2)
        progress.advance(2, loss=0.5)
        if seen.error:
            raise seen.error
        return seen.record

    def fit_all(plan, progress):
        return [Artifact(path=Path("r/fits/car"), recipe="ab", digest="cd", category="car", facts={"accuracy": 0.875})]

    monkeypatch.setitem(vars(runner), "plan_run", plan_run)
    monkeypatch.setitem(vars(runner), "plan_fits", plan_run)
    monkeypatch.setitem(vars(runner), "execute", execute)
    monkeypatch.setitem(vars(runner), "fit_all", fit_all)
    return seen


RUN = ("run", "--backbone", "hog", "--task", "pascal3d-pose", "--adapter", "common3d")


def test_run_hands_every_option_on(cli, fake, tmp_path):
    cli(
        *RUN, "--protocol", "box2d", "--weights", "random", "--data", str(tmp_path), "--synthetic", "--category",
        "car,bus", "--category", "chair", "--limit", "7", "--seed", "3", "--device", "cpu", "--results", "out", "--set",
        "shape.iterations=50", "--set", "task.split=hard", "--visualize", "--force", "--offline",
    )  # fmt: skip
    assert fake.spec == runner.RunSpec(
        backbone="hog",
        task="pascal3d-pose",
        shape_model="common3d",  # --adapter with the name of a shape model is short for it
        protocol="box2d",
        weights="random",
        data=tmp_path,
        synthetic=True,
        categories=("car", "bus", "chair"),
        limit=7,
        seed=3,
        device="cpu",
        results=Path("out"),
        settings={"shape": {"iterations": "50"}, "task": {"split": "hard"}},
        visualize=True,
        force=True,
        offline=True,
    )


def test_defaults_are_the_runners(cli, fake):
    cli("run", "--backbone", "hog", "--task", "t")
    assert fake.spec == runner.RunSpec(backbone="hog", task="t")


def test_two_shape_models_are_one_too_many(cli, fake):
    answer = cli(*RUN, "--shape-model", "other")
    assert answer.code == 2 and "already names a shape model" in answer.err


def test_run_shows_the_plan_the_table_and_the_record(cli, fake):
    answer = cli(*RUN)
    lines = answer.out.splitlines()
    assert answer.code == 0
    assert next(line for line in lines if "MISSING" in line).split()[:3] == ["MISSING", "dataset", "co3d"]
    assert "SYNTHETIC DATA" in answer.out and "RANDOM WEIGHTS" in answer.out
    row = next(line for line in lines if line.startswith("chair"))
    assert row.split() == [
        "chair", "82.2", "[78.1,", "92.9]", "82.2", "[78.1,", "92.9]", "6.5",
        "[5.5,", "8.0]", "82.2", "82.2", "100",
    ]  # fmt: skip
    assert next(line for line in lines if line.startswith(" training pose")).split()[2:] == ["1.4"] * 3
    assert "translation, intrinsics, crop-mask:cad" in answer.out and "paper" in answer.out
    assert "Record: r/record.json" in answer.out
    assert "car: common3d: 2/2" in answer.err


@pytest.mark.parametrize("columns", [100, 80, 60])
def test_tables_fit_the_terminal_and_lose_no_number(fake, columns):
    from rich.console import Console

    screen = Console(width=columns, file=io.StringIO(), highlight=False)
    screen.print(record_table(fake.record, columns))
    text = screen.file.getvalue()
    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text
    for number in ("82.2", "78.1", "92.9", "6.5", "300", "1.4"):
        assert number in text


def test_json_is_the_record_alone(cli, fake):
    answer = cli(*RUN, "--json")
    assert json.loads(answer.out) == fake.record.as_json()
    assert "Plan" in answer.err and "car: common3d" in answer.err


def test_a_finished_run_says_so(cli, fake):
    fake.already_done = True
    assert "--force" in cli(*RUN).out


def test_an_unfinished_record_is_shown_and_ends_with_a_code(cli, fake):
    fake.record = make_record(status="failed", message="A worker was killed.", scores=[], chance=[])
    answer = cli(*RUN)
    assert answer.code == 1 and "FAILED" in answer.out and "A worker was killed." in answer.out


def test_an_error_of_the_runner_ends_as_its_sentence(cli, fake):
    fake.error = DataError("mesh 12 of car is not there.", "Run `bench3d data check`.")
    answer = cli(*RUN, "--json")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.endswith("Error: mesh 12 of car is not there.\nRun `bench3d data check`.\n")


def test_an_interruption_says_what_is_kept(cli, fake):
    fake.error = KeyboardInterrupt()
    answer = cli(*RUN)
    assert answer.code == 130
    assert "Finished fits and runs are kept" in " ".join(answer.err.split()) and "Traceback" not in answer.err


def test_train_fits_and_names_what_it_left(cli, fake):
    train = ("train", "--backbone", "hog", "--adapter", "common3d", "--seed", "4")
    assert "r/fits/car" in cli(*train).out
    assert fake.spec == runner.RunSpec(backbone="hog", task=None, shape_model="common3d", seed=4)
    assert json.loads(cli(*train, "--json").out)[0]["facts"] == {"accuracy": 0.875}


def test_predict_hands_its_options_on_and_says_the_pose(cli, monkeypatch, tmp_path):
    seen = []
    found = {
        "azimuth": 31.2, "elevation": 5.0, "theta": -2.0, "score": 0.5, "translation": [0.0, 0.1, 4.0],
        "focal_pixels": 812.0, "focal_assumed": True, "picture": "o.png",
        "alternatives": [{"azimuth": 211.0, "elevation": 5.0, "theta": 2.0, "score": 0.4}],
    }  # fmt: skip
    monkeypatch.setitem(vars(runner), "predict", lambda spec, progress: seen.append(spec) or found)
    command = (
        "predict", "p.jpg", "--category", "car", "--box", "1,2,30,40", "--backbone", "hog", "--adapter", "common3d",
        "--out", "o.png", "--synthetic", "--focal", "900", "--checkpoint", "fits/car",
    )  # fmt: skip
    shown = cli(*command).out
    assert seen[0] == runner.PredictSpec(
        photo=Path("p.jpg"), category="car", box=(1, 2, 30, 40), backbone="hog", shape_model="common3d",
        out=Path("o.png"), synthetic=True, focal=900, checkpoint=Path("fits/car"),
    )  # fmt: skip
    assert "azimuth 31°" in shown and "or: azimuth 211°" in shown and "812 pixels (assumed" in shown
    assert json.loads(cli(*command, "--json").out) == found


def test_plain_progress_is_sparse(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("bench3d.cli.progress.time.monotonic", lambda: clock[0])
    stream = io.StringIO()
    progress = PlainProgress(stream, every=5.0)
    with progress:
        progress.start("car", 100)
        for step in range(100):
            clock[0] += 0.2
            progress.advance(1, loss=1.0 / (step + 1))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("car: 25/100, 15 s left") and "loss 0.04" in lines[0]
    assert lines[-1] == "car: 100/100 in 20 s  (loss 0.01)"
    assert len(lines) <= 5


def test_time_left_forgets_what_was_there_and_the_start(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("bench3d.cli.progress.time.monotonic", lambda: clock[0])
    stream = io.StringIO()
    with PlainProgress(stream, every=5.0) as progress:
        progress.start("twin", 100)
        progress.advance(40)  # found on disk
        clock[0] += 30.0  # worker processes start
        for _ in range(20):
            progress.advance(1)
            clock[0] += 1.0
    first, second, *_ = stream.getvalue().splitlines()
    assert first == "twin: 41/100" and second == "twin: 46/100, 54 s left"


def test_live_progress_shows_bar_losses_and_a_line_after(monkeypatch):
    from rich.console import Console

    from bench3d.cli import progress as module

    screen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(module, "console", lambda stderr=False: screen)
    with module.LiveProgress() as live:
        live.start("car: common3d", 10)
        live.advance(5, mask=0.125, loss=0.25)
        live._bars.refresh()
    text = screen.file.getvalue()
    assert "5/10" in text and "loss 0.25  mask 0.125" in text
    assert text.rstrip().splitlines()[-1].strip().endswith("loss 0.25  mask 0.125")


def test_spans_and_sizes_for_people():
    assert [duration(s) for s in (0.04, 12.4, 60, 200, 7500)] == ["0.0 s", "12 s", "1 min", "3 min 20 s", "2 h 5 min"]
    assert [gigabytes(b) for b in (None, 7.5e9, 320e6, 12)] == ["", "7.5 GB", "320 MB", "12 bytes"]
