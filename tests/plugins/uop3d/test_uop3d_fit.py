from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy import ColourModel, ToySource

from bench3d.contracts import FitContext, ImageBatch
from bench3d.errors import DataError, UsageError, WeightsError
from bench3d.geometry.pixels import PixelGeometry
from bench3d.morphable.screening import Screened
from bench3d.plugins import load_registry, load_settings
from bench3d_plugins.uop3d import train
from bench3d_plugins.uop3d.artifact import WEIGHTS, load_network
from bench3d_plugins.uop3d.network import UOP3DNetwork
from bench3d_plugins.uop3d.settings import UOP3DSettings
from bench3d_plugins.uop3d.shape_model import create
from bench3d_plugins.uop3d.train import fit_category, reference_mesh


def context(out: Path, **changes: object) -> FitContext:
    out.mkdir(exist_ok=True)
    return FitContext(**{"out": out, "recipe": "r", "seed": 0, "category": "toy", **changes})


def fitted(out: Path, source: ToySource, settings: UOP3DSettings, **changes: object) -> UOP3DNetwork:
    return fit_category(ColourModel(), source, settings, context(out, **changes))[0]


def weights(*args: object, **changes: object) -> dict[str, torch.Tensor]:
    return fitted(*args, **changes).state_dict()  # type: ignore[arg-type]


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("changes", [{}, {"views": "live", "accumulate": 2}])
def test_a_stopped_fit_resumes_bit_for_bit(
    tmp_path: Path, boxes: ToySource, tiny: UOP3DSettings, monkeypatch: pytest.MonkeyPatch, changes: dict
) -> None:
    settings = tiny.model_copy(update={"checkpoint_seconds": 1e-9, **changes})
    straight = weights(tmp_path / "straight", boxes, settings)

    class Stop(Exception):
        pass

    with monkeypatch.context() as patch, pytest.raises(Stop):
        plain = train.VertexStage.step

        def step(self: train.VertexStage, iteration: int) -> dict[str, float]:
            if iteration == 5:
                raise Stop
            return plain(self, iteration)

        patch.setattr(train.VertexStage, "step", step)
        weights(tmp_path / "stopped", boxes, settings)
    torch.manual_seed(99)
    assert equal(straight, weights(tmp_path / "stopped", boxes, settings))


def test_training_moves_the_head_and_all_features_and_keeps_their_length(
    tmp_path: Path, boxes: ToySource, tiny: UOP3DSettings
) -> None:
    network, facts = fit_category(
        ColourModel(), boxes, tiny.model_copy(update={"iterations": 60}), context(tmp_path / "a")
    )
    start = weights(tmp_path / "b", boxes, tiny.model_copy(update={"iterations": 1}))
    after = network.state_dict()
    assert all(not torch.equal(start[n], after[n]) for n in ("adapter.out.weight", "vertex_features", "clutter"))
    assert equal({n: start[n] for n in ("vertices", "faces")}, after)
    lengths = torch.cat([after["vertex_features"], after["clutter"][None]]).norm(dim=1)
    assert torch.allclose(lengths, torch.ones_like(lengths), atol=1e-6)
    history = facts["history"]["vertices"]
    assert history[-1]["vertex"] < 0.85 * np.log(len(after["vertices"]))
    assert facts["held_out_sequences"] == ["seq03"]
    assert 0 <= facts["held_out_accuracy_10deg"] <= 1


def test_nothing_is_held_out_by_default(tmp_path: Path, boxes: ToySource, tiny: UOP3DSettings) -> None:
    settings = tiny.model_copy(update={"held_out": UOP3DSettings().held_out, "iterations": 1})
    _, facts = fit_category(ColourModel(), boxes, settings, context(tmp_path / "a"))
    assert len(facts["training_sequences"]) == 4
    assert facts["held_out_accuracy_10deg"] is None


def test_the_reference_gives_the_mesh(boxes: ToySource, tiny: UOP3DSettings) -> None:
    every = boxes.sequences("toy")
    whole = Screened(tuple(every), {"seq98": "its point cloud is not finite"}, {})
    assert reference_mesh(whole, every, named(tiny, "seq02"), 0).name == "seq02"
    with pytest.raises(UsageError, match="no sequence seq99"):
        reference_mesh(whole, every, named(tiny, "seq99"), 0)
    with pytest.raises(UsageError, match="seq98 no mesh can be taken: its point cloud is not finite"):
        reference_mesh(whole, every, named(tiny, "seq98"), 0)
    small = [replace(every[0], points=lambda: np.eye(3).repeat(4, axis=0)[:10]), *every[1:]]
    found = reference_mesh(whole, small, tiny, 0)
    assert found.name == "seq01"
    assert "too small" in found.skipped["seq00"]
    extent = every[1].points()
    assert np.abs(found.vertices).max() == pytest.approx(np.abs(extent).max(), abs=0.05)
    assert len(found.vertices) <= tiny.mesh_vertices
    with pytest.raises(DataError, match="seq00"):
        reference_mesh(whole, small[:1], tiny, 0)


def named(settings: UOP3DSettings, sequence: str) -> UOP3DSettings:
    return settings.model_copy(update={"reference_sequence": sequence})


def test_what_cannot_be_trained_on_is_left_out_and_counted(
    tmp_path: Path, boxes: ToySource, tiny: UOP3DSettings
) -> None:
    first, second, *rest = boxes.sequences("toy")
    blind = replace(second.frames[0], cam_T_obj=np.full((4, 4), np.nan))
    faulty = [
        replace(first, points=lambda: np.full((100, 3), np.nan)),
        replace(second, frames=(blind, *second.frames[1:])),
        *rest,
    ]

    class Faulty(ToySource):
        def __init__(self) -> None:
            self.list = faulty

    _, facts = fit_category(ColourModel(), Faulty(), tiny.model_copy(update={"iterations": 1}), context(tmp_path / "a"))
    assert facts["training_sequences"] == ["seq01", "seq02"]
    assert facts["training_frames"] == 11
    assert facts["reference_sequence"] == "seq01"
    assert facts["left_out"] == {"sequence: its point cloud is not finite": 1, "frame: its camera is not finite": 1}


def test_artifact_round_trip_and_broken_meshes(tmp_path: Path, boxes: ToySource, tiny: UOP3DSettings) -> None:
    out = tmp_path / "a"
    artifact = create(tiny).fit(ColourModel(), boxes, context(out))
    assert sorted(p.name for p in out.iterdir()) == ["artifact.json", WEIGHTS]
    assert artifact.facts["random_weights"] is False
    assert create(tiny).load(out) == artifact
    whole = load_file(out / WEIGHTS)
    assert equal(whole, load_network(out, "cpu").state_dict())
    for name, broken in (
        ("faces", whole["faces"] + 1000),
        ("faces", whole["faces"].float()),
        ("vertices", whole["vertices"][:, :2]),
        ("clutter", whole["clutter"] * float("nan")),
        ("vertex_features", whole["vertex_features"][:-1]),
    ):
        save_file({**whole, name: broken.contiguous()}, out / WEIGHTS)
        with pytest.raises(WeightsError, match=WEIGHTS):
            load_network(out, "cpu")
    index = json.loads((out / "artifact.json").read_text())
    (out / "artifact.json").write_text(json.dumps({**index, "schema": "bench3d.common3d/1"}))
    with pytest.raises(WeightsError, match="schema"):
        create(tiny).load(out)


def test_features_are_the_backbones_unless_blended(tmp_path: Path, boxes: ToySource, tiny: UOP3DSettings) -> None:
    base = ColourModel()
    artifact = create(tiny).fit(base, boxes, context(tmp_path / "a"))
    images = torch.rand(1, 3, 64, 64)
    batch = ImageBatch(images, torch.ones(1, 1, 64, 64), (PixelGeometry.identity((64, 64)),), ("one",), "toy")
    plain = create(tiny).apply(base, {"toy": artifact}, "cpu")
    assert [m.weight for m in plain.features(batch)] == [1.0]
    blended = create(tiny.model_copy(update={"blend": 0.2})).apply(base, {"toy": artifact}, "cpu")
    assert [m.weight for m in blended.features(batch)] == pytest.approx([0.8, 0.2])
    mesh = plain.template("toy")
    assert mesh.features is not None
    assert mesh.features.shape == (len(mesh.vertices), 16)


def settings_of(name: str, preset: str) -> dict:
    return load_settings(load_registry().get("shape-model", name), preset).model_dump()


def test_paper_preset_is_the_published_configuration() -> None:
    s = UOP3DSettings(**settings_of("uop3d", "paper"))
    assert s == UOP3DSettings()
    assert (s.clutter_samples, s.temperature, s.epochs, s.batch, s.accumulate) == (5, 0.07, 10, 12, 2)
    assert (s.learning_rate, s.weight_decay, s.learning_rate_schedule) == (1e-4, 1e-4, "constant")
    assert (s.adapter_widths, s.adapter_upsample, s.mesh_vertices, s.canvas) == ((512, 512, 128), True, 500, 512)


def test_quick_preset_trains_as_common3ds_does() -> None:
    ours, theirs = settings_of("uop3d", "quick"), settings_of("common3d", "quick")
    assert ours.pop("iterations") == theirs["appearance_iterations"]
    ours.pop("blend")
    assert {k: v for k, v in ours.items() if k in theirs} == {k: theirs[k] for k in ours if k in theirs}
