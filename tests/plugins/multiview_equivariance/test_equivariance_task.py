"""The tasks of multiview equivariance: samples, scores of known features, chance, masks, notes."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from equivariance_scenes import PointEncoder, Sets, looking, opened, plane_set, tracks_set, values_of

from bench3d.contracts import PosedView, ViewSet
from bench3d.errors import UsageError
from bench3d.plugins import load_registry
from bench3d_plugins.multiview_equivariance.samples import bin_name, source_views
from bench3d_plugins.multiview_equivariance.settings import EquivarianceSettings


def columns(values, name):
    """A column of all parts of all values."""
    return np.array([entry for value in values for entry in value["parts"][name]])


def posed(name, angles):
    """A set without files: poses alone."""
    views = tuple(
        PosedView(f"v{n}", None, (8, 8), np.eye(3), looking(a), depth=lambda: np.ones((8, 8)))
        for n, a in enumerate(angles)
    )
    return ViewSet(name, views, "depth", 0.01)


def test_both_tasks_are_registered_with_the_papers_grid():
    for name, dataset in (("multiview-equivariance", "objaverse-renderings"), ("mvimgnet-equivariance", "mvimgnet")):
        task = load_registry().get("task", name)
        assert (task.dataset, task.accepts, task.headline) == (dataset, "view-sets", "APE")
        assert task.protocols[0].name == "paper" and task.protocols[0].backbone == {"grid": 80}
        for protocol in task.protocols:
            EquivarianceSettings(**protocol.settings)


def test_a_source_view_has_every_other_view_as_target_with_its_angle():
    samples = source_views([posed("s", (-20.0, 0.0, 12.0))], "all", EquivarianceSettings(), None)
    assert [(s.id, s.targets) for s in samples] == [("s/v0", (1, 2)), ("s/v1", (0, 2)), ("s/v2", (0, 1))]
    assert samples[0].angles == pytest.approx((20, 32)) and samples[0].bins == ("020-025", "030-035")


def test_bins_are_fifteen_degrees_where_views_are_wide_and_do_not_depend_on_a_limit():
    sets = [posed("narrow", (0.0, 20.0)), posed("wide", (0.0, 90.0))]
    samples = source_views(sets, "all", EquivarianceSettings(), 1)
    assert samples[0].bins == ("015-030",)
    near = source_views(sets, "all", EquivarianceSettings(max_angle=20.0), None)
    assert [s.bins for s in near] == [("020-025",), ("020-025",)], "the wide pair is not asked for"
    assert (bin_name(59.9999999, 15), bin_name(180.0, 15), bin_name(0.0, 7)) == ("060-075", "165-180", "000-007")


def test_roll_counts_in_the_angle_of_the_rotation_alone():
    rolled = looking(0.0)
    rolled[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    views = posed("s", (0.0, 0.0)).views
    turned = SimpleNamespace(id="s", views=(views[0], PosedView("r", None, (8, 8), np.eye(3), rolled)))
    for kind, angle in (("axes", 0.0), ("rotation", 90.0)):
        sample = source_views([turned], "all", EquivarianceSettings(angle=kind), None)[0]
        assert sample.angles == pytest.approx((angle,), abs=1e-6)


@pytest.mark.parametrize("limit", [1, 3, 7, 20, 39, 40, 99])
def test_a_limit_is_spread_over_the_sets(limit):
    sets = [posed(f"s{n}", np.linspace(0, 50, 4)) for n in range(10)]
    samples = source_views(sets, "all", EquivarianceSettings(), limit)
    counts = [sum(s.views is one for s in samples) for one in sets]
    assert len(samples) == min(limit, 40) and max(counts) - min(counts) <= 1
    assert len({s.id for s in samples}) == len(samples)
    if limit == 7:
        assert len({s.source for s in samples}) == 4, "not the first view of every set"


def test_clusters_are_sets_or_source_views_of_a_single_scene():
    sets = [posed("a", (0.0, 5.0)), posed("b", (0.0, 5.0))]
    assert {s.cluster for s in source_views(sets, "all", EquivarianceSettings(), 2)} == {"a", "b"}
    assert {s.cluster for s in source_views(sets[:1], "all", EquivarianceSettings(), None)} == {"a/v0", "a/v1"}


def test_features_of_the_surface_point_are_found_everywhere(tmp_path):
    views = plane_set(tmp_path)
    values = values_of(opened(PointEncoder(views)), views)
    assert len(values) == 4 and all(len(v["parts"]["target"]) == 3 for v in values)
    assert columns(values, "pcdp@0.05").min() > 0.97
    # Cells and candidates are 2 pixels apart, 2 % of the short edge: the answer is off by about half of that.
    assert columns(values, "ape").max() < 0.015
    assert columns(values, "chance_ape").min() > 0.4
    assert columns(values, "n").min() > 300
    json.dumps(values, allow_nan=False)


def test_values_of_a_hand_worked_pair(tmp_path):
    """Features that are the same everywhere: the first candidate wins, and every error is the distance to it."""

    class Blind(PointEncoder):
        def maps(self, request):
            found = super().maps(request)
            found[0].map.values.fill_(1.0)
            return found

    views = plane_set(tmp_path, angles=(0.0, 10.0))
    task = opened(Blind(views), search_stride=2)
    samples = task.samples(Sets(views), "all", None)
    truth = task.scene(views).correspondences(0, 1)
    value = task.evaluate(None, samples[:1], "cpu")[0]
    distance = np.linalg.norm(truth.target - [0.5, 0.5], axis=1) / 96
    assert value["parts"]["n"] == [len(truth)] == [value["correspondences"]]
    assert value["parts"]["ape"] == pytest.approx([distance.mean()], abs=1e-6)
    assert value["parts"]["pcdp@0.2"] == pytest.approx([(distance < 0.2).mean()], abs=1e-6)
    xs, ys = np.meshgrid(np.arange(0, 128, 2) + 0.5, np.arange(0, 96, 2) + 0.5)
    every = np.linalg.norm(truth.target[:, None] - np.stack([xs.ravel(), ys.ravel()], axis=1), axis=-1) / 96
    assert value["parts"]["chance_ape"] == pytest.approx([every.mean()], rel=2e-3)
    assert value["parts"]["chance_pcdp@0.1"] == pytest.approx([(every < 0.1).mean()], abs=2e-3)


def test_features_that_are_nan_are_off_by_the_diagonal(tmp_path):
    class Broken(PointEncoder):
        def maps(self, request):
            found = super().maps(request)
            found[0].map.values.fill_(torch.nan)
            return found

    views = plane_set(tmp_path, angles=(0.0, 10.0))
    values = values_of(opened(Broken(views)), views)
    assert columns(values, "ape") == pytest.approx([160 / 96] * 2) and columns(values, "pcdp@0.2").tolist() == [0, 0]
    json.dumps(values, allow_nan=False)


def test_white_noise_lies_at_chance_and_true_features_above_it(tmp_path):
    """The paired interval of score minus chance, drawn over sets, holds 0 for noise and lies below it otherwise."""
    sets = [plane_set(tmp_path, f"plane{n}", (-20.0, 0.0, 25.0), masked=n % 2 == 0) for n in range(12)]

    def interval(encoder):
        values = values_of(opened(encoder, query_stride=12, features="points"), *sets)
        gaps = np.array([np.average(np.subtract(v["parts"]["ape"], v["parts"]["chance_ape"])) for v in values])
        mine = np.array([gaps[[v["cluster"] == s.id for v in values]].mean() for s in sets])
        draws = np.random.default_rng(0).choice(mine, (2000, len(mine))).mean(axis=1)
        return np.quantile(draws, [0.025, 0.975])

    low, high = interval(PointEncoder(*sets, grid=(32, 24), noise=0))
    assert low < 0 < high and high - low < 0.1
    assert interval(PointEncoder(*sets, grid=(32, 24)))[1] < -0.3


def test_a_search_on_the_mask_answers_on_the_mask_and_has_its_own_chance(tmp_path):
    views = plane_set(tmp_path, masked=True)
    encoder = PointEncoder(views, noise=1)
    task = opened(encoder, search="mask", query_stride=2)
    samples = task.samples(Sets(views), "all", None)
    scene = task.scene(views)
    truth = scene.correspondences(0, 3)
    answers = np.floor(scene.match(0, 3, truth.source)).astype(int)
    assert views.views[3].mask()[answers[:, 1], answers[:, 0]].all()
    assert views.views[0].mask()[tuple(np.floor(truth.source).astype(int).T[::-1])].all()
    on_mask = task.evaluate(None, samples[:1], "cpu")
    anywhere = opened(encoder, query_stride=2).evaluate(None, samples[:1], "cpu")
    assert columns(on_mask, "n").tolist() == columns(anywhere, "n").tolist()
    assert columns(on_mask, "chance_ape").max() < 0.7 * columns(anywhere, "chance_ape").min()
    wide = opened(encoder, query_stride=2, query_region="image").evaluate(None, samples[:1], "cpu")
    assert columns(wide, "n").min() > columns(anywhere, "n").max()


def test_asking_for_masks_that_are_not_there_says_so(tmp_path):
    views = plane_set(tmp_path)
    for settings in ({"search": "mask"}, {"norm": "bbox"}):
        with pytest.raises(UsageError, match="needs masks"):
            values_of(opened(PointEncoder(views), **settings), views)


def test_norms_differ_by_their_lengths(tmp_path):
    """128 x 96 pixels; the disc's box spans 0.7 * 2 / 3 * 110 = 51.3 pixels in the frontal view."""
    views = plane_set(tmp_path, angles=(20.0, 0.0), masked=True)
    lengths = {}
    for norm in ("short_edge", "long_edge", "bbox"):
        task = opened(PointEncoder(views), norm=norm)
        lengths[norm] = task.scene(views).length(1)
    assert (lengths["short_edge"], lengths["long_edge"]) == (96, 128)
    assert lengths["bbox"] == pytest.approx(51.3, abs=1.5)


def test_points_are_centres_of_cells(tmp_path):
    views = plane_set(tmp_path)
    task = opened(PointEncoder(views, grid=(32, 24)), features="points")
    scene = task.scene(views)
    answers = scene.match(0, 2, scene.correspondences(0, 2).source)
    np.testing.assert_allclose((answers - 2.0) % 4.0, 0.0, atol=1e-9)
    assert columns(values_of(task, views), "ape").max() < 0.03


def test_tracks_are_scored_at_the_observed_points(tmp_path):
    views = tracks_set(tmp_path)
    values = values_of(opened(PointEncoder(views), search_stride=1), views)
    both = [k for k in range(60) if k % 3 and k % 4]
    assert values[0]["parts"]["n"][0] == len(both)
    assert columns(values, "ape").max() < 0.01


def test_max_queries_draws_the_same_points_every_time(tmp_path):
    views = plane_set(tmp_path)
    few = [opened(PointEncoder(views), max_queries=50, seed=s).scene(views).correspondences(0, 2) for s in (0, 0, 1)]
    np.testing.assert_array_equal(few[0].source, few[1].source)
    assert len(few[0]) == 50 and not np.array_equal(few[0].source, few[2].source)


def test_batch_and_order_change_nothing(tmp_path):
    sets = [plane_set(tmp_path, "a"), tracks_set(tmp_path, "b")]
    encoder = PointEncoder(*sets, noise=4)

    def plain(values):
        return [{k: v for k, v in value.items() if not k.endswith("_ms")} for value in values]

    together = plain(values_of(opened(encoder, max_queries=40, search_stride=4), *sets))
    assert plain(values_of(opened(encoder, max_queries=40, search_stride=4), *sets, batch=1)) == together
    task = opened(encoder, max_queries=40, search_stride=4)
    samples = list(task.samples(Sets(*sets), "all", None))
    backwards = [task.evaluate(None, [s], "cpu")[0] for s in samples[::-1]]
    assert plain(backwards[::-1]) == together


def test_images_are_named_once_a_set_in_the_order_of_use(tmp_path):
    sets = [plane_set(tmp_path, "a", (0.0, 5.0, 10.0)), plane_set(tmp_path, "b", (0.0, 5.0))]
    task = opened(PointEncoder(*sets))
    samples = task.samples(Sets(*sets), "all", None)
    asked = [(r.path.parent.name, r.path.stem) for r in task.images(samples[1:])]
    assert asked == [("a", "v1"), ("a", "v0"), ("a", "v2"), ("b", "v0"), ("b", "v1")]
    assert {r.size for r in task.images(samples)} == {(128, 96)}


def test_pairs_that_share_nothing_are_counted_and_left_out(tmp_path):
    """A camera behind the plane's back sees none of it."""
    views = plane_set(tmp_path, angles=(0.0, 8.0))
    away = PosedView("away", views.views[0].image, (128, 96), views.views[0].intrinsics, looking(170.0),
                     depth=views.views[0].depth)  # fmt: skip
    lonely = ViewSet("s", (*views.views, away), "depth", 0.005, attributes={"missing_images": 2})
    task = opened(PointEncoder(views))
    values = values_of(task, lonely)
    assert [v["pairs_without_correspondences"] for v in values] == [1, 1, 2]
    assert values[2]["parts"]["n"] == [] and values[2]["parts"]["groups"] == {"angle": []}
    notes = " ".join(task.notes())
    assert "3 source views of 1 sets, 6 ordered pairs" in notes and "; 4 pairs without any" in notes
    assert "missing images: 2" in notes and "single scene" in notes
