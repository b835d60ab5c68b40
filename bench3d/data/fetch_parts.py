"""Files on their way: half a download survives its process, and two processes never write one file by accident.

A part is called `<key>-<version>.<owner>.part`: `key` stands for the address, `version` for what the server said of the
file (ETag, date, length; in full in `<key>-<version>.json`), `owner` for the process that writes it, "free" when none
does. A part is taken over by renaming it: of two that try, one wins. What a killed process left is taken over once the
process is gone, or, where that cannot be seen (another machine), once nobody has touched the part for a while.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench3d.files import make_folder, output_errors, write_json

STALE_SECONDS = 900.0
"""A living owner touches its part at least every minute or two."""
FREE = "free"
BEAT_SECONDS = 5.0


@dataclass(frozen=True)
class Remote:
    """What a server says of a file; two answers that are equal speak of the same bytes."""

    total: int | None = None
    etag: str | None = None
    modified: str | None = None

    @property
    def validator(self) -> str | None:
        """For If-Range: a strong ETag, else the date; None where a resumed download cannot be trusted."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.modified

    def version(self) -> str:
        """A name for it."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]


class Part:
    """A part that this process owns."""

    def __init__(self, path: Path, remote: Remote) -> None:
        self.path = path
        self.remote = remote
        self._beaten = time.monotonic()

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, as far as the server said how long it is."""
        return self.remote.total is not None and self.size == self.remote.total

    @property
    def unpacked(self) -> Path:
        """Where its content is unpacked before it is published."""
        return self.path.with_suffix(".unpacked")

    def beat(self) -> None:
        """Shows others that this process lives; cheap enough for every chunk."""
        now = time.monotonic()
        if now - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def release(self) -> None:
        """Leaves it for whoever goes on with the download."""
        shutil.rmtree(self.unpacked, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.replace(self.path, _named(self.path, FREE))

    def discard(self) -> None:
        """Removes it."""
        shutil.rmtree(self.unpacked, ignore_errors=True)
        stem = self.path.name.split(".", 1)[0]
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
            if not any(self.path.parent.glob(f"{stem}.*.part")):
                (self.path.parent / f"{stem}.json").unlink(missing_ok=True)


class Parts:
    """The parts of one address in a folder."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.key = address_key(url)

    def adopt(self) -> Part | None:
        """Takes over the longest part that no living process has; None where there is none."""
        for path in sorted(self._all(), key=_size, reverse=True):
            remote = _read_remote(path)
            if remote is None or not _is_orphan(path):
                continue
            mine = _named(path, _me())
            try:
                os.rename(path, mine)
                os.utime(mine)
            except OSError:  # another process was faster
                continue
            part = Part(mine, remote)
            shutil.rmtree(path.with_suffix(".unpacked"), ignore_errors=True)
            return part
        return None

    def create(self, remote: Remote) -> Part:
        """A new, empty part."""
        make_folder(self.folder)
        stem = f"{self.key}-{remote.version()}"
        write_json(self.folder / f"{stem}.json", asdict(remote))
        path = self.folder / f"{stem}.{_me()}.part"
        with output_errors(path):
            path.touch()
        return Part(path, remote)

    def others(self) -> bool:
        """Whether another living process is at this address."""
        return any(not _is_orphan(p) for p in self._all())

    def exist(self) -> bool:
        """Whether anything was begun."""
        return bool(self._all())

    def longest(self) -> int:
        """Bytes of the longest part that can be gone on with."""
        return max((_size(p) for p in self._all() if _is_orphan(p)), default=0)

    def _all(self) -> list[Path]:
        return list(self.folder.glob(f"{self.key}-*.part")) if self.folder.is_dir() else []


def address_key(url: str) -> str:
    """A file name for an address."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", url.rstrip("/").rpartition("/")[2])[-40:]
    return f"{hashlib.sha256(url.encode()).hexdigest()[:10]}_{name}"


def _me() -> str:
    return f"{_host()}~{os.getpid()}~{secrets.token_hex(3)}"


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"


def _named(path: Path, owner: str) -> Path:
    return path.with_name(f"{path.name.split('.', 1)[0]}.{owner}.part")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _is_orphan(path: Path) -> bool:
    """Whether nobody writes this part any more."""
    owner = path.name.split(".")[1]
    if owner == FREE:
        return True
    host, _, rest = owner.partition("~")
    pid = rest.partition("~")[0]
    if host == _host() and pid.isdigit() and not _alive(int(pid)):
        return True
    try:
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except OSError:  # renamed or finished meanwhile
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read_remote(path: Path) -> Remote | None:
    """What the server said when the part was begun; None where that is lost: such a part is of no use."""
    try:
        values = json.loads((path.parent / f"{path.name.split('.', 1)[0]}.json").read_text(encoding="utf-8"))
        return Remote(**values)
    except (OSError, ValueError, TypeError):
        return None
