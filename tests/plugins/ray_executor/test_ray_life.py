"""Ray's coming and going: what it does to the caller, what it leaves behind, and clusters that others have started."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from ray_jobs import HANG, appears, ends, is_gone, job

from bench3d.contracts.executor import INTERRUPTED, ExecutorContext
from bench3d.errors import PluginError, UsageError
from bench3d_plugins.ray_executor.executor import RayExecutor
from bench3d_plugins.ray_executor.settings import RaySettings

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_stop_now_interrupts_and_close_leaves_nothing(tmp_path):
    hook, handlers = sys.excepthook, [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    before, sessions = dict(os.environ), set(Path("/tmp/ray").glob("session*"))
    others = set(psutil.Process().children(recursive=True))  # such as the resource tracker that other tests leave
    executor = RayExecutor(RaySettings(address="local", patience=1.0))
    executor.open(ExecutorContext(folder=tmp_path, workers=2, device="cpu"))
    try:
        assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert sys.excepthook is hook
        started = set(psutil.Process().children(recursive=True)) - others
        assert any(p.name() == "raylet" for p in started)
        listening = [c.laddr.ip for p in [psutil.Process(), *started] for c in _connections(p) if c.status == "LISTEN"]
        assert listening and set(listening) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
        kept = "try:\n folder.joinpath('ready').write_text('x'); " + HANG + "\nexcept KeyboardInterrupt:\n"
        polite = job(tmp_path, "polite", kept + " folder.joinpath('kept').write_text('x'); sys.exit(130)")
        deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); folder.joinpath('deaf').write_text('x'); "
        stubborn = job(tmp_path, "stubborn", deaf + HANG)
        executor.submit([polite, stubborn, job(tmp_path, "later", ""), job(tmp_path, "last", "", needs=("polite",))])
        appears(tmp_path / "ready", executor)
        appears(tmp_path / "deaf", executor)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            executor.poll(30)
        started = set(psutil.Process().children(recursive=True)) - others
        executor.stop(now=False)
        assert executor.poll(1.0) == [] and {a.id for a in executor.active()} == {"polite", "stubborn"}
        executor.stop(now=True)
        found = ends(executor, {"polite", "stubborn"})
        assert {e.code for e in found.values()} == {INTERRUPTED}
        assert (tmp_path / "kept").exists() and not (tmp_path / "later.log").exists()
        executor.submit([job(tmp_path, "too-late", "")])
        assert executor.poll(0.2) == []
    finally:
        executor.close()
    assert [p for p in started if not is_gone(p.pid)] == []
    assert set(Path("/tmp/ray").glob("session*")) <= sessions
    assert dict(os.environ) == before


def _connections(process):
    try:
        return process.net_connections()
    except psutil.Error:
        return []


DRIVER = """
import pathlib, sys
sys.path.insert(0, {tests!r})
from ray_jobs import job, appears
from bench3d.contracts.executor import ExecutorContext
from bench3d_plugins.ray_executor.executor import RayExecutor
from bench3d_plugins.ray_executor.settings import RaySettings
folder = pathlib.Path({folder!r})
executor = RayExecutor(RaySettings(address="local"))
executor.open(ExecutorContext(folder=folder, workers=2, device="cpu"))
executor.submit([job(folder, "a", "folder.joinpath('ready').write_text(str(os.getpid())); time.sleep(120)")])
try:
    executor.poll(120)
except KeyboardInterrupt:
    ended = executor.poll(1.5)
    folder.joinpath("interrupted").write_text(f"{{len(ended)}} {{len(executor.active())}}")
    executor.poll(120)
"""


def test_ctrl_c_reaches_the_caller_alone_and_a_killed_caller_leaves_nothing(tmp_path):
    code = DRIVER.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    caller = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        appears(tmp_path / "ready")
        os.killpg(caller.pid, signal.SIGINT)  # as a terminal does, to all of the group
        assert appears(tmp_path / "interrupted") == "0 1"
        left = psutil.Process(caller.pid).children(recursive=True)
        assert any(p.name() == "raylet" for p in left)
    finally:
        caller.kill()
        caller.wait()
    assert [p for p in left if not is_gone(p.pid, seconds=15)] == []
    assert not list(Path("/tmp/ray").glob(f"session_*_{caller.pid}"))


@pytest.mark.slow
def test_work_goes_on_where_a_node_of_a_cluster_is_lost(tmp_path):
    """A head, two nodes; the node that does a job is killed. The cluster itself outlives the executor."""
    script = Path(__file__).with_name("ray_cluster.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["moved", "0", "most", "1", "alive", "True", "orphans", "0"]


def test_an_address_that_does_not_answer_is_said_in_time(tmp_path, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        context = ExecutorContext(folder=tmp_path)
        with pytest.raises(UsageError, match=f"does not answer at 127.0.0.1:{port}"):
            RayExecutor(RaySettings(address=f"127.0.0.1:{port}")).open(context)
        silent.listen()
        begin = time.monotonic()
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        with pytest.raises(UsageError, match="as Ray does, for 2 s"):
            RayExecutor(RaySettings(connect_seconds=2.0)).open(context)
        assert time.monotonic() - begin < 6


def test_a_stale_note_of_a_cluster_is_not_believed(tmp_path, monkeypatch):
    from bench3d_plugins.ray_executor import cluster

    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:9")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert cluster._running(must_be=False) is None
    with pytest.raises(UsageError, match="No Ray cluster was found"):
        cluster._running(must_be=True)


def test_what_cannot_work_is_said_before_anything_starts(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="detached"):
        RayExecutor(RaySettings()).open(ExecutorContext(folder=tmp_path, detach=True))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PluginError, match="not installed") as raised:
        RayExecutor(RaySettings()).open(ExecutorContext(folder=tmp_path))
    assert "bench3d[ray]" in str(raised.value)
