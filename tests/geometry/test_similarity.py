"""Similarities from point pairs."""

from __future__ import annotations

import numpy as np

from bench3d.geometry.rotations import random_rotations
from bench3d.geometry.similarity import apply_similarity, split_similarity, umeyama


def test_umeyama_finds_what_made_the_pairs_and_never_mirrors():
    rng = np.random.default_rng(0)
    rotation = random_rotations(20, rng)
    scale, shift = rng.uniform(0.1, 4, 20), rng.normal(size=(20, 3))
    source = rng.normal(size=(20, 4, 3))
    target = scale[:, None, None] * (source @ np.swapaxes(rotation, 1, 2)) + shift[:, None]
    found = umeyama(source, target)
    np.testing.assert_allclose(apply_similarity(found, source), target, atol=1e-9)
    s, r, t = split_similarity(found)
    np.testing.assert_allclose(s, scale)
    np.testing.assert_allclose(r, rotation, atol=1e-9)
    np.testing.assert_allclose(t, shift, atol=1e-9)
    mirrored = umeyama(source, target * np.array([-1.0, 1.0, 1.0]))
    assert (np.linalg.det(mirrored[:, :3, :3]) > 0).all()


def test_umeyama_is_the_best_of_all_rotations_for_noisy_pairs():
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(2, 12, 3))
    best = umeyama(source, target, with_scale=False)

    def cost(transform):
        return np.square(apply_similarity(transform, source) - target).sum()

    for turn in random_rotations(200, rng):
        other = np.eye(4)
        other[:3, :3] = turn
        other[:3, 3] = target.mean(0) - turn @ source.mean(0)
        assert cost(best) <= cost(other) + 1e-9
