"""Holm, rank intervals and letters: worked by hand, and their defining properties on random tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.metrics import holm, holm_pairs, letter_groups, rank_intervals


def test_holm_by_hand():
    """Ordered 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04, and none below one before it."""
    found = holm(np.array([0.03, np.nan, 0.01, 0.04, 0.02]))
    np.testing.assert_allclose(found, [0.06, np.nan, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.6])), [1.0, 1.0])
    assert holm(np.array([])).size == 0
    p = np.array([[np.nan, 0.01, 0.02], [0.01, np.nan, np.nan], [0.02, np.nan, np.nan]])
    np.testing.assert_allclose(holm_pairs(p), [[np.nan, 0.02, 0.02], [0.02, np.nan, np.nan], [0.02, np.nan, np.nan]])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms())
@settings(deadline=None)
def test_holm_lies_between_p_and_bonferroni_in_any_order(p, random):
    p = np.array(p)
    found = holm(p)
    assert (found >= p).all() and (found <= np.minimum(p * len(p), 1) + 1e-15).all()
    order = np.array(random.sample(range(len(p)), len(p)))
    np.testing.assert_array_equal(holm(p[order]), found[order])


def test_rank_intervals_by_hand():
    """a beats c and d, b beats d; d is unknown to c (no p-value)."""
    difference = np.array([[0, 1, 2, 3], [-1, 0, 1, 2], [-2, -1, 0, 1], [-3, -2, -1, 0]], dtype=float)
    p = np.ones((4, 4))
    for i, j in ((0, 2), (0, 3), (1, 3)):
        p[i, j] = p[j, i] = 0.01
    p[2, 3] = p[3, 2] = np.nan
    assert rank_intervals(difference, p, higher_is_better=True).tolist() == [[1, 2], [1, 3], [2, 4], [3, 4]]
    assert rank_intervals(difference, p, higher_is_better=False).tolist() == [[3, 4], [2, 4], [1, 3], [1, 2]]
    assert rank_intervals(difference, p, True, alpha=0.005).tolist() == [[1, 4]] * 4


def test_letters_by_hand():
    """Ranked 2, 0, 1, 3; 2 differs from 1 and 3, and 0 from 3."""
    significant = np.zeros((4, 4), dtype=bool)
    for i, j in ((2, 1), (2, 3), (0, 3)):
        significant[i, j] = significant[j, i] = True
    assert letter_groups([2, 0, 1, 3], significant) == ["ab", "bc", "a", "c"]
    assert letter_groups([0, 1], np.zeros((2, 2), dtype=bool)) == ["a", "a"]
    assert letter_groups([1, 0], ~np.eye(2, dtype=bool)) == ["b", "a"]
    assert letter_groups([], np.zeros((0, 0), dtype=bool)) == []


def test_letters_go_on_after_z():
    letters = letter_groups(list(range(30)), ~np.eye(30, dtype=bool))
    assert letters[:2] + letters[25:28] == ["a", "b", "z", "aa", "ab"]


@given(st.integers(0, 2**32 - 1), st.integers(1, 18), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_two_share_a_letter_if_and_only_if_they_do_not_differ(seed: int, count: int, density: float):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((count, count)) < density, 1)
    significant = upper | upper.T
    order = rng.permutation(count).tolist()
    letters = letter_groups(order, significant)
    many = any(len(token) > 1 for text in letters for token in text.split(" ")) and any(" " in t for t in letters)
    sets = [set(t.split(" ")) if many else {t} if "aa" in t else set(t) for t in letters]
    assert all(sets)
    for i in range(count):
        for j in range(count):
            if i != j:
                assert bool(sets[i] & sets[j]) == (not significant[i, j]), (letters, i, j)
    assert letters[order[0]][0] == "a"


def test_two_hundred_models_in_a_chain_need_few_letters():
    distance = np.abs(np.subtract.outer(np.arange(200), np.arange(200)))
    letters = letter_groups(list(range(200)), distance > 20)
    assert len({token for text in letters for token in text.split(" ")}) == 180
    assert letters[0] == "a"


@pytest.mark.parametrize("higher", [True, False])
def test_rank_intervals_hold_the_order_of_the_scores(higher):
    scores = np.array([3.0, 9.0, 5.0, 1.0])
    p = np.random.default_rng(0).random((4, 4)) * 0.2
    ranks = rank_intervals(scores[:, None] - scores[None], np.maximum(p, p.T), higher)
    own = np.argsort(np.argsort(-scores if higher else scores)) + 1
    assert ((ranks[:, 0] <= own) & (own <= ranks[:, 1])).all()
