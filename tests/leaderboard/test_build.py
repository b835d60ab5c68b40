"""From records on disk to a board: what is compared, who is ranked, what is refused."""

import json
import shutil

import numpy as np
import pytest
import records_made as made

import bench3d.leaderboard.links
from bench3d.contracts import MetricSpec
from bench3d.errors import DataError
from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.build import build_board
from bench3d.leaderboard.entries import find_entries
from bench3d.records import identity_hash

N = 60


def errors(right, seed=0):
    """Errors of N buses and N cars, of which a fraction `right` counts as correct."""
    rng = np.random.default_rng(seed)
    return {c: np.where(rng.random(N) < right, 10.0, 60.0).tolist() for c in ("bus", "car")}


def board_of(*folders):
    entries, refused = find_entries(folders)
    return build_board(entries, refused=refused, reported=False)


def add(results, backbone, right, **changes):
    seed = changes.pop("draw", 0)
    return made.write(results, made.measurement(backbone, **changes), made.samples(errors(right, seed)))


def test_rows_are_ordered_ranked_and_marked(tmp_path):
    for backbone, right in (("weak", 0.2), ("strong", 0.9), ("alike", 0.88)):
        add(tmp_path, backbone, right)
    (table,) = board_of(tmp_path).tables
    assert [r.title for r in table.rows] == ["strong", "alike", "weak"]
    assert [r.rank for r in table.rows] == [(1, 2), (1, 2), (3, 3)]
    assert [r.groups for r in table.rows] == ["a", "a", "b"]
    cells = [r.cell("accuracy@30deg") for r in table.rows]
    assert [(c.best, c.tied) for c in cells] == [(True, True), (False, True), (False, False)]
    assert [m.name for m in table.metrics] == ["accuracy@30deg", "median error"]
    assert cells[0].chance == pytest.approx(10.0) and cells[0].n == 2 * N and cells[0].interval[0] < cells[0].value
    assert table.rows[0].cell("accuracy@30deg", "bus").n == N and table.comparisons == 3
    assert [point[0] for point in table.rows[0].curve["accuracy@30deg"]] == ["000-030", "030-060"]
    weak = errors(0.2)
    expected = np.mean([100 * np.mean(np.array(weak[c][0::2]) < 30) for c in weak])
    assert table.rows[2].curve["accuracy@30deg"][0][1] == pytest.approx(expected)


def test_lower_is_better_turns_ranks_and_marks(tmp_path):
    distance = MetricSpec(name="error", value="error", reduce="mean", unit="deg", higher_is_better=False)
    for backbone, right in (("bad", 0.2), ("good", 0.9)):
        values = made.samples(errors(right))
        made.write(tmp_path, made.measurement(backbone), values, specs=(distance,))
    (table,) = board_of(tmp_path).tables
    assert [(r.title, r.rank) for r in table.rows] == [("good", (1, 1)), ("bad", (2, 2))]
    assert table.rows[0].cell("error").best and not table.rows[1].cell("error").tied


def test_untrained_networks_have_no_rank_and_synthetic_data_a_table_of_their_own(tmp_path):
    add(tmp_path, "real", 0.5)
    untrained = {"name": "vit", "result_version": 1, "settings": {}, "weights": "random"}
    made.write(tmp_path, made.measurement("vit", backbone=untrained), made.samples(errors(0.99)), label="vit")
    twin = {**made.measurement("x")["dataset"], "synthetic": True}
    add(tmp_path, "real", 1.0, dataset=twin)
    real, synthetic = board_of(tmp_path).tables
    assert not real.synthetic and synthetic.synthetic and len(synthetic.rows) == 1
    assert [(r.title, r.rank, r.unranked_because) for r in real.rows] == [
        ("real", (1, 1), ""),
        ("vit (untrained)", None, "random weights"),
    ]
    assert real.rows[0].cell("accuracy@30deg").best and not real.rows[1].cell("accuracy@30deg").tied


def test_a_model_that_was_given_more_than_the_others_has_no_rank(tmp_path):
    add(tmp_path, "plain", 0.5)
    made.write(tmp_path, made.measurement("told"), made.samples(errors(0.99)), oracles=["category", "depth:cad"])
    made.write(tmp_path, made.measurement("fair"), made.samples(errors(0.7)), oracles=["category"])
    (table,) = board_of(tmp_path).tables
    assert {r.title: r.unranked_because for r in table.rows} == {
        "plain": "", "fair": "also given category", "told": "also given category, depth:cad"
    }  # fmt: skip
    assert table.oracles == ()


def test_other_data_settings_and_limits_are_other_tables(tmp_path):
    data = made.measurement("x")["dataset"]
    other = {**data, "fingerprints": {"bus": "d" * 64, "car": "c" * 64}}
    hard = {"name": "made-up", "result_version": 1, "settings": {"split": "hard"}}
    add(tmp_path, "a", 0.5)
    add(tmp_path, "a", 0.5, dataset=other)
    add(tmp_path, "a", 0.5, task=hard)
    add(tmp_path, "a", 0.5, limit=10)
    board = board_of(tmp_path)
    assert len({t.id for t in board.tables}) == 4 and all(len(t.rows) == 1 for t in board.tables)
    assert sorted(t.limited or 0 for t in board.tables) == [0, 0, 0, 10]
    assert len({t.title for t in board.tables}) == 4, [t.title for t in board.tables]


def test_a_run_of_one_category_is_compared_on_what_it_has_and_stands_after_whole_ones(tmp_path):
    add(tmp_path, "whole", 0.5)
    data = made.measurement("x")["dataset"]
    car = {**data, "fingerprints": {"car": "c" * 64}}
    values = made.samples({"car": errors(0.98)["car"]})
    made.write(tmp_path, made.measurement("part", dataset=car, categories=["car"]), values)
    (table,) = board_of(tmp_path).tables
    assert [(r.title, r.coverage, r.rank) for r in table.rows] == [("whole", (2, 2), (2, 2)), ("part", (1, 2), (1, 1))]
    assert table.rows[0].cell("accuracy@30deg").best  # of those that have all categories
    assert table.rows[1].cell("accuracy@30deg", "car").best and not table.rows[1].cell("accuracy@30deg", MEAN).best


def test_variants_stand_under_one_family_and_say_how_they_differ(tmp_path):
    for grid in (32, 16, 64):
        backbone = {"name": "net", "result_version": 1, "settings": {"grid": grid}, "weights": None}
        made.write(tmp_path, made.measurement("net", backbone=backbone), made.samples(errors(0.5, grid)), label="net")
    made.write(tmp_path, made.measurement("net", seed=3), made.samples(errors(0.5, 9)), label="net")
    (table,) = board_of(tmp_path).tables
    assert {r.family for r in table.rows} == {"net/none/none"}
    assert sorted(r.variant for r in table.rows) == ["", "grid=16", "grid=64", "seed=3"]
    assert len({r.model for r in table.rows}) == 1  # the size of the input is the task's business


def test_a_swapped_sidecar_a_broken_record_and_an_unfinished_run_are_refused_with_reasons(tmp_path):
    add(tmp_path, "whole", 0.5)
    swapped, better = add(tmp_path, "swapped", 0.3), add(tmp_path, "better", 0.9)
    shutil.copy(better.parent / "samples.jsonl", swapped.parent / "samples.jsonl")
    broken = add(tmp_path, "broken", 0.4)
    value = json.loads(broken.read_text())
    value["scores"][0]["value"] = "high"
    broken.write_text(json.dumps(value))
    made.write(
        tmp_path, made.measurement("failed"), made.samples(errors(0.5)), status="failed", message="ValueError: no"
    )
    board = board_of(tmp_path)
    assert {r.title for r in board.tables[0].rows} == {"whole", "better"}
    reasons = {r.path.split("/")[-2].split("-")[0]: r.reason for r in board.refused}
    assert set(reasons) == {"swapped", "broken", "failed"}
    assert "not the sidecar" in reasons["swapped"] and "scores.0.value" in reasons["broken"]
    assert reasons["failed"] == "failed: ValueError: no"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task": {"name": 3}}, "task"),
        ({"protocol": "paper"}, "protocol"),
        ({"dataset": {"name": "made", "synthetic": "yes"}}, "dataset.synthetic"),
        ({"adapter": ["a"]}, "adapter"),
        ({"limit": "many"}, "limit"),
    ],
)
def test_a_measurement_of_another_shape_is_refused_by_its_field(tmp_path, change, field):
    path = add(tmp_path, "net", 0.5)
    value = json.loads(path.read_text())
    value["identity"]["measurement"].update(change)
    value["identity"]["hash"] = identity_hash(value["identity"]["measurement"])
    path.write_text(json.dumps(value))
    board = board_of(tmp_path)
    assert board.tables == [] and f"measurement.{field}:" in board.refused[0].reason


def test_a_sidecar_of_another_shape_is_refused(tmp_path):
    path = add(tmp_path, "net", 0.5)
    sidecar = path.parent / "samples.jsonl"
    sidecar.write_text(sidecar.read_text().replace('"error": 10.0', '"error": "ten", "parts": [1]'))
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "samples_sha256": None}))
    board = board_of(tmp_path)
    assert board.tables == [] and "samples.jsonl" in board.refused[0].reason


def test_without_a_sidecar_a_run_is_shown_but_not_ranked(tmp_path):
    add(tmp_path, "whole", 0.5)
    (add(tmp_path, "bare", 0.9).parent / "samples.jsonl").unlink()
    (table,) = board_of(tmp_path).tables
    assert [(r.title, r.unranked_because) for r in table.rows] == [
        ("whole", ""),
        ("bare", "no values of single samples"),
    ]


def test_an_identity_stands_once_and_a_contradiction_is_told(tmp_path):
    add(tmp_path / "one", "net", 0.5)
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    add(tmp_path / "other", "net", 0.9)
    entries, refused = find_entries([tmp_path / "one", tmp_path / "copy"])
    assert len(entries) == 1 and refused == []
    entries, refused = find_entries([tmp_path / "one", tmp_path / "other"])
    assert len(entries) == 1 and entries[0].path.is_relative_to(tmp_path / "one")
    assert [r.reason for r in refused] == ["another record of this run has other scores"]
    with pytest.raises(DataError, match="no folder"):
        find_entries([tmp_path / "nowhere"])


def test_two_tasks_are_correlated_over_the_models_that_both_have(tmp_path, monkeypatch):
    rights = {"a": 0.2, "b": 0.4, "c": 0.6, "d": 0.8, "e": 0.95}
    distance = MetricSpec(name="error", value="error", reduce="mean", unit="deg", higher_is_better=False)
    task = {"name": "views", "result_version": 1, "settings": {}}
    for name, right in rights.items():
        add(tmp_path, name, right)
        values = made.samples(errors(right))
        made.write(tmp_path, made.measurement(name, task=task), values, specs=(distance,))
    add(tmp_path, "only pose", 0.5)
    entries, _ = find_entries([tmp_path])
    tables = build_board(entries, reported=False).tables
    aspects = {t.id: "equivariance" if t.task == "views" else "pose" for t in tables}
    (link,) = bench3d.leaderboard.links.correlations(tables, aspects)
    assert (link.n, link.rho) == (5, 1.0) and {p.title for p in link.points} == set(rights)
    assert link.interval[0] > 0 and link.interval[1] == 1.0 and link.p_value == pytest.approx(2 / 120)
    assert bench3d.leaderboard.links.correlations(tables, dict.fromkeys(aspects, "pose")) == []


def test_what_papers_report_stands_beside_measured_rows_or_alone(tmp_path):
    task = {"name": "pascal3d-pose", "result_version": 1, "settings": {}}
    add(tmp_path, "net", 0.5, task=task)
    entries, _ = find_entries([tmp_path])
    board = build_board(entries)
    measured = board.tables[0]
    assert (measured.task, len(measured.rows)) == ("pascal3d-pose", 1)
    common3d = next(r for r in measured.reported if r.method == "Common3D")
    assert common3d.values["accuracy@30deg"] == {"bus": 82.9, "car": 99.3, MEAN: 75.3}
    assert "over 7 categories" in common3d.differs
    alone = {t.task: t for t in board.tables[1:]}
    assert "pascal3d-pose" not in alone and {"spair71k", "objectnet3d-pose", "tapvid-davis"} <= set(alone)
    assert all(t.rows == () and t.reported and t.protocol == "as published" for t in alone.values())
    assert not alone["multiview-equivariance"].metrics[0].higher_is_better
    assert build_board(entries, reported=False).tables[0].reported == ()
