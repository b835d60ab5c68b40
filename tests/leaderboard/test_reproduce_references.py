"""The five-reference protocol: image > category > mean over references > unweighted mean over categories."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from target_records import SHA, planned, specs, with_data, write

from bench3d.cli.main import main

CATEGORIES = ("bicycle", "bus", "car", "chair", "couch", "motorcycle", "tv")
POSE = "accuracy@30deg"


def value(preset: str, category: str, reference: int) -> float:
    """Made up: categories and references differ, and a rigid template is 7 better."""
    return 40.0 + 5 * CATEGORIES.index(category) + (1.0, -2.0, 4.0)[reference] + (7.0 if preset == "paper-rigid" else 0)


def test_a_row_of_table_6_is_the_mean_over_categories_of_means_over_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for preset in ("paper", "paper-rigid"):
        for number, reference in enumerate(("r0", "r1", "r4")):
            settings = {"data.reference": reference, "shape.preset": preset}
            found = specs("cvpr25-table6", task="pascal3d-pose", settings=settings)
            assert [spec.categories for spec in found] == [(c,) for c in CATEGORIES]
            for spec in found:
                if (spec.categories[0], reference) == ("tv", "r4"):
                    continue  # one model is missing
                plan = planned(with_data(spec, alignment="aligned"), monkeypatch, SHA[:-1] + str(number))
                score = value(preset, spec.categories[0], number)
                write(tmp_path, plan, {POSE: {spec.categories[0]: score, "mean": score}})
    assert main(["reproduce", "cvpr25-table6", "--results", str(tmp_path), "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    for method, preset in (("Common3D", "paper"), ("w/o instance deformation", "paper-rigid")):
        cell = next(c for c in cells if (c["method"], c["metric"]) == (method, POSE))
        rows = {c: [value(preset, c, n) for n in range(2 if c == "tv" else 3)] for c in CATEGORIES}
        measured = cell["measured"]
        assert measured["value"] == pytest.approx(statistics.fmean(map(statistics.fmean, rows.values())))
        # The spread is that of the means of whole references: r0 and r1 have every category.
        whole = [statistics.fmean(row[n] for row in rows.values()) for n in range(2)]
        assert measured["spread"] == pytest.approx(statistics.stdev(whole))
        assert (measured["models"], cell["models_wanted"]) == (2, 5)
    others = {c["method"] for c in cells if c["measured"] is not None}
    assert others == {"Common3D", "w/o instance deformation"}
    assert main(["reproduce", "cvpr25-table6", "--results", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "2/5" in shown
