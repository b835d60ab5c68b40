"""The latents that a fit keeps, and the walk along their principal directions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_training import context
from toy import TINY, ColourModel, ToySource

from bench3d.errors import CapabilityError, UsageError
from bench3d.morphable.pool import ViewPool
from bench3d_plugins.common3d.artifact import WEIGHTS, load_network, write_artifact
from bench3d_plugins.common3d.model import Common3DModel
from bench3d_plugins.common3d.network import VARIATION
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.train import fit_category, new_network
from bench3d_plugins.common3d.variation import set_latent_variation


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, toy_source: ToySource):
    """(network, settings, artifact folder) of three training videos."""
    settings = Common3DSettings(**TINY)
    out = tmp_path_factory.mktemp("walk")
    network = fit_category(ColourModel(), toy_source, settings, context(out)).network
    write_artifact(out, network, network.state_dict(), category="toy", recipe="r", seed=0, facts={})
    return network, settings, out


def test_directions_are_those_of_the_means_of_sequences(fitted, toy_source: ToySource) -> None:
    """Against a singular value decomposition of the three sequences' mean latents."""
    network, settings, _ = fitted
    with ViewPool(toy_source.list[:3], ColourModel(), settings, 0, "cpu") as pool:
        pool.prepare(context(Path("/tmp")).progress)
        maps = pool.features[: len(pool.frames)].float()
        with torch.no_grad():
            rows = network.latent(maps).double().reshape(3, 6, -1).mean(1)
    mean = rows.mean(0)
    _, sizes, directions = torch.linalg.svd(rows - mean, full_matrices=False)
    assert network.latent_directions.shape == (2, settings.latent_dim)  # three instances span two directions
    assert torch.allclose(network.latent_mean.double(), mean, atol=1e-5)
    assert torch.allclose(network.latent_deviations.double(), sizes[:2] / 2**0.5, rtol=1e-3)
    for found, expected in zip(network.latent_directions.double(), directions, strict=False):
        assert abs(float(found @ expected)) == pytest.approx(1, abs=1e-3)


def test_a_walk_starts_at_the_mean_and_goes_both_ways(fitted) -> None:
    network, settings, out = fitted
    model = Common3DModel(ColourModel(), {"toy": load_network(out, "cpu")}, settings, "cpu")
    back, middle, ahead = model.walk("toy", 0, (-2.0, 0.0, 2.0))
    template = model.template("toy")
    with torch.inference_mode():
        mean = network.deform(template.vertices, network.latent_mean[None])[0]
    assert torch.allclose(middle.vertices, mean, atol=1e-6)
    assert (back.vertices - ahead.vertices).abs().max() > 1e-5
    assert torch.equal(middle.faces, template.faces) and torch.equal(back.features, template.features)
    with pytest.raises(UsageError, match="has 2 directions; there is no number 3"):
        model.walk("toy", 2, (0.0,))


def test_an_artifact_from_before_is_read_and_says_that_it_has_none(fitted, tmp_path: Path) -> None:
    _, settings, out = fitted
    older = {name: value for name, value in load_file(out / WEIGHTS).items() if name not in VARIATION}
    for name in ("artifact.json", WEIGHTS):
        (tmp_path / name).write_bytes((out / name).read_bytes())
    save_file(older, tmp_path / WEIGHTS)
    loaded = load_network(tmp_path, "cpu")
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in older.items())
    model = Common3DModel(ColourModel(), {"toy": loaded}, settings, "cpu")
    with pytest.raises(CapabilityError, match="before latents were kept"):
        model.walk("toy", 0, (0.0,))
    assert len(model.template("toy").vertices) > 100


def test_a_rigid_template_and_a_single_video_have_no_directions(toy_source: ToySource, tiny: Common3DSettings) -> None:
    rigid = tiny.model_copy(update={"instance_deformation": False})
    model = Common3DModel(ColourModel(), {"toy": new_network(rigid, 9, 0)}, rigid, "cpu")
    with pytest.raises(CapabilityError, match="without instance deformation"):
        model.walk("toy", 0, (0.0,))
    network = new_network(tiny, 9, 0).eval()
    with ViewPool(toy_source.list[:1], ColourModel(), tiny, 0, "cpu") as pool:
        pool.prepare(context(Path("/tmp")).progress)
        set_latent_variation(network, pool)
    assert network.latent_mean.shape == (16,) and network.latent_directions.shape == (0, 16)
    model = Common3DModel(ColourModel(), {"toy": network}, tiny, "cpu")
    with pytest.raises(UsageError, match="has 0 directions"):
        model.walk("toy", 0, (0.0,))
