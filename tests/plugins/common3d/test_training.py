from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from toy import ColourModel, ToySource

from bench3d.contracts import FitContext, Progress
from bench3d.errors import Bench3DError, DataError
from bench3d.morphable.validation import Validator
from bench3d.morphable.views import split_sequences
from bench3d.plugins import renderer_for
from bench3d_plugins.common3d import stages, train
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.shape_model import create
from bench3d_plugins.common3d.train import fit_category, new_network


def context(out: Path, **changes: object) -> FitContext:
    out.mkdir(exist_ok=True)
    return FitContext(**{"out": out, "recipe": "r", "seed": 0, "category": "toy", **changes})


def weights(out: Path, source: ToySource, settings: Common3DSettings, **changes: object) -> dict[str, torch.Tensor]:
    return fit_category(ColourModel(), source, settings, context(out, **changes)).network.state_dict()


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_same_seed_same_weights_another_seed_others(
    tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings
) -> None:
    first = weights(tmp_path / "a", toy_source, tiny)
    torch.manual_seed(99)
    assert equal(first, weights(tmp_path / "b", toy_source, tiny))
    assert not equal(first, weights(tmp_path / "c", toy_source, tiny, seed=1))


@pytest.mark.parametrize("changes", [{}, {"views": "live", "accumulate": 2, "appearance_jitter": True}])
def test_a_stopped_fit_resumes_bit_for_bit(
    tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings, monkeypatch: pytest.MonkeyPatch, changes: dict
) -> None:
    settings = tiny.model_copy(update={"checkpoint_seconds": 1e-9, **changes})
    straight = weights(tmp_path / "straight", toy_source, settings)

    class Stop(Exception):
        pass

    for stage, at in ((stages.TemplateStage, 3), (stages.AppearanceStage, 5)):
        with monkeypatch.context() as patch, pytest.raises(Stop):
            plain = stage.step

            def step(self: stages.Stage, iteration: int, plain=plain, at: int = at):
                if iteration == at:
                    raise Stop
                return plain(self, iteration)

            patch.setattr(stage, "step", step)
            weights(tmp_path / "stopped", toy_source, settings)
    assert equal(straight, weights(tmp_path / "stopped", toy_source, settings))


def test_stage_two_leaves_the_signed_distances_alone(
    tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings
) -> None:
    stopped = tiny.model_copy(update={"appearance_iterations": 1})
    one, eight = weights(tmp_path / "1", toy_source, stopped), weights(tmp_path / "8", toy_source, tiny)
    fixed = [name for name in one if name.startswith("signed_distance")]
    assert len(fixed) == 5
    assert all(torch.equal(one[name], eight[name]) for name in fixed)
    start = new_network(tiny, 9, 0).state_dict()
    assert not torch.equal(start[fixed[0]], one[fixed[0]])
    for part in ("adapter.out.weight", "background", "feature_field.mlp.0.weight", "deformation.weight"):
        assert not torch.equal(one[part], eight[part])


def test_geometry_losses_on_some_images_train_the_deformation_by_them_alone(
    tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings
) -> None:
    both = {"geometry_images": 2, "labels_move_geometry": False}
    none = {**both, "weight_chamfer": 0, "weight_mask": 0, "weight_distance": 0, "weight_deformation": 0,
            "weight_smoothness": 0, "weight_decay": 0}  # fmt: skip
    start = new_network(tiny, 9, 0).state_dict()["deformation.weight"]
    trained = weights(tmp_path / "a", toy_source, tiny.model_copy(update=both))["deformation.weight"]
    idle = weights(tmp_path / "b", toy_source, tiny.model_copy(update=none))["deformation.weight"]
    assert not torch.equal(trained, start)
    assert torch.equal(idle, start)
    moved = {**none, "labels_move_geometry": True}
    assert not torch.equal(
        weights(tmp_path / "c", toy_source, tiny.model_copy(update=moved))["deformation.weight"], start
    )


def test_template_rate_and_precision_act_on_their_own_stage(
    tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings
) -> None:
    base = weights(tmp_path / "a", toy_source, tiny)
    slow = fit_category(
        ColourModel(),
        toy_source,
        tiny.model_copy(update={"template_learning_rate": 1e-4, "appearance_iterations": 1}),
        context(tmp_path / "b"),
    )
    rates = [entry["lr"] for entry in slow.facts["history"]["template"]]
    assert rates == pytest.approx([1e-4])
    half = weights(tmp_path / "c", toy_source, tiny.model_copy(update={"precision": "bfloat16"}))
    assert torch.equal(base["signed_distance.mlp.0.weight"], half["signed_distance.mlp.0.weight"])
    assert not torch.equal(base["adapter.out.weight"], half["adapter.out.weight"])
    assert all(value.dtype == base[name].dtype for name, value in half.items())


def test_a_step_that_loses_the_surface_is_taken_back(
    tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push that puts every point outside, once: the fit goes on at half the rate and ends with a mesh."""
    settings = tiny.model_copy(update={"template_iterations": 4})
    plain = stages.Stage.step
    rates: list[float] = []

    def step(self: stages.Stage, iteration: int):
        values = plain(self, iteration)
        if isinstance(self, stages.TemplateStage):
            rates.append(self.rate)
            if iteration == 1:
                with torch.no_grad():
                    for weight in self.network.signed_distance.parameters():
                        weight.copy_(weight.abs() * 3)
        return values

    monkeypatch.setattr(stages.Stage, "step", step)
    fitted = fit_category(ColourModel(), toy_source, settings, context(tmp_path / "fit"))
    assert rates[2] == rates[1] / 2
    assert len(fitted.network.template()[1]) > 100


def test_facts_tell_what_happened(tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings) -> None:
    class Recorder(Progress):
        names: list[str] = []

        def start(self, name: str, total: int | None) -> None:
            self.names.append(f"{name} {total}")

    facts = fit_category(ColourModel(), toy_source, tiny, context(tmp_path, progress=Recorder())).facts
    assert facts["training_sequences"] == ["seq00", "seq01", "seq02"]
    assert facts["held_out_sequences"] == ["seq03"]
    assert (facts["training_frames"], facts["held_out_frames"], facts["channels"]) == (18, 3, 9)
    assert facts["best_iteration"] in (4, 8)
    assert 0 <= facts["held_out_accuracy_10deg"] <= 1
    assert set(facts["history"]["template"][0]) == {"iteration", "cd", "mask", "mdt", "sdf", "loss", "lr"}
    losses = {"app", "cd", "mask", "mdt", "def", "def_sm", "loss"}
    assert losses <= set(next(e for e in facts["history"]["appearance"] if "app" in e))
    assert Recorder.names == ["views 36", "toy template 6", "toy appearance 8"]


def test_epochs_count_whole_steps(
    tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []
    monkeypatch.setattr(train, "train", lambda stage, plan, *rest: plans.append(plan) or _stop(plans))
    settings = tiny.model_copy(
        update={"template_iterations": None, "template_epochs": 5, "views": "live", "batch": 4, "accumulate": 2}
    )
    with pytest.raises(StopIteration):
        fit_category(ColourModel(), toy_source, settings, context(tmp_path))
    assert plans[0].iterations == 5 * 2  # 18 frames: 4 batches of 4, two steps an epoch


def _stop(plans: list) -> None:
    raise StopIteration


def test_split_keeps_the_last_tenth(toy_source: ToySource) -> None:
    sequence = toy_source.list[0]
    training, held_out = split_sequences([sequence] * 50, 0.1)
    assert (len(training), len(held_out)) == (45, 5)
    assert [len(part) for part in split_sequences([sequence], 0.1)] == [1, 0]
    with pytest.raises(DataError, match="no training sequences"):
        split_sequences([], 0.1)


def test_one_sequence_trains_without_held_out(tmp_path: Path, tiny: Common3DSettings) -> None:
    source = ToySource(tmp_path, count=1, views=6)
    facts = fit_category(ColourModel(), source, tiny, context(tmp_path / "fit")).facts
    assert facts["held_out_frames"] == 0
    assert facts["held_out_accuracy_10deg"] is None


def test_bad_input_is_named(tmp_path: Path, tiny: Common3DSettings) -> None:
    source = ToySource(tmp_path, count=4, views=3)
    source.list[1].frames[2].image.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"01-02\.png"):
        fit_category(ColourModel(), source, tiny, context(tmp_path / "fit"))
    with pytest.raises(Bench3DError, match="per category"):
        fit_category(ColourModel(), source, tiny, context(tmp_path / "fit", category=None))


def test_training_improves_held_out_poses(tmp_path: Path) -> None:
    settings = Common3DSettings(
        canvas=128, render_size=16, mlp_width=64, standardise=True, adapter_widths=(64, 64, 32),
        adapter_dilation=(1, 2, 4), adapter_upsample=False, latent_width=16, latent_dim=16, feature_norm="ordinary",
        chamfer_points=300, eikonal_points=300, geometry_images=2, appearance_jitter=False,
        labels_move_geometry=False, views="cached", views_per_frame=1, template_iterations=60,
        appearance_iterations=150, accumulate=1, batch=8, learning_rate=2e-3, learning_rate_schedule="one_cycle",
        validate_every=150, solarize_probability=0, grayscale_probability=0, jitter_probability=0,
    )  # fmt: skip
    source = ToySource(tmp_path, count=10, views=8)
    model = ColourModel(16)
    fitted = fit_category(model, source, settings, context(tmp_path / "fit"))
    held_out = split_sequences(source.list, 0.1)[1]
    validator = Validator(held_out, model, settings, renderer_for("cpu"), "cpu")
    trained = np.rad2deg(validator.errors(fitted.network.instance))
    untrained = np.rad2deg(validator.errors(new_network(settings, 9, 0).eval().instance))
    assert np.median(trained) < 15
    assert np.median(untrained) > 30


def test_artifact_of_a_whole_fit(tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings) -> None:
    shape_model = create(tiny)
    artifact = shape_model.fit(ColourModel(), toy_source, context(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["artifact.json", "last.safetensors", "network.safetensors"]
    loaded = shape_model.load(tmp_path)
    assert (loaded.recipe, loaded.digest, loaded.category) == ("r", artifact.digest, "toy")
    assert loaded.facts == artifact.facts
