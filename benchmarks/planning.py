"""How long it takes to plan a grid, to estimate it, and to look at the records of a results folder.

    python benchmarks/planning.py [--runs 1000] [--groups 2000] [--results DIR]

Every figure is of a fresh process and holds its start and imports. The grid is on synthetic twins that are never
written: six backbones on five tasks, one of them with a shape model, over as many seeds as it takes. Then its runs get
finished records of a real one's size (`--groups` group scores in each; 2,000 are about 350 kB), and status and plan are
looked at again. With --results the folder is kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from bench3d.contracts import Progress
from bench3d.files import write_json
from bench3d.grid.estimate import Estimates
from bench3d.grid.expand import expand
from bench3d.grid.files import read_grid
from bench3d.records import Cost, GroupScore, Identity, Provenance, Record, RunIndex
from bench3d.runner import RunPlan, RunSpec, plan_run
from bench3d.runner.memo import planning_session

GRID = """
summary: "Every combination of names, over many seeds."
parts:
  features:
    backbones: [hog, dinov2, dinov2-b, mae, clip, deit]
    tasks: [spair71k, pf-pascal, pf-willow, multiview-equivariance]
    seeds: {seeds}
    synthetic: true
  poses:
    backbones: [hog, dinov2, dinov2-b, mae, clip, deit]
    shape_models: common3d
    tasks: pascal3d-pose
    seeds: {seeds}
    synthetic: true
"""


def specs(folder: Path, runs: int) -> list[RunSpec]:
    """The grid's runs, by way of a grid file."""
    path = folder / "grid.yaml"
    path.write_text(GRID.format(seeds=list(range(-(-runs // 30)))), encoding="utf-8")
    found = [replace(c.spec, data=folder / "data", results=folder) for c in expand(read_grid(str(path)))]
    return found[:runs]


def plans(folder: Path, runs: int) -> list[RunPlan]:
    """All of them, planned as a grid does."""
    index = RunIndex(folder)
    with planning_session():
        return [plan_run(spec, index) for spec in specs(folder, runs)]


def do_plan(folder: Path, runs: int, progress: Progress) -> None:
    """Plans and estimates, told apart."""
    begun = time.perf_counter()
    made = plans(folder, runs)
    planned = time.perf_counter()
    estimates = Estimates(RunIndex(folder), folder)
    costs = [e for p in made for e in (estimates.run(p), *(estimates.fit(p, j) for j in p.jobs))]
    known = sum(c.seconds or 0.0 for c in costs) / 3600
    done = sum(p.already_done for p in made)
    progress.say(f"    {len(made)} plans ({done} done) {planned - begun:.2f} s, {len(costs)} estimates")
    progress.say(f"    ({known:.0f} hours) {time.perf_counter() - planned:.2f} s")


def do_write(folder: Path, runs: int, groups: int) -> None:
    """A finished record for every run."""
    scores = GroupScore(metric="PCK@0.1", category="car", by="azimuth", bin="330-30", value=50.5, unit="%", n=9)
    for plan in plans(folder, runs):
        assert plan.identity is not None and plan.record_path is not None
        record = Record(
            label=plan.label,
            identity=Identity(measurement=dict(plan.measurement), hash=plan.identity),
            status="finished",
            groups=list(islice(cycle([scores]), groups)),
            cost=Cost(evaluate_seconds=12.0, peak_memory_bytes=10**9),
            provenance=Provenance(bench3d="0", python="3", seed=plan.spec.seed, time="2000-01-01T00:00:00+00:00"),
            samples=300,
        )
        write_json(plan.record_path, record.as_json())


def do_status(folder: Path, progress: Progress) -> None:
    """The status of every record there, twice: as status does, and as an engine that goes on watching."""
    identities = [path.name for path in (folder / "names").iterdir()]
    begun = time.perf_counter()
    index = RunIndex(folder)
    found = [index.status(identity) for identity in identities]
    first = time.perf_counter()
    index.refresh()
    assert found == [index.status(identity) for identity in identities]
    again = time.perf_counter() - first
    progress.say(f"    {found.count('finished')} of {len(found)} finished: {first - begun:.2f} s, again {again:.3f} s")


def timed(title: str, *arguments: str) -> None:
    """Runs a part of this file in a process of its own."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    print(f"{title}: {time.perf_counter() - begun:.2f} s", flush=True)


class Lines(Progress):
    """Prints."""

    def say(self, message: str) -> None:
        print(message, flush=True)


def main() -> None:
    """All parts in turn, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--groups", type=int, default=2000)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--only", choices=["plan", "write", "status"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only == "plan":
        do_plan(given.results, given.runs, Lines())
    elif given.only == "write":
        do_write(given.results, given.runs, given.groups)
    elif given.only == "status":
        do_status(given.results, Lines())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            folder = given.results or Path(temporary)
            (folder / "names").mkdir(parents=True, exist_ok=True)
            rest = ("--results", str(folder), "--runs", str(given.runs), "--groups", str(given.groups))
            timed("planned, nothing done", "--only", "plan", *rest)
            timed("records written", "--only", "write", *rest)
            for plan in plans(folder, given.runs):
                (folder / "names" / str(plan.identity)).touch()
            timed("status", "--only", "status", *rest)
            timed("planned, all done", "--only", "plan", *rest)


if __name__ == "__main__":
    main()
