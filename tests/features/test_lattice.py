import numpy as np
import pytest

from bench3d.features.lattice import Lattice
from bench3d.geometry.pixels import PixelGeometry


def test_corner_aligned_puts_the_outermost_points_on_cell_centres():
    lattice = Lattice.corner_aligned((4, 3), (7, 5))
    assert np.allclose(lattice.x, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5])
    assert np.allclose(lattice.y, [0.5, 1.0, 1.5, 2.0, 2.5])
    assert np.allclose(Lattice.corner_aligned((4, 3), (1, 1)).x, [0.5])


def test_stretched_lets_the_outer_edges_coincide():
    lattice = Lattice.stretched((2, 2), (4, 8))
    assert np.allclose(lattice.x, [0.25, 0.75, 1.25, 1.75])
    assert np.allclose(lattice.y, np.arange(8) / 4 + 0.125)


def test_cells_are_centres():
    assert Lattice.cells((3, 2)).x.tolist() == [0.5, 1.5, 2.5]
    assert Lattice.cells((3, 2)).size == (3, 2)


def test_pixels_go_through_scale_padding_and_stride():
    # 20x10 image, doubled, 4 pixels of padding above, cells of 8 pixels.
    geometry = PixelGeometry.identity((20, 10)).resized((40, 20)).padded(0, 4, (40, 28)).with_grid((5, 3), (8.0, 8.0))
    lattice = Lattice.pixels(geometry)
    assert lattice.size == (20, 10)
    assert lattice.x[3] == pytest.approx(3.5 * 2 / 8)
    assert lattice.y[3] == pytest.approx((3.5 * 2 + 4) / 8)
    thinned = Lattice.pixels(geometry, stride=4)
    assert np.allclose(thinned.x, lattice.x[::4])
    assert np.allclose(thinned.y, lattice.y[::4])
    half = Lattice.pixels(geometry, size=(10, 5))
    assert half.x[3] == pytest.approx(3.5 * 2 * 2 / 8)


def test_edge_padded_repeats_the_border():
    lattice = Lattice.cells((3, 2)).edge_padded(2, 1, (6, 4))
    assert lattice.x.tolist() == [0.5, 0.5, 0.5, 1.5, 2.5, 2.5]
    assert lattice.y.tolist() == [0.5, 0.5, 1.5, 1.5]


def test_points_between_cells():
    columns, rows = Lattice(np.array([0.0, 0.5, 1.0, 1.5, 2.9]), np.array([0.2])).on((3, 1))
    assert columns.low.tolist() == [0, 0, 0, 1, 1]
    assert np.allclose(columns.weight, [0, 0, 0.5, 0, 1])
    assert columns.start.tolist() == [0, 3, 5]
    assert columns.ends.tolist() == [0, 2, 3, 4]
    assert (rows.low.tolist(), rows.high.tolist(), rows.start.tolist()) == ([0], [0], [0, 1])


def test_of_repeated_points_the_first_is_the_last_of_its_interval():
    columns, _ = Lattice.cells((3, 1)).edge_padded(1, 0, (7, 1)).on((3, 1))
    assert columns.start.tolist() == [0, 2, 7]  # on cells 0, 0 | 1, 2, 2, 2, 2
    assert columns.ends.tolist() == [0, 2, 3]
    empty, _ = Lattice(np.array([2.7]), np.array([0.5])).on((4, 1))
    assert empty.ends.tolist() == [0]


@pytest.mark.parametrize("axis", [[], [1.0, 0.5], [np.nan], [[1.0]]])
def test_a_bad_axis_is_refused(axis):
    with pytest.raises(ValueError, match=r"Lattice\.x"):
        Lattice(np.array(axis), np.array([0.5]))
