"""Settings, packing, squeue's words, and what an element does on its node."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from toy_jobs import COUNT, WRITE

from bench3d.contracts.executor import ExecutorContext, Job
from bench3d_plugins.slurm_executor.arrays import sbatch_parameters
from bench3d_plugins.slurm_executor.chunk import Chunk, Piece
from bench3d_plugins.slurm_executor.marks import Marks
from bench3d_plugins.slurm_executor.packing import dependency, elements, levels
from bench3d_plugins.slurm_executor.queue import parse
from bench3d_plugins.slurm_executor.settings import SlurmSettings, megabytes, minutes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8h", 480),
        ("30m", 30),
        ("1h30m", 90),
        ("1.5h", 90),
        ("2d", 2880),
        ("150s", 3),
        ("90", 90),
        ("1:30:00", 90),
        ("05:30", 6),
        ("2-00:00:00", 2880),
        ("1-12", 2160),
        ("1-12:30", 2190),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "8 hours", "h", "-5", "1:2:3:4", "8h:30"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        minutes(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("32GB", 32768), ("32G", 32768), ("32 GiB", 32768), ("500M", 500), ("4096", 4096), ("1k", 1)]
)
def test_memory(text: str, expected: int) -> None:
    assert megabytes(text) == expected


@pytest.mark.parametrize(
    "wrong",
    [{"time": "1m"}, {"time": "soon"}, {"memory": "a lot"}, {"additional": {"job_name": "x"}}, {"chunks": 3}],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SlurmSettings(**wrong)


def test_what_sbatch_is_told() -> None:
    pytest.importorskip("submitit")
    settings = SlurmSettings(
        partition="gpu",
        time="8h",
        memory="32GB",
        setup=["module load cuda"],
        additional={"nice": 5, "exclusive": False},
    )
    told = sbatch_parameters(settings, ExecutorContext(folder=Path("x"), device="cuda"))
    assert (told["time"], told["mem"], told["gpus_per_node"]) == (480, "32768M", 1)
    assert told["additional_parameters"] == {"nice": 5, "signal": "B:USR2@90", "requeue": True}
    assert told["setup"][0] == "trap '' USR2" and told["setup"][-1] == "module load cuda"
    assert sbatch_parameters(settings, ExecutorContext(folder=Path("x"), device="cpu"))["gpus_per_node"] is None


def made(name: str, kind: str = "run", needs: tuple[str, ...] = (), seconds: float | None = None) -> Job:
    return Job(id=name, kind=kind, title=name, needs=needs, command=(), log=Path("log"), seconds=seconds)


def test_levels() -> None:
    jobs = [
        made("twin", "data"),
        made("raw", needs=("twin",)),
        made("fit", "fit", needs=("twin",)),
        made("fitted", needs=("fit", "gone")),
        made("free"),
    ]
    assert [[job.id for job in level] for level in levels(jobs)] == [["twin", "free"], ["fit", "raw"], ["fitted"]]


@given(
    seconds=st.lists(st.one_of(st.none(), st.floats(1, 5000)), max_size=60),
    chunk=st.one_of(st.none(), st.integers(1, 9)),
    workers=st.one_of(st.none(), st.integers(1, 9)),
)
def test_every_run_is_in_one_element_and_in_order(
    seconds: list[float | None], chunk: int | None, workers: int | None
) -> None:
    jobs = [made("fit", "fit"), *(made(f"run-{i}", seconds=s) for i, s in enumerate(seconds))]
    packed = elements(jobs, SlurmSettings(chunk=chunk), workers)
    assert [job for jobs_of_one in packed for job in jobs_of_one] == jobs
    assert packed[0] == (jobs[0],)
    if chunk is not None:
        assert all(len(runs) == chunk for runs in packed[1:-1])


def test_chunks_take_about_the_time_asked_for_and_leave_no_worker_idle() -> None:
    runs = [made(f"run-{i}", seconds=60) for i in range(120)]
    settings = SlurmSettings(chunk_minutes=30)
    assert [len(e) for e in elements(runs, settings, None)] == [30] * 4
    assert [len(e) for e in elements(runs, settings, 8)] == [15] * 8
    assert [len(e) for e in elements([made("a"), made("b")], settings, 1)] == [1, 1], "nobody knows how long they take"


def test_dependencies() -> None:
    assert dependency({}) is None
    assert dependency({"12": {"12_3", "12_1"}, "7": {"7"}}) == "afterany:12_1:12_3:7"
    assert dependency({"12": {"12_3"}}, whole={"12", "9"}) == "afterany:12:9"
    assert dependency({"12": {f"12_{i}" for i in range(500)}}) == "afterany:12"


def test_squeue_is_read() -> None:
    rows = parse(
        "4711|3|RUNNING|node7|bench3d-demo-k|None\n4711|4|PENDING||bench3d-demo-k|(launch failed | requeued held)\n"
        "4712|N/A|COMPLETING|node1|other|None\n\nslurm_load_jobs: a warning\n"
    )
    assert list(rows) == ["4711_3", "4711_4", "4712"]
    assert (rows["4711_3"].state, rows["4711_3"].node) == ("RUNNING", "node7")
    assert rows["4711_4"].reason == "launch failed | requeued held"


@pytest.fixture
def own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def pieces(folder: Path, *more: str, steps: int = 20) -> list[Piece]:
    """A job that counts, and jobs that write a file."""
    counts = Piece("run-a", (sys.executable, "-c", COUNT, str(folder / "run-a"), str(steps)), folder / "log")
    return [counts, *(Piece(n, (sys.executable, "-c", WRITE, str(folder / n), "0"), folder / "log") for n in more)]


def chunk_of(folder: Path, *more: str, steps: int = 20) -> tuple[Chunk, Marks]:
    marks = Marks(folder / "marks")
    marks.create()
    return Chunk(folder / "marks", pieces(folder, *more, steps=steps), patience=5.0, cores=1), marks


def when_begun(folder: Path, what: object) -> threading.Thread:
    """Calls something as soon as the counting job is at it."""

    def wait() -> None:
        while not (folder / "run-a.pid").exists():
            time.sleep(0.02)
        time.sleep(0.4)
        what()  # type: ignore[operator]

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_an_element_put_back_goes_on_where_it_was(tmp_path: Path, own_handlers: None) -> None:
    pytest.importorskip("submitit")
    chunk, marks = chunk_of(tmp_path, "run-b")
    assert isinstance(pickle.loads(pickle.dumps(chunk)), Chunk)
    again = []
    thread = when_begun(tmp_path, lambda: again.append(chunk.checkpoint()))
    chunk()
    thread.join()
    assert marks.seen() == ({"run-a"}, set()) and 0 < int((tmp_path / "run-a").read_text()) < 20
    again[0].function()
    assert marks.seen()[1] == {"run-a", "run-b"} and (tmp_path / "run-a").read_text() == "20"
    again[0].function()
    assert (tmp_path / "run-b").read_text() == "x", "what is over is not done again"


@pytest.mark.parametrize(("number", "reported"), [(signal.SIGINT, {"run-a"}), (signal.SIGTERM, set())])
def test_signals_interrupt_the_job_and_begin_no_other(
    tmp_path: Path, own_handlers: None, monkeypatch: pytest.MonkeyPatch, number: int, reported: set[str]
) -> None:
    """Only an interrupt is reported: SIGTERM may be a preemption, after which SLURM starts the element again."""
    monkeypatch.setattr("bench3d_plugins.slurm_executor.chunk._LINGER_SECONDS", 0.0)
    chunk, marks = chunk_of(tmp_path, "run-b", steps=600)
    thread = when_begun(tmp_path, lambda: os.kill(os.getpid(), number))
    chunk()
    thread.join()
    assert marks.seen() == ({"run-a"}, reported)
    assert (tmp_path / "run-a").exists() and not (tmp_path / "run-b").exists()
    if reported:
        assert marks.last_words("run-a") == (130, "")


def test_an_element_passes_over_what_was_cancelled_and_what_cannot_start(tmp_path: Path, own_handlers: None) -> None:
    chunk, marks = chunk_of(tmp_path, "run-b", "run-c", steps=0)
    chunk._pieces = (*chunk._pieces, Piece("run-d", ("/no/such/program",), tmp_path / "log"))
    marks.cancel("run-b")
    chunk()
    assert marks.seen()[1] == {"run-a", "run-c", "run-d"} and not (tmp_path / "run-b").exists()
    code, reason = marks.last_words("run-d")
    assert code is None and reason


def test_a_stopped_array_begins_nothing(tmp_path: Path, own_handlers: None) -> None:
    chunk, marks = chunk_of(tmp_path)
    marks.ask_to_stop()
    chunk()
    assert marks.seen() == (set(), set())


@pytest.mark.parametrize("content", ["", "[]", '{"code": "0", "reason": ""}', '{"code": 0}'])
def test_broken_last_words_are_no_exit_code(tmp_path: Path, content: str) -> None:
    marks = Marks(tmp_path)
    (tmp_path / "run-a.ended").write_text(content)
    code, reason = marks.last_words("run-a")
    assert code is None and "run-a.ended" in reason


def test_jobs_use_the_cores_of_their_element(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_handlers: None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    code = "import json, os; print(json.dumps([os.environ[n + '_NUM_THREADS'] for n in ('OMP', 'NUMBA')]))"
    marks = Marks(tmp_path / "marks")
    marks.create()
    Chunk(tmp_path / "marks", [Piece("a", (sys.executable, "-c", code), tmp_path / "log")], 5.0, None)()
    assert json.loads((tmp_path / "log").read_text()) == ["3", "1"], "the shell's own word goes first"
