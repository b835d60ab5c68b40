import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from pydantic import ValidationError
from ray_jobs import HANG, appears, ends, is_gone, job

from bench3d.contracts.executor import Ended, ExecutorContext
from bench3d.errors import UsageError
from bench3d.plugins import load_registry
from bench3d_plugins.ray_executor.executor import RayExecutor
from bench3d_plugins.ray_executor.settings import RaySettings, memory_bytes

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Ray of two slots and three GPUs (no devices, but numbers are enough for Ray); a job is begun twice at most."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("BENCH3D_TOY", "passed on")
        executor = RayExecutor(RaySettings(address="local", retries=1, cpus_per_worker=3))
        executor.open(ExecutorContext(folder=tmp_path_factory.mktemp("grid"), workers=2))
    yield executor
    executor.close()


def test_jobs_wait_for_their_needs_even_where_those_fail(shared, tmp_path):
    note = "open(folder / 'order', 'a').write('{} ')"
    first = job(tmp_path, "first", "time.sleep(0.5);" + note.format("first") + "; sys.exit(7)")
    second = job(tmp_path, "second", note.format("second"), needs=("first", "never-submitted"))
    third = job(tmp_path, "third", "print('said', flush=True); os.kill(os.getpid(), 9)", needs=("second",))
    shared.submit([first, second, third])
    found = ends(shared, {"first", "second", "third"})
    assert [found[name].code for name in ("first", "second", "third")] == [7, 0, -9]
    assert (tmp_path / "order").read_text() == "first second "
    assert (tmp_path / "third.log").read_text() == "said\n"


def test_slots_are_not_overrun_and_a_job_sees_its_share(shared, tmp_path):
    code = "t = time.time(); time.sleep(2.2); print(t, time.time(), os.environ['CUDA_VISIBLE_DEVICES'], "
    code += "os.environ['OMP_NUM_THREADS'], os.environ['NUMBA_NUM_THREADS'], os.environ['BENCH3D_TOY'])"
    shared.submit([job(tmp_path, f"job{i}", code) for i in range(4)])
    until = time.monotonic() + 20
    while len(shared.active()) < 2 and time.monotonic() < until:
        assert shared.poll(0.05) == []
    slots = {active.slot for active in shared.active()}
    assert len(slots) == 2 and slots < {f"gpu {i} on {socket.gethostname()}" for i in range(3)}
    ends(shared, {f"job{i}" for i in range(4)})
    lines = [(tmp_path / f"job{i}.log").read_text().split(maxsplit=5) for i in range(4)]
    spans = sorted((float(line[0]), float(line[1])) for line in lines)
    most = max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)
    assert most == 2  # a task that waits for Ray would lend its slot to another
    assert {line[2] for line in lines} < {"0", "1", "2"}
    assert {(line[3], line[4], line[5].strip()) for line in lines} == {("3", "3", "passed on")}
    assert shared.active() == []


def test_a_killed_worker_is_replaced_and_its_job_begun_again(shared, tmp_path):
    code = "again = folder.joinpath('pids').exists();"
    code += "open(folder / 'pids', 'a').write(f'{os.getppid()} {os.getpid()}');\nif not again: " + HANG
    shared.submit([job(tmp_path, "hit", code), job(tmp_path, "after", "", needs=("hit",))])
    worker, child = map(int, appears(tmp_path / "pids", shared).split())
    os.kill(worker, signal.SIGKILL)
    found = ends(shared, {"hit", "after"})
    assert (found["hit"].code, found["after"].code) == (0, 0)
    assert is_gone(child)


def test_a_job_that_loses_its_worker_again_and_again_is_given_up(shared, tmp_path):
    kill = job(tmp_path, "bad", "open(folder / 'times', 'a').write('x'); os.kill(os.getppid(), 9); " + HANG)
    after = job(tmp_path, "after", "open(folder / 'after', 'w').write('done')", needs=("bad",))
    shared.submit([kill, after])
    found = ends(shared, {"bad", "after"})
    assert found["bad"].code is None and "worker" in found["bad"].reason
    assert (tmp_path / "times").read_text() == "xx"
    assert found["after"] == Ended(id="after", code=0)  # it has waited for an end, not for a success
    shared.submit([job(tmp_path, "bad", "sys.exit(3)")])
    assert ends(shared, {"bad"})["bad"].code == 3


def test_cancel_forgets_only_what_has_not_begun(shared, tmp_path):
    # Until both have begun: a job of fixed length may end before the other one begins.
    held = "any((folder / 'go').exists() or time.sleep(0.05) for _ in range(2000))"
    shared.submit([job(tmp_path, "one", held), job(tmp_path, "two", held)])
    while len(shared.active()) < 2:
        assert shared.poll(0.05) == []
    waiting = job(tmp_path, "waiting", "folder.joinpath('waiting').write_text('x')")
    shared.submit([waiting, job(tmp_path, "leaf", "", needs=("waiting",))])
    shared.cancel({"one", "waiting", "unknown"})
    (tmp_path / "go").touch()
    found = ends(shared, {"one", "two", "leaf"})
    assert {e.code for e in found.values()} == {0} and set(found) == {"one", "two", "leaf"}
    assert not (tmp_path / "waiting").exists()
    shared.submit([waiting])
    assert ends(shared, {"waiting"})["waiting"].code == 0


def test_a_command_that_cannot_be_started_is_an_end_with_a_reason(shared, tmp_path):
    good = job(tmp_path, "good", "")
    shared.submit([type(good)(id="bad", kind="run", title="bad", command=("/no/such/program",), log=good.log), good])
    found = ends(shared, {"bad", "good"})
    assert found["bad"].code is None and "cannot be written" in found["bad"].reason
    assert found["good"].code == 0


def test_a_job_that_fits_no_node_is_an_error_and_no_endless_wait(shared, tmp_path):
    huge = RayExecutor(RaySettings(memory="900TB", gpus_per_worker=0))
    with pytest.raises(UsageError, match=r"No node of the Ray cluster can hold a job.*921600\.0 GB memory"):
        huge.open(ExecutorContext(folder=tmp_path))  # finds the Ray that this process is connected to
    shared.submit([job(tmp_path, "still", "")])
    assert ends(shared, {"still"})["still"].code == 0


def test_settings():
    assert memory_bytes("2GB") == 2**31 and memory_bytes("512") == 2**29
    for wrong in ({"address": "ray://head:10001"}, {"address": "head"}, {"memory": "much"}, {"gpus_per_worker": 1.5}):
        with pytest.raises(ValidationError):
            RaySettings(**wrong)
    with pytest.raises(ValidationError, match="cpus_per_worker"):
        RaySettings(resources={"CPU": 2.0})


def test_listing_imports_no_ray():
    code = "import sys; from bench3d.plugins import load_registry as load; load().get('executor', 'ray'); "
    code += "import bench3d_plugins.ray_executor.executor; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert load_registry().get("executor", "ray").extras == ("ray",)
