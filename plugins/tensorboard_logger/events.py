"""Event files: TensorBoard's format, under names that hold no host, as its own writer's would."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from bench3d.files import make_folder, output_errors

PATTERN = "events.out.tfevents.*.bench3d"


def summaries(values: Mapping[str, float]) -> Any:
    """Scalars by tag as one Summary."""
    return Summary(value=[Summary.Value(tag=tag, simple_value=float(value)) for tag, value in values.items()])


def write_whole(folder: Path, parts: Iterable[Any]) -> Path:
    """One event file with Summaries at step 0, in place of those that `write_whole` left in `folder` before.

    Raises:
        OutputError: it cannot be written; the earlier one stays then.
    """
    memory = io.BytesIO()
    _begin(RecordWriter(memory), 0, parts)
    earlier = [*make_folder(folder).glob(PATTERN)]
    path = _new(folder)
    hidden = folder / f".writing-{os.getpid()}"  # TensorBoard reads whatever is called tfevents
    with output_errors(path):
        hidden.write_bytes(memory.getvalue())
        os.replace(hidden, path)
        for old in earlier:
            old.unlink(missing_ok=True)
    return path


class Growing:
    """An event file that grows. What stands in the folder at its first step or later is no longer shown.

    Args:
        folder: of the stage; made where it is missing.
        step: the first one that will be added.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = _new(make_folder(folder))
        with output_errors(self._path):
            self._handle = open(self._path, "xb")  # noqa: SIM115 - stays open for the whole fit
        _begin(RecordWriter(self._handle), step, [])

    def add(self, step: int, summary: Any) -> None:
        """Appends and flushes a Summary.

        Raises:
            OutputError: it cannot be written.
        """
        with output_errors(self._path):
            RecordWriter(self._handle).write(_event(step, summary=summary))
            self._handle.flush()

    def close(self) -> None:
        """Ends it."""
        self._handle.close()


def _begin(writer: Any, step: int, parts: Iterable[Any]) -> None:
    writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
    writer.write(_event(step, session_log=SessionLog(status=SessionLog.START)))
    for part in parts:
        writer.write(_event(step, summary=part))


def _event(step: int, **content: Any) -> bytes:
    serialised: bytes = Event(wall_time=time.time(), step=step, **content).SerializeToString()
    return serialised


def _new(folder: Path) -> Path:
    now = time.time_ns() // 1000
    return folder / f"events.out.tfevents.{now // 10**6}.{now % 10**6:06d}.bench3d"
