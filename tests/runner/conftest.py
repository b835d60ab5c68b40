"""The fake world of plugins, data to go with it, and a spec that runs on it."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench3d.contracts import Progress
from bench3d.runner import RunSpec, execute, plan_run


class Told(Progress):
    """Keeps what was said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


@pytest.fixture
def fakes(install):
    """The installed fake plugin's module: FAULTS to set, CALLS to read."""
    install("fakes", (Path(__file__).parent / "fake_plugin.py").read_text())
    return importlib.import_module("fakes_plugin")


@pytest.fixture
def spec(fakes, tmp_path):
    """A run on `fake-data` with errors car 5, 15, 40, 100 and chair 5, 100."""
    folder = tmp_path / "data" / "fake"
    folder.mkdir(parents=True)
    (folder / "car.json").write_text(json.dumps([5.0, 15.0, 40.0, 100.0]))
    (folder / "chair.json").write_text(json.dumps([5.0, 100.0]))
    return RunSpec(
        backbone="fake-net", task="fake-task", shape_model="fake-shape", data=tmp_path / "data",
        results=tmp_path / "results", device="cpu",
    )  # fmt: skip


@pytest.fixture
def go():
    """Plans and executes: go(spec, limit=3) -> (plan, record)."""

    def run(spec, progress=None, **changes):
        plan = plan_run(replace(spec, **changes))
        return plan, execute(plan, progress or Told())

    return run


@pytest.fixture
def told():
    return Told()
