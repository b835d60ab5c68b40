"""Overlap of masks: hand-worked cells, and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench3d.metrics import best_constant_mask, ellipse_mask, hard_iou, soft_iou

SOFT = arrays(np.float64, (3, 4), elements=st.floats(0, 1))


def test_the_soft_iou_is_hand_worked():
    """Cells (truth, prediction): (1, 1), (1, 0.5), (0, 0.25), (0, 0): shared 1.5, together 1 + 1 + 0.25."""
    truth, predicted = np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([[1.0, 0.5], [0.25, 0.0]])
    assert soft_iou(truth, predicted) == pytest.approx(1.5 / 2.25)
    valid = np.array([[0.0, 1.0], [1.0, 1.0]])  # the first cell lies beside the image
    assert soft_iou(truth, predicted, valid) == pytest.approx(0.5 / 1.25)
    assert soft_iou(np.stack([truth, truth]), np.stack([predicted, truth])).tolist() == pytest.approx([1.5 / 2.25, 1.0])


def test_the_hard_iou_counts_cells_above_one_half():
    truth, predicted = np.array([[1.0, 0.6], [0.4, 0.0]]), np.array([[0.5, 0.51], [0.9, 0.0]])
    assert hard_iou(truth, predicted) == pytest.approx(1 / 3)
    assert hard_iou(truth, predicted, np.array([[1.0, 1.0], [0.0, 0.0]])) == pytest.approx(1 / 2)


def test_a_soft_mask_has_less_than_one_with_itself_and_a_hard_one_has_one():
    soft = np.array([[1.0, 0.5]])
    assert soft_iou(soft, soft) == pytest.approx(1.25 / 1.75)
    assert hard_iou(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])) == 1
    assert (soft_iou(np.zeros((2, 2)), np.zeros((2, 2))), hard_iou(soft * 0, soft * 0)) == (0, 0)


@given(SOFT, SOFT)
def test_both_are_symmetric_and_lie_in_zero_to_one(a, b):
    for iou in (soft_iou, hard_iou):
        assert 0 <= float(iou(a, b)) <= 1 + 1e-12
        assert float(iou(a, b)) == pytest.approx(float(iou(b, a)))
    assert hard_iou(a, b) == soft_iou(a > 0.5, b > 0.5)


def test_the_constant_mask_is_the_cut_of_the_mean_that_suits_the_training_masks():
    """Of three masks two cover one cell and one covers two: the one cell scores 1, 1, 1/2, both 1/2, 1/2, 1."""
    masks = np.array([[[1.0, 0.0]], [[1.0, 0.0]], [[1.0, 1.0]]])
    mask, score = best_constant_mask(masks)
    assert mask.tolist() == [[1, 0]] and score == pytest.approx(2.5 / 3)
    with pytest.raises(ValueError):
        best_constant_mask(np.empty((0, 2, 2)))


def test_an_ellipse_fills_pi_quarters_of_its_box_and_touches_its_sides():
    mask = ellipse_mask(np.array([4.0, 8.0, 24.0, 18.0]), (32, 32))
    assert mask.sum() == pytest.approx(np.pi / 4 * 20 * 10, rel=2e-3)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert (columns[0], columns[-1], rows[0], rows[-1]) == (4, 23, 8, 17)
