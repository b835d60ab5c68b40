from __future__ import annotations

import pytest
import torch

from bench3d.morphable.heads import FeatureAdapter, LatentEncoder
from bench3d_plugins.common3d.fields import Deformation, PositionalEncoding, SignedDistance, unit
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.train import new_network

PAPER = Common3DSettings()


@pytest.fixture(scope="module")
def network() -> Common3DNetwork:
    return new_network(PAPER, 384, seed=0).eval()


def test_encoding_is_the_point_then_sines_then_cosines() -> None:
    encoding = PositionalEncoding(2, 0.5)  # frequencies pi/2 and pi
    out = encoding(torch.tensor([[1.0, 0.0, 0.5]]))
    half = 0.5**0.5
    expected = [1, 0, 0.5, 1, 0, half, 0, 0, 1, 0, 1, half, -1, 1, 0]
    assert out[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert PositionalEncoding(8, 0.9).channels == 51
    assert PositionalEncoding(10, 0.9).channels == 63


def test_signed_distance_is_mirrored_in_x_and_has_no_bias() -> None:
    field = SignedDistance(64, 5, 8, 0.9)
    points = torch.randn(50, 3)
    mirrored = points * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.equal(field(points), field(mirrored))
    assert not torch.allclose(field(points), field(points * torch.tensor([1.0, -1.0, 1.0])))
    assert all("bias" not in name for name, _ in field.named_parameters())
    for parameter in field.parameters():
        parameter.data.zero_()
    assert torch.allclose(field(points), points.norm(dim=1) - 1)


def test_initial_template_is_a_unit_sphere_of_the_papers_resolution(network: Common3DNetwork) -> None:
    vertices, faces = network.template()
    assert 500 <= len(vertices) <= 700
    assert (vertices.norm(dim=1) - 1).abs().max() < 0.06
    assert len(vertices) - len(faces) // 2 == 2  # Euler: a sphere
    assert network.template()[0] is vertices


def test_paper_sizes(network: Common3DNetwork) -> None:
    maps = torch.randn(2, 384, 32, 32)
    adapted = network.adapt(maps)
    assert adapted.shape == (2, 128, 64, 64)
    assert torch.allclose(adapted.norm(dim=1), torch.ones(2, 64, 64), atol=1e-5)
    assert network.latent(maps).shape == (2, 256)
    assert network.deformation.weight.shape == (256, 319)
    vertices, _ = network.template()
    features = network.vertex_features(vertices)
    assert features.shape == (len(vertices), 128)
    assert torch.allclose(features.norm(dim=1), torch.ones(len(vertices)), atol=1e-5)
    assert network.background_feature().norm().item() == pytest.approx(1, abs=1e-5)
    convolutions = [m for m in network.adapter.modules() if isinstance(m, torch.nn.Conv2d)]
    assert sum(c.bias is not None for c in convolutions) == 1  # the last 1x1 alone


def test_deformation_is_affine_in_the_network_output_and_leaves_the_template_alone() -> None:
    field = Deformation(32, 5, 10, 0.9, latent=8)
    vertices = torch.randn(20, 3, requires_grad=True)
    latent = torch.randn(3, 8)
    out = field(vertices, latent)
    joint = torch.cat([field.encoding(vertices)[None].expand(3, -1, -1), latent[:, None].expand(-1, 20, -1)], dim=2)
    raw = field.rest(joint @ field.weight.T)
    assert torch.allclose(out, (1 + raw[..., :3]) * vertices + raw[..., 3:], atol=1e-5)
    out.sum().backward()
    assert vertices.grad is None


def test_dilation_widens_the_receptive_field() -> None:
    def reach(dilation: tuple[int, int, int]) -> int:
        adapter = FeatureAdapter(4, (64, 64, 64), dilation, upsample=False).eval()
        maps = torch.randn(1, 4, 33, 33, requires_grad=True)
        adapter(maps)[0, :, 16, 16].sum().backward()
        assert maps.grad is not None
        return int((maps.grad[0].abs().sum(0).sum(0) > 0).sum())

    assert reach((1, 1, 1)) == 7
    assert reach((1, 2, 4)) == 15


def test_latent_encoder_halves_four_times() -> None:
    encoder = LatentEncoder(6, 16, 4, 5)
    assert encoder.blocks(torch.randn(2, 6, 32, 32)).shape == (2, 16, 2, 2)
    assert encoder(torch.randn(2, 6, 32, 32)).shape == (2, 5)


def test_detached_norm_keeps_its_gradient_bounded_by_the_floor() -> None:
    tiny = torch.tensor([[1e-9, 0.0]], requires_grad=True)
    unit(tiny, "detached", 1e-4).sum().backward()
    assert tiny.grad is not None
    assert tiny.grad.tolist() == [[pytest.approx(1e4), pytest.approx(1e4)]]
    vector = torch.tensor([[3.0, 4.0]], requires_grad=True)
    (detached,) = torch.autograd.grad(unit(vector, "detached", 1e-4)[0, 0], vector)
    (ordinary,) = torch.autograd.grad(unit(vector, "ordinary", 1e-4)[0, 0], vector)
    assert detached[0].tolist() == pytest.approx([0.2, 0.0])
    assert ordinary[0].tolist() == pytest.approx([0.128, -0.096])  # (1 - 9/25)/5, -12/125


def test_standardised_inputs_do_not_see_shift_and_scale() -> None:
    settings = PAPER.model_copy(update={"standardise": True, "adapter_widths": (16, 16, 8), "adapter_upsample": False})
    network = new_network(settings, 4, seed=0).eval()
    maps = torch.randn(1, 4, 8, 8)
    network.set_statistics(torch.zeros(4), torch.ones(4))
    plain = network.adapt(maps)
    network.set_statistics(torch.full((4,), 5.0), torch.full((4,), 3.0))
    assert torch.allclose(network.adapt(maps * 3 + 5), plain, atol=1e-5)


def test_new_network_depends_on_the_seed_alone_and_leaves_the_global_generator() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, again = new_network(PAPER, 8, seed=0), new_network(PAPER, 8, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.background, again.background)
    assert not torch.equal(one.background, new_network(PAPER, 8, seed=1).background)


def test_new_weights_forget_the_kept_template(network: Common3DNetwork) -> None:
    other = new_network(PAPER, 384, seed=1)
    first = other.template()[0]
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.template()[0], network.template()[0])
    assert not torch.equal(other.template()[0][:500], first[:500])
