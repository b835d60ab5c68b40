"""`bench3d grid ...`: what it hands to planner and engine, what it shows, with a grid room that does nothing."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from rich.console import Console

from bench3d.cli import grid_display
from bench3d.cli.grid_end import result_of
from bench3d.cli.grid_totals import totals
from bench3d.errors import UnknownNameError
from bench3d.grid.expand import Overrides
from bench3d.grid.model import GridPlan, GridView, Node, Slot
from bench3d.grid.remaining import expected, left_seconds, span
from bench3d.records.claims import Holder
from bench3d.records.identity import identity_hash
from bench3d.records.schema import Record
from bench3d.runner import RunSpec

RAN = "The process was killed by signal 9, twice."
LACKS = "smoothap-lora finetunes vision transformers, and hog is none."
ENGINE = """
from pydantic import BaseModel, ConfigDict
from bench3d.contracts import ExecutorRegistration
from bench3d.plugins import hookimpl

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    partition: str | None = None
    cores_per_worker: int | None = None
    chunk: int = 1

@hookimpl
def bench3d_register():
    return [ExecutorRegistration(name="cluster", summary="", factory="x:y", settings="cluster_plugin:Settings")]
"""


def node(number: int, kind: str = "run", state: str = "todo", **changes) -> Node:
    spec = RunSpec(backbone="hog", task="spair71k" if kind == "run" else None, adapter="smoothap-lora", device="cpu")
    values = {
        "id": f"{kind}-{number:012x}", "kind": kind, "title": f"hog · spair71k · seed {number}" if kind == "run"
        else f"hog · smoothap-lora {number}", "state": state, "spec": spec, "seconds": 60.0, "memory_bytes": 2e9,
    }  # fmt: skip
    return Node(**{**values, **changes})


def grid_of(folder: Path, *nodes: Node, **changes) -> GridPlan:
    values = {"name": "tiny", "summary": "A tiny grid.", "folder": folder / "grids" / "tiny-1", "results": folder}
    return GridPlan(**{**values, "nodes": nodes, **changes})


def with_record(found: Node, folder: Path, value: float = 87.5) -> Node:
    """The node done, with a record."""
    place = folder / "runs" / "spair71k" / found.id
    place.mkdir(parents=True)
    score = {
        "metric": "PCK@0.1", "value": value, "unit": "%", "n": 40, "interval": [80.0, 91.0], "higher_is_better": True,
        "version": 1, "order": "point",
    }  # fmt: skip
    record = Record.model_validate(
        {
            "label": "hog", "identity": {"measurement": {"n": found.id}, "hash": identity_hash({"n": found.id})},
            "status": "finished", "headline": "PCK@0.1",
            "scores": [{**score, "metric": "other", "category": "mean", "value": 1.0},
                       {**score, "category": "car", "value": 3.0}, {**score, "category": "mean"}],
            "marks": {"synthetic_data": True},
            "provenance": {"bench3d": "0.1.0", "python": "3.11", "seed": 0, "time": "2026-01-01T00:00:00Z"},
        }
    )  # fmt: skip
    (place / "record.json").write_text(json.dumps(record.as_json()))
    return replace(found, state="done", folder=place)


@pytest.fixture
def room(monkeypatch, tmp_path):
    """A grid room that keeps what it is told: `room.plan` is planned, `room.final` stands after a run."""
    told = SimpleNamespace(
        plan=grid_of(tmp_path, node(1)), final=None, interrupted=False, stopped=1, engines=[], slots=[]
    )
    told.overrides, told.calls, told.asked, told.forgiven = None, [], None, None

    def plan_grid(name, overrides):
        told.name, told.overrides = name, overrides
        return told.plan

    def saved_plan(name, results):
        if name != told.plan.name:
            raise UnknownNameError(f"There is no grid {name} in {results}.", f"Did you mean {told.plan.name}?")
        return told.plan

    def run_grid(plan, executor, settings, watcher, *, workers=None, device="auto", detach=False):
        told.calls.append((executor, dict(settings), workers, device, detach))
        for one in (told.final or plan).nodes:
            watcher.event(one, "started")
            watcher.event(one, one.state if one.state in ("done", "failed", "blocked") else "waiting", one.reason)
        watcher.tick(GridView(nodes={n.id: n for n in plan.nodes}, slots=(), seconds=1.0))
        return GridOutcome(plan=told.final or plan, interrupted=told.interrupted)

    class GridOutcome(SimpleNamespace):
        pass

    def request_stop(plan, now):
        told.asked = now
        return told.stopped

    def forgive(plan, ids):
        told.forgiven = list(ids)
        told.plan = replace(
            plan, nodes=tuple(replace(n, state="todo", reason="") if n.id in ids else n for n in plan.nodes)
        )
        return len(ids)

    control = {"request_stop": request_stop, "forgive": forgive}
    control |= {"engines": lambda plan: told.engines, "slots": lambda plan: told.slots}
    for name, content in {
        "plan": {"plan_grid": plan_grid, "saved_plan": saved_plan},
        "engine": {"run_grid": run_grid, "GridOutcome": GridOutcome},
        "control": control,
    }.items():
        module = ModuleType(f"bench3d.grid.{name}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return told


def test_the_options_reach_the_planner(cli, room, tmp_path):
    cli(
        "grid", "plan", "tiny", "--results", "out", "--data", str(tmp_path), "--synthetic", "--device", "cpu",
        "--offline", "--limit", "3", "--weights", "random", "--category", "car,bus", "--backbone", "hog",
        "--backbone", "d*", "--protocol", "paper", "--seed", "3", "--seed", "4", "--adapter", "none", "--task",
        "spair71k", "--part", "raw", "--on", "rgb", "--set", "shape.steps=4", "--set",
        "executor.chunk=2",
    )  # fmt: skip
    assert room.name == "tiny"
    assert room.overrides == Overrides(
        results=Path("out"), data=tmp_path, synthetic=True, device="cpu", offline=True, limit=3, weights="random",
        categories=("car", "bus"), backbones=("hog", "d*"), adapters=("none",), tasks=("spair71k",), parts=("raw",),
        on=("rgb",), protocols=("paper",), seeds=(3, 4), settings={"shape": {"steps": "4"}},
    )  # fmt: skip


def test_what_is_not_said_changes_nothing(cli, room):
    assert cli("grid", "plan", "tiny").code == 0
    assert room.overrides == Overrides(results=Path("bench3d-results"))


def mixed(folder: Path) -> GridPlan:
    return grid_of(
        folder, node(1, "fit"), node(2, needs=("fit-000000000001",)), node(3, state="done"),
        *(node(n, state="incompatible", reason=LACKS, seconds=None) for n in (4, 5)),
        node(6, state="missing", reason="spair71k was not found.", hint="bench3d data fetch spair71k"),
        node(7, state="failed", reason=RAN), download_bytes=3e8,
    )  # fmt: skip


def test_the_plan_says_what_and_why_and_how_much(cli, room, tmp_path):
    room.plan = mixed(tmp_path)
    answer = cli("grid", "plan", "tiny", "--workers", "2")
    text = " ".join(answer.out.split())
    assert answer.code == 0
    assert "to do hog · spair71k · seed 2 1 min 2.0 GB" in text
    assert f"2 runs: {LACKS}" in text and text.count(LACKS) == 1
    assert "spair71k was not found. bench3d data fetch spair71k" in text
    assert "Runs: 1 done · 1 to do · 1 failed · 1 missing · 2 incompatible" in text
    assert "about 2 min with 2 workers; 0.03 core-hours" in text  # the run waits for its fit
    assert "300 MB of weights will be fetched" in text
    assert "bench3d grid run tiny" in text


def test_a_thousand_runs_stay_readable(cli, room, tmp_path):
    room.plan = grid_of(tmp_path, *(node(n, state="done" if n % 4 else "todo") for n in range(1000)))
    short, long = cli("grid", "plan", "tiny"), cli("grid", "plan", "tiny", "--all")
    assert len(short.out.splitlines()) < 20
    assert "750 done · 250 to do  hog · smoothap-lora · spair71k" in short.out and "4 h 10 min" in short.out
    assert len(long.out.splitlines()) > 1000


def test_the_plan_as_json_holds_everything(cli, room, tmp_path):
    room.plan = mixed(tmp_path)
    value = json.loads(cli("grid", "plan", "tiny", "--workers", "2", "--json").out)
    assert [n["state"] for n in value["nodes"]] == [n.state for n in room.plan.nodes]
    assert value["nodes"][1]["spec"]["backbone"] == "hog" and value["nodes"][1]["needs"] == ["fit-000000000001"]
    assert value["totals"]["span_seconds"] == 120.0 and value["totals"]["states"]["incompatible"] == 2


def test_a_problem_is_told_by_plan_and_stops_run(cli, room, tmp_path):
    room.plan = grid_of(tmp_path, node(1), problems=("Objaverse's licence is not accepted. Run `bench3d data fetch`.",))
    planned, ran = cli("grid", "plan", "tiny"), cli("grid", "run", "tiny")
    assert planned.code == 0 and "licence is not accepted" in planned.out and "Start it" not in planned.out
    assert (ran.code, ran.out, room.calls) == (2, "", []) and "licence is not accepted" in ran.err


def test_run_shows_events_values_failures_and_where_they_are(cli, room, tmp_path):
    done = with_record(node(1), tmp_path)
    room.plan = grid_of(tmp_path, node(1), node(2), node(3, "fit"), node(4))
    blocked = {"state": "blocked", "reason": "The fit hog · smoothap-lora 3 failed."}
    room.final = replace(
        room.plan,
        nodes=(done, node(2, **blocked), node(3, "fit", state="failed", reason=RAN), node(4, **blocked)),
    )
    answer = cli("grid", "run", "tiny", "--results", str(tmp_path), "--workers", "2", "--device", "cpu")
    assert answer.code == 1
    assert room.calls == [("local", {}, 2, "cpu", False)]
    assert "done    hog · spair71k · seed 1: PCK@0.1 87.5 %" in answer.err
    assert f"failed  hog · smoothap-lora 3: {RAN}" in answer.err
    out = " ".join(answer.out.split())
    assert "3 runs: 1 done · 2 blocked" in out and "SYNTHETIC DATA" in out
    assert "hog · spair71k · seed 1 PCK@0.1 % 87.5 [80.0, 91.0] 40" in out
    assert f"bench3d grid logs tiny fit-000000000003 --results {tmp_path}" in out
    assert "2 runs: The fit hog · smoothap-lora 3 failed." in out


@pytest.mark.parametrize(
    ("states", "interrupted", "options", "code"),
    [
        (["done", "incompatible"], False, [], 0),
        (["done", "failed"], False, [], 1),
        (["done", "missing"], False, [], 1),
        (["done", "todo"], True, [], 130),
        (["done", "failed", "todo"], True, [], 130),
        (["done", "todo"], False, [], 130),  # another shell asked it to stop
        (["done", "todo"], False, ["--detach"], 0),
    ],
)
def test_exit_codes(cli, room, tmp_path, states, interrupted, options, code):
    room.final = grid_of(tmp_path, *(node(n, state=state) for n, state in enumerate(states)))
    room.interrupted = interrupted
    answer = cli("grid", "run", "tiny", *options)
    assert answer.code == code
    assert ("goes on with bench3d grid run tiny" in " ".join(answer.err.split())) == (code == 130)
    assert ("bench3d grid status tiny" in answer.err) == bool(options)


def test_nothing_is_started_where_nothing_is_to_do(cli, room, tmp_path):
    room.plan = grid_of(tmp_path, with_record(node(1), tmp_path))
    assert cli("grid", "run", "tiny").code == 0
    assert room.calls == []


def test_run_as_json_is_json_alone(cli, room, tmp_path):
    room.final = grid_of(tmp_path, with_record(node(1), tmp_path))
    answer = cli("grid", "run", "tiny", "--json")
    assert json.loads(answer.out)["results_by_node"]["run-000000000001"]["value"] == 87.5
    assert "PCK@0.1 87.5 %" in answer.err


def test_many_results_are_told_in_groups(cli, room, tmp_path):
    room.final = grid_of(tmp_path, *(with_record(node(n), tmp_path, 50.0 + n) for n in range(41)))
    out = cli("grid", "run", "tiny").out
    assert "hog · smoothap-lora · spair71k" in out and "seed" not in out
    assert out.split("PCK@0.1 %")[1].split()[:4] == ["41", "50.0", "70.0", "90.0"]


def test_flags_become_settings_of_the_executor(cli, room, install):
    install("cluster", ENGINE)
    cli(
        "grid", "run", "tiny", "--executor", "cluster", "--partition", "gpu", "--cpus-per-worker", "3", "--set",
        "executor.chunk=5", "--detach",
    )  # fmt: skip
    assert room.calls == [("cluster", {"chunk": "5", "partition": "gpu", "cores_per_worker": 3}, None, "auto", True)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--partition", "gpu"], "The executor local has no setting partition."),
        (["--executor", "lokal"], "There is no executor named lokal.\nDid you mean local?"),
        (["--set", "executor.patienc=3"], "Did you mean executor.patience?"),
        (["--set", "executor.patience"], "is not of the form executor.key=value"),
        (["--set", "executor.patience=soon"], "executor.patience = 'soon'"),
        (["--set", "shap.steps=3"], "Did you mean shape?"),
    ],
)
def test_a_wrong_option_is_one_sentence_before_anything_starts(cli, room, options, sentence):
    answer = cli("grid", "run", "tiny", *options)
    assert (answer.code, answer.out, room.calls) == (2, "", [])
    assert sentence in answer.err


def test_retry_forgives_what_failed_or_what_is_named(cli, room, tmp_path):
    nodes = [node(0xA1, state="failed", reason=RAN), node(0xB2, state="failed", reason=RAN), node(3, state="done")]
    room.plan = grid_of(tmp_path, *nodes)
    cli("grid", "retry", "tiny", "run-0000000000b")
    assert room.forgiven == ["run-0000000000b2"] and len(room.calls) == 1
    cli("grid", "retry", "tiny")
    assert room.forgiven == ["run-0000000000a1"]  # the other one is to do already
    answer = cli("grid", "retry", "tiny", "seed 3")
    assert answer.code == 2 and "None of these has failed." in answer.err


def holder(host: str, began: float, here: bool) -> Holder:
    since = datetime.fromtimestamp(began, timezone.utc).isoformat()
    return Holder(host=host, pid=4711, about="grid", since=since, token="t", here=here)


def test_status_says_what_runs_where_and_since_when(cli, room, tmp_path):
    running = node(2, state="running")
    room.plan = grid_of(tmp_path, node(1, state="done"), running, node(3), node(4, state="failed", reason=RAN))
    room.slots = [Slot(slot="gpu 0", node=running, seconds=20.0, stage="car", done=3, total=12)]
    room.engines = [
        holder("here", time.time() - 125, True), holder("there", time.time() + 3600, False),  # its clock goes wrong
    ]  # fmt: skip
    text = " ".join(cli("grid", "status", "tiny").out.split())
    assert "runs: 1 done · 1 running · 1 to do · 1 failed" in text
    assert "gpu 0 hog · spair71k · seed 2 car" in text and "25 % 0:20" in text
    assert "At it: here process 4711, for 2 min 5 s; there process 4711, since 20" in text and " 2:05 " in text
    assert "1 min 40 s left" in text  # 40 s of the running one, 60 s of the next, on one slot
    assert f"{RAN} bench3d grid logs tiny run-000000000004" in text
    value = json.loads(cli("grid", "status", "tiny", "--json").out)
    assert value["runs"] == {"done": 1, "running": 1, "todo": 1, "failed": 1} and not value["over"]
    assert value["slots"][0] == {
        "slot": "gpu 0", "node": running.id, "title": running.title, "stage": "car", "done": 3, "total": 12,
        "seconds": 20.0,
    }  # fmt: skip
    assert value["engines"][0]["pid"] == 4711 and value["left_seconds"] == 100.0


def test_status_of_a_grid_that_nobody_works_at_says_how_it_goes_on(cli, room):
    assert "No engine is at it: bench3d grid run tiny goes on." in cli("grid", "status", "tiny").out
    assert cli("grid", "status", "./mine/tiny.yaml").code == 0
    unknown = cli("grid", "status", "tinny")
    assert unknown.code == 2 and "Did you mean tiny?" in unknown.err


def test_watch_ends_when_nothing_is_left(cli, room, tmp_path, monkeypatch):
    monkeypatch.setattr("bench3d.cli.grid_watch.LOOK_SECONDS", 0.0)
    seen = []

    def slots(plan):
        seen.append(plan)
        if len(seen) == 3:
            room.plan = grid_of(tmp_path, node(1, state="done"))
        return []

    sys.modules["bench3d.grid.control"].slots = slots
    assert "1 done" in cli("grid", "status", "tiny", "--watch").out
    assert len(seen) == 4


def test_stop_asks_once_or_now(cli, room):
    assert "1 engine was asked to stop: what runs is finished first" in cli("grid", "stop", "tiny").out
    assert room.asked is False
    cli("grid", "stop", "tiny", "--now")
    assert room.asked is True
    room.stopped = 0
    assert "Nothing is at work" in cli("grid", "stop", "tiny").out


def test_logs_are_found_by_id_title_or_failure_and_cannot_touch_the_terminal(cli, room, tmp_path):
    room.plan = grid_of(tmp_path, node(1, state="done"), node(2, state="failed", reason=RAN))
    for n in room.plan.nodes:
        place = room.plan.folder / "nodes" / n.id
        place.mkdir(parents=True)
        (place / "log.txt").write_bytes(b"".join(b"%s line %d\n" % (n.id.encode(), i) for i in range(50)))
    with open(place / "log.txt", "ab") as log:
        log.write(b"\x1b[2Jlast\x07 \xff\n")
    answer = cli("grid", "logs", "tiny", "--lines", "2")
    assert answer.out == "run-000000000002 line 49\nlast \ufffd\n" and RAN in answer.err
    for word in ("run-000000000001", "000000000001", "Seed 1"):
        assert cli("grid", "logs", "tiny", word, "-n", "1").out == "run-000000000001 line 49\n"
    miss = cli("grid", "logs", "tiny", "run-000000000009x")
    assert miss.code == 2 and "Did you mean run-00000000000" in miss.err


def test_follow_shows_what_is_added_until_the_job_is_over(cli, room, tmp_path, monkeypatch):
    from bench3d.cli import grid_logs

    running = node(1, state="running")
    room.plan = grid_of(tmp_path, running)
    path = room.plan.folder / "nodes" / running.id / "log.txt"
    path.parent.mkdir(parents=True)
    path.write_text("before\n")
    looks = iter(["one\n", "", "two\n", *[""] * 20])

    def sleep(seconds):
        path.open("a").write(next(looks))
        if path.read_text().endswith("two\n"):
            room.plan = grid_of(tmp_path, replace(running, state="done"))

    monkeypatch.setattr(grid_logs.time, "sleep", sleep)
    answer = cli("grid", "logs", "tiny", "--follow")
    assert (answer.code, answer.out) == (0, "before\none\ntwo\n")
    assert len(list(looks)) == 10  # it asked once, after ten silent looks


def test_list_and_show_know_the_shipped_grids(cli):
    names = [row["name"] for row in json.loads(cli("grid", "list", "--json").out)]
    assert "ablation-rank" in names and "ablation-rank" in cli("grid", "list").out
    shown = cli("grid", "show", "ablation-rank")
    assert "adapter.rank" in shown.out and "cells in all" in shown.out
    miss = cli("grid", "show", "ablation-rnk")
    assert miss.code == 2 and "Did you mean ablation-rank" in miss.err


def view_of(plan: GridPlan, **changes) -> GridView:
    return GridView(
        **{"nodes": {n.id: n for n in plan.nodes}, "slots": (), "seconds": 30.0, "left_seconds": 3700.0} | changes
    )


def test_plain_lines_are_sparse(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(grid_display.time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    plan = grid_of(tmp_path, node(1, state="done"), node(2, "fit"), node(3), node(4, state="incompatible"))
    other = replace(plan, nodes=(*plan.nodes[:2], replace(plan.nodes[2], state="failed")))
    with grid_display.PlainDisplay(stream) as display:
        for _ in range(1000):  # 500 s without any change, 10 s after one
            clock[0] += 0.5
            display.tick(view_of(plan))
        for _ in range(20):
            clock[0] += 0.5
            display.tick(view_of(other, stopping=True))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "1/2 runs, 0/1 fits, 0 at work, 30 s so far, 1 h 1 min left"
    assert len(lines) == 1 + 8 + 1 + 1
    assert lines[-2].startswith("Stopping: finishing what runs") and "1 failed" in lines[-1]


def test_blocked_jobs_share_a_line(tmp_path):
    stream = io.StringIO()
    with grid_display.PlainDisplay(stream) as display:
        for n in range(100):
            display.event(node(n, state="blocked"), "blocked", "The fit failed.")
        display.say("after")
    assert stream.getvalue().splitlines() == [
        "blocked 100 jobs, such as hog · spair71k · seed 0: The fit failed.", "after",
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [80, 120])
def test_the_live_display_fits_and_leaves_the_terminal_whole(tmp_path, columns):
    screen = Console(file=io.StringIO(), force_terminal=True, width=columns, height=12, color_system=None)
    long = "dinov2-b · smoothap-lora · common3d · multiview-equivariance · objaverse · seed {}"
    nodes = [node(n, title=long.format(n)) for n in range(20)]
    slots = [
        Slot(slot=f"slot {n}", node=n_, seconds=4000.0, stage="car: fit", done=5, total=8) for n, n_ in enumerate(nodes)
    ]
    with pytest.raises(KeyboardInterrupt), grid_display.LiveDisplay(screen) as display:
        display.event(with_record(nodes[0], tmp_path), "done")
        display.tick(view_of(grid_of(tmp_path, *nodes), slots=tuple(slots), stopping=True))
        raise KeyboardInterrupt
    text = screen.file.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    plain = [line.split("\x1b[2K")[-1] for line in text.splitlines()]
    assert max(len(line) for line in plain if "\x1b" not in line) <= columns
    drawn = next(line for line in plain if "slot 3" in line)
    assert "seed 3" in drawn and "62 %" in drawn and "1:06:40" in drawn
    assert "and 14 more at work" in text and "Ctrl-C again" in text and "PCK@0.1 87.5 %" in text


def test_times_are_summed_over_workers_and_needs():
    fit, other, one, two = (
        node(1, "fit", seconds=10.0),
        node(2),
        node(3, needs=("fit-000000000001",)),
        node(4, seconds=None),
    )
    nodes = [fit, other, one, two]
    times = expected(nodes)
    assert times[two.id] == 60.0  # the mean of the runs, not of the fit
    assert span(nodes, 1, times) == 190.0 and span(nodes, 2, times) == 120.0 and span(nodes, 9, times) == 70.0
    assert left_seconds(nodes, [Slot(slot="1", node=fit, seconds=99.0)]) == 180.0
    assert left_seconds([node(1, seconds=None)], []) is None and left_seconds([], []) == 0.0


def test_a_record_that_did_not_finish_or_is_broken_has_no_value(tmp_path):
    done = with_record(node(1), tmp_path)
    assert result_of(done).value == 87.5
    (done.folder / "record.json").write_text("{")
    assert result_of(done) is None and result_of(node(2)) is None


def test_hours_are_the_gpus_where_the_run_is_on_one(tmp_path):
    twin = node(1, "data", spec=RunSpec(backbone="hog", device="cuda"))
    sums = totals(grid_of(tmp_path, twin, node(2, spec=RunSpec(backbone="hog", device="cuda")), node(3)), 1)
    assert (sums.gpu_seconds, sums.core_seconds) == (60.0, 120.0)


@pytest.mark.parametrize("verb", ["list", "show", "plan", "run", "status", "stop", "retry", "logs"])
def test_every_help_ends_with_an_example(cli, verb):
    answer = cli("grid", verb, "--help")
    assert answer.code == 0 and f"Example: bench3d grid {verb}" in answer.out


def test_help_loads_no_torch():
    script = "import sys; from bench3d.cli.main import main; main(['grid', '--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False).returncode == 0
