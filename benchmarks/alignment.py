"""How well unsupervised alignment does on a twin, and what each stage of it costs.

    python benchmarks/alignment.py --data TWIN [--category car,chair] [--backbone hog] [--weights pretrained]
        [--set align.max_frames=8] [--out TABLE] [--json FILE]

TWIN is a folder that holds a CO3D twin (bench3d data synth co3d). Its sequences stand in random similarity frames; the
truth is used for the figures only. Two rows a category: `published`, the settings of the paper, and `refined`, with the
ten best hypotheses refined (ours). Shares are of the sequences without the reference: rotation into the reference's
frame within 30 and 10 degrees of the true one. Seconds are of one sequence, by stage, with the threads of the
environment (OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 for one).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.cli.progress import PlainProgress
from bench3d.runner.aligning import AlignSpec, align

ROWS: dict[str, dict[str, Any]] = {"published": {}, "refined": {"refine_best": 10}}
STAGES = ("mesh", "features", "similarity")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--category", default="")
    parser.add_argument("--backbone", default="hog")
    parser.add_argument("--weights", default="pretrained")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="align.KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("alignment-benchmark.json"), help="table; its work is kept")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    given = dict(item.removeprefix("align.").split("=", 1) for item in options.settings)
    figures = []
    for row, settings in ROWS.items():
        spec = AlignSpec(
            dataset="co3d",
            backbone=options.backbone,
            weights=options.weights,
            categories=tuple(c for c in options.category.split(",") if c),
            settings={"align": {**given, **settings}},
            data=options.data,
            out=options.out,
        )
        figures += [{"row": row, **figures_of(one)} for one in align(spec, PlainProgress())["categories"]]
    print(f"{'category':12} {'row':10} {'n':>3} {'<30':>6} {'<10':>6} {'median':>7}  {'  '.join(STAGES)}  errors")
    for one in sorted(figures, key=lambda f: (f["category"], f["row"])):
        seconds = "  ".join(f"{one['seconds'][s]:{len(s)}.2f}" for s in STAGES)
        errors = ", ".join(f"{n} {turn}" for turn, n in one["errors"].items())
        shares = f"{one['within_30']:6.1%} {one['within_10']:6.1%} {one['median']:6.1f}°"
        print(f"{one['category']:12} {one['row']:10} {one['n']:3} {shares}  {seconds}  {errors}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def figures_of(one: dict[str, Any]) -> dict[str, Any]:
    """The figures of a category from its report."""
    errors = np.array([row["error"] for row in one["sequences"] if "error" in row])
    seconds = {s: np.mean([row["seconds"][s] for row in one["sequences"] if s in row["seconds"]]) for s in STAGES}
    return {
        "category": one["category"],
        "n": len(errors),
        "within_30": float((errors < 30).mean()),
        "within_10": float((errors < 10).mean()),
        "median": float(np.median(errors)),
        "seconds": {stage: round(float(value), 3) for stage, value in seconds.items()},
        "errors": one.get("errors", {}),
        "skipped": one["skipped"],
    }


if __name__ == "__main__":
    main()
