"""A grid from its file to its records: planned, done in this process, resumed, failing, blocked, retried, stopped."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench3d.errors import DataError, UnknownNameError, UsageError
from bench3d.grid import child
from bench3d.grid.control import engines, forgive, request_stop, slots
from bench3d.grid.engine import run_grid
from bench3d.grid.expand import Overrides
from bench3d.grid.model import GridWatcher
from bench3d.grid.nodes import claim_path, failures
from bench3d.grid.plan import plan_grid
from bench3d.grid.saved import PLAN, read_plan, saved_plan
from bench3d.records import RunStore
from bench3d.records.claims import Claim

# `inline` runs the child as a script in this process, where these tests have imported it as well.
pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules")

GRID = """
summary: A tiny grid.
backbones: [fake-net, fake-floor]
shape_models: [fake-shape]
tasks: [fake-task]
protocols: "*"
seeds: [0, 1]
exclude: [{backbone: fake-floor, protocol: tough}]
"""


class Events(GridWatcher):
    """Keeps what was told."""

    def __init__(self):
        self.told, self.said = [], []

    def event(self, node, what, detail=""):
        self.told.append((node.kind, what, detail))

    def say(self, message):
        self.said.append(message)

    def count(self, what):
        return sum(t[1] == what for t in self.told)


@pytest.fixture
def world(install, tmp_path):
    """The fake plugins, official data, a grid file: `world(...)` plans it."""
    install("fakes", (Path(__file__).parents[1] / "runner" / "fake_plugin.py").read_text())
    module = importlib.import_module("fakes_plugin")
    module.FAULTS.clear()
    folder = tmp_path / "data" / "fake"
    folder.mkdir(parents=True)
    (folder / "car.json").write_text(json.dumps([5.0, 15.0, 40.0, 100.0]))
    (folder / "chair.json").write_text(json.dumps([5.0, 100.0]))
    (tmp_path / "tiny.yaml").write_text(GRID)

    def plan(**changes):
        values = {"results": tmp_path / "results", "data": tmp_path / "data", "device": "cpu", **changes}
        return plan_grid(str(tmp_path / "tiny.yaml"), Overrides(**values))

    plan.faults = module.FAULTS
    plan.results = tmp_path / "results"
    yield plan
    module.FAULTS.clear()


def inline(plan, watcher=None):
    return run_grid(plan, "inline", {}, watcher or Events())


def states(plan, kind=None):
    return [n.state for n in plan.nodes if kind in (None, n.kind)]


def test_every_fit_and_run_is_done_once_and_planning_again_finds_them(world):
    plan = world()
    # 2 backbones x 2 categories x 2 seeds: a fit depends on all three; protocols share it.
    assert [n.kind for n in plan.nodes] == ["fit"] * 8 + ["run"] * 6 and set(states(plan)) == {"todo"}
    outcome = inline(plan)
    assert set(states(outcome.plan)) == {"done"} and not outcome.interrupted
    assert len((world.results / "fits" / "fits.log").read_text().splitlines()) == 8
    records = [r for _, r in RunStore(world.results).records()]
    assert len(records) == 6 and {r.status for r in records} == {"finished"}
    again = world()
    assert set(states(again)) == {"done"} and again.folder == plan.folder
    assert set(states(saved_plan("tiny", world.results))) == {"done"}
    assert not engines(plan) and not list((world.results / "claims").iterdir())


def test_equal_cells_are_one_node(world, tmp_path):
    twice = GRID.replace('"*"', "easy").partition("exclude")[0].replace("summary: A tiny grid.", "")
    parts = "".join(f"  {n}:\n" + "".join(f"    {line}\n" for line in twice.split("\n") if line) for n in "ab")
    (tmp_path / "tiny.yaml").write_text(f"summary: s\nparts:\n{parts}")
    assert len(world().runs()) == 4


def test_an_error_that_comes_back_is_not_tried_again_and_blocks_what_needs_it(world):
    world.faults["fit"] = DataError("The frames are broken.", "Fetch them again.")
    watcher = Events()
    plan = inline(world(), watcher).plan
    assert set(states(plan, "fit")) == {"failed"} and set(states(plan, "run")) == {"blocked"}
    assert watcher.count("retried") == 0 and watcher.count("blocked") == 6
    fit = plan.nodes[0]
    assert fit.reason == "The frames are broken." and failures(plan.folder, fit.id)[0]["final"] is True
    del world.faults["fit"]
    assert set(states(world(), "fit")) == {"failed"}  # as long as nobody says that it is worth another try
    assert forgive(plan, [n.id for n in plan.nodes]) == 8
    assert set(states(inline(world()).plan)) == {"done"}


def test_an_unexpected_error_is_tried_once_more_and_leaves_a_failed_record(world):
    world.faults.update(at="car-2", error=RuntimeError("boom"))
    watcher = Events()
    outcome = inline(world(), watcher)
    assert set(states(outcome.plan, "run")) == {"failed"} and set(states(outcome.plan, "fit")) == {"done"}
    assert watcher.count("retried") == 6
    records = [r for _, r in RunStore(world.results).records()]
    assert {r.status for r in records} == {"failed"} and all("boom" in str(r.message) for r in records)
    assert {n.reason for n in outcome.plan.runs()} == {"RuntimeError: boom"}


def test_the_record_of_a_run_that_was_killed_is_written_by_another_process(world):
    plan = inline(replace(world(), nodes=world().nodes[:8])).plan
    run = world().runs()[0]
    assert child.main([str(plan.folder / PLAN), run.id, "--leave", "Its process was killed."]) == 0
    (found,) = [r for _, r in RunStore(world.results).records()]
    assert (found.status, found.message, found.identity.hash) == ("failed", "Its process was killed.", run.key)
    assert set(states(inline(world()).plan)) == {"done"}


def test_what_is_missing_or_cannot_run_says_why_and_what_helps(world, tmp_path):
    (tmp_path / "data" / "fake" / "car.json").unlink()
    plan = world()
    assert {(n.state, n.hint) for n in plan.runs()} == {("missing", "bench3d data fetch fake-data")}
    assert all("car.json is missing" in n.reason for n in plan.runs())
    (tmp_path / "tiny.yaml").write_text("summary: s\nbackbones: fake-net\ntasks: fake-task\n")
    assert [n.state for n in world().runs()] == ["incompatible"]
    assert "needs a shape model" in world().runs()[0].reason
    assert set(states(inline(world()).plan)) == {"incompatible"}


def test_a_node_that_another_process_is_at_is_waited_for(world):
    plan = world()
    fit = plan.nodes[0]
    claim = Claim.take(claim_path(plan.results, fit.id), about="another grid")
    assert [s.node.id for s in slots(plan)] == [fit.id]
    assert saved_plan("tiny", world.results).nodes[0].state == "running"
    threading.Timer(1.5, claim.release).start()
    watcher = Events()
    assert set(states(inline(world(), watcher).plan)) == {"done"} and watcher.count("waiting") == 1


def test_a_claim_of_a_dead_process_holds_nothing_up(world):
    plan = world()
    script = (
        "import os, sys; from pathlib import Path; from bench3d.records.claims import Claim\n"
        "assert Claim.take(Path(sys.argv[1])) is not None; os.kill(os.getpid(), 9)"
    )
    path = claim_path(plan.results, plan.nodes[0].id)
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert path.is_file() and world().nodes[0].state == "todo"
    assert set(states(inline(world()).plan)) == {"done"}


def test_an_hour_of_clock_skew_changes_nothing(world):
    plan = world()
    inline(replace(plan, nodes=plan.nodes[:3]))
    for sign, path in enumerate(p for p in world.results.rglob("*") if p.is_file()):
        moved = time.time() + (3600 if sign % 2 else -3600)
        os.utime(path, (moved, moved))
    again = world()
    assert states(again).count("done") == 3
    assert set(states(inline(again).plan)) == {"done"}


def test_a_request_from_another_shell_drains_and_planning_again_goes_on(world):
    plan = world()

    class Asking(Events):
        def event(self, node, what, detail=""):
            super().event(node, what, detail)
            if what == "done" and self.count("done") == 2:
                assert request_stop(plan, now=False) == 1

    outcome = inline(plan, Asking())
    assert outcome.interrupted and states(outcome.plan).count("done") in (2, 3)
    assert request_stop(plan, now=True) == 0
    assert set(states(inline(world()).plan)) == {"done"}


def test_a_broken_plan_and_an_unknown_grid_are_sentences(world):
    plan = world()
    with pytest.raises(UnknownNameError, match=r"No grid tinny has been planned.*tiny"):
        saved_plan("tinny", world.results)
    path = plan.folder / PLAN
    assert read_plan(path).nodes == plan.nodes
    path.write_text('{"schema": "bench3d.grid/1", "nodes": [{"id": "x"}]}')
    with pytest.raises(DataError, match=r"plan.json"):
        read_plan(path)
    path.write_text("{")
    with pytest.raises(DataError, match="field schema"):
        read_plan(path)


def test_a_read_only_results_folder_is_a_problem_that_the_plan_tells(world, tmp_path):
    place = tmp_path / "fixed"
    place.write_text("a file where a folder is needed")
    plan = world(results=place)
    assert any("fixed" in p for p in plan.problems)
    with pytest.raises(UsageError, match="fixed"):
        inline(plan)


def test_an_unknown_setting_of_an_executor_is_refused(world):
    with pytest.raises(UsageError, match="partition"):
        run_grid(world(), "inline", {"partition": "gpu"}, Events())
