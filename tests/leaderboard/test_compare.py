"""Two records, two folders: what differs, whether it may be compared, and by how much, worked by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from result_folders import ACCURACY, FINGERPRINTS, MEDIAN, make_run, samples_of

from bench3d.contracts import MetricSpec
from bench3d.errors import DataError
from bench3d.leaderboard.board import MEAN
from bench3d.leaderboard.compare import Change, common_metrics, differences, obstacles
from bench3d.leaderboard.compare_folders import compare_folders
from bench3d.leaderboard.compare_paired import Comparison, compare_records
from bench3d.records import read_record

ERRORS = {"car": [10, 40, 10, 40], "chair": [5, 80, 20, 100, 15]}
BETTER = {"car": [10, 10, 10, 40], "chair": [5, 20, 20, 100, 15]}


def compare(a: Path, b: Path, samples: int = 10) -> Comparison:
    return compare_records((read_record(a), a), (read_record(b), b), samples=samples)


def found(comparison: Comparison, metric: str, category: str = MEAN):
    of_metric = next(ds for m, ds in comparison.metrics if m.name == metric)
    return next(d for d in of_metric if d.category == category)


def test_differences_are_told_field_by_field():
    a = {"x": {"y": 1, "same": [1]}, "gone": 0, "list": [1, 2], "truth": True, "number": 1.0}
    b = {"x": {"y": 2, "same": [1]}, "new": None, "list": [1], "truth": 1, "number": 1}
    assert differences(a, b) == [
        Change("x.y", 1, 2),
        Change("gone", 0, "-"),
        Change("list", [1, 2], [1]),
        Change("truth", True, 1),
        Change("new", "-", None),
    ]


def test_a_difference_worked_by_hand(tmp_path):
    """Of four cars B gets one more right: d = (0, 100, 0, 0), mean 25, error 25, t(0.975, 3) = 3.1824."""
    a = make_run(tmp_path / "a", {"car": ERRORS["car"]})
    b = make_run(tmp_path / "b", {"car": BETTER["car"]}, backbone="rgb")
    comparison = compare(a, b)
    assert comparison.obstacles == [] and (comparison.shared, comparison.only_a, comparison.only_b) == (4, 0, 0)
    assert [c.field for c in comparison.measurement] == ["backbone.name"]
    one = found(comparison, ACCURACY.name, "car")
    assert (one.a, one.b, one.difference, one.n, one.clusters) == (50.0, 75.0, 25.0, 4, 4)
    assert one.interval == pytest.approx((25 - 25 * 3.18245, 25 + 25 * 3.18245), abs=1e-3)
    assert one.p_value == pytest.approx(0.391, abs=1e-3)
    assert [d.id for d in comparison.disagreements] == ["car-001"]
    assert (comparison.disagreements[0].a, comparison.disagreements[0].b) == (40.0, 10.0)


@pytest.mark.parametrize("metric", [
    ACCURACY,
    MEDIAN,
    replace(ACCURACY, across="samples"),
    replace(ACCURACY, across="pooled"),
    MetricSpec(
        name="PCK", value="correct", reduce="mean", unit="%", higher_is_better=True, over="parts", weight="mass",
        across="pooled",
    ),
    MetricSpec(name="PCK per object", value="correct", reduce="mean", unit="%", higher_is_better=True, over="clusters"),
])  # fmt: skip
def test_scores_on_shared_samples_are_the_records_own(tmp_path, metric):
    """Where both have every sample, A and B of the comparison are the scores that the runner wrote."""

    def with_parts(errors):
        lines = samples_of(errors)
        for i, line in enumerate(lines):
            line["cluster"] = f"{line['category']}-{i // 2}"
            line["parts"] = {"correct": [float(line["error_deg"] < 30), 1.0, None], "mass": [1.0 + i, 2.0, 0.0]}
        return lines

    paths = [
        make_run(tmp_path / name, {}, backbone=name, metrics=[metric], samples=with_parts(errors))
        for name, errors in (("a", ERRORS), ("b", BETTER))
    ]
    comparison = compare(*paths)
    assert comparison.left_out == []
    for category in ("car", "chair", MEAN):
        one = found(comparison, metric.name, category)
        for value, path in ((one.a, paths[0]), (one.b, paths[1])):
            score = read_record(path).score(metric.name, category)
            assert score is not None and value == pytest.approx(score.value, abs=1e-9)
    mirrored = found(compare(*reversed(paths)), metric.name)
    assert mirrored.difference == pytest.approx(-found(comparison, metric.name).difference)


def test_only_samples_that_both_have_count(tmp_path):
    lines = samples_of({"car": [10, 40, 10, 40]})
    other = samples_of({"car": [40, 10, 10, 10, 10]})[1:]
    a = make_run(tmp_path / "a", {}, samples=lines)
    b = make_run(tmp_path / "b", {}, backbone="rgb", samples=other)
    comparison = compare(a, b)
    assert (comparison.shared, comparison.only_a, comparison.only_b) == (3, 1, 1)
    one = found(comparison, ACCURACY.name, "car")
    assert one.a == pytest.approx(100 / 3) and one.b == 100.0


def test_a_sample_without_a_value_in_one_run_does_not_count(tmp_path):
    lines = samples_of({"car": [10, 40, 10, 40]})
    other = [dict(line, error_deg=None if i == 1 else 10.0) for i, line in enumerate(lines)]
    a = make_run(tmp_path / "a", {}, samples=lines)
    b = make_run(tmp_path / "b", {}, backbone="rgb", samples=other)
    one = found(compare(a, b), ACCURACY.name, "car")
    assert one.a == pytest.approx(200 / 3) and one.b == 100.0 and (one.n, one.clusters) == (3, 3)


def test_a_right_and_a_wrong_answer_come_before_two_wrong_ones(tmp_path):
    a = make_run(tmp_path / "a", {"car": [10, 35, 25, 50]})
    b = make_run(tmp_path / "b", {"car": [10, 175, 35, 20]}, backbone="rgb")
    assert [d.id for d in compare(a, b).disagreements] == ["car-003", "car-002", "car-001"]
    assert len(compare(a, b, samples=1).disagreements) == 1


@pytest.mark.parametrize(("parts", "words"), [
    ({"protocol": {"name": "box2d", "version": 1}}, "protocol.name differs: paper and box2d"),
    ({"protocol": None}, "A names a protocol, B does not"),
    ({"task": {"name": "toy-pose", "result_version": 2, "settings": {"split": "plain"}}}, "task.result_version"),
    ({"task": {"name": "toy-pose", "result_version": 1, "settings": {"split": "hard"}}}, "task.settings.split"),
    ({"dataset": {"name": "toys", "result_version": 1, "settings": {}, "synthetic": True, "fingerprints":
        {"car": FINGERPRINTS["car"]}}}, "B is on synthetic data, A is not"),
    ({"dataset": {"name": "toys", "result_version": 1, "settings": {}, "synthetic": False, "fingerprints":
        {"car": FINGERPRINTS["bus"]}}}, "The data of car are not the same"),
    ({"dataset": {"name": "toys", "result_version": 1, "settings": {}, "synthetic": False, "fingerprints":
        {"bus": FINGERPRINTS["bus"]}}}, "no category in common"),
])  # fmt: skip
def test_what_keeps_numbers_from_being_compared(tmp_path, parts, words):
    errors = {"car": [10, 40, 10]}
    a = make_run(tmp_path / "a", errors)
    b = make_run(tmp_path / "b", errors, measured=parts)
    comparison = compare(a, b)
    assert len(comparison.obstacles) == 1 and words in comparison.obstacles[0]
    assert comparison.metrics  # what can be compared is


def test_seed_limit_and_model_are_no_obstacles(tmp_path):
    a = make_run(tmp_path / "a", {"car": [10, 40]})
    b = make_run(tmp_path / "b", {"car": [10, 40]}, backbone="rgb", measured={"seed": 1, "limit": 2})
    assert obstacles(read_record(a), read_record(b)) == []


def test_different_tasks_are_not_paired(tmp_path):
    a = make_run(tmp_path / "a", {"car": [10, 40]})
    b = make_run(tmp_path / "b", {"car": [10, 40]}, measured={"task": {"name": "other"}})
    comparison = compare(a, b)
    assert "different tasks: toy-pose and other" in comparison.obstacles[0]
    assert not comparison.metrics and "tasks are different" in comparison.left_out[0]


def test_a_metric_of_another_definition_is_left_out():
    strict = replace(ACCURACY, reduce="fraction_at_most")
    same, reasons = common_metrics([ACCURACY, MEDIAN], [strict, replace(MEDIAN, tolerance=1.0)])
    assert [m.name for m in same] == [MEDIAN.name]
    assert reasons == ["accuracy@30deg: defined differently (reduce fraction_below and fraction_at_most)."]


def test_a_record_that_nobody_can_explain_is_compared_without_samples(tmp_path):
    a, b = (make_run(tmp_path / name, {"car": [10, 40]}, backbone=name) for name in ("a", "b"))
    value = json.loads(a.read_text())
    value["schema"] = "bench3d.record/1"
    for new in ("metrics", "samples_sha256"):
        del value[new]
    a.write_text(json.dumps(value))
    comparison = compare(a, b)
    assert comparison.measurement and not comparison.metrics
    assert "toy-pose" in comparison.left_out[0] and "older schema" in comparison.left_out[0]


def test_broken_and_missing_sidecars(tmp_path):
    a = make_run(tmp_path / "a", {"car": [10, 40]})
    b = make_run(tmp_path / "b", {"car": [10, 40]}, backbone="rgb")
    sidecar = b.parent / "samples.jsonl"
    for content, words in (
        ('{"id": "x", "category": "car"}\n', "line 1: category, cluster or parts"),
        ('{"id": "x", "category": "car", "cluster": "c", "parts": [1]}\n', "line 1: category, cluster or parts"),
        ('{"id": "x", "category": "car", "cluster": "c"}\n[]\n', "line 2"),
    ):
        sidecar.write_text(content)
        with pytest.raises(DataError, match=r"samples\.jsonl") as caught:
            compare(a, b)
        assert words in caught.value.message
    sidecar.write_text(json.dumps({**samples_of({"car": [1]})[0], "error_deg": "high"}) + "\n")
    assert all("cannot be computed" in line for line in compare(a, b).left_out)
    sidecar.unlink()
    assert "nothing can be paired" in compare(a, b).left_out[0]


def test_ids_reach_nobody_with_terminal_escapes(tmp_path):
    lines = samples_of({"car": [10, 40]})
    lines[1]["id"] = "\x1b[2Jcar\n"
    other = [dict(line, error_deg=1.0) for line in lines]
    a = make_run(tmp_path / "a", {}, samples=lines)
    b = make_run(tmp_path / "b", {}, backbone="rgb", samples=other)
    assert all(d.id.isprintable() for d in compare(a, b).disagreements)


def test_two_folders(tmp_path):
    """Equal but for timings; other numbers; another status; only in one."""
    a, b = tmp_path / "a", tmp_path / "b"
    make_run(a, {"car": [10, 40]}, backbone="same")
    slower = [dict(line, pose_ms=99.0) for line in samples_of({"car": [10, 40]})]
    make_run(b, {}, backbone="same", samples=slower)
    make_run(a, {"car": [10, 40, 50]}, backbone="moved")
    make_run(b, {"car": [10, 20, 50]}, backbone="moved")
    make_run(a, {"car": [10.0, 40]}, backbone="near")
    make_run(b, {"car": [10.1, 40]}, backbone="near")
    make_run(a, {"car": [10]}, backbone="fallen")
    make_run(b, {"car": [10]}, backbone="fallen", status="failed", message="no", scores=[])
    make_run(a, {"car": [10]}, backbone="lonely")
    comparison = compare_folders(a, b)
    assert [e.record.label for e in comparison.only_a] == ["lonely-paper"] and not comparison.only_b
    assert [e.record.label for e in comparison.same] == ["same-paper"]
    changed = {c.a.record.label.partition("-")[0]: c for c in comparison.changed}
    assert set(changed) == {"moved", "near", "fallen"}
    assert changed["fallen"].status == "finished in A, failed in B"
    moved, near = changed["moved"], changed["near"]
    assert (moved.samples, moved.of_samples, moved.within) == (1, 3, False)
    assert moved.largest_sample is not None and moved.largest_sample.what == "error_deg of car-001"
    assert (moved.largest_sample.a, moved.largest_sample.b) == (40.0, 20.0)
    assert near.samples == 1 and near.within is True  # 0.1 deg, and the metric tolerates 0.5


def test_a_sample_that_one_folder_lacks_is_a_change(tmp_path):
    make_run(tmp_path / "a", {"car": [10, 40, 40]})
    make_run(tmp_path / "b", {"car": [10, 40]})
    changed = compare_folders(tmp_path / "a", tmp_path / "b").changed
    assert len(changed) == 1 and changed[0].samples == 1 and changed[0].within is False


def test_a_broken_sidecar_is_a_sentence_and_a_broken_record_is_left_out(tmp_path):
    path = make_run(tmp_path / "a", {"car": [10, 40]})
    make_run(tmp_path / "b", {"car": [10, 40]})
    bad = make_run(tmp_path / "b", {"car": [10]}, backbone="broken")
    bad.write_text("{")
    (path.parent / "samples.jsonl").write_text("nonsense\n")
    comparison = compare_folders(tmp_path / "a", tmp_path / "b")
    assert comparison.changed[0].problem is not None and "line 1" in comparison.changed[0].problem
    assert len(comparison.refused) == 1 and "record.json" in comparison.refused[0].path
