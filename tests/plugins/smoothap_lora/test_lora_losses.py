from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d_plugins.smoothap_lora.losses import correspondence_loss

FAR = torch.tensor([[9.0, 0, 0]])


def cosines(*values: float) -> torch.Tensor:
    """Unit vectors with these cosines to (1, 0)."""
    return torch.tensor([[value, math.sqrt(1 - value * value)] for value in values])


def one_query(positives: list[float], negatives: list[float], loss: str) -> float:
    """The loss of one query at the origin, its positives there too and its negatives one away."""
    points = torch.tensor([[0.0, 0, 0]] * len(positives) + [[1.0, 0, 0]] * len(negatives))
    answer = correspondence_loss(cosines(1.0), cosines(*positives, *negatives), torch.zeros(1, 3), points, loss=loss)
    assert answer.pairs == len(positives) and answer.queries == 1
    return answer.value.item()


@pytest.mark.parametrize(("p", "n", "value"), [(0.9, 0.95, 0.169), (0.5, 0.9, 0.167), (0.9, 0.5, 0.0)])
def test_published_loss_of_values_worked_by_hand(p, n, value):
    assert one_query([p], [n], "published") == pytest.approx(value, abs=5e-4)


def test_smoothap_of_values_worked_by_hand():
    # One positive below one negative: rank 1 of 1 + s(5), 1 - 1 / 1.993307.
    assert one_query([0.9], [0.95], "smoothap") == pytest.approx(0.498321, abs=1e-5)
    # Positives .9 and .8 around a negative .85: precisions 1.0000454 / 1.0067383 and 1.9999546 / 2.9932618.
    assert one_query([0.9, 0.8], [0.85], "smoothap") == pytest.approx(1 - (0.9933519 + 0.6681523) / 2, abs=1e-5)
    # A perfect ranking costs nothing, whatever its order inside.
    assert one_query([0.9, 0.8, 0.7], [0.2, 0.1], "smoothap") == pytest.approx(0, abs=1e-6)


def test_points_between_the_radii_are_ignored():
    points = torch.tensor([[0.0, 0, 0], [0.05, 0, 0], [0.5, 0, 0]])
    for loss in ("published", "smoothap"):
        with_it, without = (
            correspondence_loss(cosines(1.0), cosines(*c), torch.zeros(1, 3), p, loss=loss).value.item()
            for c, p in (((0.8, 0.99, 0.81), points), ((0.8, 0.81), points[[0, 2]]))
        )
        assert with_it == pytest.approx(without, abs=1e-7) and without > 0.1


def test_radii_are_strict():
    for x, pairs in ((0.25, 0), (0.2499, 1)):
        answer = correspondence_loss(
            cosines(1.0), cosines(0.5), torch.zeros(1, 3), torch.tensor([[x, 0, 0]]), positive=0.25, negative=0.5
        )
        assert answer.pairs == pairs


@pytest.mark.parametrize("loss", ["published", "smoothap"])
def test_views_without_positives_are_nought_and_counted(loss):
    features = cosines(0.5, 0.6).requires_grad_()
    for points in (FAR.repeat(2, 1), torch.zeros(0, 3)):
        answer = correspondence_loss(features, features[: len(points)], torch.zeros(2, 3), points, loss=loss)
        assert answer.pairs == 0 and answer.queries == 0
        assert answer.value.item() == 0 and not answer.value.requires_grad


def test_the_radius_survives_float32_far_from_the_origin():
    # Squares and a matrix product would lose millimetres at 10 m.
    generator = torch.Generator().manual_seed(0)
    a = 5 + 5 * torch.rand(50, 3, generator=generator)
    features = cosines(*[0.5] * 50)
    for offset, pairs in ((0.0049, 50), (0.0051, 0)):
        b = a + offset * torch.nn.functional.normalize(torch.randn(50, 3, generator=generator), dim=1)
        assert correspondence_loss(features, features, a, b).pairs == pairs


def naive(a, b, xa, xb, loss, positive, negative, temperature):
    """Both losses pair by pair, as they are written down."""
    distance, cosine = torch.cdist(xa, xb, compute_mode="donot_use_mm_for_euclid_dist"), a @ b.T

    def s(x):
        return torch.sigmoid((x / temperature).clamp(-50, 50))

    by_query = []
    for q in range(len(xa)):
        p, n = cosine[q][distance[q] < positive], cosine[q][distance[q] > negative]
        terms = []
        for i in range(len(p)):
            if loss == "published":
                first = (1 + s(p[i] - 1)) / (1 + s(p[i] - 1) + s(n - 1).sum())
                second = (1 + s(1 - p[i])) / (1 + s(1 - p[i]) + s(n - p[i]).sum())
                terms.append(1 - (first + second) / 2)
            else:
                rank = 1 + sum(s(p[j] - p[i]) for j in range(len(p)) if j != i)
                terms.append(1 - rank / (rank + s(n - p[i]).sum()))
        if terms:
            by_query.append(torch.stack(terms))
    return torch.cat(by_query).mean() if loss == "published" else torch.stack([t.mean() for t in by_query]).mean()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["published", "smoothap"]), st.sampled_from([1, 37, 10**6]))
def test_value_and_gradient_are_those_of_the_naive_version(seed, loss, cells):
    g = torch.Generator().manual_seed(seed)
    xa, xb = torch.rand(14, 3, generator=g), torch.rand(17, 3, generator=g)
    options = {"loss": loss, "positive": 0.3, "negative": 0.5, "temperature": 0.1}
    raw = [torch.randn(len(x), 5, generator=g, requires_grad=True) for x in (xa, xb)]
    a, b = (torch.nn.functional.normalize(x, dim=-1) for x in raw)
    ours = correspondence_loss(a, b, xa, xb, cells=cells, **options)
    if ours.pairs == 0:
        return
    expected = naive(a, b, xa, xb, *options.values())
    assert ours.value.item() == pytest.approx(expected.item(), abs=1e-6)
    gradients = (torch.autograd.grad(2 * value, raw, retain_graph=True) for value in (ours.value, expected))
    for mine, theirs in zip(*gradients, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_no_gradient_is_made_where_none_is_wanted():
    features = cosines(0.5, 0.6)
    with torch.no_grad():
        answer = correspondence_loss(features, features, torch.zeros(2, 3), torch.zeros(2, 3))
    assert answer.pairs == 4 and not answer.value.requires_grad
