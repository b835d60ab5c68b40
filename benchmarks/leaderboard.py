"""How long it takes to build a leaderboard of many runs, and how large it becomes.

    python benchmarks/leaderboard.py [--models 200] [--tasks 10] [--samples 350] [--gzip] [--folder DIR] [--profile]

Records and sidecars are made up but of real ones' form and size: seven categories, ten to forty clusters in each,
groups by azimuth and visibility, and in every second task parts (keypoints) in the samples. They are marked as real
ones, so that they rank, and never leave the folder they are made in. With --folder they are kept and used again.

200 models on 10 tasks have to build in under 20 s, into under 20 MB.
"""

from __future__ import annotations

import argparse
import cProfile
import gzip
import hashlib
import json
import pstats
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.leaderboard.board_file import read_board_json
from bench3d.leaderboard.build import build_board
from bench3d.leaderboard.changes import changes
from bench3d.leaderboard.entries import find_entries
from bench3d.leaderboard.exports import export_all
from bench3d.leaderboard.page.site import write_site
from bench3d.machine import garbage_collection_off
from bench3d.records import (
    BootstrapNote,
    ChanceLevel,
    Cost,
    GroupScore,
    Identity,
    Marks,
    Measure,
    Provenance,
    Record,
    Score,
    identity_hash,
)

CATEGORIES = ("bicycle", "bus", "car", "chair", "couch", "motorcycle", "tv")
BINS = tuple(f"{start:03d}-{start + 30:03d}" for start in range(0, 360, 30))
YES_NO = ("occluded", "truncated", "difficult")
ORDER = "image > category > unweighted mean over categories"
PARTS = 6

POSE = (
    Measure(name="accuracy@30deg", value="error_deg", reduce="fraction_below", unit="%", higher_is_better=True,
            threshold=30.0, order=ORDER, chance={"random_start": "chance_30"}),
    Measure(name="accuracy@10deg", value="error_deg", reduce="fraction_below", unit="%", higher_is_better=True,
            threshold=10.0, order=ORDER, chance={"random_start": "chance_10"}),
    Measure(name="median error", value="error_deg", reduce="median", unit="deg", higher_is_better=False, order=ORDER),
)  # fmt: skip
POINTS = (
    Measure(name="PCK@0.1", value="correct@0.1", reduce="mean", unit="%", higher_is_better=True, order=ORDER,
            over="parts", chance={"random_point": "chance@0.1"}),
    Measure(name="PCK@0.05", value="correct@0.05", reduce="mean", unit="%", higher_is_better=True, order=ORDER,
            over="parts"),
    Measure(name="PCK@0.1 per image", value="correct@0.1", reduce="mean", unit="%", higher_is_better=True, order=ORDER),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--samples", type=int, default=350)
    parser.add_argument("--gzip", action="store_true", help="sidecars as committed records have them")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--profile", action="store_true", help="show the 25 functions that take most of build_board")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        records = folder / f"{options.models}x{options.tasks}x{options.samples}{'-gz' if options.gzip else ''}"
        if not records.is_dir():
            began = time.monotonic()
            make_records(records, options.models, options.tasks, options.samples, options.gzip)
            print(f"made in {time.monotonic() - began:.1f} s")
        size = sum(p.stat().st_size for p in records.rglob("*") if p.is_file())
        print(f"{options.models} models x {options.tasks} tasks, {options.samples} samples each: {size / 1e6:.0f} MB")
        measure(records, Path(temporary) / "site", options.profile)


@garbage_collection_off()  # as `publish` does
def measure(records: Path, out: Path, profile: bool) -> None:
    """Every stage of a build, then the site's size."""
    seconds: dict[str, float] = {}
    print(f"{'':<28}{'wall':>10}{'processor':>12}")

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began, worked = time.monotonic(), time.process_time()
        found = work()
        seconds[name] = time.monotonic() - began
        print(f"{name:<28}{seconds[name]:8.2f} s{time.process_time() - worked:10.2f} s", flush=True)
        return found

    entries, refused = timed("find_entries", lambda: find_entries([records]))
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    board = timed("build_board", lambda: build_board(entries, refused=refused))
    profiler.disable()
    inside: list[float] = []

    def exports(folder: Path) -> None:
        began = time.monotonic()
        export_all(board, folder)
        inside.append(time.monotonic() - began)

    site = timed("write_site and export_all", lambda: write_site(board, out, more=exports))
    print(f"{'of which export_all':<28}{inside[0]:8.2f} s")
    print(f"{'all':<28}{sum(seconds.values()):8.2f} s")
    timed("(again: changes)", lambda: changes(read_board_json(out / "board.json"), board))
    print(f"{len(board.tables)} tables, {sum(len(t.rows) for t in board.tables)} rows, {len(board.refused)} refused")
    print(f"{site.files} files, {site.bytes / 1e6:.1f} MB; peak memory "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")  # fmt: skip
    for kind, many in sorted(sizes(out).items(), key=lambda item: -item[1]):
        print(f"  {kind:<26}{many / 1e6:8.2f} MB")
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def sizes(out: Path) -> dict[str, int]:
    """Bytes by folder and suffix."""
    found: dict[str, int] = {}
    for path in out.rglob("*"):
        if path.is_file():
            kind = f"{path.parent.relative_to(out)}/*{''.join(path.suffixes[-2:])}"
            found[kind] = found.get(kind, 0) + path.stat().st_size
    return found


def make_records(folder: Path, models: int, tasks: int, samples: int, zipped: bool) -> None:
    """Models differ in strength; a task's samples have one difficulty for all models, so that pairs mean something."""
    rng = np.random.default_rng(0)
    strength = rng.normal(0.0, 0.5, models)
    for t in range(tasks):
        task = Task(f"made-up-{'points' if t % 2 else 'pose'}-{t}", bool(t % 2), samples, rng)
        for m in range(models):
            values = task.values(strength[m] + rng.normal(0, 0.1), rng)
            write_record(folder, task, f"model-{m:03d}", values, zipped)


class Task:
    """What all runs of a task share: samples, clusters, difficulties."""

    def __init__(self, name: str, points: bool, samples: int, rng: np.random.Generator) -> None:
        self.name, self.points = name, points
        self.metrics = POINTS if points else POSE
        self.category = np.arange(samples) % len(CATEGORIES)
        self.clusters = [f"{CATEGORIES[c]}-{rng.integers(40 if c else 10):03d}" for c in self.category]
        self.bins = rng.integers(len(BINS), size=samples)
        self.flags = rng.random((samples, len(YES_NO))) < 0.3
        self.hard = rng.normal(0.0, 1.0, (samples, PARTS if points else 1))

    def values(self, strength: float, rng: np.random.Generator) -> list[dict[str, Any]]:
        """The sidecar of one run."""
        error = 25.0 * np.exp(self.hard - strength + rng.normal(0.0, 0.4, self.hard.shape))
        found = []
        for i, c in enumerate(self.category.tolist()):
            groups = {"azimuth": BINS[self.bins[i]]}
            groups |= {k: "yes" if v else "no" for k, v in zip(YES_NO, self.flags[i].tolist(), strict=True)}
            value: dict[str, Any] = {
                "category": CATEGORIES[c], "cluster": self.clusters[i], "id": f"{CATEGORIES[c]}_n0{i:07d}",
                "features_ms": 63.34150314331055, "groups": groups,
            }  # fmt: skip
            errors = error[i].tolist()
            if self.points:
                value["parts"] = {
                    "error_px": errors,
                    "correct@0.1": [100.0 * (e < 25) for e in errors],
                    "correct@0.05": [100.0 * (e < 12) for e in errors],
                    "chance@0.1": [1.5] * PARTS,
                    "groups": {"keypoint": [f"point {k}" for k in range(PARTS)]},
                }
            else:
                value |= {"error_deg": errors[0], "chance_30": 0.0273, "chance_10": 0.002, "crop_ms": 2.013214333298189,
                          "predicted_azimuth": errors[0] * 0.7, "predicted_elevation": errors[0] * 0.1,
                          "predicted_in_plane": errors[0] * 0.2, "pose_ms": 158.06261016647719}  # fmt: skip
            found.append(value)
        return found


def write_record(folder: Path, task: Task, model: str, values: list[dict[str, Any]], zipped: bool) -> None:
    """record.json and its sidecar; intervals are those of independent samples, which nothing here looks at."""
    text = "".join(json.dumps(v, sort_keys=True) + "\n" for v in values).encode()
    measurement = {
        "schema": "bench3d.measurement/1",
        "backbone": {"name": model, "result_version": 1, "settings": {"layer": None}, "weights": {"rev": "0" * 40}},
        "adapter": None,
        "shape_model": {"name": "common3d", "result_version": 1, "settings": {"render_size": 64}},
        "task": {"name": task.name, "result_version": 1, "settings": {"canvas": 512}},
        "protocol": {"name": "paper", "version": 1},
        "dataset": {"name": "made-up", "result_version": 1, "settings": {}, "synthetic": False,
                    "fingerprints": {c: hashlib.sha256(c.encode()).hexdigest() for c in CATEGORIES}},
        "fits": {},
        "categories": list(CATEGORIES),
        "limit": None,
        "seed": 0,
    }  # fmt: skip
    digest = identity_hash(measurement)
    record = Record(
        label=f"{model}-common3d-paper",
        identity=Identity(measurement=measurement, hash=digest),
        status="finished",
        headline=task.metrics[0].name,
        metrics=list(task.metrics),
        scores=[s for metric in task.metrics for s in scores(metric, values)],
        groups=[g for metric in task.metrics[:2] for g in groups(metric, values)],
        chance=[
            ChanceLevel(metric=metric.name, name=name, category=c, value=2.7, unit=metric.unit, n=50)
            for metric in task.metrics
            for name in metric.chance or {}
            for c in (*CATEGORIES, "mean")
        ],
        bootstrap=BootstrapNote(draws=2000, level=0.95, seed=0),
        oracles=["category", "box"],
        marks=Marks(),
        cost=Cost(parameters=22_000_000, seconds_per_image={"features": 0.0633, "pose": 0.158}, batch=8),
        provenance=Provenance(
            bench3d="0.1.0", commit="0" * 40, python="3.11.7", libraries={"torch": "2.4", "numpy": "1.26"},
            platform="Linux x86_64", device="CPU", seed=0, time="2026-01-01T00:00:00+00:00", command="bench3d run",
        ),
        samples=len(values),
        samples_sha256=hashlib.sha256(text).hexdigest(),
    )  # fmt: skip
    place = folder / task.name / f"{record.label}-{digest[:12]}"
    place.mkdir(parents=True)
    (place / "record.json").write_text(json.dumps(record.as_json(), indent=1), encoding="utf-8")
    if zipped:
        (place / "samples.jsonl.gz").write_bytes(gzip.compress(text, 6, mtime=0))
    else:
        (place / "samples.jsonl").write_bytes(text)


def scores(metric: Measure, values: list[dict[str, Any]]) -> Iterator[Score]:
    """Of every category, and their mean."""
    rows = {c: [r for v in values if v["category"] == c for r in numbers(metric, v)] for c in CATEGORIES}
    reduced = {c: reduce(metric, r) for c, r in rows.items()}
    for c, value in {**reduced, "mean": float(np.mean(list(reduced.values())))}.items():
        n = len(rows[c]) if c in rows else len(values)
        yield Score(
            metric=metric.name, category=c, value=value, unit=metric.unit, n=n, interval=(value - 4, value + 4),
            clusters=10 if c == "bicycle" else 40, interval_method="student-t" if c == "bicycle" else "bootstrap",
            higher_is_better=metric.higher_is_better, version=1, order=metric.order, threshold=metric.threshold,
            inequality="<" if metric.reduce == "fraction_below" else None,
        )  # fmt: skip


def groups(metric: Measure, values: list[dict[str, Any]]) -> Iterator[GroupScore]:
    """Of every category and bin."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for value in values:
        for by, name in value["groups"].items():
            found.setdefault((value["category"], by, name), []).extend(numbers(metric, value))
    for (category, by, name), rows in sorted(found.items()):
        value = reduce(metric, rows)
        yield GroupScore(
            metric=metric.name, category=category, by=by, bin=name, value=value, unit=metric.unit, n=len(rows),
            interval=(value - 9, value + 9), interval_method="student-t",
        )  # fmt: skip


def numbers(metric: Measure, value: dict[str, Any]) -> list[float]:
    if "parts" not in value:
        return [value[metric.value]]
    column = value["parts"][metric.value]
    return column if metric.over == "parts" else [float(np.mean(column))]


def reduce(metric: Measure, rows: list[float]) -> float:
    if metric.reduce == "fraction_below":
        return 100.0 * float(np.mean(np.array(rows) < metric.threshold))
    return float(np.median(rows) if metric.reduce == "median" else np.mean(rows))


if __name__ == "__main__":
    main()
