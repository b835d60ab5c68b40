import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench3d_plugins.tiny.settings import PretrainSettings
from bench3d_plugins.tiny.views import draw_pair

SIZE, PATCH = 64, 8
PLAIN = dict.fromkeys(("brightness", "contrast", "saturation", "balance", "grey", "blur", "noise"), 0.0)
STILL = {**PLAIN, "zoom": (1.0, 1.0), "roam": 0.0, "shift": 0.0, "turn": 0.0, "stretch": 0.0, "shear": 0.0}


def recipe(**changes):
    return PretrainSettings(picture_size=SIZE, sides=(32,), **changes)


def painted(batch=1):
    """Pictures whose red and green say where: x and y of a pixel's centre as shares of the side."""
    steps = (torch.arange(SIZE) + 0.5) / SIZE
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y, torch.full_like(x, 0.5)])[None].repeat(batch, 1, 1, 1)


def colours_at(views, places):
    """Red and green (B, N, 2) of views (B, 3, S, S) at places (B, N, 2) in pixels, centres at +0.5."""
    grid = 2 * places / views.shape[-1] - 1
    found = F.grid_sample(views[:, :2], grid[:, :, None], align_corners=False, padding_mode="border")
    return found[..., 0].transpose(1, 2)


def centres(side):
    steps = torch.arange(PATCH / 2, side, PATCH)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def affine(points, values):
    """The affine map (3, 2) that takes points (N, 2) to values (N, 2), and how far it misses at most."""
    ones = np.column_stack([points, np.ones(len(points))])
    found, *_ = np.linalg.lstsq(ones, values, rcond=None)
    return found, np.abs(ones @ found - values).max()


@st.composite
def recipes(draw):
    low = draw(st.floats(0.6, 1.5))
    return recipe(
        **PLAIN,
        zoom=(low, draw(st.floats(low, 2.0))),
        roam=draw(st.floats(0, 0.5)),
        shift=draw(st.floats(0, 0.5)),
        turn=draw(st.floats(0, 180)),
        stretch=draw(st.floats(0, 0.3)),
        shear=draw(st.floats(0, 0.3)),
    )


@settings(max_examples=60, deadline=None)
@given(chosen=recipes(), seed=st.integers(0, 2**31), side=st.sampled_from([24, 32, 48]))
def test_the_second_view_shows_at_the_places_what_the_cells_show(chosen, seed, side):
    pair = draw_pair(painted(4), side, PATCH, chosen, torch.Generator().manual_seed(seed))
    middles = centres(side)
    assert pair.places.shape == (4, len(middles), 2) and pair.inside.shape == (4, len(middles))
    shown = colours_at(pair.first, middles.expand(4, -1, -1))
    found = colours_at(pair.second, pair.places)
    # Beyond the picture's border it is mirrored: there the colours no longer say where.
    clear = ((shown > 0.1) & (shown < 0.9)).all(dim=2) & pair.inside
    assume(clear.any())
    assert (SIZE * (found - shown).abs())[clear].max() < 0.02  # pixels of the picture


@settings(max_examples=60, deadline=None)
@given(chosen=recipes(), seed=st.integers(0, 2**31))
def test_views_differ_by_a_map_of_the_plane_and_inside_means_inside(chosen, seed):
    side = 48
    pair = draw_pair(painted(4), side, PATCH, chosen, torch.Generator().manual_seed(seed))
    middles = centres(side).double().numpy()
    every = centres(side).expand(4, -1, -1)
    shown = SIZE * colours_at(pair.first, every)
    asked = 0
    for places, at, inside in zip(
        pair.places.double().numpy(), shown.double().numpy(), pair.inside.numpy(), strict=True
    ):
        _, error = affine(middles, places)
        assert error < 1e-3  # no perspective, no depth: one affine map for all cells
        clear = ((at > 0.1 * SIZE) & (at < 0.9 * SIZE)).all(axis=1)
        if np.linalg.matrix_rank(middles[clear] - middles[clear].mean(axis=0) if clear.any() else [[0]], tol=1) < 2:
            continue
        there, error = affine(middles[clear], at[clear])
        assume(error < 0.02)
        asked += 1
        true = np.column_stack([middles, np.ones(len(middles))]) @ there
        # How far within the nearest limit, of the picture and of the second view; at the limit itself either may be.
        room = np.minimum(np.minimum(true, SIZE - true), np.minimum(places - PATCH / 2, side - PATCH / 2 - places))
        room = room.min(axis=1)
        sure = np.abs(room) > 0.3
        assert (inside[sure] == (room[sure] > 0)).all()
    assume(asked)


def test_views_that_do_not_move_are_the_middle_of_the_picture():
    pictures = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    pair = draw_pair(pictures, 32, PATCH, recipe(**STILL), torch.Generator().manual_seed(0))
    assert torch.allclose(pair.first, pictures[:, :, 16:48, 16:48], atol=1e-5)
    assert torch.allclose(pair.second, pair.first)
    assert torch.allclose(pair.places, centres(32).expand(2, -1, -1), atol=1e-4)
    assert pair.inside.shape == (2, 16)


def test_a_shift_alone_moves_every_place_by_as_much():
    settings_ = recipe(**{**STILL, "shift": 0.5})
    pair = draw_pair(painted(8), 32, PATCH, settings_, torch.Generator().manual_seed(3))
    moves = pair.places - centres(32)
    assert (moves - moves[:, :1]).abs().max() < 1e-4
    assert 4 < moves[:, 0].abs().max() <= 8  # half of the share of the side, either way
    # A view that lies to the right shows a thing further left.
    right = colours_at(pair.second, torch.full((8, 1, 2), 16.0)) - colours_at(pair.first, torch.full((8, 1, 2), 16.0))
    assert torch.allclose(SIZE * right[:, 0], -moves[:, 0], atol=1e-3)


def test_colours_move_nothing_and_stay_colours():
    loud = recipe(brightness=1.0, contrast=1.0, saturation=1.0, balance=1.0, grey=0.5, blur=0.5, noise=0.5)
    plain = draw_pair(painted(3), 32, PATCH, recipe(**PLAIN), torch.Generator().manual_seed(5))
    pair = draw_pair(painted(3), 32, PATCH, loud, torch.Generator().manual_seed(5))
    assert torch.equal(pair.places, plain.places) and torch.equal(pair.inside, plain.inside)
    for view in (pair.first, pair.second):
        assert view.min() >= 0 and view.max() <= 1
    assert (pair.first - plain.first).abs().mean() > 0.05
    grey = draw_pair(painted(3), 32, PATCH, recipe(**{**PLAIN, "grey": 1.0}), torch.Generator().manual_seed(5)).first
    assert torch.allclose(grey[:, 0], grey[:, 2]) and not torch.allclose(plain.first[:, 0], plain.first[:, 2])
    # Each picture is changed in its own way.
    alike = torch.full((3, 3, SIZE, SIZE), 0.4)
    first = draw_pair(alike, 32, PATCH, recipe(**{**PLAIN, "brightness": 0.5}), torch.Generator().manual_seed(5)).first
    assert len({round(float(v), 4) for v in first.mean(dim=(1, 2, 3))}) == 3


@pytest.mark.parametrize("seed", [0, 1])
def test_the_seed_decides(seed):
    one, again, other = (
        draw_pair(painted(2), 24, PATCH, recipe(), torch.Generator().manual_seed(s)) for s in (seed, seed, seed + 7)
    )
    assert torch.equal(one.first, again.first) and torch.equal(one.second, again.second)
    assert not torch.equal(one.first, other.first) and not torch.equal(one.first, one.second)
