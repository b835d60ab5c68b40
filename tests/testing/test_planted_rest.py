"""The kit sees planted faults of data sets, tasks, renderers, executors and registrations."""

from __future__ import annotations

import functools
from typing import ClassVar

import planted_rest as planted
import pytest
from planted_rest import executor
from pydantic import BaseModel, ConfigDict

from bench3d.contracts import BackboneRegistration
from bench3d.contracts.executor import Ended, Executor
from bench3d.plugins import load_registry
from bench3d.testing import checks_for, run_check, subject_for, subject_from
from bench3d.testing.twins import registered_reader, write_twin
from bench3d_plugins.inline_executor.executor import InlineExecutor


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Tiny twins by the name of the data set, each written once."""

    @functools.cache
    def stand(name):
        registration = load_registry().get("dataset", name)
        return write_twin(registration, tmp_path_factory.mktemp(name), registered_reader(registration))

    return stand


def outcome(subject, name):
    """Of one check."""
    return run_check(next(c for c in checks_for(subject.kind) if c.name == name), subject)


def refused(subject, name, words):
    """The check fails and says so."""
    found = outcome(subject, name)
    assert found.state == "failed", found
    assert words in found.detail + found.hint


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        (planted.RestlessIds, "listing", "other ids"),
        (planted.TwiceTheSameId, "listing", "have the id ['one']"),
        (planted.Numb, "fingerprint", "No annotation can change"),
        (planted.BySurroundings, "fingerprint", "in a copy of the folder"),
        (planted.StopsAtTheFirst, "check-damage", "check does not name"),
        (planted.CriesWolf, "check-silent", "1 problems in a good folder: some.file"),
        (planted.Writes, "reads-only", "index.cache"),
        (planted.Unpickles, "reads-only", "unpickles pathlib"),
        (planted.Traceback, "absent", "raises KeyError"),
    ],
)
def test_readers_of_pairs(tmp_path, twins, fault, check, words):
    refused(planted.planted("dataset", "pf-pascal", tmp_path, fault, twins("pf-pascal")), check, words)
    (twins("pf-pascal").folder / "index.cache").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (planted.Mirrored, "behind the camera"),
        (planted.AnotherFrame, "overlap with the boxes"),
        (planted.Scaled, "off an orthonormal one"),
    ],
)
def test_readers_of_poses(tmp_path, twins, fault, words):
    refused(planted.planted("dataset", "pascal3d", tmp_path, fault, twins("pascal3d")), "shapes", words)


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        (planted.ByBatch, "batch", "reference_px is"),
        (planted.NoCluster, "values", "lack the text 'cluster'"),
        (planted.Random, "deterministic", "jitter differ"),
        (planted.ChanceInPercent, "chance", "a probability from 0 to 1"),
        (planted.FirstFew, "listing", "leaves out"),
        (planted.ChangesTheModel, "model-unchanged", "Evaluation changes the model"),
        (planted.Unannounced, "images", "did not announce"),
        (planted.NotANumber, "values", "no JSON"),
        (planted.SameNames, "metrics", "Two of its metrics"),
    ],
)
def test_tasks(tmp_path, twins, fault, check, words):
    refused(planted.planted("task", "pf-pascal", tmp_path, fault, twins("pf-pascal")), check, words)


def test_a_headline_that_no_metric_has(tmp_path):
    subject = planted.planted("task", "pf-pascal", tmp_path, lambda task: task, headline="accuracy")
    refused(subject, "protocols", "The headline 'accuracy' is none of its metrics")


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        (planted.UpsideDown, "upright", "row 0 is the top"),
        (planted.UpsideDown, "triangles", "show another triangle"),
        (planted.FarFirst, "triangles", "nearest z/w first"),
        (planted.WrongCorner, "triangles", "u, v is off"),
        (planted.NoSilhouettes, "antialias-gradients", "gradient to vertices is zero"),
    ],
)
def test_renderers(tmp_path, fault, check, words):
    refused(planted.planted("renderer", "cpu", tmp_path, fault), check, words)


class Loses(InlineExecutor):
    """The last job of a submission is forgotten."""

    def submit(self, jobs):
        super().submit(jobs[:-1])


class Backwards(InlineExecutor):
    def submit(self, jobs):
        super().submit(list(reversed(jobs)))


class Twice(InlineExecutor):
    def poll(self, seconds):
        return [e for e in super().poll(seconds) for _ in range(2)]


class Optimist(InlineExecutor):
    """Whatever happened, it was fine."""

    def poll(self, seconds):
        return [Ended(id=e.id, code=0) for e in super().poll(seconds)]


class Stubborn(InlineExecutor):
    def cancel(self, ids):
        return


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        (Loses, "order", "d of 4 jobs never ended"),
        (Backwards, "order", "b needs a, c needs b"),
        (Twice, "order", "reported as ended twice"),
        (Optimist, "order", "The exit codes are"),
        (Stubborn, "cancel", "b"),
    ],
)
def test_executors(tmp_path, fault, check, words):
    refused(executor(fault, tmp_path, seconds=4.0), check, words)


class LeavesProcesses(Executor):
    """Starts processes and looks after none."""

    def __init__(self):
        self.running = {}

    def submit(self, jobs):
        import os
        import subprocess

        quiet = {k: v for k, v in os.environ.items() if k != "BENCH3D_PARENT"}
        for job in jobs:
            self.running[job.id] = subprocess.Popen(job.command, env=quiet)

    def poll(self, seconds):
        import time

        time.sleep(seconds)
        over = {i: p.poll() for i, p in self.running.items() if p.poll() is not None}
        for name in over:
            del self.running[name]
        return [Ended(id=i, code=c) for i, c in over.items()]

    def active(self):
        return []

    def cancel(self, ids):
        return

    def stop(self, now):
        return


def test_an_executor_that_leaves_processes(tmp_path):
    import os
    import signal
    from pathlib import Path

    subject = executor(LeavesProcesses, tmp_path, seconds=40.0)
    refused(subject, "close", "still runs")
    for path in Path(tmp_path).rglob("a.pid"):
        os.kill(int(path.read_text()), signal.SIGKILL)


class Loose(BaseModel):
    """Accepts what it does not know."""

    size: int = 3


class Demanding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int


class Forgets(BaseModel):
    """What is read again is not what was written."""

    model_config = ConfigDict(extra="forbid")
    sizes: set[int] | list[int] = {3}
    check_settings: ClassVar[dict] = {}


def offer(tmp_path, **fields):
    """A subject with a registration of its own; nothing of it is ever made."""
    stated = {"name": "acme", "summary": "A backbone", "factory": f"{__name__}:create", "licence": "MIT"}
    return subject_from(BackboneRegistration(**{**stated, **fields}), lambda **k: None, tmp=tmp_path, registered=True)


def create(weights, settings, device):
    """Never called."""


def wrong(weights, device):
    """Takes no settings."""


@pytest.mark.parametrize(
    ("fields", "check", "words"),
    [
        ({"settings": f"{__name__}:Loose"}, "settings", "accepts an unknown key"),
        ({"settings": f"{__name__}:Demanding"}, "settings", "size: Field required"),
        ({"settings": f"{__name__}:Forgets"}, "settings", "differs after it was written"),
        ({"factory": f"{__name__}:wrong"}, "references", "cannot be called with"),
        ({"factory": f"{__name__}:absent"}, "references", "has no attribute 'absent'"),
        ({"presets": "bench3d.configs:presets/nowhere"}, "presets", "There is no *.yaml"),
        ({"licence": ""}, "metadata", "There is no licence"),
        ({"summary": "two\nlines"}, "metadata", "is not one line"),
        ({"result_version": "1"}, "metadata", "not a whole number"),
        ({"name": "Big Name"}, "name", "lower-case letters"),
    ],
)
def test_registrations(tmp_path, fields, check, words):
    refused(offer(tmp_path, **fields), check, words)


PLUGIN = """
    {first}
    from bench3d.contracts import BackboneRegistration
    from bench3d.plugins import hookimpl

    @hookimpl
    def bench3d_register():
        own = {{"name": "{name}", "factory": "{name}_plugin:create"}}
        return [BackboneRegistration(summary="A backbone", licence="MIT", **own)]
"""


@pytest.mark.parametrize(
    ("name", "first", "check", "words"),
    [
        ("heavy", "import numpy", "light-import", "loads numpy"),
        ("slow", "sum(range(10**7))", "light-import", "ms (slowest: slow_plugin"),
        ("loud", "import os; os.environ['LOUD'] = '1'", "quiet-import", "changes the environment"),
        ("busy", "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
         "quiet-import", "a thread"),
    ],
)  # fmt: skip
def test_imports(tmp_path, install, monkeypatch, name, first, check, words):
    monkeypatch.setenv("LOUD", "0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    install(name, PLUGIN.format(first=first, name=name))
    folder = tmp_path / "check"
    folder.mkdir()
    refused(subject_for("backbone", name, tmp=folder), check, words)


def test_no_name_is_taken_twice():
    for kind in ("backbone", "adapter", "shape-model", "dataset", "task", "renderer", "executor", "logger", "command"):
        names = [c.name for c in checks_for(kind)]
        assert len(set(names)) == len(names) and all(c.says.endswith(".") for c in checks_for(kind)), kind


def test_the_kit_names_no_plugin():
    from pathlib import Path

    import bench3d.testing

    names = {r.name for k in ("dataset", "task", "backbone", "shape-model") for r in load_registry().registrations(k)}
    mine = ("datasets", "tasks", "task_values", "rehearsal", "twins", "readers", "conventions", "registrations")
    text = "".join((Path(bench3d.testing.__file__).parent / f"{m}.py").read_text() for m in mine)
    assert not [n for n in names if f'"{n}"' in text]
    assert "bench3d_plugins" not in text
