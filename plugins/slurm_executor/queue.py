"""SLURM's queue as `squeue` tells it; the accounting is never asked, because many sites have none."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bench3d.errors import UsageError

_log = logging.getLogger("bench3d.slurm")
_FORMAT = "%F|%K|%T|%N|%j|%r"
_TIMEOUT = 30.0
_LONGEST_PAUSE = 60.0
_IDS_AT_ONCE = 200
_DEFAULT_ARRAY_SIZE = 1001
_COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "srun")
HOPELESS = frozenset(
    {"BadConstraints", "DependencyNeverSatisfied", "InvalidAccount", "InvalidQOS", "PartitionTimeLimit"}
    | {"launch failed requeued held"}
)
"""Reasons of SLURM for which an element waits for ever."""


@dataclass(frozen=True)
class Row:
    """An element in the queue: "PENDING", "RUNNING", ...; its node where it has one; why it waits; its job's name."""

    state: str
    node: str
    name: str
    reason: str


def parse(text: str) -> dict[str, Row]:
    """What squeue printed, by element: "4711_3", or "4711" where a job is no array. Strange lines are left out."""
    rows = {}
    for line in text.splitlines():
        parts = line.strip().split("|", 5)
        if len(parts) == 6 and parts[0].isdigit():
            number, index, state, node, name, reason = parts
            rows[f"{number}_{index}" if index.isdigit() else number] = Row(state, node, name, reason.strip("()"))
    return rows


class Queue:
    """The user's jobs, asked for at most every `interval` seconds, more seldom while SLURM does not answer."""

    def __init__(self, interval: float) -> None:
        self.rows: dict[str, Row] = {}
        self.answered = float("-inf")
        """When the rows were true, in seconds of time.monotonic()."""
        self._interval = interval
        self._pause = 0.0
        self._asked = float("-inf")

    def open(self) -> None:
        """Asks once.

        Raises:
            UsageError: SLURM's commands are not here, or its controller does not answer.
        """
        missing = [name for name in _COMMANDS if shutil.which(name) is None]
        if missing:
            raise UsageError(
                f"SLURM is not on this machine: {', '.join(missing)} not found on PATH.",
                "Start the grid on a login node of the cluster, or use --executor local.",
            )
        complaint = self._ask()
        if complaint is not None:
            raise UsageError(f"SLURM does not answer: {complaint}", "Try `squeue` and `sinfo`, and run again.")

    def refresh(self, at_once: bool = False) -> bool:
        """Asks where it is time to; True where there was a new answer."""
        if not at_once and time.monotonic() - self._asked < self._pause:
            return False
        complaint = self._ask()
        if complaint is None:
            self._pause = self._interval
            return True
        if self._pause <= self._interval:
            _log.warning("SLURM's queue does not answer (%s); the jobs go on, and it is asked again.", complaint)
        self._pause = min(max(self._pause, self._interval) * 2, max(_LONGEST_PAUSE, self._interval))
        return False

    def cancel(self, ids: Collection[str], *, state: str = "", signal: str = "") -> None:
        """Cancels elements or whole arrays, only those in `state`; with `signal` only sends that."""
        options = [f"--state={state}"] if state else []
        options += ["--batch", f"--signal={signal}"] if signal else []
        ordered = sorted(ids)
        for first in range(0, len(ordered), _IDS_AT_ONCE):
            _run(["scancel", "--quiet", *options, *ordered[first : first + _IDS_AT_ONCE]])

    def _ask(self) -> str | None:
        """Fills the rows; what SLURM complains about where it cannot."""
        self._asked = time.monotonic()
        code, output, complaint = _run(
            ["squeue", "--noheader", "--array", f"--user={os.getuid()}", f"--format={_FORMAT}"]
        )
        if code != 0:
            return complaint
        self.rows = parse(output)
        self.answered = self._asked
        return None


def largest_array() -> int:
    """How many elements an array of this cluster may have."""
    code, output, _ = _run(["scontrol", "show", "config"])
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", output, re.MULTILINE) if code == 0 else None
    return max(1, (int(match[1]) if match else _DEFAULT_ARRAY_SIZE) - 1)


def _run(command: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, output and last line of complaint; a session of its own keeps the user's Ctrl-C away from it."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"{command[0]} took longer than {_TIMEOUT:.0f} s"
    except OSError as error:
        return 1, "", f"{command[0]}: {error.strerror or error}"
    complaint = (done.stderr.strip().splitlines() or [f"{command[0]} ended with code {done.returncode}"])[-1]
    return done.returncode, done.stdout, complaint
