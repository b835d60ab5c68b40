import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.contracts.features import FeatureMap, WeightedMap
from bench3d.features.lattice import Lattice
from bench3d.features.matching import (
    Match,
    Target,
    blend,
    cell_argmax,
    dense_argmax,
    mutual_nearest,
    sample_at,
    similarity,
    soft_argmax,
)
from bench3d.geometry.pixels import PixelGeometry

ENGINES = ("numba", "torch")


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def brute_force(queries, values, size, aligned, cosine, mask=None):
    """Scores (N, H * W) by upsampling the features."""
    up = F.interpolate(values[None].double(), size=size[::-1], mode="bilinear", align_corners=aligned)[0]
    up = F.normalize(up, dim=0) if cosine else up
    scores = torch.einsum("nc,chw->nhw", queries.double(), up)
    if mask is not None:
        scores[:, ~torch.from_numpy(mask)] = -torch.inf
    return scores.flatten(1)


def check(match, scores, width, tolerance=1e-5):
    """The chosen point scores as high as the best one, and the score is said rightly."""
    place = match.index[:, 1] * width + match.index[:, 0]
    best = scores.amax(dim=1)
    assert (best - scores.gather(1, place[:, None])[:, 0]).max() < tolerance
    assert (match.score - best).abs().max() < tolerance
    return place


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    grid=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    aligned=st.booleans(),
    cosine=st.booleans(),
    share=st.sampled_from([None, 0.1, 0.6, 1.0]),
)
def test_dense_argmax_equals_upsampled_features(seed, grid, size, aligned, cosine, share):
    values, queries = draw(seed, 16, grid[1], grid[0]), F.normalize(draw(seed + 1, 5, 16), dim=1)
    lattice = (Lattice.corner_aligned if aligned else Lattice.stretched)(grid, size)
    mask = None
    if share is not None:
        mask = np.random.default_rng(seed).random(size[::-1]) < share
        mask[-1, -1] = True
    scores = brute_force(queries, values, size, aligned, cosine, mask)
    for engine in ENGINES:
        check(dense_argmax(queries, values, lattice, cosine=cosine, mask=mask, engine=engine), scores, size[0])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cosine", [False, True])
def test_same_index_as_argmax_at_the_published_shape(cosine, engine):
    values, queries = draw(0, 64, 20, 20), F.normalize(draw(1, 40, 64), dim=1)
    lattice = Lattice.corner_aligned((20, 20), (276, 276)).edge_padded(2, 2, (280, 280))
    scores = brute_force(queries, values, (276, 276), True, cosine).reshape(-1, 1, 276, 276)
    padded = F.pad(scores, (2, 2, 2, 2), mode="replicate").flatten(1)
    place = check(dense_argmax(queries, values, lattice, cosine=cosine, engine=engine), padded, 280)
    assert (place == padded.argmax(dim=1)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_cosine_and_dot_product_differ_where_lengths_do(engine):
    values = torch.zeros(2, 1, 3)
    values[:, 0, 0], values[:, 0, 2] = torch.tensor([1.0, 0.0]), torch.tensor([9.0, 9.0])
    query = torch.tensor([[1.0, 0.0]])
    lattice = Lattice.cells((3, 1))
    assert dense_argmax(query, values, lattice, cosine=False, engine=engine).index.tolist() == [[2, 0]]
    cosine = dense_argmax(query, values, lattice, cosine=True, engine=engine)
    assert (cosine.index.tolist(), cosine.score.tolist()) == ([[0, 0]], [1.0])


@pytest.mark.parametrize("engine", ENGINES)
def test_norm_is_that_of_the_interpolated_vector(engine):
    # Between two orthogonal unit vectors the middle has cosine 1 with their sum, and every cell 0.707.
    values = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    query = F.normalize(torch.tensor([[1.0, 1.0]]), dim=1)
    match = dense_argmax(query, values, Lattice.corner_aligned((2, 1), (5, 1)), cosine=True, engine=engine)
    assert match.index.tolist() == [[2, 0]]
    assert match.score.item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_opposite_corners_cancel_to_a_score_of_zero(engine):
    values = torch.tensor([[[1.0, -1.0]], [[2.0, -2.0]]])
    mask = np.array([[False, True, False]])
    match = dense_argmax(
        torch.eye(2), values, Lattice.corner_aligned((2, 1), (3, 1)), cosine=True, mask=mask, engine=engine
    )
    assert match.score.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cosine", [False, True])
def test_first_in_row_major_order_wins_ties(cosine, engine):
    lattice = Lattice.stretched((3, 3), (9, 9))
    mask = np.ones((9, 9), dtype=bool)
    mask[0], mask[1, :5] = False, False
    for allowed, first in ((None, [0, 0]), (mask, [5, 1])):
        match = dense_argmax(torch.ones(2, 4), torch.ones(4, 3, 3), lattice, cosine=cosine, mask=allowed, engine=engine)
        assert match.index.tolist() == [first, first]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cosine", [False, True])
def test_nan_and_empty_masks(cosine, engine):
    values, queries = draw(3, 8, 5, 6), F.normalize(draw(4, 4, 8), dim=1)
    values[2, 1, 2] = torch.nan
    queries[3] = torch.nan
    size = (25, 20)
    scores = brute_force(queries, values, size, False, cosine)[:3].nan_to_num(-torch.inf)
    lattice = Lattice.stretched((6, 5), size)
    match = dense_argmax(queries, values, lattice, cosine=cosine, engine=engine)
    check(Match(match.index[:3], match.score[:3]), scores, 25)
    assert match.index[3].tolist() == [-1, -1]
    assert torch.isnan(match.score[3])
    nowhere = dense_argmax(queries, values, lattice, cosine=cosine, mask=np.zeros((20, 25), bool), engine=engine)
    assert (nowhere.index == -1).all()
    assert torch.isnan(nowhere.score).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_chunks_do_not_change_the_result_and_no_query_is_no_error(engine):
    values, queries = draw(5, 8, 6, 7), draw(6, 301, 8)
    target, lattice = Target(values), Lattice.stretched((7, 6), (40, 31))
    for cosine in (False, True):
        whole = dense_argmax(queries, target, lattice, cosine=cosine, engine=engine)
        parts = dense_argmax(queries, target, lattice, cosine=cosine, memory_bytes=1000, engine=engine)
        assert (whole.index == parts.index).all()
        assert (whole.score - parts.score).abs().max() < 1e-5
        none = dense_argmax(queries[:0], target, lattice, cosine=cosine, engine=engine)
        assert (none.index.shape, none.score.shape) == ((0, 2), (0,))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="numba may use one thread only")
def test_threads_change_no_bit():
    values, queries, lattice = draw(7, 8, 9, 9), draw(8, 100, 8), Lattice.stretched((9, 9), (60, 60))
    before, results = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            results.append(dense_argmax(queries, values, lattice, cosine=True))
    finally:
        numba.set_num_threads(before)
    assert (results[0].index == results[1].index).all()
    assert (results[0].score == results[1].score).all()


def test_a_target_answers_for_the_lattice_that_is_asked():
    values, queries, target = draw(9, 8, 5, 5), draw(10, 20, 8), Target(draw(9, 8, 5, 5))
    for size in ((20, 20), (11, 13), (20, 20)):
        lattice = Lattice.stretched((5, 5), size)
        scores = brute_force(queries, values, size, False, True)
        check(dense_argmax(queries, target, lattice, cosine=True), scores, size[0])


def test_shapes_that_do_not_fit_are_refused():
    lattice = Lattice.cells((3, 3))
    with pytest.raises(ValueError, match="channels"):
        dense_argmax(torch.ones(2, 5), torch.ones(4, 3, 3), lattice, cosine=True)
    with pytest.raises(ValueError, match="mask"):
        dense_argmax(torch.ones(2, 4), torch.ones(4, 3, 3), lattice, cosine=True, mask=np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="target map"):
        Target(torch.ones(4, 3))


def test_cell_argmax_stays_in_the_valid_cells():
    values, queries = draw(11, 8, 4, 5), draw(12, 30, 8)
    valid = torch.zeros(4, 5, dtype=torch.bool)
    valid[1:3, 2:] = True
    scores = torch.einsum("nc,chw->nhw", queries, F.normalize(values, dim=0))
    match = cell_argmax(queries, values, cosine=True, valid=valid, memory_bytes=400)
    expected = scores.masked_fill(~valid, -torch.inf).flatten(1).argmax(dim=1)
    assert (match.index[:, 1] * 5 + match.index[:, 0] == expected).all()
    assert (cell_argmax(queries, values, cosine=False, valid=~valid & valid).index == -1).all()


def test_sample_at_is_bilinear_between_centres_and_flat_beyond():
    values = torch.tensor([[[1.0, 3.0], [5.0, 7.0]]])
    xy = np.array([[0.5, 0.5], [1.0, 0.5], [1.0, 1.0], [-4.0, 0.0], [9.0, 9.0], [np.nan, 1.0]])
    out = sample_at(values, xy, normalise=False)[:, 0]
    assert out[:5].tolist() == [1.0, 2.0, 4.0, 1.0, 7.0]
    assert torch.isnan(out[5])
    unit = sample_at(draw(1, 6, 3, 3), torch.rand(4, 2) * 3)
    assert torch.allclose(unit.norm(dim=1), torch.ones(4))


def geometry(grid):
    return (PixelGeometry.identity((32, 32)).with_grid((grid, grid), (32 / grid, 32 / grid)),)


def test_blend_is_the_weighted_sum_of_cosines():
    maps = [WeightedMap(FeatureMap(draw(s, 1, c, 8, 8), geometry(8)), w) for s, c, w in ((1, 6, 0.8), (2, 3, 0.2))]
    merged = blend(maps)
    assert merged.values.shape == (1, 9, 8, 8)
    at = torch.tensor([[2.5, 3.5], [7.5, 0.5]])  # cell centres
    query = sample_at(merged.values[0], at, normalise=False)
    expected = sum(m.weight * similarity(sample_at(m.map.values[0], at), m.map.values[0], cosine=True) for m in maps)
    assert torch.allclose(similarity(query, merged.values[0], cosine=False), expected, atol=1e-5)
    assert blend(maps[:1]) is maps[0].map


def test_blend_resamples_onto_the_finest_grid():
    coarse, fine = draw(1, 1, 4, 4, 4), draw(2, 1, 3, 8, 8)
    maps = [WeightedMap(FeatureMap(coarse, geometry(4)), 0.5), WeightedMap(FeatureMap(fine, geometry(8)), 0.5)]
    merged = blend(maps)
    assert merged.geometry == geometry(8)
    up = F.normalize(F.interpolate(coarse, size=(8, 8), mode="bilinear", align_corners=False), dim=1) * 0.5**0.5
    assert torch.allclose(merged.values[:, :4], up, atol=1e-5)
    with pytest.raises(ValueError, match="at least one map"):
        blend([])


def test_soft_argmax_window():
    scores = torch.zeros(1, 5, 5)
    scores[0, 1, 1], scores[0, 1, 2], scores[0, 4, 4] = 1.0, 1.0, 0.99
    near = soft_argmax(scores, window=1, temperature=0.02)
    assert near[0].tolist() == pytest.approx([2.0, 1.5], abs=1e-3)  # the mean of two equal neighbours
    assert soft_argmax(scores, window=0, temperature=0.02)[0, 1] > 1.9  # the far cell takes part
    assert soft_argmax(scores, window=1, temperature=1e6)[0].tolist() == pytest.approx([1.5, 1.5], abs=1e-3)
    # With outside=0 cells beyond the window weigh as zeros do: at a high temperature the mean of all cells.
    assert soft_argmax(scores, 1, 1e6, outside=0.0)[0].tolist() == pytest.approx([2.5, 2.5], abs=1e-3)


def test_soft_argmax_of_negative_and_missing_scores():
    scores = torch.full((2, 3, 3), -5.0)
    scores[0, 2, 0] = -1.0
    scores[0, 0, 0] = torch.nan
    scores[1] = torch.nan
    out = soft_argmax(scores, window=1, temperature=0.02)
    assert out[0].tolist() == pytest.approx([0.5, 2.5])
    assert torch.isnan(out[1]).all()


def test_mutual_nearest_equals_brute_force_in_any_chunk():
    a, b = F.normalize(draw(1, 120, 5), dim=1), F.normalize(draw(2, 90, 5), dim=1)
    scores = a @ b.T
    forward, back = scores.argmax(dim=1), scores.argmax(dim=0)
    expected = [[i, int(j)] for i, j in enumerate(forward) if back[j] == i]
    assert mutual_nearest(a, b).tolist() == expected
    assert mutual_nearest(a, b, memory_bytes=1).tolist() == expected
    a[expected[0][0]] = torch.nan
    assert expected[0][0] not in mutual_nearest(a, b)[:, 0].tolist()
    assert mutual_nearest(a[:0], b).shape == (0, 2)
