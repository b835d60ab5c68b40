"""Mutual nearest neighbours between a lattice on a map and a bank: the same as the whole matrix gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.features.bank import Bank, Grid, empty_bank, kept_rows, match_bank, merged, refined
from bench3d.features.lattice import Lattice
from bench3d.features.match_bank import LANES, mutual_lattice
from bench3d.features.match_target import Target
from bench3d.features.matching import mutual_nearest, sample_at
from bench3d.geometry.pixels import PixelGeometry


def case(seed, cells=(9, 7), rows=70, channels=12, points=(17, 15)):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(channels, cells[1], cells[0], generator=generator)
    lattice = Lattice(np.linspace(0, cells[0], points[0]), np.linspace(0, cells[1], points[1]))
    x, y = np.meshgrid(lattice.x, lattice.y)
    queries = sample_at(values, np.stack([x.ravel(), y.ravel()], axis=1))
    noise = 0.4 * torch.randn(rows, channels, generator=generator)
    picked = queries[torch.randint(0, len(queries), (rows,), generator=generator)] + noise
    return values, lattice, queries, torch.nn.functional.normalize(picked, dim=1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.sampled_from([1, 5, LANES - 1, LANES, LANES + 1, 200]))
def test_both_engines_find_what_the_whole_matrix_shows(seed, rows):
    values, lattice, queries, bank = case(seed, rows=rows)
    expected = mutual_nearest(queries, bank).tolist()
    for engine in ("numba", "torch"):
        for chunk in (1, 1 << 26):
            found = mutual_lattice(bank, Target(values), lattice, engine=engine, chunk_bytes=chunk)
            # Two rows as good as each other up to rounding may change places; with random numbers there are none.
            assert found.tolist() == expected


def test_a_mask_leaves_points_out_as_if_they_were_not_there():
    values, lattice, queries, bank = case(3)
    mask = np.random.default_rng(0).random((15, 17)) < 0.4
    allowed = np.flatnonzero(mask)
    pairs = mutual_nearest(queries[torch.from_numpy(allowed)], bank)
    expected = [[int(allowed[a]), b] for a, b in pairs.tolist()]
    for engine in ("numba", "torch"):
        assert mutual_lattice(bank, Target(values), lattice, mask, engine=engine).tolist() == expected
    assert not len(mutual_lattice(bank, Target(values), lattice, np.zeros((15, 17), dtype=bool)))


@pytest.mark.parametrize("engine", ["numba", "torch"])
def test_rows_and_cells_that_are_not_numbers_have_no_partner(engine):
    values, lattice, _, bank = case(4)
    bank[7] = torch.nan
    values[:, 2, 3] = torch.nan
    found = mutual_lattice(bank, Target(values), lattice, engine=engine)
    assert len(found)
    assert 7 not in found[:, 1]


def test_a_bank_that_does_not_fit_is_refused():
    values, lattice, _, bank = case(5)
    with pytest.raises(ValueError, match="does not fit"):
        mutual_lattice(bank[:, :5], Target(values), lattice)
    with pytest.raises(ValueError, match="mask"):
        mutual_lattice(bank, Target(values), lattice, np.ones((2, 2), dtype=bool))
    assert mutual_lattice(bank[:0], Target(values), lattice).shape == (0, 2)


def test_merging_is_the_mean_of_directions_and_of_points():
    descriptors = torch.tensor([[1.0, 0], [0, 1.0], [0, -1.0], [1.0, 0]])
    points = np.array([[0.0, 0, 0], [9.0, 0, 0], [2.0, 4, 6], [4.0, 0, 0]])
    found = merged(Bank(points, descriptors), np.array([5, 2, 2, 5]))
    assert found.points.tolist() == [[5.5, 2, 3], [2, 0, 0]]
    assert found.descriptors[1].tolist() == [1.0, 0.0]
    assert found.descriptors[0].tolist() == [0.0, 0.0], "what cancels out points nowhere"
    slanted = merged(Bank(points[:2], descriptors[:2]), np.array([1, 1])).descriptors
    assert torch.allclose(slanted, torch.full((1, 2), 0.5**0.5))


def test_a_cap_draws_without_replacement_by_its_seed():
    assert kept_rows(5, None, (0,)).tolist() == kept_rows(5, 5, (0,)).tolist() == [0, 1, 2, 3, 4]
    one, other = kept_rows(1000, 100, (0, 1)), kept_rows(1000, 100, (0, 2))
    assert len(set(one.tolist())) == 100 and (np.diff(one) > 0).all()
    assert one.tolist() == kept_rows(1000, 100, (0, 1)).tolist() != other.tolist()


def ramp(side=8, patch=8):
    """A map whose feature turns with x and y, and the geometry of an image of 64 pixels."""
    y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    a, b = x / side * 1.4, y / side * 1.4
    values = torch.stack([a.cos() * b.cos(), a.sin() * b.cos(), b.sin()])
    size = (side * patch, side * patch)
    return values, PixelGeometry.identity(size).with_grid((side, side), (float(patch), float(patch)))


def test_matches_lie_at_pixel_centres_and_between_cells_where_they_are_refined():
    values, geometry = ramp()
    truth = np.array([[22.5, 33.5], [41.5, 18.5]])
    target = Target(values)
    bank = Bank(np.zeros((2, 3)), sample_at(values, geometry.original_to_cell(truth)))
    coarse = match_bank(bank, target, geometry, Grid.of((64, 64), 4))
    assert np.abs(coarse.xy[np.argsort(coarse.rows)] - truth).max() <= 2.0
    assert set(np.unique(coarse.xy % 4)) == {0.5}, "every fourth pixel from the first, at its centre"
    fine = refined(coarse, bank, target, geometry, Grid.of((64, 64), 1))
    assert np.allclose(fine.xy[np.argsort(fine.rows)], truth)
    # Read half a pixel before, as code with whole-numbered pixels does, on both sides: the same pixels are said.
    shifted = Bank(np.zeros((2, 3)), sample_at(values, geometry.original_to_cell(truth - 0.5)))
    again = refined(coarse, shifted, target, geometry, Grid.of((64, 64), 1, shift=0.5))
    assert np.allclose(again.xy[np.argsort(again.rows)], truth)


def test_an_empty_bank_matches_nothing():
    values, geometry = ramp()
    grid = Grid.of((64, 64), 4)
    found = match_bank(empty_bank(3), Target(values), geometry, grid)
    assert len(refined(found, empty_bank(3), Target(values), geometry, grid)) == 0
