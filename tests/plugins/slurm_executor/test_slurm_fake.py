"""The executor from end to end on a SLURM of a few lines (fake_slurm.py): real submitit, real elements, real jobs."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_slurm
import pytest
from toy_jobs import counting, job, opened, wait_for, wait_until

from bench3d.contracts.executor import INTERRUPTED, Job
from bench3d.errors import UsageError
from bench3d_plugins.slurm_executor.executor import SlurmExecutor

pytest.importorskip("submitit")
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the fake SLURM needs /proc")
Start = Callable[..., SlurmExecutor]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cluster"
    fake_slurm.install(folder)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv(fake_slurm.STATE, str(folder))
    monkeypatch.setattr("bench3d_plugins.slurm_executor.executor._LOOK_SECONDS", 0.1)
    monkeypatch.setattr("bench3d_plugins.slurm_executor.executor._CLOSE_PAUSE", 0.1)
    yield folder
    for pid in fake_slurm.processes(folder).values():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start(cluster: Path, tmp_path: Path) -> Iterator[Start]:
    executors = []

    def open_one(**options: Any) -> SlurmExecutor:
        executors.append(opened(tmp_path, **{"ask_seconds": 0.2, "grace": 0.5, **options}))
        return executors[-1]

    yield open_one
    for executor in executors:
        executor.close()
    assert not fake_slurm.processes(cluster)


def test_levels_of_needs_are_done_in_order(tmp_path: Path, start: Start) -> None:
    executor = start(chunk=2)
    fit = job(tmp_path, "fit-a", kind="fit", seconds=0.5)
    runs = [job(tmp_path, f"run-{i}", needs=("fit-a", "fit-of-last-week")) for i in range(3)]
    executor.submit([fit, *runs])
    ended = wait_for(executor, ["fit-a", "run-0", "run-1", "run-2"])
    assert {e.code for e in ended.values()} == {0}
    fitted = (tmp_path / "fit-a").stat().st_mtime
    assert all((tmp_path / f"run-{i}").stat().st_mtime > fitted for i in range(3))
    scripts = sorted((tmp_path / "cluster").glob("*.sh"))
    assert ["--array=0-1" in s.read_text() for s in scripts] == [False, True], "three runs, two an element"
    assert "--dependency=afterany:1\n" in scripts[1].read_text()


def test_a_killed_element_is_reported_and_submitted_again(tmp_path: Path, start: Start, cluster: Path) -> None:
    executor = start(chunk=2)
    executor.submit([counting(tmp_path, "run-a", 600), job(tmp_path, "run-b")])
    wait_until(executor, lambda active: (tmp_path / "run-a.pid").exists() and bool(active))
    assert [(a.id, a.slot) for a in executor.active()] == [("run-a", "1 on here")]
    os.kill(fake_slurm.processes(cluster)["1"], signal.SIGKILL)
    ended = wait_for(executor, ["run-a", "run-b"])
    assert ended["run-a"].code is None and "lost: 1 " in ended["run-a"].reason
    assert ended["run-b"].code == 0, "it had not begun, and was not to blame"
    executor.submit([job(tmp_path, "run-a")])
    assert wait_for(executor, ["run-a"])["run-a"].code == 0


def test_an_element_that_never_comes_to_a_job_is_reported(tmp_path: Path, start: Start, cluster: Path) -> None:
    executor = start(setup=["echo no such module >&2", "exit 1"], grace=0.1)
    executor.submit([job(tmp_path, "run-a")])
    ended = wait_for(executor, ["run-a"])
    assert ended["run-a"].code is None and "no such module" in ended["run-a"].reason
    assert len(list(cluster.glob("*.sh"))) == 1


def test_nothing_is_lost_while_the_queue_does_not_answer(tmp_path: Path, start: Start, cluster: Path) -> None:
    executor = start()
    executor.submit([job(tmp_path, "run-a", seconds=2)])
    wait_until(executor, bool)
    (cluster / "down").touch()
    assert wait_for(executor, ["run-a"])["run-a"].code == 0
    (cluster / "down").unlink()


def test_a_stop_interrupts_and_keeps_what_was_done(tmp_path: Path, start: Start, cluster: Path) -> None:
    executor = start(workers=1)
    executor.submit([counting(tmp_path, "run-a", 600), job(tmp_path, "run-b")])
    wait_until(executor, lambda active: (tmp_path / "run-a.pid").exists() and bool(active))
    executor.stop(now=True)
    assert wait_for(executor, ["run-a"])["run-a"].code == INTERRUPTED
    assert (tmp_path / "run-a").exists() and not executor.poll(0.7)
    assert not fake_slurm.processes(cluster) and not (tmp_path / "run-b").exists()


def test_cancelled_jobs_do_not_begin(tmp_path: Path, start: Start, cluster: Path) -> None:
    executor = start(workers=1, chunk=2)
    executor.submit([job(tmp_path, "run-a", seconds=1), *(job(tmp_path, f"run-{name}") for name in "bcd")])
    wait_until(executor, bool)
    executor.cancel(["run-b", "run-c", "run-d", "never-heard-of"])
    assert list(fake_slurm.processes(cluster)) == ["1_0"]
    assert wait_for(executor, ["run-a"])["run-a"].code == 0 and not executor.poll(0.7)
    assert not (tmp_path / "run-b").exists()


def leave(executor: SlurmExecutor, jobs: list[Job], tmp_path: Path, gone: bool) -> None:
    """A detached session: its process is gone, or still there."""
    executor.submit(jobs)
    executor.close()
    note = max((tmp_path / "slurm").glob("*/array.json"))
    content = json.loads(note.read_text())
    if gone:
        content["owner"]["started"] = -1.0
    note.write_text(json.dumps(content))


def test_what_a_session_left_in_the_queue_is_taken_over(tmp_path: Path, start: Start, cluster: Path) -> None:
    leave(start(detach=True), [job(tmp_path, "run-a", seconds=1), job(tmp_path, "run-b")], tmp_path, gone=True)
    executor = start()
    executor.submit([job(tmp_path, "run-a"), job(tmp_path, "run-b"), job(tmp_path, "run-c", needs=("run-a",))])
    assert len(list(cluster.glob("*.sh"))) == 2, "only the new job is submitted"
    assert "--dependency=afterany:1_0\n" in (cluster / "2.sh").read_text()
    wait_for(executor, ["run-a", "run-b", "run-c"])
    assert (tmp_path / "run-b").read_text() == "x"


def test_what_a_living_session_has_in_the_queue_is_its_own(tmp_path: Path, start: Start, cluster: Path) -> None:
    leave(start(detach=True), [job(tmp_path, "run-a", seconds=1)], tmp_path, gone=False)
    executor = start()
    executor.submit([job(tmp_path, "run-a")])
    assert len(list(cluster.glob("*.sh"))) == 2
    wait_for(executor, ["run-a"])
    executor.close()
    assert "1" in fake_slurm.processes(cluster), "and stays there"
    while fake_slurm.processes(cluster):
        time.sleep(0.1)


def test_what_a_session_left_under_other_settings_is_submitted_anew(
    tmp_path: Path, start: Start, cluster: Path
) -> None:
    jobs = [counting(tmp_path, "run-a", 600), job(tmp_path, "run-b")]
    leave(start(detach=True, workers=1, partition="slow"), jobs, tmp_path, gone=True)
    while fake_slurm.state(cluster, "1_0") != "RUNNING":
        time.sleep(0.05)
    executor = start(workers=1, partition="fast")
    assert list(fake_slurm.processes(cluster)) == ["1_0"], "what is being done is let go on"
    executor.submit(jobs)
    assert list(fake_slurm.processes(cluster)) == ["1_0", "2"]


def test_what_never_starts_is_given_up(tmp_path: Path, start: Start, cluster: Path) -> None:
    executor = start(workers=1)
    executor.submit([counting(tmp_path, "run-a", 600), job(tmp_path, "run-b")])
    (cluster / "reason").write_text("PartitionTimeLimit")
    ended = wait_for(executor, ["run-b"])
    assert ended["run-b"].code is None and "PartitionTimeLimit" in ended["run-b"].reason


def test_a_refused_submission_says_why(tmp_path: Path, start: Start) -> None:
    with pytest.raises(UsageError, match="invalid partition specified: nowhere"):
        start(partition="nowhere").submit([job(tmp_path, "run-a")])


def test_without_slurm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"sbatch.*login node"):
        opened(tmp_path)


def test_a_controller_that_does_not_answer_is_named(tmp_path: Path, cluster: Path) -> None:
    (cluster / "down").touch()
    with pytest.raises(UsageError, match="Unable to contact slurm controller"):
        opened(tmp_path)


def test_closing_takes_everything_out_of_the_queue(tmp_path: Path, start: Start, cluster: Path) -> None:
    executor = start(workers=1)
    executor.submit([counting(tmp_path, "run-a", 600), job(tmp_path, "run-b", needs=("run-a",))])
    wait_until(executor, lambda active: (tmp_path / "run-a.pid").exists())
    begun = time.monotonic()
    executor.close()
    assert not fake_slurm.processes(cluster) and (tmp_path / "run-a").exists()
    assert time.monotonic() - begun < 4
