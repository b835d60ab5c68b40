"""Offline, and against a server that must not be asked. wandb keeps state in its process: each test has a child."""

import getpass
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("wandb")

from wandb.proto import wandb_internal_pb2

from bench3d.errors import UsageError
from bench3d_plugins.wandb_logger.runs import create, summary_of

RECIPE = "0123456789abcdef" * 4
CHILD = """
import json, logging, os, socket, sys
logging.basicConfig(format="%(message)s")
real = socket.socket.connect
def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
        raise AssertionError(f"a socket to {address}")
    return real(self, address)
socket.socket.connect = connect
from bench3d.plugins.logs import Logger
from bench3d.records.schema import Record
logger = Logger("wandb")
for event, values in json.load(open(sys.argv[1])):
    if "record" in values:
        values["record"] = Record.model_validate(values["record"])
    logger.tell(event, **values)
print("the run goes on")
"""


@pytest.fixture
def tell(tmp_path):
    """Tells the logger events in a child process: tell([("run_finished", {...})], WANDB_MODE="offline")."""

    def call(events, **environment):
        (tmp_path / "events.json").write_text(json.dumps(events))
        (tmp_path / "home").mkdir(exist_ok=True)
        given = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
        given |= {
            "HOME": str(tmp_path / "home"),
            "NETRC": str(tmp_path / "home" / "netrc"),
            "BENCH3D_LOG": "wandb:mine",
        }
        command = [sys.executable, "-c", CHILD, str(tmp_path / "events.json")]
        done = subprocess.run(
            command, cwd=tmp_path, env={**given, **environment}, capture_output=True, text=True, timeout=120,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0 and done.stdout.endswith("the run goes on\n"), done.stderr
        return done

    return call


@pytest.fixture
def server():
    """An address, and the connections that were made to it."""
    listening = socket.create_server(("127.0.0.1", 0))
    seen = []

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            seen.append(connection.recv(100))
            connection.close()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", seen
    listening.close()


def records(path):
    """The protocol buffers of a .wandb file: LevelDB's log format, after seven bytes."""
    content, place, part = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:  # too short for a header: padding
            place += left
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        part += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            yield wandb_internal_pb2.Record.FromString(part)
            part = b""


def items(updates):
    return {u.key or "/".join(u.nested_key): json.loads(u.value_json) for u in updates}


def read(folder):
    """What stands in the offline runs under a folder, by their ids."""
    found = {}
    for path in sorted(Path(folder).glob("wandb/offline-run-*/*.wandb")):
        kinds = {}
        for record in records(path):
            kind = record.WhichOneof("record_type")
            kinds.setdefault(kind, []).append(getattr(record, kind))
        (run,) = kinds["run"]
        about = SimpleNamespace(run=run, kinds=kinds, config=items(run.config.update), summary={})
        about.history = [items(h.item) for h in kinds.get("history", ())]
        for summary in kinds.get("summary", ()):
            about.summary |= items(summary.update)
        found.setdefault(run.run_id, []).append(about)
    return found


def test_offline_runs_hold_the_record_and_nothing_of_this_machine(tell, server, logged, tmp_path):
    record = logged()
    address, seen = server
    fit = {"component": "common3d", "category": "car", "recipe": RECIPE, "stage": "car template"}
    done = tell(
        [
            ("fit_step", {**fit, "step": 50, "values": {"loss": 1.5, "lr": 0.25}}),
            ("fit_step", {**fit, "step": 100, "values": {"loss": 0.75}}),
            ("fit_finished", {"recipe": RECIPE, "facts": {"held_out": 0.5, "names": ["a"]}}),
            ("run_finished", {"record": record.as_json()}),
        ],
        WANDB_MODE="offline", WANDB_BASE_URL=address, WANDB_API_KEY="0" * 40,
    )  # fmt: skip
    assert seen == [] and done.stderr == ""
    found = read(tmp_path)
    assert set(found) == {RECIPE, record.identity.hash}
    (run,) = found[record.identity.hash]
    assert (
        run.run.project == "mine" and run.run.job_type == "run" and list(run.run.tags) == ["synthetic-data", "limited"]
    )
    assert run.run.display_name == f"noise-image-{record.identity.hash[:12]}"
    measured = json.loads(json.dumps(record.identity.measurement))
    assert {k: v for k, v in run.config.items() if k != "_wandb"} == {**measured, "oracles": ["category"]}
    assert run.summary["PCK@0_1/car"] == 50.0 and run.summary["headline"] == 37.5
    assert run.summary["status"] == "finished"
    (table,) = tmp_path.glob("wandb/offline-run-*/files/media/table/*.json")
    assert json.loads(table.read_text())["data"][2] == ["PCK@0.1", "mean", 37.5, "%", 12.25, 62.75, 10]
    (fitted,) = found[RECIPE]
    reports = [{k: v for k, v in h.items() if not k.startswith("_")} for h in fitted.history]
    assert reports == [
        {"car template/iteration": 50, "car template/loss": 1.5, "car template/lr": 0.25},
        {"car template/iteration": 100, "car template/loss": 0.75},
    ]
    assert fitted.summary["held_out"] == 0.5 and "names" not in fitted.summary
    assert run.run.host == fitted.run.host == "" and not {"output_raw", "stats", "environment"} & set(run.kinds)
    secrets = [socket.gethostname(), str(tmp_path), "secret-folder", f'"{getpass.getuser()}"']
    for path in tmp_path.glob("wandb/offline-run-*/*.wandb"):
        for sent in records(path):
            for file in sent.artifact.manifest.contents:
                file.local_path = ""  # where an upload takes it from; it stays here
            assert [s for s in secrets if s in str(sent)] == []


def test_the_same_run_again_has_the_same_id(tell, logged, tmp_path):
    record = logged()
    for _ in range(2):
        tell([("run_finished", {"record": record.as_json()})], WANDB_MODE="offline")
    assert {key: len(runs) for key, runs in read(tmp_path).items()} == {record.identity.hash: 2}


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "nobody is logged in to Weights & Biases. Run `wandb login`, or set WANDB_MODE=offline."),
        (
            {"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9", "BENCH3D_OBSERVER_SECONDS": "4"},
            "Weights & Biases cannot be reached (",
        ),
    ],
)
def test_without_a_login_or_a_network_one_sentence_is_all(tell, logged, environment, sentence):
    event = ("run_finished", {"record": logged().as_json()})
    said = tell([event, event], **environment).stderr.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"The logger wandb writes nothing more in this process: {sentence}")


def test_nothing_is_written_without_being_asked_for(tell, logged, tmp_path):
    tell([("run_finished", {"record": logged().as_json()})], BENCH3D_LOG="", WANDB_MODE="offline")
    assert not (tmp_path / "wandb").exists()


@pytest.mark.parametrize("target", ["a/b/c", "/b", "a/", "what?"])
def test_what_is_no_project_is_refused(target):
    with pytest.raises(UsageError, match="is no project"):
        create(target)


def test_a_run_that_failed_has_no_scores(logged):
    found = summary_of(logged(status="failed", scores=[]))
    assert found["status"] == "failed" and "headline" not in found
