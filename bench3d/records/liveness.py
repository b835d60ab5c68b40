"""Whether a process that left its particulars in a file is still alive, as far as this machine can know."""

from __future__ import annotations

import contextlib
import os
import platform
import uuid
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

Life = Literal["alive", "gone", "unknown"]


def this_process() -> dict[str, Any]:
    """Particulars of this process: host, boot, namespace, pid, started. JSON values."""
    return {**_machine(), "pid": os.getpid(), "started": _started(os.getpid())}


def same_machine(particulars: Mapping[str, Any]) -> bool:
    """Whether a process runs where its id means something to this one: same machine, boot and pid namespace."""
    return all(particulars.get(key) == value for key, value in _machine().items())


def life(particulars: Mapping[str, Any]) -> Life:
    """Whether a process lives, by `this_process` of it.

    A zombie is gone, and so is a process whose id another one has by now (it began at another time). Of other machines,
    and of processes that the system hides from this user, nothing is known.
    """
    pid = particulars.get("pid")
    if not same_machine(particulars) or not isinstance(pid, int) or pid <= 0:
        return "unknown"
    started = _started(pid)
    if started is None:
        return "gone" if _has_gone(pid) else "unknown"
    return "alive" if started == particulars.get("started") else "gone"


@lru_cache(maxsize=1)
def _machine() -> dict[str, str]:
    """What is the same for two processes exactly where one's process ids mean something to the other."""
    boot, namespace = f"{uuid.getnode():x}", ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    return {"host": platform.node(), "boot": boot, "namespace": namespace}


def _started(pid: int) -> float | None:
    """When a process began, in units of its own; None where it is gone, a zombie or not to be seen.

    On Linux ticks since boot, which setting the clock does not move (psutil's time of day moves with it).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else float(fields[19])
    except (OSError, IndexError, ValueError):
        if Path("/proc/self/stat").exists():
            return None
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else round(process.create_time(), 2)
    return None


def _has_gone(pid: int) -> bool:
    """Whether there is no such process, or only its zombie; a process that hides from us has not gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
