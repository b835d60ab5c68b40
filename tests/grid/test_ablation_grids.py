"""The grids of the ablations and their plot: every value is a run of its own, the raw backbone beside them."""

import importlib.util
from argparse import Namespace
from pathlib import Path

import pytest

from bench3d.grid.files import read_grid
from bench3d.runner import plan_run

SOURCE = Path(__file__).parents[2] / "benchmarks" / "ablation.py"


@pytest.fixture(scope="module")
def ablation():
    spec = importlib.util.spec_from_file_location("ablation", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "runs"), [("conv-layers", 5), ("iterations", 11), ("object", 7), ("rank", 6)])
def test_every_value_is_a_run_of_its_own(name, runs, tmp_path, ablation):
    arguments = Namespace(
        backbone="timm:test_vit", protocol="grid32", weights="random", synthetic=True, data=tmp_path, results=tmp_path,
        limit=2, set=["adapter.points=10", "backbone.layer=3"],
    )  # fmt: skip
    grid = read_grid(f"ablation-{name}")
    cells = ablation.cells(grid, arguments)
    plans = [plan_run(spec) for _, spec in cells]
    assert len({plan.identity for plan in plans}) == len(plans) == runs
    assert [set(values) for values, _ in cells] == [set(), *[set(grid.parts[""].vary)] * (runs - 1)]
    raw, *fitted = plans
    assert raw.jobs == () and all(plan.jobs[0].inputs["component"]["settings"]["points"] == 10 for plan in fitted)
    assert {plan.resolved.protocol.name for plan in plans} == {"grid32"}


def test_the_plot_is_drawn_and_says_what_is_missing(tmp_path, ablation, capsys):
    out = tmp_path / "rank.png"
    words = ["rank", "--synthetic", "--data", tmp_path, "--results", tmp_path, "--weights", "random", "--out", out]
    ablation.main([str(word) for word in words])
    assert out.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "No record of no adapter" in said and "{'adapter.rank': 16}" in said
