"""One cheap run on a small twin, and copies of it that a cheat has worked on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench3d.contracts import NullProgress
from bench3d.files import write_json
from bench3d.leaderboard.verify import Verified, verify
from bench3d.records import Record, file_digest, read_record
from bench3d.runner import RunSpec, aggregate, execute, plan_run
from bench3d.runner.run import make_task

TWIN = {"categories": "car, chair", "test_images": "6", "pairs": "12", "splits": "[plain]", "image_size": "96"}


def make_run(root: Path) -> Path:
    """The folder of a run of `hog` on keypoint pairs; data and results under `root`."""
    spec = RunSpec(
        backbone="hog", task="spair71k", synthetic=True, data=root / "data", results=root / "results", device="cpu",
        settings={"data": TWIN, "backbone": {"grid": "8"}}, cache=False,
    )  # fmt: skip
    plan = plan_run(spec)
    execute(plan, NullProgress())
    assert plan.record_path is not None
    return plan.record_path.parent


def copy_of(run: Path, to: Path) -> Path:
    """A copy of a run's folder that a test may spoil."""
    shutil.copytree(run, to)
    return to


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], Any], scores: bool = True) -> None:
    """Changes a sidecar as a careful cheat does: digest, count and (unless told not to) every score are fixed."""
    path = folder / "samples.jsonl"
    values = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(values)
    path.write_text("".join(json.dumps(v, sort_keys=True) + "\n" for v in values), encoding="utf-8")
    record = read_record(folder / "record.json")
    update: dict[str, Any] = {"samples": len(values), "samples_sha256": file_digest(path)}
    if scores:
        metrics = metrics_of(record)
        update |= {
            "scores": aggregate.scores(metrics, values, 0),
            "groups": aggregate.groups(metrics, values, 0),
            "chance": aggregate.chance_levels(metrics, values, 0),
        }
    write_json(folder / "record.json", record.model_copy(update=update).as_json())


def metrics_of(record: Record) -> Any:
    """The metrics of a record's task."""
    from bench3d.runner.respec import plan_of

    return make_task(plan_of(record, results=Path("nowhere"))).metrics


def verified(folder: Path, root: Path, share: float | int = 1.0, **given: Any) -> Verified:
    """Verifies a folder with the data and results of `make_run`."""
    record = read_record(folder / "record.json")
    where = {"results": root / "results", "data": root / "data", "device": "cpu"} | given
    return verify(record, folder, share=share, progress=NullProgress(), **where)
