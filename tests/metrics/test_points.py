import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.metrics import PointChance


def brute_force(domain, x, y, truth):
    """(N, points) distances."""
    row, column = np.nonzero(domain)
    points = np.stack([x[column], y[row]], axis=1)
    return np.linalg.norm(truth[:, None] - points[None], axis=2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.tuples(st.integers(1, 20), st.integers(1, 20)), share=st.floats(0.05, 1))
def test_small_domains_are_exact(seed, size, share):
    rng = np.random.default_rng(seed)
    domain = rng.random(size[::-1]) < share
    domain[0, 0] = True
    x, y = np.sort(rng.random(size[0])) * 30, np.sort(rng.random(size[1])) * 20
    truth = rng.random((7, 2)) * 40 - 5
    distances = brute_force(domain, x, y, truth)
    chance = PointChance(domain, x, y)
    radius = rng.random(7) * 20
    assert np.allclose(chance.within(truth, radius), (distances < radius[:, None]).mean(axis=1))
    assert np.allclose(chance.distance(truth), distances.mean(axis=1))


@pytest.mark.parametrize("shape", [(90, 130), (700, 1100), (60, 1300)])
def test_large_domains_to_a_thousandth(shape):
    y, x = (np.arange(n) + 0.5 for n in shape)
    domain = ((x[None] / shape[1] - 0.4) / 0.35) ** 2 + ((y[:, None] / shape[0] - 0.5) / 0.4) ** 2 < 1
    domain[: shape[0] // 3, shape[1] // 3 : shape[1] // 2] = False
    truth = np.concatenate([np.random.default_rng(0).random((20, 2)) * shape[::-1], [[0.0, 0.0], [-9.0, 5.0]]])
    distances = brute_force(domain, x, y, truth)
    chance = PointChance(domain)
    assert np.allclose(chance.distance(truth), distances.mean(axis=1), rtol=1e-3)
    assert np.array_equal(chance.within(truth, 20.0), (distances < 20.0).mean(axis=1))


def test_the_radius_is_strict():
    # From the middle of 11x11 pixels, the points at distance exactly 5: 4 on the axes, 8 of the 3-4-5 triangle.
    middle = np.array([[5.5, 5.5]])
    chance = PointChance.rectangle(np.arange(11) + 0.5, np.arange(11) + 0.5)
    assert chance.within(middle, 5.0)[0] * 121 == pytest.approx(69)
    assert chance.within(middle, 5.0 + 1e-6)[0] * 121 == pytest.approx(81)
    assert chance.within(middle, 0.0)[0] == 0


def test_uneven_axes_and_units():
    x, y = np.repeat(np.arange(80.0), 2) / 80, np.arange(50.0) / 50
    chance = PointChance.rectangle(x, y)
    truth = np.array([[0.3, 0.2]])
    distances = brute_force(np.ones((50, 160), bool), x, y, truth)
    assert chance.distance(truth)[0] == pytest.approx(distances.mean())
    assert chance.within(truth, 0.2503)[0] == pytest.approx((distances < 0.2503).mean())


def test_known_mean_distance_from_the_centre_of_a_square():
    chance = PointChance.rectangle(np.arange(512) + 0.5, np.arange(512) + 0.5)
    side = 512 * (np.sqrt(2) + np.log(1 + np.sqrt(2))) / 6
    assert chance.distance(np.array([[256.0, 256.0]]))[0] == pytest.approx(side, rel=1e-4)


def test_unknown_truth_gives_nan_and_an_empty_domain_an_error():
    chance = PointChance(np.ones((4, 4), bool))
    truth = np.array([[np.nan, 1.0], [1.0, 1.0]])
    assert np.isnan(chance.within(truth, 1.0)).tolist() == [True, False]
    assert np.isnan(chance.distance(truth)).tolist() == [True, False]
    assert chance.distance(truth[:0]).shape == (0,)
    with pytest.raises(ValueError, match="at least one point"):
        PointChance(np.zeros((4, 4), bool))
    with pytest.raises(ValueError, match="ascending"):
        PointChance(np.ones((1, 2), bool), x=np.array([1.0, 0.0]))


def test_fast_enough_for_every_pair():
    chance = PointChance(np.ones((512, 512), bool))
    truth = np.random.default_rng(0).random((1000, 2)) * 512
    chance.within(truth, 1.0), chance.distance(truth)  # compiles
    start = time.process_time()
    chance = PointChance(np.ones((512, 512), bool))
    chance.within(truth, 25.6), chance.distance(truth)
    assert time.process_time() - start < 1.0  # 0.05 to 0.15 s seen
