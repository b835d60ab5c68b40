"""What TensorBoard is given of a run and of a fit.

A run, DIR/<label>-<identity[:12]>/: scalars <metric>/<category>, settings, text, pictures.
A fit, DIR/fits/<component>-<category>-<recipe[:12]>/<stage>/: its losses and held-out scores.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary

from bench3d.records import Record, RunStore, short
from bench3d_plugins.tensorboard_logger.events import Growing, summaries, write_whole

MOST_PICTURES = 24
LARGEST_PICTURE = 8 << 20
Value = str | int | float | bool


class Board:
    """The files under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs: dict[str, Path] = {}
        self._fit: tuple[Path, Growing] | None = None

    def run_started(self, plan: Any) -> None:
        """Notes the folder of a run, for its pictures."""
        store = RunStore(Path(plan.spec.results))
        self._runs = {plan.identity: store.folder(str(plan.spec.task), plan.label, plan.identity)}

    def run_finished(self, record: Record) -> None:
        """Writes a run: one file, in place of an earlier one of the same identity.

        Raises:
            OutputError: it cannot be written.
        """
        place = self._runs.pop(record.identity.hash, None)
        name = _file_name(f"{record.label}-{short(record.identity.hash)}")
        parts = [summaries(scalars(record)), *_settings(record), _text(record)]
        write_whole(self.folder / name, [*parts, *(_pictures(record, place) if place is not None else ())])

    def fit_step(
        self, component: str, category: str | None, recipe: str, stage: str, step: int, values: Mapping[str, float]
    ) -> None:
        """Adds a report to the stage's file and flushes it.

        Raises:
            OutputError: it cannot be written.
        """
        name = _file_name(f"{component}-{category or 'all'}-{short(recipe)}")
        folder = self.folder / "fits" / name / _file_name(stage or "fit")
        if self._fit is None or self._fit[0] != folder:
            self.fit_finished()
            self._fit = (folder, Growing(folder, step))
        self._fit[1].add(step, summaries(values))

    def fit_finished(self) -> None:
        """Ends the open file."""
        if self._fit is not None:
            self._fit[1].close()
            self._fit = None


def scalars(record: Record) -> dict[str, float]:
    """Scores as <metric>/<category>, the ends of their intervals, chance levels and costs."""
    found: dict[str, float] = {}
    for score in record.scores:
        tag = f"{score.metric}/{score.category}"
        found[tag] = score.value
        if score.interval is not None:
            found[f"low of {tag}"], found[f"high of {tag}"] = score.interval
    for level in record.chance:
        found[f"chance {level.name} of {level.metric}/{level.category}"] = level.value
    costs = {key: getattr(record.cost, key) for key in ("fit_seconds", "evaluate_seconds", "peak_memory_bytes")}
    return {**found, **{f"cost/{key}": float(value) for key, value in costs.items() if value is not None}}


def settings_of(measurement: Mapping[str, Any]) -> dict[str, Value]:
    """What was measured as a flat table: `backbone` for its name, `backbone.layer` for its setting."""
    flat: dict[str, Value] = {}
    for part, value in measurement.items():
        if part in ("schema", "fits"):
            continue
        if isinstance(value, Mapping) and "name" in value:
            flat[part] = str(value["name"])
            flat.update(_flat(f"{part}.", value.get("settings") or {}))
        elif isinstance(value, list):
            flat[part] = ", ".join(str(v) for v in value)
        else:
            flat.update(_flat("", {part: value}))
    return flat


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        elif isinstance(value, (str, int, float)):
            yield f"{prefix}{key}", value
        elif value is not None:
            yield f"{prefix}{key}", str(value)


def _settings(record: Record) -> tuple[Any, ...]:
    from torch.utils.tensorboard.summary import hparams

    scores = {f"{s.metric}/{s.category}": s.value for s in record.scores if s.category == "mean"}
    parts: tuple[Any, ...] = hparams(settings_of(record.identity.measurement), scores)
    return parts


def _text(record: Record) -> Any:
    from torch.utils.tensorboard.summary import text

    marks = record.marks.model_dump(exclude_defaults=True)
    lines = {
        "run": record.label,
        "identity": record.identity.hash,
        "status": " ".join(filter(None, (record.status, record.message))),
        "oracles": ", ".join(record.oracles),
        "marks": ", ".join(f"{key}: {value}" for key, value in marks.items()),
        "samples": str(record.samples),
        "begun": record.provenance.time,
        "notes": " ".join(record.notes),
    }
    rows = [f"| {key} | {value.replace('|', '/')} |" for key, value in lines.items() if value]
    return text("record", "\n".join(["| | |", "|---|---|", *rows]))


def _pictures(record: Record, folder: Path) -> Iterator[Any]:
    """The first pictures of a run, as they are on disk."""
    from PIL import Image

    for name in record.pictures[:MOST_PICTURES]:
        path = folder / name
        if not path.is_file() or path.stat().st_size > LARGEST_PICTURE:
            continue
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            image = Summary.Image(
                width=picture.width,
                height=picture.height,
                colorspace=len(picture.getbands()),
                encoded_image_string=content,
            )
        yield Summary(value=[Summary.Value(tag=name, image=image)])


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text).strip(".") or "_"


def create(target: str) -> Board:
    """The logger that writes into the folder `target`."""
    return Board(Path(target))
