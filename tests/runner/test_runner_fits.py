"""Fits between processes: made once, taken over from the dead, published whole."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from bench3d.contracts import Artifact, NullProgress
from bench3d.errors import OutputError, UsageError
from bench3d.records import Busy, Claim, holder
from bench3d.runner import making as making_module
from bench3d.runner import plan_fits, plan_run
from bench3d.runner.fits import fit_all, fit_one
from bench3d.runner.jobs import fit_begun
from bench3d.runner.making import fit_seconds

COUNTS = '''
"""A fit that counts to `steps`, keeps its state after every step, and tells `log` of each."""
import json, os, sys, time
from pathlib import Path
from bench3d.contracts import Artifact, Progress
from bench3d.files import write_json
from bench3d.runner import making
from bench3d.runner.jobs import FitJob

class Counting:
    def __init__(self, log, steps, seconds):
        self.log, self.steps, self.seconds = log, steps, seconds
    def fit(self, model, source, context):
        state = context.out / "state.safetensors"
        begun = json.loads(state.read_text()) if state.exists() else 0
        for step in range(begun, self.steps):
            with open(self.log, "a") as log:
                log.write(f"{os.getpid()} {step}\\n")
            write_json(state, step + 1)
            time.sleep(self.seconds)
            while step == 4 and (self.log.parent / "hold").exists():
                (self.log.parent / "held").touch()
                time.sleep(0.01)
        state.unlink(missing_ok=True)
        write_json(context.out / "artifact.json", {"recipe": context.recipe, "pid": os.getpid()})
        return self.load(context.out)
    def load(self, path):
        value = json.loads((path / "artifact.json").read_text())
        return Artifact(path, value["recipe"], "digest", None)

class Says(Progress):
    def say(self, message):
        print(message, flush=True)

def job_of(folder):
    return FitJob("counter", "adapter", None, {}, "r" * 64, folder / "all-rrr")

def make(folder, steps=20, seconds=0.01, **changes):
    component = type("C", (), {"name": "counter"})()
    making.create_fitted = lambda *_: Counting(folder / "log", steps, seconds)
    how = dict(component=component, model=None, source=None, seed=0, device="cpu", categories=("all",))
    return making.ensure_artifact(job_of(folder), making.Making(**how, progress=Says(), **changes))

if __name__ == "__main__":
    print("begins", flush=True)
    print(make(Path(sys.argv[1])).path, flush=True)
'''


@pytest.fixture
def counts(tmp_path, monkeypatch):
    """The module above, importable here, with the function that makes fits restored afterwards."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "counts.py").write_text(COUNTS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(making_module, "create_fitted", making_module.create_fitted)
    import counts

    yield counts
    del sys.modules["counts"]


@pytest.fixture
def start(tmp_path, counts):
    children = []

    def begin(folder):
        command = [sys.executable, counts.__file__, str(folder)]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return children[-1]

    yield begin
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


def steps_of(folder):
    """(process, step) of every step that was done."""
    lines = (folder / "log").read_text().splitlines() if (folder / "log").exists() else []
    return [tuple(map(int, line.split())) for line in lines]


def until(condition, seconds=10.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_three_processes_make_one_artifact_and_a_killed_ones_state_is_taken_over(tmp_path, counts, start):
    folder = tmp_path / "fits"
    folder.mkdir()
    (folder / "hold").touch()
    children = [start(folder) for _ in range(3)]
    until((folder / "held").exists)
    first = steps_of(folder)[0][0]
    job = counts.job_of(folder)
    rest = [child for child in children if child.pid != first]
    waiting = "Another process is fitting counter of all categories: waiting for it."
    assert [[child.stdout.readline().strip() for _ in range(2)] for child in rest] == [["begins", waiting]] * 2
    (job.attempts()[0] / ".state.77-0123abcd.safetensors").touch()  # as a kill in the middle of writing leaves it
    assert holder(job.claim).pid == first and fit_begun(job) and not job.done
    os.kill(first, signal.SIGKILL)  # and nobody waits for it: it stays as a zombie
    (folder / "hold").unlink()
    said = [child.communicate(timeout=20)[0].splitlines() for child in rest]
    assert [lines[-1] for lines in said] == [str(job.folder)] * 2
    assert all(waiting not in lines for lines in said), "it is said once"
    done = steps_of(folder)
    makers = list(dict.fromkeys(pid for pid, _ in done))
    assert len(makers) == 2, "the third one took the second's result"
    assert [step for pid, step in done if pid == makers[1]] == list(range(5, 20))
    assert json.loads((job.folder / "artifact.json").read_text())["pid"] == makers[1]
    assert sorted(p.name for p in folder.iterdir()) == ["all-rrr", "held", "log"]
    assert sorted(p.name for p in job.folder.iterdir()) == ["artifact.json", "fit.json"]


def test_an_interrupted_fit_goes_on_and_its_seconds_add_up(tmp_path, counts, monkeypatch):
    def interrupt(seconds):
        if len(steps_of(tmp_path)) == 3:
            raise KeyboardInterrupt

    job = counts.job_of(tmp_path)
    monkeypatch.setattr(counts.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        counts.make(tmp_path, steps=5)
    (attempt,) = job.attempts()
    note = json.loads((attempt / "fit.json").read_text())
    (attempt / "fit.json").write_text(json.dumps({**note, "seconds": 1000.0}))
    assert holder(job.claim) is None and fit_begun(job)
    assert counts.make(tmp_path, steps=5).path == job.folder
    assert [step for _, step in steps_of(tmp_path)] == [0, 1, 2, 3, 4]
    assert 1000 < fit_seconds(job) < 1010 and not job.attempts() and not fit_begun(job)


def test_what_an_earlier_version_began_in_place_goes_on(tmp_path, counts):
    job = counts.job_of(tmp_path)
    job.folder.mkdir()
    (job.folder / "state.safetensors").write_text("3")
    (tmp_path / ".all-rrr.lock").touch()
    assert fit_begun(job)
    counts.make(tmp_path, steps=5)
    assert [step for _, step in steps_of(tmp_path)] == [3, 4] and job.done


def test_an_artifact_that_was_whole_when_its_maker_died_is_published(tmp_path, counts):
    job = counts.job_of(tmp_path)
    (tmp_path / ".all-rrr.77").mkdir()
    (tmp_path / ".all-rrr.77" / "artifact.json").write_text(json.dumps({"recipe": job.recipe}))
    assert counts.make(tmp_path).path == job.folder and job.done
    assert steps_of(tmp_path) == [] and not job.attempts()


def test_force_makes_it_again_and_until_then_the_old_one_stands(tmp_path, counts, monkeypatch):
    job = counts.job_of(tmp_path)
    counts.make(tmp_path, steps=2, seconds=0)
    old = (job.folder / "artifact.json").stat().st_ino

    def interrupt(seconds):
        assert job.done
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(counts.time, "sleep", interrupt)
        counts.make(tmp_path, steps=2, again=True)
    assert (job.folder / "artifact.json").stat().st_ino == old and not job.attempts()
    counts.make(tmp_path, steps=2, seconds=0, again=True)
    assert [step for _, step in steps_of(tmp_path)] == [0, 1, 0, 0, 1]
    assert (job.folder / "artifact.json").stat().st_ino != old


def test_of_two_that_publish_the_first_wins(tmp_path, counts, monkeypatch):
    """A claim is a hint: with two at work the artifact is still one and whole."""
    job = counts.job_of(tmp_path)

    def publish_too(seconds):
        job.folder.mkdir()
        (job.folder / "artifact.json").write_text(json.dumps({"recipe": job.recipe, "pid": 0}))

    monkeypatch.setattr(counts.time, "sleep", publish_too)
    counts.make(tmp_path, steps=1)
    assert json.loads((job.folder / "artifact.json").read_text())["pid"] == 0
    assert sorted(p.name for p in tmp_path.iterdir() if p.name not in ("site", "log")) == ["all-rrr"]


def test_a_fit_that_was_taken_over_leaves_nothing_of_its_own(tmp_path, counts, monkeypatch):
    """Another machine took this process for dead and its folder away; a file written since must not be published."""
    job = counts.job_of(tmp_path)

    def take_away(seconds):
        for attempt in job.attempts():
            os.rename(attempt, tmp_path / "theirs")

    monkeypatch.setattr(counts.time, "sleep", take_away)
    with pytest.raises(making_module.Bench3DError, match="took the fit of counter"):
        counts.make(tmp_path, steps=1)
    assert not job.done and not job.attempts()


def test_who_does_not_wait_hears_that_another_is_at_it(spec, fakes):
    plan = plan_fits(replace(spec, task=None))
    car, chair = plan.jobs
    with Claim.take(car.claim):
        with pytest.raises(Busy, match="fake-shape of car"):
            fit_all(plan, NullProgress(), wait=False)
        with pytest.raises(Busy):
            fit_one(plan, car.recipe, NullProgress(), wait=False)
        fit_one(plan, chair.recipe, NullProgress(), wait=False)
    assert [call for call in fakes.CALLS if call[0] == "fit"] == [("fit", "chair")]


def test_one_fit_of_a_run_is_made_alone(spec, fakes):
    plan = plan_run(spec)
    made = fit_one(plan, plan.jobs[1].recipe, NullProgress())
    assert isinstance(made, Artifact) and made.path == plan.jobs[1].folder
    assert [call for call in fakes.CALLS if call[0] == "fit"] == [("fit", "chair")]
    assert [job.done for job in plan.jobs] == [False, True]
    fit_one(plan_run(replace(spec, force=True)), plan.jobs[1].recipe, NullProgress())
    assert len([call for call in fakes.CALLS if call[0] == "fit"]) == 2
    with pytest.raises(UsageError, match="no fit with the recipe"):
        fit_one(plan, "0" * 64, NullProgress())


def test_results_that_cannot_be_written_are_a_sentence_but_what_is_there_is_used(spec, fakes, monkeypatch):
    plan = plan_fits(replace(spec, task=None))
    fit_one(plan, plan.jobs[0].recipe, NullProgress())

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "link", refuse)
    assert fit_one(plan, plan.jobs[0].recipe, NullProgress()).path == plan.jobs[0].folder
    with pytest.raises(OutputError, match="No permission"):
        fit_one(plan, plan.jobs[1].recipe, NullProgress())
