"""A connection to Ray: to a cluster that is there, or to one started here that goes away again without a trace."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench3d.errors import Bench3DError, PluginError, UsageError
from bench3d_plugins.ray_executor import reaper
from bench3d_plugins.ray_executor.settings import host_and_port

ADDRESS_VARIABLE = "RAY_ADDRESS"
_TRIAL = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False); ray.shutdown()"
_STORE_BYTES = 100 * 2**20  # what travels are exit codes; Ray's own choice is 30 % of the memory
_TOKEN = secrets.token_hex(32)  # Ray guards its ports with one, which it would else write into ~/.ray; read but once
_TOKEN_NEWS = "ray._private.authentication.authentication_token_setup"
_SILENCE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # Ray prints errors of its nodes to our standard output, whatever init is told
}
_TOUCHED_BY_RAY = ("RAY_AUTH_MODE", "RAY_CLIENT_MODE", "PYTHONBREAKPOINT")
_PROBE_SECONDS = 5.0
_CLOSE_SECONDS = 30.0


@dataclass
class Connection:
    """Ray, as it was found or started.

    Attributes:
        own: it was started by `start` and ends with `close`.
        found: this process was connected before; `close` leaves it so.
    """

    own: bool
    found: bool = False
    _raylet: psutil.Process | None = None
    _reaper: subprocess.Popen[bytes] | None = None
    _before: Mapping[str, str | None] = field(default_factory=dict)

    def is_alive(self) -> bool:
        """Whether the Ray that was started here still runs; others are Ray's own business."""
        return self._raylet is None or (self._raylet.is_running() and self._raylet.status() != psutil.STATUS_ZOMBIE)

    def close(self) -> None:
        """Disconnects; of a Ray that was started here no process and no file is left."""
        import ray

        if self.found:
            return
        with _caller_signals():
            ray.shutdown()
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()  # which tells it to clear away
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._reaper.wait(_CLOSE_SECONDS)
        _set_environment(self._before)


def connect(address: str | None, slots: int, gpus: int, seconds: float) -> Connection:
    """A connection to the cluster at `address`, or Ray started here with `slots` and `gpus`; see RaySettings.

    Raises:
        PluginError: Ray is not installed or cannot be started.
        UsageError: the cluster does not answer within `seconds`.
    """
    if importlib.util.find_spec("ray") is None:
        raise PluginError("The executor ray needs Ray, which is not installed.", "pip install 'bench3d[ray]'")
    if "ray" in sys.modules:
        import ray

        if ray.is_initialized():
            return Connection(own=False, found=True)
    if address in (None, "auto"):
        address = _running(must_be=address == "auto")
    return _start(slots, gpus) if address in (None, "local") else _join(str(address), seconds)


def _running(must_be: bool) -> str | None:
    """The address of RAY_ADDRESS, else of what `ray start` began here and is still there, else None.

    Ray's own search also takes any process that looks like a cluster's head, such as the private Ray of another grid.
    """
    named = os.environ.get(ADDRESS_VARIABLE, "").strip()
    if named:
        return None if named == "local" else named
    note = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")
    with contextlib.suppress(OSError, ValueError, UsageError):
        noted = note.read_text(encoding="utf-8").strip()
        _knock(noted)
        return noted
    if must_be:
        raise UsageError("No Ray cluster was found.", "Set RAY_ADDRESS, or leave --set executor.address out.")
    return None


def _knock(address: str) -> None:
    """UsageError where nothing listens at an address; Ray itself would try for two minutes, then end this process."""
    try:
        host, port = host_and_port(address)
        socket.create_connection((host, port), timeout=_PROBE_SECONDS).close()
    except ValueError as error:
        raise UsageError(f"Ray's address {error}.") from error
    except OSError as error:
        raise UsageError(f"Ray does not answer at {address} ({error}).", _hint()) from error


def _hint() -> str:
    return "See `ray status` on the cluster, or use --set executor.address=local to start Ray on this machine."


def _join(address: str, seconds: float) -> Connection:
    _knock(address)
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL, address],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{address} does not answer as Ray does, for {seconds:g} s.", _hint()) from error
    if trial.returncode:
        lines = [line.strip() for line in trial.stderr.splitlines() if line.strip()]
        raise UsageError(f"Ray cannot be joined at {address}: {lines[-1] if lines else 'no reason given'}.", _hint())
    connection = Connection(own=False, _before=_set_environment(_SILENCE))
    try:
        with _caller_signals():
            import ray

            ray.init(address=address, log_to_driver=False, configure_logging=False)
    except BaseException:
        _set_environment(connection._before)
        raise
    return connection


def _start(slots: int, gpus: int) -> Connection:
    mark = secrets.token_hex(16)
    wanted = {
        **_SILENCE,
        reaper.VARIABLE: mark,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # as on those systems: every port on the loopback interface only
        "RAY_AUTH_TOKEN": _TOKEN,
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_worker_niceness": "0",
    }
    watch = subprocess.Popen(
        [sys.executable, "-m", reaper.__name__, mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    connection = Connection(own=True, _reaper=watch, _before=_set_environment(wanted))
    logging.getLogger(_TOKEN_NEWS).setLevel(logging.ERROR)
    try:
        with _caller_signals():
            import ray

            constants: Any = sys.modules.get("ray._private.ray_constants")
            if constants is not None:  # it was read from the environment where somebody imported ray before
                constants.ENABLE_RAY_CLUSTER = False
            given: Any = ray.init(
                address="local",
                num_cpus=slots,
                num_gpus=gpus,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                log_to_driver=False,
                configure_logging=False,
            )
        assert watch.stdin is not None
        watch.stdin.write(os.fsencode(given.address_info["session_dir"]))
        watch.stdin.flush()
        connection._raylet = next((p for p in psutil.Process().children() if p.name() == "raylet"), None)
    except BaseException as error:
        with contextlib.suppress(Exception):
            connection.close()
        if isinstance(error, Exception) and not isinstance(error, Bench3DError):
            raise PluginError(
                f"Ray could not be started on this machine: {_first_line(error)}",
                f"Look into {Path(tempfile.gettempdir(), 'ray')}, or use --executor local.",
            ) from error
        raise
    return connection


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _set_environment(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Sets variables (None: removes) and returns what they were, with those that Ray itself sets."""
    before = {name: os.environ.get(name) for name in (*values, *_TOUCHED_BY_RAY)}
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return before


@contextlib.contextmanager
def _caller_signals() -> Iterator[None]:
    """Keeps the caller's handling of signals and exceptions: Ray takes over SIGTERM and sys.excepthook."""
    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    hook = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = hook
        if main:
            for number, handler in handlers.items():
                if handler is not None:
                    signal.signal(number, handler)


def visible_gpus() -> int:
    """How many GPUs this machine shows, without CUDA: CUDA_VISIBLE_DEVICES, else what the driver lists."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return len([part for part in named.split(",") if part.strip() not in ("", "-1")])
    with contextlib.suppress(OSError):
        return sum(1 for _ in Path("/proc/driver/nvidia/gpus").iterdir())
    return 0
