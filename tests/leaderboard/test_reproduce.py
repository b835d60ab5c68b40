"""`bench3d reproduce` through the command line, on records whose difference from the paper is known."""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from target_records import SHA, planned, specs, with_data, write

from bench3d.cli.main import main
from bench3d.errors import DataError
from bench3d.leaderboard import targets
from bench3d.leaderboard.reported import load_reported
from bench3d.leaderboard.targets import load_target, read_target, target_names
from bench3d.records import Marks

POSE = "accuracy@30deg"
PUBLISHED = {"bicycle": 67.2, "bus": 82.9, "car": 99.3, "chair": 67.8, "couch": 80.9, "motorcycle": 78.1, "tv": 51.1}
"""Table 8 of Common3D."""


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["reproduce", *map(str, arguments)])
    seen = capsys.readouterr()
    return code, seen.out, seen.err


def compared(capsys: pytest.CaptureFixture[str], target: str, results: Path, *more: str) -> dict[str, Any]:
    code, out, _ = run(capsys, target, "--results", results, "--json", *more)
    assert code == 0
    return json.loads(out)  # type: ignore[no-any-return]


def cell(values: dict[str, Any], category: str, method: str = "Common3D", **more: str) -> dict[str, Any]:
    wanted = {"category": category, "method": method, **more}
    found = [c for c in values["cells"] if all(c[k] == v for k, v in wanted.items())]
    assert len(found) == 1, wanted
    return found[0]


@pytest.fixture
def table8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two of the five models of Table 8: one 1 below the paper, one 3 below; chairs 10 lower still, no tv."""
    for number, reference in enumerate(("r0", "r3")):
        for spec in specs("cvpr25-table8", shape_model="common3d", settings={"data.reference": reference}):
            name = spec.categories[0]
            if name != "tv":
                value = PUBLISHED[name] - (1.0, 3.0)[number] - (10.0 if name == "chair" else 0.0)
                plan = planned(with_data(spec, alignment="aligned"), monkeypatch, SHA[:-1] + str(number))
                write(tmp_path, plan, {POSE: {name: value, "mean": value}})
    return tmp_path


def test_the_mean_over_references_is_set_beside_the_printed_number(
    table8: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = compared(capsys, "cvpr25-table8", table8)
    bus = cell(values, "bus")
    assert bus["measured"]["value"] == pytest.approx(80.9) and bus["difference"] == pytest.approx(-2.0)
    assert bus["verdict"] == "within" and (bus["measured"]["models"], bus["models_wanted"]) == (2, 5)
    assert bus["measured"]["spread"] == pytest.approx(statistics.stdev([81.9, 79.9]))
    half = 12.7062 * statistics.stdev([81.9, 79.9]) / 2**0.5  # Student's t with one degree of freedom
    assert bus["measured"]["interval"] == pytest.approx([80.9 - half, 80.9 + half], abs=1e-3)
    assert cell(values, "chair")["verdict"] == "outside" and cell(values, "chair")["difference"] == pytest.approx(-12)
    assert cell(values, "tv")["verdict"] == "not measured" and cell(values, "tv")["measured"] is None
    assert cell(values, "mean")["verdict"] == "not measured"  # of seven categories six are there
    assert values["coverage"] == {"printed": 40, "comparable": 24, "measured": 6, "within": 5}
    assert {c["verdict"] for c in values["cells"] if c["method"] in ("StarMap", "VoGE")} == {"cannot be compared"}


def test_the_mean_is_the_unweighted_one_over_categories(
    table8: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = specs("cvpr25-table8", shape_model="common3d", settings={"data.reference": "r0"}, categories=("tv",))[0]
    write(table8, planned(spec, monkeypatch), {POSE: {"tv": 44.1, "mean": 44.1}})
    mean = cell(compared(capsys, "cvpr25-table8", table8), "mean")
    by_hand = (sum(PUBLISHED.values()) - 6 * 2 - 10 - 7) / 7
    assert mean["measured"]["value"] == pytest.approx(by_hand)
    assert mean["measured"]["models"] == 1  # only r0 has every category
    assert mean["verdict"] == "outside" and mean["measured"]["spread"] is None


def test_check_fails_where_a_cell_is_outside_and_only_there(
    table8: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, "cvpr25-table8", "--results", table8, "--check")[0] == 1
    assert run(capsys, "cvpr25-table8", "--results", table8)[0] == 0
    for path in table8.glob("runs/*/*/record.json"):
        if '"category": "chair"' in path.read_text(encoding="utf-8"):
            path.unlink()
    assert run(capsys, "cvpr25-table8", "--results", table8, "--check")[0] == 0


def test_what_the_terminal_shows(
    table8: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for width in (80, 100):
        monkeypatch.setenv("COLUMNS", str(width))
        _, out, _ = run(capsys, "cvpr25-table8", "--results", table8)
        assert max(map(len, out.splitlines())) <= width
        bus = next(line for line in out.splitlines() if line.startswith("bus "))
        assert bus.split()[1] == "80.9" and "2/5" in bus and "-2.0 (±5.0)" in bus and bus.rstrip().endswith("within")
        tv = next(line for line in out.splitlines() if line.startswith("tv "))
        assert tv.split()[1:3] == ["-", "0/5"] and tv.rstrip().endswith("not measured")
        assert "6 of 24 cells are measured: 5 within tolerance, 1 outside." in " ".join(out.split())
        assert "6 cells rest on fewer models" in " ".join(out.split())
        assert "Known reasons for a difference" in out and "supervised, quoted in the paper" in out


def test_nothing_measured_is_shown_as_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    values = compared(capsys, "cvpr25-table8", tmp_path)
    assert values["coverage"]["measured"] == 0
    assert all(c["measured"] is None and c["difference"] is None for c in values["cells"])
    assert run(capsys, "cvpr25-table8", "--results", tmp_path / "not there")[0] == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"marks": Marks(synthetic_data=True)}, "synthetic data"),
        ({"marks": Marks(random_weights=True)}, "random weights"),
        ({"marks": Marks(limited=10)}, "limited to a few samples"),
        ({"status": "failed"}, "not finished"),
    ],
)
def test_what_is_not_real_never_counts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    reason: str,
) -> None:
    spec = specs("cvpr25-table8", settings={"data.reference": "r1"}, categories=("bus",))[0]
    write(tmp_path, planned(spec, monkeypatch), {POSE: {"bus": 82.9, "mean": 82.9}}, **change)
    values = compared(capsys, "cvpr25-table8", tmp_path, "--include-synthetic")
    bus = cell(values, "bus")
    assert bus["verdict"] == "not measured" and bus["measured"] is None
    assert values["left_out"] == {reason: 1} and values["coverage"]["measured"] == 0
    assert (bus["not_comparable"] is None) == (reason == "not finished")
    _, out, _ = run(capsys, "cvpr25-table8", "--results", tmp_path)
    assert "82.9 [" not in out and reason in out
    _, out, _ = run(capsys, "cvpr25-table8", "--results", tmp_path, "--include-synthetic")
    assert "NOT COMPARABLE" in out and ("82.9 [" in out) == (reason != "not finished")
    assert "not_comparable" not in cell(compared(capsys, "cvpr25-table8", tmp_path), "bus")


def test_other_settings_other_data_and_other_models_do_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = specs("cvpr25-table8", settings={"data.reference": "r1"}, categories=("bus",))[0]
    scores = {POSE: {"bus": 82.9, "mean": 82.9}}
    changed = replace(spec, settings={**spec.settings, "shape": {"preset": "paper", "refine_starts": 8}})
    write(tmp_path, planned(changed, monkeypatch), scores)
    write(tmp_path, planned(with_data(spec, max_sequences=5), monkeypatch, "1" * 64), scores)
    write(tmp_path, planned(with_data(spec, reference=None), monkeypatch, "2" * 64), scores)
    write(tmp_path, planned(replace(spec, protocol="box2d"), monkeypatch), scores)  # nothing of this table's
    values = compared(capsys, "cvpr25-table8", tmp_path)
    assert cell(values, "bus")["verdict"] == "not measured"
    assert sum(values["left_out"].values()) == 3
    assert any(reason.startswith("another shape model") for reason in values["left_out"])
    assert {"trained on other data", "reference that is none of the target's"} <= set(values["left_out"])


def test_seeds_are_averaged_within_their_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for reference, seed, value in (("r0", 0, 80.0), ("r0", 1, 90.0), ("r1", 0, 79.0)):
        spec = specs("cvpr25-table8", settings={"data.reference": reference}, categories=("bus",))[0]
        plan = planned(replace(spec, seed=seed), monkeypatch, SHA[:-1] + reference[1])
        write(tmp_path, plan, {POSE: {"bus": value, "mean": value}})
    bus = cell(compared(capsys, "cvpr25-table8", tmp_path), "bus")
    assert bus["measured"]["value"] == pytest.approx((85 + 79) / 2) and bus["measured"]["models"] == 2
    assert len(bus["measured"]["runs"]) == 3


def test_older_records_count_by_their_fits_and_the_table_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = specs("cvpr25-table8", settings={"data.reference": "r0"}, categories=("bus",))[0]
    for digit, value in (("1", 80.0), ("2", 84.0)):
        plan = planned(spec, monkeypatch, digit * 64)
        write(tmp_path, plan, {POSE: {"bus": value, "mean": value}}, data_settings=False)
    bus = cell(compared(capsys, "cvpr25-table8", tmp_path), "bus")
    assert bus["measured"]["models"] == 2 and bus["measured"]["unnamed"]
    assert "do not say which of the models" in run(capsys, "cvpr25-table8", "--results", tmp_path)[1]


def test_one_run_keeps_the_interval_of_its_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("bicycle", "bus", "car", "chair", "motorcycle", "tv")
    spec = replace(specs("cvpr25-table5", shape_model="none")[0], categories=names)
    row = dict(zip((*names, "mean"), (62.0, 52.3, 51.5, 36.2, 61.0, 24.2, 47.9), strict=True))
    write(tmp_path, planned(spec, monkeypatch), {"PCK@0.1": row}, interval=(2.0, 1.0))
    values = compared(capsys, "cvpr25-table5", tmp_path)
    mean = cell(values, "mean", "DINOv2 ViT-B")
    assert mean["measured"]["value"] == pytest.approx(47.8667, abs=1e-4)  # of the categories, not the record's own
    assert mean["measured"]["interval"] == pytest.approx([45.9, 48.9]) and mean["tolerance"] == 1.0
    assert mean["models_wanted"] == 1 and values["coverage"]["within"] == 7


def test_an_open_protocol_is_compared_in_every_way_and_one_within_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MAE's APE is printed as 20.58: paper-mask 0.8 above it with an interval of 0.4 to both sides, paper far off."""
    for protocol, value in (("paper-mask", 21.38), ("paper", 30.0)):
        spec = specs("iclr25-features", backbone="mae", task="multiview-equivariance", protocol=protocol)[0]
        write(tmp_path, planned(spec, monkeypatch), {"APE": {"all": value, "mean": value}}, interval=(0.4, 0.4))
    values = compared(capsys, "iclr25-comparison", tmp_path)
    ape = {"metric": "APE", "task": "multiview-equivariance"}
    near = cell(values, "mean", "MAE", compared_as="paper-mask", **ape)
    assert near["verdict"] == "within" and near["tolerance"] == pytest.approx(0.9)
    assert cell(values, "mean", "MAE", compared_as="paper", **ape)["verdict"] == "outside"
    assert values["coverage"] == {"printed": 40, "comparable": 40, "measured": 1, "within": 1}
    assert run(capsys, "iclr25-comparison", "--results", tmp_path, "--check")[0] == 0


def test_a_wide_interval_does_not_make_everything_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = specs("iclr25-features", backbone="mae", task="multiview-equivariance", protocol="paper-mask")[0]
    write(tmp_path, planned(spec, monkeypatch), {"APE": {"all": 25.0, "mean": 25.0}}, interval=(20.0, 20.0))
    found = cell(compared(capsys, "iclr25-comparison", tmp_path), "mean", "MAE", compared_as="paper-mask", metric="APE",
                 task="multiview-equivariance")  # fmt: skip
    assert found["tolerance"] == pytest.approx(1.0) and found["verdict"] == "outside"


def test_a_run_of_some_categories_has_no_mean_to_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = specs("iclr25-correlation", backbone="mae", settings={"data.list": "same"})[0]
    write(tmp_path, planned(replace(spec, categories=("cat",)), monkeypatch), {"PCK@0.1": {"cat": 31.0, "mean": 31.0}})
    values = compared(capsys, "iclr25-correlation", tmp_path)
    assert values["coverage"]["measured"] == 0 and values["left_out"] == {"other categories": 1}
    write(tmp_path, planned(spec, monkeypatch), {"PCK@0.1": {"cat": 90.0, "mean": 31.4}})
    found = [c for c in compared(capsys, "iclr25-correlation", tmp_path)["cells"] if c["measured"]]
    assert [(c["method"], c["compared_as"], c["published"]) for c in found] == [("MAE", "same views", 31.0)]


def test_files_hold_the_same_numbers(table8: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, page = tmp_path / "out" / "t.csv", tmp_path / "out" / "t.md"
    assert run(capsys, "cvpr25-table8", "--results", table8, "--csv", table, "--markdown", page)[0] == 0
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    bus = next(r for r in rows if (r["method"], r["category"]) == ("Common3D", "bus"))
    assert float(bus["measured"]) == pytest.approx(80.9) and float(bus["published"]) == 82.9
    assert (bus["models"], bus["models_wanted"], bus["verdict"]) == ("2", "5", "within")
    assert len(rows) == 40 and next(r for r in rows if r["category"] == "tv")["measured"] == ""
    text = page.read_text(encoding="utf-8")
    assert "| 2/5 | 82.9 | -2.0 | 5.0 | within |" in text and "6 of 24 cells are measured" in text


def test_run_hands_the_grid_over_and_compares_afterwards(
    table8: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    from bench3d.cli import grid

    asked: list[dict[str, Any]] = []

    def fake(**values: Any) -> None:
        asked.append(values)
        print("what the grid says")
        raise typer.Exit(1)

    monkeypatch.setattr(grid, "run", fake)
    code, out, err = run(
        capsys, "cvpr25-table8", "--results", table8, "--run", "--json", "--workers", 3, "--executor", "slurm",
        "--set", "data.alignment=a.json",
    )  # fmt: skip
    assert code == 1 and json.loads(out)["coverage"]["measured"] == 6 and "what the grid says" in err
    (values,) = asked
    assert values["grid"] == "cvpr25-table8" and values["results"] == table8 and values["executor"] == "slurm"
    assert values["workers"] == 3 and values["settings"] == ["data.alignment=a.json"]


def test_run_without_data_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH3D_DATA", str(tmp_path / "data"))
    code, out, _ = run(capsys, "cvpr25-table8", "--results", tmp_path / "r", "--run", "--offline")
    assert code == 1 and "pascal3d was not found" in " ".join(out.split()) and "0 of 24 cells" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cvpr25-tabel8"], "Did you mean cvpr25-table8"),
        (["cvpr25-table1", "--run"], "has no runs"),
        (["cvpr25-table8", "--executor", "local"], "--executor is for --run"),
        (["cvpr25-table8", "--workers", "2"], "--workers is for --run"),
        (["cvpr25-table8", "--run", "--set", "shape.refine_starts=8"], "runs with the settings of its grid"),
        (["--plan"], "needs a target"),
    ],
)
def test_wrong_options_are_a_sentence(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 2 and words in " ".join(err.split())


def test_a_table_whose_cells_are_not_held_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--plan"], ["--check"]):
        code, out, _ = run(capsys, "cvpr25-table1", *more)
        assert code == 0 and "none are made up" in " ".join(out.split()) and "cvpr25-table8" in out


def test_the_plan_names_data_weights_files_and_hours(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH3D_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    more = ("--results", tmp_path / "r", "--set", "data.alignment=a.json")
    code, out, _ = run(capsys, "cvpr25-table8", "--plan", "--json", *more)
    values = json.loads(out)
    needs = {n["what"]: n for n in values["needs"]}
    assert code == 0 and not (tmp_path / "r").exists()
    assert "data fetch co3d --category bicycle,bus,car" in needs["co3d"]["how"] and needs["co3d"]["state"] == "missing"
    assert needs["pascal3d"]["state"] == "missing" and "PASCAL3D+_release1.1.zip" in needs["pascal3d"]["how"]
    assert needs["dinov2"]["how"] == "bench3d data fetch cvpr25-table8"
    states = [n["state"] for n in values["needs"] if n["kind"] == "files"]
    assert states == ["given", "not given"]
    assert (values["cost"]["runs"], values["cost"]["runs_left"], values["cost"]["fits_left"]) == (77, 77, 77)
    assert 35 < values["cost"]["gpu_hours"] < 3500
    assert sum(values["not_possible"].values()) == 16
    _, text, _ = run(capsys, "cvpr25-table8", "--plan", *more)
    assert "at most 10 hours a model" in text and "24 of 40 printed ones" in text


def test_the_plan_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from bench3d.cli.main import main; "
        "assert main(['reproduce']) == 0 and main(['reproduce', 'cvpr25-table8', '--plan']) == 0 "
        "and main(['reproduce', 'cvpr25-table8']) == 0; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_every_shipped_target_holds_and_names_its_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    from bench3d.grid.files import read_grid

    tables = {3: 16, 5: 21, 6: 20, 8: 40, 9: 63, 10: 42}
    for name in target_names():
        loaded = load_target(name)
        if loaded.target.unavailable:
            assert all(other in target_names() for other in loaded.target.see)
            continue
        assert loaded.target.reasons
        if loaded.target.grid:
            read_grid(loaded.target.grid)
    for table, printed in tables.items():
        cells = load_target(f"cvpr25-table{table}").cells
        assert len({c.number for c in cells}) == printed
    code, out, _ = run(capsys)
    assert code == 0 and out.index("cvpr25-table9") < out.index("cvpr25-table10")


def shipped(name: str) -> dict[str, Any]:
    return yaml.safe_load(targets._files()[name].read_text(encoding="utf-8"))  # type: ignore[no-any-return]


BROKEN = {
    "unknown key": (lambda t: t | {"colour": "red"}, "field colour"),
    "nested key": (lambda t: t | {"tolerance": [{**t["tolerance"][0], "valeu": 2}]}, "field tolerance.0.valeu"),
    "no source": (lambda t: t | {"source": "nobody"}, "field source"),
    "no place": (lambda t: t | {"where": "Table 80"}, "field where"),
    "row left out": (lambda t: t | {"blocks": t["blocks"][:-1]}, "none holds the printed row ZSP"),
    "row invented": (lambda t: t | {"blocks": [*t["blocks"], {"method": "Mine", "cannot": "x"}]}, "blocks.4.method"),
    "neither nor": (lambda t: t | {"blocks": [{"method": "*"}]}, "either runs or cannot"),
    "no tolerance": (lambda t: t | {"tolerance": t["tolerance"][:1]}, "field tolerance"),
    "zero tolerance": (lambda t: t | {"tolerance": [{"value": 0, "because": "x"}]}, "field tolerance.0.value"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_target_is_a_sentence_that_names_file_and_field(case: str, tmp_path: Path) -> None:
    change, words = BROKEN[case]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(change(shipped("cvpr25-table8"))), encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_target(path, load_reported())
    assert "mine.yaml" in str(error.value) and words in str(error.value), str(error.value)


def test_a_target_that_is_no_yaml_ends_the_command_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("title: [", encoding="utf-8")
    monkeypatch.setattr(targets, "_files", lambda: {"mine": path})
    code, _, err = run(capsys, "mine")
    assert code == 3 and "mine.yaml is no valid YAML" in err
