"""Twins: marks, resuming, refusing to mix; worker processes; the registrations of the two data sets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench3d.contracts import DatasetRegistration, NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.data.twin import (
    SPECS,
    close_twin,
    ensure_twin,
    is_synthetic,
    open_twin,
    require_whole,
    twin_mark,
    twin_spec,
)
from bench3d.data.workers import THREAD_VARIABLES, run_jobs
from bench3d.errors import Bench3DError, DataError, OutputError, UsageError
from bench3d.records import Busy, Claim

SPEC = TwinSpec(categories=("car",), seed=1)
CALLS: list[Path] = []


def writer(root, spec, progress, workers):
    """A twin's writer that fails once, as if it were interrupted."""
    if open_twin(root, spec, "7"):
        return
    CALLS.append(root)
    if len(CALLS) == 1:
        raise KeyboardInterrupt
    close_twin(root, spec, "7")


REGISTRATION = DatasetRegistration(name="some", summary="", factory="a:b", folder="Some", synth="test_data_twin:writer")


def test_an_interrupted_twin_is_marked_and_completed(tmp_path):
    CALLS.clear()
    with pytest.raises(KeyboardInterrupt):
        ensure_twin(tmp_path, SPEC, [REGISTRATION], NullProgress())
    folder = tmp_path / "Some"
    assert is_synthetic(folder) and twin_mark(folder) is None
    with pytest.raises(DataError, match="unfinished"):
        require_whole(folder)
    for _ in range(2):
        assert ensure_twin(tmp_path, SPEC, [REGISTRATION], NullProgress()) == tmp_path
    assert len(CALLS) == 2
    require_whole(folder)
    mark = json.loads((tmp_path / "twin.json").read_text())
    assert mark["spec"]["seed"] == 1 and twin_mark(folder)["generator"] == "7"
    assert not list(tmp_path.rglob("twin.partial.json"))


def test_one_writer_at_a_time_and_a_dead_one_is_no_obstacle(tmp_path):
    CALLS[:] = [tmp_path]
    mark = tmp_path / ".writing.json"
    with Claim.take(mark):
        with pytest.raises(Busy, match="writing the twin"):
            ensure_twin(tmp_path, SPEC, [REGISTRATION], NullProgress(), wait=False)
        dead = {**json.loads(mark.read_text()), "started": -1.0}
    mark.write_text(json.dumps(dead))
    (tmp_path / ".lock").touch()
    ensure_twin(tmp_path, SPEC, [REGISTRATION], NullProgress(), wait=False)
    assert twin_mark(tmp_path) is not None and not mark.exists()
    with Claim.take(mark):
        assert ensure_twin(tmp_path, SPEC, [REGISTRATION], NullProgress(), wait=False) == tmp_path


class Waits(NullProgress):
    """Gives the claim back as soon as somebody says that he waits for it."""

    def __init__(self, claim):
        self.claim, self.lines = claim, []

    def say(self, message):
        self.lines.append(message)
        self.claim.release()


def test_the_second_writer_says_once_that_it_waits(tmp_path):
    CALLS[:] = [tmp_path]
    progress = Waits(Claim.take(tmp_path / ".writing.json"))
    ensure_twin(tmp_path, SPEC, [REGISTRATION], progress)
    assert progress.lines == [f"Another process is writing the twin in {tmp_path}: waiting for it."]


def test_other_spec_and_other_generator_are_refused(tmp_path):
    CALLS[:] = [tmp_path]
    ensure_twin(tmp_path, SPEC, [REGISTRATION], NullProgress())
    with pytest.raises(DataError, match="seed 1 instead of 2") as error:
        ensure_twin(tmp_path, TwinSpec(categories=("car",), seed=2), [REGISTRATION], NullProgress())
    assert "remove" in error.value.hint
    with pytest.raises(DataError, match="generator version 7 instead of 8"):
        open_twin(tmp_path / "Some", SPEC, "8")


def test_a_broken_mark_is_one_sentence(tmp_path):
    (tmp_path / "twin.json").write_text("{")
    with pytest.raises(DataError, match=r"twin\.json cannot be read"):
        open_twin(tmp_path, SPEC, "1")
    (tmp_path / "twin.json").write_text("[]")
    with pytest.raises(DataError, match="no mark"):
        open_twin(tmp_path, SPEC, "1")


def test_data_set_without_twin_and_folder_that_cannot_be_made(tmp_path):
    bare = DatasetRegistration(name="bare", summary="", factory="a:b", folder="Bare")
    with pytest.raises(DataError, match="bare has no synthetic twin"):
        ensure_twin(tmp_path, SPEC, [bare], NullProgress())
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        ensure_twin(tmp_path / "file" / "twin", SPEC, [REGISTRATION], NullProgress())


def test_named_specs():
    assert twin_spec("quickstart").images("hard") == 60 and twin_spec("quickstart").images("plain") == 100
    assert twin_spec("full").images("hard") == 100 and len(SPECS["full"].categories) == 7
    with pytest.raises(UsageError, match="quickstat"):
        twin_spec("quickstat")


def note(path: Path) -> None:
    path.write_text(json.dumps({name: os.environ.get(name) for name in THREAD_VARIABLES} | {"pid": os.getpid()}))


def fail_on_b(path: Path) -> None:
    if path.name == "b":
        raise DataError("b is broken.", "Mend b.")


def die(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_have_one_thread_each_and_this_process_keeps_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    done: list[int] = []
    run_jobs(note, [tmp_path / name for name in "abc"], 2, lambda: done.append(1))
    found = [json.loads((tmp_path / name).read_text()) for name in "abc"]
    assert all(entry[name] == "1" for entry in found for name in THREAD_VARIABLES)
    assert os.getpid() not in {entry["pid"] for entry in found} and len(done) == 3
    assert os.environ["OMP_NUM_THREADS"] == "5" and "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("workers", [1, 2])
def test_a_jobs_error_arrives_with_its_hint(tmp_path, workers):
    with pytest.raises(DataError, match="b is broken") as error:
        run_jobs(fail_on_b, [tmp_path / name for name in "abc"], workers, lambda: None)
    assert error.value.hint == "Mend b."


def test_a_killed_worker_is_one_sentence(tmp_path):
    with pytest.raises(Bench3DError, match="worker process was killed"):
        run_jobs(die, [tmp_path / name for name in "ab"], 2, lambda: None)


def linger(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(60)


PARENT = """
import sys
import time
from pathlib import Path
from bench3d.data.workers import run_jobs
from test_data_twin import linger
if __name__ == "__main__":
    run_jobs(linger, [Path(sys.argv[1]) / name for name in "ab"], 2, lambda: None)
"""


def test_workers_die_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.Popen([sys.executable, script, tmp_path], env=environment)
    files = [tmp_path / "a", tmp_path / "b"]
    try:
        wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    finally:
        parent.kill()
        parent.wait()
    workers = [int(file.read_text()) for file in files]
    wait_for(lambda: not any(lives(pid) for pid in workers))


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_for(condition, seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_registrations_load_without_numpy_or_torch():
    code = (
        "import sys\nfrom bench3d_plugins.co3d import bench3d_register as a\n"
        "from bench3d_plugins.pascal3d import bench3d_register as b\n"
        "import bench3d_plugins.co3d.settings\n"
        "for r in [*a(), *b()]:\n    print(r.name, r.folder, bool(r.licence and r.citation and r.how_to_get))\n"
        "assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["co3d co3d True", "pascal3d PASCAL3D+_release1.1 True"]
