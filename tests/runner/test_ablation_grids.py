"""The grid files of the ablations: every cell is a run that can be planned, and no two cells are the same run."""

import importlib.util
from argparse import Namespace
from pathlib import Path

import pytest

from bench3d.runner import plan_run

SOURCE = Path(__file__).parents[2] / "benchmarks" / "ablation.py"


@pytest.mark.parametrize(("name", "runs"), [("conv-layers", 5), ("iterations", 11), ("object", 7), ("rank", 6)])
def test_every_cell_is_a_run_of_its_own(name, runs, tmp_path):
    spec = importlib.util.spec_from_file_location("ablation", SOURCE)
    ablation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ablation)
    arguments = Namespace(
        backbone="timm:test_vit", adapter=None, task=None, protocol="grid32", weights="random", synthetic=True,
        data=tmp_path, results=tmp_path, limit=2, set=["adapter.points=10", "backbone.layer=3"],
    )  # fmt: skip
    plans = [plan_run(spec) for _, spec in ablation.specs(ablation.read_grid(name), arguments)]
    assert len({plan.identity for plan in plans}) == len(plans) == runs
    raw, *cells = plans
    assert raw.jobs == () and all(plan.jobs[0].inputs["component"]["settings"]["points"] == 10 for plan in cells)
    with pytest.raises(SystemExit, match="conv-layers"):
        ablation.read_grid("nothing")
