"""The committed rows of the papers against cells picked by hand from the protocol pages, and their own averages."""

from __future__ import annotations

import shutil
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import pytest

from bench3d.errors import DataError
from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.reported import load_reported, read_reported, reported_rows

PICKED = [  # task, where, method, metric, category, value: protocols/common3d.md section 6 and tasks.md a, c, e, f, i
    ("pascal3d-pose", "Table 8", "ZSP", "accuracy@30deg", "bus", 21.4),
    ("pascal3d-pose", "Table 8", "UOP3D", "accuracy@30deg", "couch", 76.6),
    ("pascal3d-pose", "Table 8", "Common3D", "accuracy@30deg", "bus", 82.9),
    ("pascal3d-pose", "Table 8", "VoGE", "accuracy@30deg", MEAN, 90.9),
    ("pascal3d-pose", "Table 6", "Common3D", "accuracy@10deg", MEAN, 21.0),
    ("pascal3d-pose", "Results on PASCAL3D+", "NeMo, multi cuboid", "median error", MEAN, 8.5),
    ("objectnet3d-pose", "Table 9", "Common3D", "accuracy@30deg", "bus", 81.1),
    ("objectnet3d-pose", "Table 9", "Common3D", "accuracy@30deg", "suitcase", 15.7),
    ("objectnet3d-seg", "Table 10", "Common3D", "IoU", MEAN, 67.0),
    ("pascal3d-seg", "Table 3", "Common3D", "IoU", "bicycle", 29.3),
    ("spair71k", "Table 5", "DINOv2 ViT-B", "PCK@0.1", "tv", 24.2),
    ("spair71k", "Table 5", "SphericalMaps", "PCK@0.1", "bus", 73.3),
    ("spair71k", "Table 6", "w/o adapter", "PCK@0.1", MEAN, 32.4),
    ("multiview-equivariance", "Comparison of ViT features", "DINOv2", "APE", MEAN, 19.12),
    ("multiview-equivariance", "Comparison of ViT features", "CLIP", "PCDP@0.2", MEAN, 57.17),
    ("mvimgnet-equivariance", "Comparison of ViT features", "DINOv2-Reg", "PCDP@0.05", MEAN, 64.54),
    ("onepose-lowtexture", "OnePose-LowTexture", "OnePose++", "accuracy@5cm5deg", MEAN, 72.1),
    ("tapvid-davis", "README, DAVIS", "TAPNext", "AJ", MEAN, 65.25),
]


def test_picked_cells_are_as_printed() -> None:
    values = load_reported().values
    for task, where, method, metric, category, value in PICKED:
        mine = [v for v in values if (v.task, v.where, v.method, v.metric) == (task, where, method, metric)]
        assert value in [v.value for v in mine if v.category == category], (task, where, method, metric, category)
    assert sum(v.source == "common3d" for v in values) == 202
    assert sum(v.where == "Comparison of ViT features" for v in values) == 5 * 2 * 4


def test_printed_means_are_those_of_their_categories() -> None:
    """All fifteen rows with categories agree within rounding: none of the tables holds a misprint of that kind."""
    rows: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for v in load_reported().values:
        rows[v.source, v.where, v.method, v.setting, v.task, v.metric][v.category] = v.value
    whole = {key: row for key, row in rows.items() if len(row) > 1}
    assert len(whole) == 15
    for key, row in whole.items():
        categories = [value for name, value in row.items() if name != MEAN]
        assert sum(categories) / len(categories) == pytest.approx(row[MEAN], abs=0.1 + 1e-9), key
    assert {len(row) - 1 for row in whole.values()} == {6, 7, 20}


def test_what_is_read_off_a_plot_says_so() -> None:
    for v in load_reported().values:
        assert v.read_off == (v.where in ("Correlation plot", "Figure of single training objects")), v
    assert all(row.read_off for row in reported_rows("pf-pascal", "mef", ["PCK@0.1"], []))


def test_every_row_names_its_source_and_place() -> None:
    reported = load_reported()
    for v in reported.values:
        source = reported.sources[v.source]
        assert source.places[v.where].about and source.citation and source.url
    used = {(v.source, v.where) for v in reported.values}
    assert used == {(key, where) for key, source in reported.sources.items() for where in source.places}


def test_a_table_gets_the_rows_of_its_metrics_and_categories() -> None:
    rows = reported_rows("pascal3d-pose", "paper", ["accuracy@30deg"], ["car", "chair"])
    ours = next(r for r in rows if (r.method, r.where) == ("Common3D", "Table 8"))
    assert ours.values == {"accuracy@30deg": {"car": 99.3, "chair": 67.8, MEAN: 75.3}}
    assert "over 7 categories, this table's over 2" in ours.differs and ours.differs.endswith(".")
    assert not reported_rows("pascal3d-pose", "paper", ["no such metric"], ["car"])
    assert not reported_rows("no-such-task", "paper", ["accuracy@30deg"], [])


def test_what_sets_a_reported_row_apart_depends_on_the_protocol() -> None:
    seven = ["bicycle", "bus", "car", "chair", "couch", "motorcycle", "tv"]

    def differs(protocol: str) -> str:
        rows = reported_rows("pascal3d-pose", protocol, ["accuracy@30deg"], seven)
        return next(r.differs for r in rows if (r.method, r.where) == ("Common3D", "Table 8"))

    assert "five reference sequences" in differs("paper") and "translation" not in differs("paper")
    assert "Translation, intrinsics" in differs("box2d")
    raw = reported_rows("spair71k", "common3d", ["PCK@0.1"], ["bicycle", "bus", "car", "chair", "motorcycle", "tv"])
    assert next(r.differs for r in raw if r.method == "DINOv2 ViT-B") == ""


def test_their_tasks_and_metrics_are_called_as_the_plugins_call_them() -> None:
    from bench3d.plugins import load_registry

    names = set(load_registry().names("task"))
    headlines = {n: load_registry().get("task", n).headline for n in names}  # type: ignore[attr-defined]
    metrics: dict[str, set[str]] = defaultdict(set)
    for v in load_reported().values:
        metrics[v.task].add(v.metric)
    for task in names & set(metrics):
        assert headlines[task] in metrics[task], task


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("82.9", "much"), ("common3d.csv, line", "field value")),
        (("Table 8", "Table 88"), ("common3d.csv, line 2", "field where", "Table 88")),
        (("common3d,", "nobody,"), ("field source", "nobody")),
        ((",no\n", ",perhaps\n"), ("field read_off",)),
    ],
)
def test_a_broken_file_is_a_sentence(tmp_path: Path, wrong: tuple[str, str], words: tuple[str, ...]) -> None:
    folder = tmp_path / "reported"
    shutil.copytree(str(files("bench3d.leaderboard_files") / "reported"), folder)
    table = folder / "common3d.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(*wrong, 1), encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_reported(folder)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_cell_printed_twice_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "reported"
    shutil.copytree(str(files("bench3d.leaderboard_files") / "reported"), folder)
    table = folder / "common3d.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="twice"):
        read_reported(folder)
