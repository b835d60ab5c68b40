"""Batches of samples through a task; a batch that does not fit into memory is halved."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench3d.contracts import Model, Session, Task
from bench3d.errors import PluginError
from bench3d.machine import is_out_of_memory, release_memory


@dataclass
class BatchSize:
    """The batch size in use; it only ever shrinks."""

    size: int

    def halve(self) -> bool:
        """Half of it, False where it is one already."""
        if self.size <= 1:
            return False
        self.size //= 2
        return True


def evaluate_category(
    task: Task, session: Session, category: str, samples: Sequence[Any], source: Any, batch: BatchSize
) -> Generator[list[dict[str, Any]], None, None]:
    """Prepares the task for a category and gives the values of every sample, a batch at a time and in order.

    Args:
        task: opened with `session`.
        session: model, encoder, device and progress.
        category: of all samples.
        samples: what is evaluated.
        source: training data, for chance levels; None where there are none.
        batch: the batch size, which shrinks where memory runs out.

    Raises:
        PluginError: the task's values break its contract.
        MemoryError and kin: out of memory with one sample at a time.
    """
    progress = session.progress
    if samples:
        task.prepare(session.model, category, source)
        session.encoder.expect(task.images(samples))
    progress.start(f"{category}: evaluation", len(samples))
    try:
        at = 0
        while at < len(samples):
            chunk = samples[at : at + batch.size]
            values = _attempt(task, session.model, chunk, session.device, batch)
            if values is None:
                release_memory()
                progress.say(f"Out of memory: going on with {batch.size} images at a time.")
                continue
            at += len(chunk)
            progress.advance(len(chunk))
            yield [_checked(v, s, category) for v, s in zip(values, chunk, strict=True)]
    finally:
        progress.finish()


def _attempt(
    task: Task, model: Model, chunk: Sequence[Any], device: str, batch: BatchSize
) -> Sequence[Mapping[str, Any]] | None:
    """Values of a batch; None where memory ran out and a smaller batch is left to try."""
    try:
        values = task.evaluate(model, chunk, device)
    except (MemoryError, RuntimeError) as error:
        # A batch that is smaller than the size, as the last one is, must shrink as well.
        batch.size = min(batch.size, len(chunk))
        if not is_out_of_memory(error) or not batch.halve():
            raise
        return None
    if len(values) != len(chunk):
        raise PluginError(f"{type(task).__name__}.evaluate gave {len(values)} values for {len(chunk)} samples.")
    return values


def _checked(value: Mapping[str, Any], sample: Any, category: str) -> dict[str, Any]:
    missing = [key for key in ("id", "cluster", "category") if not isinstance(value.get(key), str)]
    if missing:
        raise PluginError(f"The values of sample {sample.id} lack the text {missing[0]!r}.")
    if value["id"] != sample.id or value["category"] != category:
        raise PluginError(f"The values of sample {sample.id} are those of {value['category']}/{value['id']}.")
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PluginError(f"The values of sample {sample.id} are no JSON: {error}.") from error
    return dict(value)
