"""The executor `local`: slots, needs, kills, stops, and that nothing outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from bench3d.contracts.executor import INTERRUPTED, ExecutorContext, Job
from bench3d.errors import UsageError
from bench3d_plugins.local_executor import executor as local
from bench3d_plugins.local_executor.settings import LocalSettings


def job(name: str, code: str, folder: Path, needs: tuple[str, ...] = ()) -> Job:
    source = "from bench3d.processes import die_with_parent; die_with_parent()\n" + textwrap.dedent(code)
    return Job(
        id=name, kind="run", title=name, needs=needs, command=(sys.executable, "-c", source), log=folder / f"{name}.log"
    )


@pytest.fixture
def two(tmp_path):
    made = local.LocalExecutor(LocalSettings(patience=5.0, gpus_per_worker=0))
    made.open(ExecutorContext(folder=tmp_path, workers=2, device="cpu"))
    yield made
    made.close()


def wait(executor, number: int, seconds: float = 30.0) -> dict[str, int | None]:
    """The first so many that end, by id."""
    found: dict[str, int | None] = {}
    until = time.monotonic() + seconds
    while len(found) < number and time.monotonic() < until:
        found.update({e.id: e.code for e in executor.poll(0.2)})
    assert len(found) == number
    return found


def test_needs_come_first_and_codes_come_back(two, tmp_path):
    write = "import sys; open({!r}, 'a').write({!r}); sys.exit({})"
    order = str(tmp_path / "order")
    two.submit(
        [
            job("a", "import time; time.sleep(0.5)\n" + write.format(order, "a", 3), tmp_path),
            job("b", write.format(order, "b", 0), tmp_path, ("a",)),
            job("c", write.format(order, "c", 0), tmp_path, ("b", "never submitted")),
        ]
    )
    assert [a.id for a in two.active()] == ["a"]
    assert wait(two, 3) == {"a": 3, "b": 0, "c": 0} and Path(order).read_text() == "abc"


def test_slots_are_filled_and_told_how_many_cores_they_have(two, tmp_path):
    said = (
        "import os, time; print(os.environ['OMP_NUM_THREADS'], repr(os.environ['CUDA_VISIBLE_DEVICES'])); time.sleep(1)"
    )
    two.submit([job(str(n), said, tmp_path) for n in range(3)])
    assert [a.slot for a in two.active()] == ["slot 1", "slot 2"]
    wait(two, 3)
    assert (tmp_path / "2.log").read_text() == f"{max(1, local.usable_cores() // 2)} ''\n"


def test_a_killed_job_ends_with_its_signal_and_its_workers_go_with_it(two, tmp_path):
    spawn = """
        import subprocess, sys, time
        print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
        time.sleep(60)
    """
    two.submit([job("a", spawn, tmp_path)])
    log = tmp_path / "a.log"
    while not log.read_text().strip():
        time.sleep(0.05)
    worker = int(log.read_text())
    os.kill(psutil.Process(worker).ppid(), signal.SIGKILL)
    assert wait(two, 1) == {"a": -signal.SIGKILL}
    assert gone(worker)


def test_stop_drains_and_stop_now_interrupts(two, tmp_path):
    patient = """
        import time
        try:
            print("up", flush=True); time.sleep(60)
        except KeyboardInterrupt:
            print("saved", flush=True); raise SystemExit(130)
    """
    two.submit([job("short", "import time; time.sleep(1)", tmp_path), job("long", patient, tmp_path)])
    two.submit([job("never", "", tmp_path)])
    two.stop(False)
    assert wait(two, 1) == {"short": 0}
    while "up" not in (tmp_path / "long.log").read_text():
        time.sleep(0.05)
    two.stop(True)
    assert wait(two, 1) == {"long": INTERRUPTED} and "saved" in (tmp_path / "long.log").read_text()
    two.submit([job("late", "", tmp_path)])
    assert not two.active() and two.poll(0.1) == [] and not (tmp_path / "never.log").exists()


def test_what_is_cancelled_is_forgotten(two, tmp_path):
    two.submit([job("a", "import time; time.sleep(0.5)", tmp_path), job("b", "", tmp_path, ("a",))])
    two.cancel(["b"])
    assert wait(two, 1) == {"a": 0} and two.poll(0.3) == []


def test_nothing_outlives_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            from bench3d.contracts.executor import ExecutorContext, Job
            from bench3d_plugins.local_executor.executor import LocalExecutor
            from bench3d_plugins.local_executor.settings import LocalSettings
            folder = Path(sys.argv[1])
            code = ("from bench3d.processes import die_with_parent; die_with_parent();"
                    "import os, sys, time, subprocess;"
                    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
                    "print(os.getpid(), p.pid, flush=True); time.sleep(60)")
            made = LocalExecutor(LocalSettings(gpus_per_worker=0))
            made.open(ExecutorContext(folder=folder, workers=1))
            command = (sys.executable, "-c", code)
            made.submit([Job(id="a", kind="run", title="a", command=command, log=folder / "a.log")])
            time.sleep(60)
            """
        )
    )
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    log = tmp_path / "a.log"
    while not (log.exists() and log.read_text().endswith("\n")):
        time.sleep(0.05)
        assert parent.poll() is None
    pids = [int(word) for word in log.read_text().split()]
    parent.kill()
    parent.wait()
    assert all(gone(pid) for pid in pids)


def gone(pid: int, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_gpus_are_shared_out(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,GPU-x,3")
    made = local.slots(LocalSettings(gpus_per_worker=2), ExecutorContext(folder=tmp_path))
    assert [s.environment["CUDA_VISIBLE_DEVICES"] for s in made] == ["0,1", "GPU-x,3"]
    assert [s.name for s in local.slots(LocalSettings(), ExecutorContext(folder=tmp_path))] == [
        "gpu 0", "gpu 1", "gpu GPU-x", "gpu 3",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="5 GPUs"):
        local.slots(LocalSettings(gpus_per_worker=5), ExecutorContext(folder=tmp_path))
    cpu = local.slots(LocalSettings(), ExecutorContext(folder=tmp_path, device="cpu", workers=3))
    assert [s.name for s in cpu] == ["slot 1", "slot 2", "slot 3"]


def test_a_machine_cannot_be_left_alone(tmp_path):
    with pytest.raises(UsageError, match="ends with the command"):
        local.LocalExecutor(LocalSettings()).open(ExecutorContext(folder=tmp_path, detach=True))
