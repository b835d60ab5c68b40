"""What the nodes of a grid will cost: from earlier records and fits, else from what plugins say. Rough on purpose.

Seconds are those of one process with one core or one GPU, its start included. No torch.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench3d.contracts import BackboneRegistration
from bench3d.errors import Bench3DError
from bench3d.features.estimate import ImageCost, image_cost
from bench3d.machine import likely_device
from bench3d.plugins import load_registry
from bench3d.records import Record, RunFacts, RunIndex, canonical_json
from bench3d.runner import RunPlan
from bench3d.runner.jobs import ARTIFACT, FitJob

START_SECONDS = 4.0
"""A process with its imports, compiled kernels in the cache: 2.5 to 5 s."""
PROCESS_BYTES = 0.9e9
"""Resident size of a process that has imported torch and evaluated something small."""
RECORD_BYTES = 0.3e6
NOTE = "fit.json"


@dataclass(frozen=True)
class Estimate:
    """Cost of a node, None where nobody knows. `measured`: the seconds come from the same thing done before."""

    seconds: float | None = None
    memory_bytes: float | None = None
    disk_bytes: float | None = None
    measured: bool = False


class Estimates:
    """Looks costs up; made once for a round of planning.

    Args:
        records: earlier ones; an index is the quick way.
        results: where earlier fits stand.
    """

    def __init__(self, records: Iterable[Record] | RunIndex, results: Path) -> None:
        facts = records.facts() if isinstance(records, RunIndex) else map(_facts_of, records)
        self._runs = _Medians()
        self._counts = _Medians()
        for fact in facts:
            if fact.status == "finished":
                with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError, Bench3DError):
                    self._learn(fact)  # else a measurement of another make: nothing to learn from
        self._fits = _read_fits(results / "fits")
        self._answers: tuple[RunPlan, Mapping[str, float]] | None = None

    def run(self, plan: RunPlan) -> Estimate:
        """Of evaluating a plan whose fits and data stand."""
        guess = plugin_estimate(plan, self._asked(plan))
        samples = self.samples(plan)
        device = plan.spec.device
        levels = _levels(plan.measurement) if plan.measurement else ()
        for level, key in enumerate(levels):
            seconds = self._runs.median((device, "seconds", key))
            if seconds is None or samples is None:
                continue
            memory = self._runs.median((device, "memory", key)) or guess.memory_bytes
            found = replace(guess, seconds=START_SECONDS + seconds * samples, memory_bytes=memory)
            return replace(found, measured=True) if level < 2 else _larger(found, guess)
        return guess

    def fit(self, plan: RunPlan, job: FitJob) -> Estimate:
        """Of one fit of a plan, alone in a process."""
        answers = self._asked(plan)
        seconds = answers.get(f"fit_seconds/{job.component}")
        guess = Estimate(
            seconds=None if seconds is None else START_SECONDS + seconds,
            memory_bytes=answers.get(f"fit_memory_bytes/{job.component}", PROCESS_BYTES + _cost(plan).memory_bytes),
            disk_bytes=answers.get(f"fit_disk_bytes/{job.component}"),
        )
        same, alike = _fit_keys(job.inputs) if job.inputs else (None, None)
        earlier = self._fits.median(same)
        if earlier is not None:
            return replace(guess, seconds=START_SECONDS + earlier, measured=True)
        other = self._fits.median(alike)
        return guess if other is None else _larger(replace(guess, seconds=START_SECONDS + other), guess)

    def samples(self, plan: RunPlan) -> float | None:
        """How many samples a run will have: its limit, what earlier runs on the same data had, what the task says."""
        categories = max(1, len(plan.categories))
        limit = None if plan.spec.limit is None else float(plan.spec.limit * categories)
        known = self._counts.median(_counted(plan.measurement)) if plan.measurement else None
        if known is None:
            known = self._asked(plan).get("samples")
        if known is None and plan.measurement:
            alike = self._counts.median(_counted_alike(plan.measurement))
            known = None if alike is None else alike * categories
        return min((n for n in (limit, known) if n is not None), default=None)

    def _asked(self, plan: RunPlan) -> Mapping[str, float]:
        """What the plugins say; remembered for the plan asked about last, whose fits are asked about next."""
        if self._answers is None or self._answers[0] is not plan:
            self._answers = (plan, load_registry().estimate(plan))
        return self._answers[1]

    def _learn(self, fact: RunFacts) -> None:
        measurement, seconds, memory = fact.measurement, fact.cost.get("evaluate_seconds"), "peak_memory_bytes"
        device = "cpu" if fact.cost.get("peak_device_bytes") is None else "cuda"
        for key in _levels(measurement):
            for where in (device, "auto"):
                if seconds is not None and fact.samples > 0:
                    self._runs.add((where, "seconds", key), float(seconds) / fact.samples)
                if fact.cost.get(memory):
                    self._runs.add((where, "memory", key), float(fact.cost[memory]))
        if measurement.get("limit") is None and fact.samples > 0:
            self._counts.add(_counted(measurement), fact.samples)
            self._counts.add(_counted_alike(measurement), fact.samples / max(1, len(measurement["categories"])))


def plugin_estimate(plan: RunPlan, answers: Mapping[str, float] | None = None) -> Estimate:
    """What plugins say (`bench3d_estimate`) put together with what the backbone's registration tells.

    Args:
        answers: `load_registry().estimate(plan)`, where it is known already.
    """
    answers = load_registry().estimate(plan) if answers is None else answers
    cost = _cost(plan)
    samples, limit = answers.get("samples"), plan.spec.limit
    if limit is not None:
        wanted = float(limit * max(1, len(plan.categories)))
        samples = wanted if samples is None else min(samples, wanted)
    images = answers.get("images", samples)
    seconds, disk = answers.get("seconds"), answers.get("disk_bytes")
    if seconds is None and samples is not None and images is not None:
        per_image = answers.get("seconds_per_image", cost.seconds)
        seconds = START_SECONDS + images * per_image + samples * answers.get("seconds_per_sample", 0.0)
    if disk is None and images is not None:
        disk = RECORD_BYTES + (images * cost.map_bytes if plan.spec.cache else 0.0)
    return Estimate(seconds, answers.get("memory_bytes", PROCESS_BYTES + cost.memory_bytes), disk)


class _Medians:
    """Numbers by key; the median of one is computed once."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, list[float]] = defaultdict(list)
        self._known: dict[Hashable, float] = {}

    def add(self, key: Hashable, number: float) -> None:
        self._numbers[key].append(number)
        self._known.pop(key, None)

    def median(self, key: Hashable) -> float | None:
        if key not in self._known and key in self._numbers:
            self._known[key] = statistics.median(self._numbers[key])
        return self._known.get(key)


def _cost(plan: RunPlan) -> ImageCost:
    backbone = plan.resolved.backbone
    assert isinstance(backbone.registration, BackboneRegistration)
    return image_cost(backbone.registration, backbone.settings, likely_device(plan.spec.device), plan.spec.batch)


def _larger(one: Estimate, other: Estimate) -> Estimate:
    def most(*values: float | None) -> float | None:
        return max((v for v in values if v is not None), default=None)

    return Estimate(
        seconds=most(one.seconds, other.seconds),
        memory_bytes=most(one.memory_bytes, other.memory_bytes),
        disk_bytes=most(one.disk_bytes, other.disk_bytes),
    )


def _levels(measurement: Mapping[str, Any]) -> tuple[Hashable, ...]:
    """Keys of runs that cost alike: the same but for seed and data; same components; same task and shape model."""
    backbone, task = measurement["backbone"], measurement["task"]
    fitted = [(measurement.get(part) or {}).get("name") for part in ("adapter", "shape_model")]
    names = (task["name"], *fitted)
    same = (backbone["name"], backbone["settings"], task["settings"], measurement.get("protocol"))
    return ("same", canonical_json([*names, *same])), ("components", backbone["name"], *names), ("task", *names)


def _counted(measurement: Mapping[str, Any]) -> Hashable:
    task = measurement["task"]
    return canonical_json([task["name"], task["settings"], measurement["dataset"], measurement["categories"]])


def _counted_alike(measurement: Mapping[str, Any]) -> Hashable:
    return measurement["task"]["name"], bool(measurement["dataset"].get("synthetic"))


def _fit_keys(inputs: Mapping[str, Any]) -> tuple[Hashable, Hashable]:
    component, backbone = canonical_json(inputs["component"]), inputs["backbone"]
    return (component, canonical_json([backbone["name"], backbone["settings"]])), component


def _facts_of(record: Record) -> RunFacts:
    return RunFacts(record.identity.measurement, record.status, record.cost.model_dump(), record.samples)


def _read_fits(folder: Path) -> _Medians:
    """Seconds of the whole fits under <results>/fits; notes that cannot be read are passed over."""
    found = _Medians()
    for note in folder.glob(f"[!.]*/[!.]*/[!.]*/{NOTE}"):
        try:
            value = json.loads(note.read_text(encoding="utf-8"))
            if (note.parent / ARTIFACT).is_file():
                for key in _fit_keys(value["inputs"]):
                    found.add(key, float(value["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
