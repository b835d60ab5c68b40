"""Who is at work on what: claim files with a heartbeat. No lock that a dead process can leave behind.

A claim is a hint that spares double work. Results stay correct without it: they are published whole, by one rename. So
a claim may be lost in a race or taken for dead too early, and nothing breaks.

Whether a claim's process lives is looked up where it runs on this machine (process id and start). Of other machines
only one thing is known: whether the heartbeat goes on while somebody watches, by the watcher's own monotonic clock.
Times written by other machines are never compared.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from bench3d.errors import Bench3DError
from bench3d.files import make_folder, output_errors
from bench3d.records.liveness import Life, life, same_machine, this_process

BEAT_SECONDS = 5.0
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)
_TRIES = 20


class Busy(Bench3DError):
    """Another process is at the same work; its result can be had later."""

    exit_code = 75


@dataclass(frozen=True)
class Holder:
    """The process behind a claim.

    Attributes:
        host, pid: where it runs; for people.
        about: what it said it does.
        since: when it began by its own clock, ISO 8601 in UTC; for people.
        token: tells this claim from every other one.
        here: it runs on this machine, in this pid namespace.
    """

    host: str
    pid: int
    about: str
    since: str
    token: str
    here: bool


class Claim:
    """The word of this process that it is at work. Made by `take`; ends by `release`, or with the process."""

    def __init__(self, path: Path, content: dict[str, Any], every: float) -> None:
        self.path = path
        self.token = str(content["token"])
        self._content = content
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="claim-heartbeat", daemon=True)

    @classmethod
    def take(cls, path: Path, about: str = "", watch: Watch | None = None, every: float = BEAT_SECONDS) -> Claim | None:
        """Claims `path`, a file that is made; None where a process that may be alive has it.

        Args:
            path: the claim file; its folder is made where it is missing.
            about: a few words for people.
            watch: has observed the claim for a while: what it holds for dead may be taken over too.
            every: seconds between heartbeats.

        Raises:
            OutputError: the file cannot be written.
        """
        make_folder(path.parent)
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        token = secrets.token_hex(8)
        claim = cls(path, {"token": token, **this_process(), "beat": 0, "about": about, "since": since}, every)
        if not claim._acquire(path, watch):
            return None
        claim._thread.start()
        return claim

    def release(self) -> None:
        """Gives it back; harmless where it is lost or was given back already, and in a forked child."""
        if self._content["pid"] != os.getpid():
            return
        self._over.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()
        with contextlib.suppress(OSError):
            if self._is_at(self.path):
                self.path.unlink()

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _acquire(self, path: Path, watch: Watch | None) -> bool:
        for _ in range(_TRIES):
            if self._create(path):
                return True
            standing = _read(path)
            if standing is None:
                continue
            held = _judge(standing) if watch is None else watch.holder(path)
            if held is not None:
                return False
            if self._inherit(path, standing, watch):
                return True
        return False

    def _inherit(self, path: Path, dead: _Standing, watch: Watch | None) -> bool:
        """Takes a dead claim over: only its heir, who claims that right in the same way, may replace it."""
        heir = path.with_name(f"{path.name}.{dead.token}.heir")
        if not self._acquire(heir, watch):
            return False
        try:
            standing = _read(path)
            if standing is None or standing.token != dead.token:
                return False  # an earlier heir has been here
            with output_errors(path):
                os.replace(self._written(path), path)
            return True
        finally:
            with contextlib.suppress(OSError):
                heir.unlink()

    def _create(self, path: Path) -> bool:
        """Makes the file with its content in it; False where there is one already."""
        with output_errors(path):
            temporary = self._written(path)
            try:
                os.link(temporary, path)
                return True
            except FileExistsError:
                return self._is_at(path)  # over a network the answer to a link that was made can get lost
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return self._create_without_links(path)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink()

    def _create_without_links(self, path: Path) -> bool:
        try:
            file = open(path, "x", encoding="utf-8")  # noqa: SIM115 - existing and not writable are told apart
        except FileExistsError:
            return False
        try:
            with file:
                file.write(json.dumps(self._content))
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return True

    def _written(self, path: Path) -> Path:
        temporary = path.with_name(f"{path.name}.{self.token}.tmp")
        try:
            temporary.write_text(json.dumps(self._content), encoding="utf-8")
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        return temporary

    def _beat(self) -> None:
        """Counts up in the file until it is released, taken over or gone. A disk that is full now may not stay so."""
        missing = 0
        while not self._over.wait(self._every):
            standing = _read(self.path)
            missing = missing + 1 if standing is None else 0
            if missing > 1 or (standing is not None and standing.token != self.token):
                return
            if standing is not None:
                self._content["beat"] += 1
                with contextlib.suppress(OSError):
                    os.replace(self._written(self.path), self.path)

    def _is_at(self, path: Path) -> bool:
        standing = _read(path)
        return standing is not None and standing.token == self.token


class Watch:
    """An observer that remembers heartbeats. One per waiting process; ask it again and again.

    Args:
        patience: seconds without a new heartbeat after which a process of another machine counts as dead.
        clock: monotonic seconds of this process.
    """

    def __init__(self, patience: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._seen: dict[Path, tuple[bytes, float]] = {}

    def holder(self, path: Path) -> Holder | None:
        """Who is at work; None: nobody, a process that is provably dead, or one not heard of for `patience` seconds."""
        standing = _read(path)
        if standing is None:
            self._seen.pop(path, None)
            return None
        now = self._clock()
        content, since = self._seen.get(path, (b"", now))
        if content != standing.raw:
            since = now
        self._seen[path] = (standing.raw, since)
        silent = standing.life() == "unknown" and now - since > self._patience
        return None if silent else _judge(standing)


def holder(path: Path) -> Holder | None:
    """Who may be at work, at one look: a claim of another machine always counts."""
    standing = _read(path)
    return None if standing is None else _judge(standing)


def proven_dead(path: Path) -> bool:
    """Whether a claim stands at `path` and its process is known to be gone. Of other machines that is never known."""
    standing = _read(path)
    return standing is not None and standing.life() == "gone"


@dataclass(frozen=True)
class _Standing:
    """A claim file as it was read. A broken one belongs to nobody known: its content is watched like any other."""

    raw: bytes
    content: dict[str, Any]

    @property
    def token(self) -> str:
        return str(self.content.get("token", "broken"))

    @property
    def here(self) -> bool:
        return same_machine(self.content)

    def life(self) -> Life:
        return life(self.content)


def _judge(standing: _Standing) -> Holder | None:
    if standing.life() == "gone":
        return None
    content, pid = standing.content, standing.content.get("pid")
    texts = {key: str(content.get(key, "")) for key in ("host", "about", "since")}
    return Holder(pid=pid if isinstance(pid, int) else 0, token=standing.token, here=standing.here, **texts)


def _read(path: Path) -> _Standing | None:
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return _Standing(b"", {})
    try:
        content = json.loads(raw)
    except ValueError:
        content = None
    return _Standing(raw, content if isinstance(content, dict) else {})
