"""The shape task: cubes of known size, the template beside the instance, meshes without surface, pictures."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cube_samples import CUBE, FACES, Knowing, make, sample

from bench3d.contracts import Model
from bench3d.errors import CapabilityError
from bench3d.metrics import sample_surface
from bench3d.runner import aggregate
from bench3d_plugins.single_object.shape_task import WORST, constant_cloud


def evaluated(model, samples, source=None, **settings):
    task = make("pascal3d-shape", **settings)
    task.prepare(model, "car", source)
    return task, [dict(v) for v in task.evaluate(model, samples, "cpu")]


def test_the_true_shape_scores_what_the_truth_does_with_itself(tmp_path):
    samples = [sample(tmp_path, 0, 30.0)]
    task, (value,) = evaluated(Knowing(samples), samples)
    json.dumps(value, allow_nan=False)
    assert value["chamfer"] == pytest.approx(value["self_chamfer"], rel=0.05) and value["chamfer"] < 0.03
    assert value["f_score"] > 0.95 and value["f_score_double"] == 1
    scores = {s.metric: s.value for s in aggregate.scores(task.metrics, [value], 0) if s.category == "mean"}
    assert scores["chamfer"] == pytest.approx(100 * value["chamfer"]), "in % of the canonical unit"


def test_a_cube_a_fifth_larger_is_further_away_and_the_same_once_normalised(tmp_path):
    """Faces at 1.2 beside faces at 1: 0.2 on four fifths of them, and a little more at the edges."""
    samples = [sample(tmp_path, 0, 0.0)]
    _, (value,) = evaluated(Knowing(samples, size=1.2), samples)
    assert 0.18 < value["chamfer"] < 0.25 and value["f_score_double"] == 0
    assert value["normalised_chamfer"] == pytest.approx(value["self_chamfer"], rel=0.1)
    _, (wide,) = evaluated(Knowing(samples, size=1.2), samples, threshold=0.25)
    assert wide["f_score"] > 0.6


def test_the_template_stands_beside_the_instance(tmp_path):
    """The template is half as large as the truth, so the instance helps, and the margin says so."""
    samples = [sample(tmp_path, n, 0.0) for n in range(3)]
    task, values = evaluated(Knowing(samples, size=1.1), samples)
    assert all(v["chance_template_chamfer"] > 0.4 > 0.2 > v["chamfer"] for v in values)
    levels = [c for c in aggregate.chance_levels(task.metrics, values, 0) if c.metric == "chamfer"]
    assert {c.name for c in levels} == {"template"} and levels[0].value > 40


def test_the_constant_shape_is_the_training_object_closest_to_all_others():
    rng = np.random.default_rng(0)
    sizes = [1.0, 0.9, 1.1, 2.0, 0.4, 1.0, 1.0, 1.05, 0.95, 5.0]
    clouds = [sample_surface(CUBE * size, FACES, 300, rng) for size in sizes]
    clouds[3][0] = np.nan
    sequences = [SimpleNamespace(points=lambda c=c: c) for c in clouds]
    chosen = constant_cloud(SimpleNamespace(sequences=lambda category: sequences), "car", 200)
    assert len(chosen) == 200 and np.abs(chosen).max() == pytest.approx(1.0, abs=0.06)
    empty = SimpleNamespace(sequences=lambda category: [SimpleNamespace(points=lambda: np.empty((0, 3)))])
    assert constant_cloud(empty, "car", 200) is None


@pytest.mark.parametrize("vertices", [np.zeros((8, 3)), np.full((8, 3), np.nan)])
def test_a_mesh_without_surface_scores_the_worst(tmp_path, vertices):
    samples = [sample(tmp_path, 0, 0.0)]
    model = Knowing(samples)
    model.shape = lambda batch, given: (torch.from_numpy(vertices)[None], torch.from_numpy(FACES))
    _, (value,) = evaluated(model, samples)
    assert (value["chamfer"], value["f_score"]) == (WORST, 0)
    json.dumps(value, allow_nan=False)


def test_it_gives_the_category_and_the_crop_and_no_camera(tmp_path):
    samples = [sample(tmp_path, 0, 0.0)]
    model = Knowing(samples)
    evaluated(model, samples)
    assert model.given.category == "car" and model.given.translation is None and model.given.box is None
    assert model.given.intrinsics[0, 0, 0] == 5 * 64, "an assumed one"
    with pytest.raises(CapabilityError, match="sees the shape of an object"):
        make("pascal3d-shape").prepare(Model(), "car", None)


def test_pictures_go_from_the_best_to_the_worst(tmp_path):
    samples = [sample(tmp_path, n, 40.0 * n) for n in range(3)]
    model = Knowing(samples, size=1.2)
    task, values = evaluated(model, samples)
    made = [p.name for p in task.pictures(model, samples, values, tmp_path / "out", "cpu")]
    assert len(made) == 4 and made[-1] == "contact-sheet.png"
