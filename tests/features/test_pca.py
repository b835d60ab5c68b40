import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.features.pca import CHUNK, colours, foreground, otsu, principal_components
from bench3d.features.statistics import map_statistics, participation


def by_svd(rows, count):
    """Components and variances by numpy's SVD of the centred rows, each component's largest loading positive."""
    centred = rows - rows.mean(axis=0)
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    right = right[:count]
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    return right * signs[:, None], singular[:count] ** 2 / len(rows), (centred**2).sum() / len(rows)


@pytest.mark.parametrize("shape", [(500, 12), (30, 200), (40, 40), (CHUNK + 77, 5)], ids=str)
def test_components_are_those_of_numpys_svd(shape):
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal(shape) * np.linspace(3, 0.5, shape[1]) + rng.standard_normal(shape[1]) * 9).astype(
        np.float32
    )
    basis = principal_components([rows[:7], rows[7:20], rows[20:]])
    components, variance, total = by_svd(rows.astype(np.float64), 3)
    np.testing.assert_allclose(basis.components, components, atol=1e-7)
    np.testing.assert_allclose(basis.variance, variance, rtol=1e-9)
    np.testing.assert_allclose(basis.explained, variance / total, rtol=1e-9)
    np.testing.assert_allclose(
        basis.project(rows), (rows - rows.mean(axis=0, dtype=np.float64)) @ components.T, atol=1e-5
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 10_000))
def test_the_basis_is_orthonormal_and_the_sign_is_that_of_the_largest_loading(channels, count, seed):
    rows = np.random.default_rng(seed).standard_normal((count, channels)).astype(np.float32)
    basis = principal_components([rows], 4)
    rank = min(channels, count - 1)
    there = basis.variance > 0
    assert there.sum() == min(4, rank) and (np.diff(basis.variance) <= 0).all()
    np.testing.assert_allclose(basis.components @ basis.components.T, np.diag(there.astype(float)), atol=1e-9)
    loadings = basis.components[there]
    assert (loadings[np.arange(len(loadings)), np.abs(loadings).argmax(axis=1)] > 0).all()


def test_what_does_not_vary_has_no_component_and_is_grey():
    rows = np.full((50, 7), 0.1, dtype=np.float32)
    basis = principal_components([rows])
    assert not basis.components.any() and not basis.explained.any()
    (grey,) = colours([basis.project(rows)])
    assert (grey == 0.5).all()
    line = np.outer(np.arange(50.0), [1, -2, 0]).astype(np.float32)
    assert (principal_components([line]).variance > 0).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="no rows"):
        principal_components([np.zeros((0, 3))])


def test_colours_share_one_scale_and_outliers_do_not_take_it():
    low, high = np.linspace(0, 1, 500)[:, None], np.linspace(1, 2, 500)[:, None]
    a, b = colours([low, high])
    assert a.max() == pytest.approx(0.5, abs=0.01) and b.min() == pytest.approx(0.5, abs=0.01)
    high[0] = 1e6
    c, _ = colours([low, high])
    assert np.abs(c - a).max() < 0.02


def test_otsu_parts_two_heaps_and_nothing_where_all_are_equal():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 300), rng.normal(10, 1, 100)])
    assert 3 < otsu(values) < 8
    assert otsu(np.array([0.0, 0.0, 1.0, 9.0])) == 1.0
    assert not (np.ones(5) > otsu(np.ones(5))).any()
    # By definition: the best of all splits.
    values = rng.random(40)
    between = {
        t: (values <= t).mean() * (values > t).mean() * (values[values <= t].mean() - values[values > t].mean()) ** 2
        for t in np.sort(values)[:-1]
    }
    assert otsu(values) == max(between, key=between.get)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_foreground_is_what_keeps_from_the_border_whatever_the_sign(sign):
    centre = np.zeros((10, 12))
    centre[3:7, 4:9] = 1
    nothing = np.zeros((6, 6))
    found = foreground([sign * centre, sign * nothing])
    assert np.array_equal(found[0], centre > 0) and not found[1].any()
    assert not foreground([nothing])[0].any()


def test_statistics_by_hand():
    # Two columns, one row: vectors (3, 4) and (4, -3) are perpendicular; a zero vector has no direction.
    found = map_statistics(np.array([[[3.0, 4.0]], [[4.0, -3.0]]], dtype=np.float32))
    assert (found.norm_mean, found.norm_std) == (5.0, 0.0)
    assert found.cosine_neighbours == pytest.approx(0) and found.cosine_all == pytest.approx(0)
    assert found.dimensions == pytest.approx(1)
    found = map_statistics(np.array([[[1.0, 2.0, 0.0, -1.0]]], dtype=np.float32))
    assert found.cosine_neighbours == pytest.approx(1.0)
    assert found.cosine_all == pytest.approx((1 - 1 - 1) / 3)
    single = map_statistics(np.ones((3, 1, 1), dtype=np.float32))
    assert np.isnan([single.cosine_neighbours, single.cosine_all, single.dimensions]).all()


def test_participation_counts_directions():
    corners = np.concatenate([np.eye(5), -np.eye(5)])
    assert participation(corners) == pytest.approx(5)
    assert participation(corners * [10, 10, 0, 0, 0] + 7) == pytest.approx(2)
    wide = np.random.default_rng(0).standard_normal((6, 40))
    values = np.linalg.eigvalsh(np.cov(wide.T))
    assert participation(wide) == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert np.isnan(participation(np.full((9, 4), 0.1)))
