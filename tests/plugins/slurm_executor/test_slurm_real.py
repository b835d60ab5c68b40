"""The executor on a real SLURM of one node, set up by single_node.sh beside this file. Root and apt are needed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy_jobs import counting, job, opened, wait_for, wait_until

from bench3d.contracts.executor import INTERRUPTED
from bench3d.errors import UsageError
from bench3d_plugins.slurm_executor.executor import SlurmExecutor

Start = Callable[..., SlurmExecutor]
SCRIPT = Path(__file__).with_name("single_node.sh")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module", autouse=True)
def slurm() -> Iterator[None]:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("setting up a real SLURM needs root and apt-get")
    pytest.importorskip("submitit")
    started = subprocess.run([SCRIPT, "start"], capture_output=True, text=True, check=False)
    if started.returncode in (3, 4):
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    yield
    subprocess.run([SCRIPT, "stop"], check=True)


@pytest.fixture
def start(slurm: None) -> Iterator[Start]:
    """Opens executors, closes them after the test, and looks whether anything is left in SLURM's queue."""
    executors = []

    def open_one(folder: Path, **options: Any) -> SlurmExecutor:
        executors.append(opened(folder, **options))
        return executors[-1]

    try:
        yield open_one
        for executor in executors:
            executor.close()
        assert queue() == []
    finally:
        subprocess.run(["scancel", "--user=root"], check=True)


def queue(what: str = "%i") -> list[str]:
    done = subprocess.run(
        ["squeue", "--noheader", "--array", f"--format={what}"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def ids_of(path: Path) -> list[int]:
    """Ids of the processes that have a path among their arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(path).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            pass
    return found


def element_process(slot: str) -> int:
    """The process of an element, by the slot "4711_3 on node7": its batch script has become Python."""
    number, _, index = slot.split(maxsplit=1)[0].partition("_")
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = entry.read_bytes().split(b"\0")
            if b"submitit.core._submit" not in (entry.parent / "cmdline").read_bytes():
                continue
        except OSError:
            continue
        if (
            f"SLURM_ARRAY_JOB_ID={number}".encode() in variables
            and f"SLURM_ARRAY_TASK_ID={index}".encode() in variables
        ):
            return int(entry.parent.name)
    raise AssertionError(slot)


def test_an_array_of_four_is_done(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path)
    executor.submit([job(tmp_path, f"run-{i}") for i in range(4)])
    assert len({number.partition("_")[0] for number in queue()}) == 1
    ended = wait_for(executor, [f"run-{i}" for i in range(4)])
    assert {e.code for e in ended.values()} == {0}
    assert [(tmp_path / f"run-{i}").read_text() for i in range(4)] == ["x"] * 4
    assert not executor.active()


def test_a_killed_element_is_lost_and_its_job_is_done_when_submitted_again(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path)
    others = ["run-b", "run-c", "run-d"]
    executor.submit([counting(tmp_path, "run-a", 600), *(job(tmp_path, name) for name in others)])
    active = wait_until(executor, lambda active: any(a.id == "run-a" for a in active), others=others)
    slot = next(a.slot for a in active if a.id == "run-a")
    wait_until(executor, lambda active: [a.id for a in active] == ["run-a"] and len(queue()) == 1, others=others)
    os.kill(element_process(slot), signal.SIGKILL)
    ended = wait_for(executor, ["run-a"])
    assert ended["run-a"].code is None and slot.split()[0] in ended["run-a"].reason
    assert not ids_of(tmp_path / "run-a"), "the killed element's job lives on"
    executor.submit([counting(tmp_path, "run-a", 10)])
    assert wait_for(executor, ["run-a"])["run-a"].code == 0
    assert (tmp_path / "run-a").read_text() == "10"


def test_a_killed_job_tells_its_signal_and_its_element_goes_on(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, chunk=2)
    executor.submit([counting(tmp_path, "run-a", 600), job(tmp_path, "run-b")])
    wait_until(executor, lambda active: (tmp_path / "run-a.pid").exists())
    os.kill(int((tmp_path / "run-a.pid").read_text()), signal.SIGKILL)
    ended = wait_for(executor, ["run-a", "run-b"])
    assert (ended["run-a"].code, ended["run-b"].code) == (-signal.SIGKILL, 0)


def test_needs_end_before_what_needs_them_begins(tmp_path: Path, start: Start) -> None:
    jobs = [
        job(tmp_path, "data-twin", kind="data", seconds=1),
        job(tmp_path, "fit-a", kind="fit", needs=("data-twin",), seconds=1),
        job(tmp_path, "run-raw", needs=("data-twin",)),
        job(tmp_path, "run-fitted", needs=("fit-a", "data-twin")),
    ]
    executor = start(tmp_path)
    executor.submit(jobs)
    wait_for(executor, [j.id for j in jobs])
    written = {name: (tmp_path / name).stat().st_mtime for name in ("data-twin", "fit-a", "run-raw", "run-fitted")}
    assert written["data-twin"] < min(written["fit-a"], written["run-raw"])
    assert written["fit-a"] < written["run-fitted"]


def test_what_needs_a_lost_job_begins_all_the_same(tmp_path: Path, start: Start) -> None:
    """The job itself sees that its need has no result."""
    executor = start(tmp_path)
    executor.submit([job(tmp_path, "fit-a", kind="fit", seconds=60), job(tmp_path, "run-a", needs=("fit-a",))])
    active = wait_until(executor, lambda active: any(a.id == "fit-a" for a in active))
    subprocess.run(["scancel", active[0].slot.split()[0]], check=True)
    ended = wait_for(executor, ["fit-a", "run-a"])
    assert ended["fit-a"].code is None and ended["run-a"].code == 0


def test_no_more_elements_at_once_than_workers(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, workers=1)
    executor.submit([job(tmp_path, "fit-a", kind="fit", seconds=1), job(tmp_path, "fit-b", kind="fit", seconds=1)])
    executor.submit([job(tmp_path, "run-c", seconds=1)])
    most, left = 0, {"fit-a", "fit-b", "run-c"}
    until = time.monotonic() + 60
    while left and time.monotonic() < until:
        left -= {ended.id for ended in executor.poll(0.2)}
        most = max(most, queue("%T").count("RUNNING"))
    assert not left and most == 1


def test_the_signal_before_the_time_limit_puts_an_element_back_into_the_queue(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, chunk=2)
    executor.submit([counting(tmp_path, "run-a", 60), job(tmp_path, "run-b")])
    active = wait_until(executor, lambda active: (tmp_path / "run-a.pid").exists() and bool(active))
    time.sleep(1)
    element = active[0].slot.split()[0]
    subprocess.run(["scancel", "--batch", "--signal=USR2", element], check=True)
    wait_until(executor, lambda active: (tmp_path / "run-a").exists())
    assert 0 < int((tmp_path / "run-a").read_text()) < 60
    wait_until(executor, lambda active: not active)
    assert element in queue(), "it is not back in the queue"
    ended = wait_for(executor, ["run-a", "run-b"], seconds=90)
    assert {e.code for e in ended.values()} == {0} and (tmp_path / "run-a").read_text() == "60"


def test_the_signal_does_no_harm_before_python_can_take_it(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path)
    executor.submit([counting(tmp_path, "run-a", 10)])
    until = time.monotonic() + 30
    while queue("%T") != ["RUNNING"]:
        assert time.monotonic() < until
    time.sleep(0.05)
    for _ in range(3):
        subprocess.run(["scancel", "--batch", "--signal=USR2", "--user=root"], check=True)
    assert not (tmp_path / "run-a.pid").exists(), "it came too late"
    assert wait_for(executor, ["run-a"], seconds=90)["run-a"].code == 0


def test_an_element_goes_over_its_time_limit_by_requeueing(tmp_path: Path, start: Start) -> None:
    """A limit of two minutes, a job of two and a half: SLURM itself sends the signal."""
    executor = start(tmp_path, time="2m")
    executor.submit([counting(tmp_path, "run-a", 1500)])
    ended = wait_for(executor, ["run-a"], seconds=220)
    assert ended["run-a"].code == 0 and (tmp_path / "run-a").read_text() == "1500"
    log = next((tmp_path / "slurm").glob("*/*_log.out")).read_text()
    assert "run-a interrupted" in log


def test_one_requeue_too_many_is_told(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, requeues=0, chunk=2)
    executor.submit([counting(tmp_path, "run-a", 600), job(tmp_path, "run-b")])
    active = wait_until(executor, lambda active: (tmp_path / "run-a.pid").exists() and bool(active))
    subprocess.run(["scancel", "--batch", "--signal=USR2", active[0].slot.split()[0]], check=True)
    ended = wait_for(executor, ["run-a", "run-b"])
    assert {e.code for e in ended.values()} == {None} and "too many times" in ended["run-a"].reason


def test_a_job_cancelled_from_outside_is_lost_and_keeps_what_it_did(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, workers=1, chunk=2)
    executor.submit([counting(tmp_path, "run-a", 600), *(job(tmp_path, f"run-{name}") for name in "bcd")])
    active = wait_until(executor, lambda active: (tmp_path / "run-a.pid").exists() and bool(active))
    subprocess.run(["scancel", active[0].slot.partition("_")[0]], check=True)
    ended = wait_for(executor, [f"run-{name}" for name in "abcd"])
    assert {e.code for e in ended.values()} == {None} and "CANCELLED" in ended["run-a"].reason
    assert queue() == [], "what someone has cancelled is not put back"
    assert (tmp_path / "run-a").exists()


def test_cancelled_jobs_never_begin(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, workers=1, chunk=2)
    names = ["run-a", "run-b", "run-c", "run-d"]
    executor.submit([job(tmp_path, "run-a", seconds=3), *(job(tmp_path, name) for name in names[1:])])
    wait_until(executor, lambda active: any(a.id == "run-a" for a in active))
    executor.cancel(["run-a", "run-b", "run-c", "run-d"])
    assert len(queue()) == 1, "the second element was still waiting"
    assert wait_for(executor, ["run-a"])["run-a"].code == 0, "what has begun is not forgotten"
    assert not executor.poll(3)
    assert not any((tmp_path / name).exists() for name in names[1:])


def test_stop_lets_the_begun_job_end_and_begins_no_other(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, workers=1, chunk=2)
    executor.submit([job(tmp_path, "run-a", seconds=3), job(tmp_path, "run-b"), job(tmp_path, "run-c")])
    wait_until(executor, bool)
    executor.stop(now=False)
    assert wait_for(executor, ["run-a"])["run-a"].code == 0
    assert not executor.active() and not executor.poll(3)
    assert not (tmp_path / "run-b").exists() and not (tmp_path / "run-c").exists()


def test_stop_now_interrupts_and_what_was_done_is_written_down(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, workers=1)
    executor.submit([counting(tmp_path, "run-a", 600), job(tmp_path, "run-b")])
    wait_until(executor, lambda active: (tmp_path / "run-a.pid").exists() and bool(active))
    executor.stop(now=True)
    assert wait_for(executor, ["run-a"], seconds=15)["run-a"].code == INTERRUPTED
    assert (tmp_path / "run-a").exists()


def test_close_leaves_nothing(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, workers=1)
    executor.submit(
        [counting(tmp_path, "run-a", 600), job(tmp_path, "run-b"), job(tmp_path, "run-c", needs=("run-b",))]
    )
    wait_until(executor, lambda active: (tmp_path / "run-a.pid").exists())
    executor.close()
    assert queue() == []
    assert (tmp_path / "run-a").exists()


def test_a_detached_grid_goes_on_and_is_taken_over(tmp_path: Path, start: Start) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from toy_jobs import counting, job, opened\n"
        "folder = Path(sys.argv[2]); executor = opened(folder, workers=1, detach=True)\n"
        "executor.submit([counting(folder, 'run-a', 40), job(folder, 'run-b')]); executor.close()\n"
    )
    subprocess.run([sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)], check=True)
    before = queue()
    assert len(before) == 2
    executor = start(tmp_path, workers=1)
    executor.submit([counting(tmp_path, "run-a", 40), job(tmp_path, "run-b"), job(tmp_path, "run-c")])
    assert len(set(queue()) - set(before)) == 1, "only the new job is submitted"
    wait_for(executor, ["run-a", "run-b", "run-c"])
    assert (tmp_path / "run-b").read_text() == "x"


def test_what_was_left_waiting_under_other_settings_is_submitted_anew(tmp_path: Path, start: Start) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from toy_jobs import job, opened\n"
        "folder = Path(sys.argv[2]); executor = opened(folder, detach=True, additional={'begin': 'now+1hour'})\n"
        "executor.submit([job(folder, 'run-a')]); executor.close()\n"
    )
    subprocess.run([sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)], check=True)
    assert len(queue()) == 1
    executor = start(tmp_path)
    executor.submit([job(tmp_path, "run-a")])
    assert wait_for(executor, ["run-a"])["run-a"].code == 0


def test_what_slurm_never_starts_is_given_up(tmp_path: Path, start: Start) -> None:
    subprocess.run(["scontrol", "update", "PartitionName=debug", "MaxTime=5"], check=True)
    try:
        executor = start(tmp_path)
        executor.submit([job(tmp_path, "run-a")])
        ended = wait_for(executor, ["run-a"])
        assert ended["run-a"].code is None and "PartitionTimeLimit" in ended["run-a"].reason
    finally:
        subprocess.run(["scontrol", "update", "PartitionName=debug", "MaxTime=INFINITE"], check=True)


def test_what_sbatch_refuses_is_said_in_its_words(tmp_path: Path, start: Start) -> None:
    executor = start(tmp_path, partition="nowhere")
    with pytest.raises(UsageError, match="invalid partition specified: nowhere"):
        executor.submit([job(tmp_path, "run-a")])
