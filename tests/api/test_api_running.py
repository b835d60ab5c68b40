"""`bench3d.run`, `plan`, `train`, `results`: with names as the command line has them, and with objects."""

from __future__ import annotations

import json
import multiprocessing.spawn
import sys
from typing import Any

import numpy as np
import pytest
import torch

import bench3d
from bench3d.api.running import _main_stays_closed
from bench3d.contracts import Artifact, MetricSpec, Model, ShapeModel, Task
from bench3d.errors import PluginError, UnknownNameError, UsageError
from bench3d.files import write_json
from bench3d.plugins import load_registry
from bench3d.records import read_samples


class Net(torch.nn.Module):
    """A small network with something that eval mode changes."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = torch.nn.Conv2d(3, channels, 8, stride=8)
        self.conv.weight.data = torch.randn(self.conv.weight.shape, generator=generator)
        self.norm = torch.nn.BatchNorm2d(channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(images))


@pytest.fixture
def same_registry():
    before = [(r.kind, r.name) for r in load_registry().registrations()]
    yield
    assert [(r.kind, r.name) for r in load_registry().registrations()] == before


def test_it_is_the_run_of_the_command_line(call, cli):
    record = bench3d.run(backbone="hog", **call)
    typed = [f"--set={k}={v}".replace(" ", "").replace("'", "") for k, v in call["settings"].items()]
    answer = cli(
        "run", "--backbone", "hog", "--task", "pf-willow", "--synthetic", "--data", str(call["data"]), "--device",
        "cpu", "--results", str(call["results"]), "--json", *typed,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    (path,) = call["results"].glob("runs/*/*/record.json")
    assert bench3d.load_record(path) == bench3d.load_record(path.parent) == record
    assert record.identity.hash in answer.out


def test_nothing_is_printed_unless_it_is_asked_for(call, capfd):
    bench3d.run(backbone="hog", **call)
    assert capfd.readouterr() == ("", "")
    bench3d.run(backbone="hog", force=True, progress=True, **call)
    assert "evaluation" in capfd.readouterr().err
    heard: list[Any] = []
    bench3d.run(backbone="hog", force=True, progress=lambda *said: heard.append(said), **call)
    assert ("car: evaluation", 3, 3, {}) in heard


def test_settings_nested_or_dotted_are_one(call):
    flat = bench3d.plan(backbone="hog", **call)
    nested: dict[str, Any] = {"data": {}}
    for key, value in call.pop("settings").items():
        scope, _, name = key.partition(".")
        nested.setdefault(scope, {})[name] = value
    assert bench3d.plan(backbone="hog", settings=nested, **call).identity == flat.identity
    with pytest.raises(UsageError, match=r"no scope taks\. Did you mean task"):
        bench3d.plan(backbone="hog", **call, settings={"taks.split": "hard"})
    with pytest.raises(UsageError, match="no mapping"):
        bench3d.plan(backbone="hog", **call, settings={"task": "hard"})


def test_a_network_of_one_s_own(call, same_registry):
    net = Net().train()
    net.norm.running_mean += 0.5
    before = {k: v.clone() for k, v in net.state_dict().items()}
    record = bench3d.run(backbone=net, name="mine", **call)
    told = record.identity.measurement["backbone"]
    assert told["name"] == "object:mine" and len(told["settings"]["object"]) == 64 and told["settings"]["patch"] == 8
    assert record.provenance.weights["source"] == "object"
    assert net.training and net.norm.training and net.conv.weight.requires_grad
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in before.items())
    again = bench3d.run(backbone=net, name="mine", **call)
    assert again == record  # taken as it stands
    with torch.no_grad():
        net.conv.weight.mul_(-1)
    other = bench3d.plan(backbone=net, name="mine", **call)
    assert other.identity != record.identity.hash and not other.already_done


def test_a_function_is_the_network_that_it_calls(call, same_registry):
    """Same weights, same eval mode, same scores; the module inside is left as it was."""
    net = Net().train()
    net.norm.running_mean += 0.5
    whole = bench3d.run(backbone=net, name="net", **call)
    called = bench3d.run(backbone=lambda images: net(images) * 1, name="function", **call)
    assert [s.value for s in called.scores] == [s.value for s in whole.scores]
    assert net.training and net.norm.training
    frame = bench3d.results(call["results"])
    assert set(frame.title) == {"object:net", "object:function"}
    assert set(frame[frame.category == "car"].metric) >= {whole.headline}
    assert frame[(frame.title == "object:net") & (frame.metric == whole.headline)].value.iloc[0] == pytest.approx(
        whole.score(whole.headline).value, rel=1e-5
    )
    assert len(bench3d.results(call["results"], task="no-such-task")) == 0


def test_a_model_of_the_contract(call, same_registry):
    model = bench3d.load_backbone("hog", grid=8, device="cpu").model
    assert isinstance(model, Model)
    with pytest.raises(UsageError, match=r"no setting backbone\.grid"):  # it would change nothing
        bench3d.run(backbone=model, name="my-hog", **call)
    own = bench3d.run(backbone=model, name="my-hog", **{**call, "settings": _without(call, "backbone.grid")})
    named = bench3d.run(backbone="hog", **call)
    assert [s.value for s in own.scores] == [s.value for s in named.scores]


def _without(call: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in call["settings"].items() if k != key}


class Doubled(Model):
    """Features times two."""

    def __init__(self, model: Model) -> None:
        self.model, self.canvas = model, model.canvas

    def features(self, batch):
        from dataclasses import replace

        return [replace(w, map=replace(w.map, values=2 * w.map.values)) for w in self.model.features(batch)]


class Doubling(ShapeModel):
    """An adapter that learns how many videos there are, and nothing else."""

    def fit(self, model, source, context):
        facts = {"recipe": context.recipe, "videos": len(source.sequences("car"))}
        write_json(context.out / "artifact.json", facts)
        return self.load(context.out)

    def load(self, path):
        index = json.loads((path / "artifact.json").read_text())
        return Artifact(path, index["recipe"], "digest", facts={"videos": index["videos"]})

    def apply(self, model, artifacts, device):
        assert isinstance(model, Model) and len(artifacts) == 1
        return Doubled(model)


class Brightness(Task):
    """The mean grey of an image: a task that needs no features."""

    metrics = (MetricSpec(name="grey", value="grey", reduce="mean", unit="", higher_is_better=True),)

    def samples(self, dataset, category, limit):
        return [side for pair in dataset.pairs(category, "test") for side in (pair.source,)][:limit]

    def prepare(self, model, category, source):
        pass

    def evaluate(self, model, samples, device):
        from PIL import Image

        return [
            {"id": s.id, "category": "car", "cluster": s.id, "grey": float(np.asarray(Image.open(s.image)).mean())}
            for s in samples
        ]


def test_an_adapter_and_a_task_of_one_s_own(call, same_registry):
    with pytest.raises(UnknownNameError, match="no dataset named nowhere"):
        bench3d.run(backbone="hog", adapter=bench3d.wrap(Doubling(), "x", train_dataset="nowhere"), **call)
    adapter = bench3d.wrap(Doubling(), "doubling", train_dataset="co3d")
    plain, adapted = bench3d.run(backbone="hog", **call), bench3d.run(backbone="hog", adapter=adapter, **call)
    assert adapted.identity.measurement["adapter"]["name"] == "object:doubling"
    assert [s.value for s in adapted.scores] == [s.value for s in plain.scores]  # lengths do not count in a cosine
    (artifact,) = bench3d.train(backbone="hog", adapter=adapter, **{k: v for k, v in call.items() if k != "task"})
    assert artifact.facts == {"videos": 2} and artifact.recipe == adapted.fits[0].recipe
    call.pop("task")
    record = bench3d.run(backbone="hog", task=bench3d.wrap(Brightness(), "grey", dataset="pf-willow"), **call)
    assert record.headline == "grey" and record.identity.measurement["task"]["name"] == "object:grey"
    (path,) = call["results"].glob("runs/object?grey/*/samples.jsonl")
    values = [line["grey"] for line in read_samples(path)]
    assert record.score("grey", "car").value == pytest.approx(np.mean(values))


def test_mistakes_are_sentences(call, same_registry):
    with pytest.raises(UnknownNameError, match="Did you mean hog"):
        bench3d.run(backbone="hogg", **call)
    with pytest.raises(UsageError, match="is a class, not an object"):
        bench3d.run(backbone=Net, **call)
    with pytest.raises(UsageError, match="nothing that can be evaluated"):
        bench3d.run(backbone=7, **call)
    with pytest.raises(UsageError, match="name='x' is for a backbone that is an object"):
        bench3d.run(backbone="hog", name="x", **call)
    with pytest.raises(UsageError, match="has its weights in it"):
        bench3d.run(backbone=Net(), weights="random", **call)
    with pytest.raises(UsageError, match="no name for an object"):
        bench3d.run(backbone=Net(), name="a b", **call)
    with pytest.raises(PluginError, match=r"answers with \(1, 4\), not with a map"):
        bench3d.run(backbone=lambda images: images.new_zeros(len(images), 4), name="flat", **call)
    with pytest.raises(UsageError, match="makes 27x27 cells of an image of 224x224"):
        bench3d.run(backbone=torch.nn.Conv2d(3, 4, 16, stride=8), name="valid", **call)
    with pytest.raises(UsageError, match="backbone= was given a task"):
        bench3d.run(backbone=bench3d.wrap(Brightness(), "grey", dataset="pf-willow"), **call)
    with pytest.raises(UsageError, match="knows no colour of a backbone"):
        bench3d.wrap(Net(), "x", colour=3)
    with pytest.raises(UsageError, match="There is nothing to train"):
        bench3d.train(backbone="hog", device="cpu")
    with pytest.raises(bench3d.errors.DataError, match="no results folder"):
        bench3d.results("nowhere")


def test_cells_that_do_not_tile_the_input_are_seen(call):
    """The probe is right at its own size only: what the network does at another one is held against it."""

    def fickle(images: torch.Tensor) -> torch.Tensor:
        side = images.shape[2] // 8 + (images.shape[2] != 224)
        return images.new_zeros(len(images), 4, side, side)

    with pytest.raises(PluginError, match="not with 8x8 cells of 8 pixels"):
        bench3d.run(backbone=fickle, name="fickle", **call)


def test_worker_processes_do_not_run_the_script_again(monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None, raising=False)
    monkeypatch.setattr(main, "__file__", "script.py", raising=False)
    assert "init_main_from_path" in multiprocessing.spawn.get_preparation_data("x")
    with _main_stays_closed():
        assert not {"init_main_from_path", "init_main_from_name"} & set(multiprocessing.spawn.get_preparation_data("x"))
    assert main.__file__ == "script.py" and main.__spec__ is None
