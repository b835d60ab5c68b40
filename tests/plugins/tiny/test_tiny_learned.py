"""The shipped weights know something: as a user runs them, beside the untrained network, a floor and earlier steps."""

import json

import pytest

TWIN = ["--set", "data.image_size=128", "--set", "data.objects=1", "--set", "data.train_objects=1"]
TASK = ["--task", "multiview-equivariance", "--protocol", "grid32", "--set", "task.max_angle=60"]
FAST = ["--set", "task.max_queries=60", "--set", "task.search_stride=4", "--set", "backbone.grid=16"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("learned")


@pytest.fixture
def record(cli, place):
    def call(*backbone):
        where = ["--synthetic", "--data", str(place / "data"), "--results", str(place / "results"), "--no-cache"]
        answer = cli("run", *TASK, *FAST, *TWIN, "--set", "data.categories=car,chair", *where, "--json", *backbone)
        assert answer.code == 0, answer.err
        return json.loads(answer.out)

    return call


def score(record, metric):
    return next(s["value"] for s in record["scores"] if s["metric"] == metric and s["category"] == "all")


def test_it_matches_views_better_than_what_has_learnt_nothing(record):
    found = {
        "tiny": record("--backbone", "tiny"),
        "early": record("--backbone", "tiny-step-100"),
        "untrained": record("--backbone", "tiny", "--weights", "random"),
        "hog": record("--backbone", "hog"),
    }
    error = {name: score(r, "APE") for name, r in found.items()}
    assert error["tiny"] < 0.95 * min(error["early"], error["untrained"], error["hog"])
    marks = {name: r["marks"] for name, r in found.items()}
    assert marks["untrained"]["random_weights"] and not marks["tiny"]["random_weights"]
    assert marks["tiny"]["synthetic_data"], "its data are synthetic, whatever its weights are"
    assert len({r["identity"]["hash"] for r in found.values()}) == 4
