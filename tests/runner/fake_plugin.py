"""A whole world of plugins, tiny: installed as a package of its own by the fixtures of these tests."""

import hashlib
import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from bench3d.contracts import (
    BackboneRegistration,
    DatasetRegistration,
    Protocol,
    ShapeModelRegistration,
    TaskRegistration,
    Weights,
)
from bench3d.plugins import hookimpl

GENERATOR = 1
FAULTS: dict = {}
CALLS: list = []


class NetSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    layer: int = 0


class ShapeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rate: float = 0.5
    steps: int = Field(3, json_schema_extra={"fit": False})


class TaskSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    offset: float = 0.0
    batch: int = Field(4, json_schema_extra={"identity": False})


@hookimpl
def bench3d_register():
    me = "fakes_plugin"
    categories = ("car", "chair")
    return [
        BackboneRegistration(
            name="fake-net", summary="", factory=f"{me}:create_backbone", settings=f"{me}:NetSettings",
            weights=Weights(source="hub", id="fake/net", revision="1"),
        ),
        BackboneRegistration(
            name="fake-floor", summary="", factory=f"{me}:create_backbone", settings=f"{me}:NetSettings"
        ),
        ShapeModelRegistration(
            name="fake-shape", summary="", factory=f"{me}:create_shape", settings=f"{me}:ShapeSettings",
            adds=("pose",), train_dataset="fake-data",
        ),
        DatasetRegistration(
            name="fake-data", summary="", factory=f"{me}:Data", folder="fake", categories=categories,
            synth=f"{me}:write_twin", how_to_get="Ask around.",
        ),
        TaskRegistration(
            name="fake-task", summary="", factory=f"{me}:create_task", settings=f"{me}:TaskSettings",
            requires=("pose",), dataset="fake-data", headline="accuracy@30deg",
            protocols=(Protocol(name="easy", oracles=("category",)), Protocol(name="tough", settings={"offset": 5.0})),
        ),
    ]  # fmt: skip


def create_backbone(weights, settings, device):
    from bench3d.contracts import Model

    model = Model()
    model.random_weights = weights == "random"
    model.describe = lambda: {"params": 7}
    return model


def create_shape(settings):
    from bench3d.contracts import Artifact, ShapeModel
    from bench3d.errors import WeightsError

    class Shape(ShapeModel):
        def fit(self, model, source, context):
            CALLS.append(("fit", context.category))
            with open(context.out.parent.parent.parent / "fits.log", "a") as log:
                log.write(f"{context.category} {os.getpid()}\n")
            if "fit" in FAULTS:
                raise FAULTS["fit"]
            source.sequences(context.category)
            text = json.dumps({"recipe": context.recipe, "category": context.category})
            (context.out / "artifact.json").write_text(text)
            return self.load(context.out)

        def load(self, path):
            try:
                value = json.loads((path / "artifact.json").read_text())
            except OSError as error:
                raise WeightsError(f"{path} holds no artifact.") from error
            facts = {"training_objects": FAULTS.get("trained on", [])}
            return Artifact(path, value["recipe"], FAULTS.get("digest", "d1"), value["category"], facts)

        def apply(self, model, artifacts, device):
            from bench3d.contracts import Model

            CALLS.append(("apply", tuple(artifacts)))
            posing = Model()
            posing.capabilities = frozenset({"features", "pose"})
            posing.random_weights = model.random_weights
            posing.describe = model.describe
            return posing

    return Shape()


class Sample:
    def __init__(self, id, category, error):
        self.id, self.category, self.error = id, category, error


class Data:
    synthetic = False

    def __init__(self, root, settings):
        self.root = Path(root)
        self.synthetic = (self.root / "twin").exists()

    def _read(self, category):
        from bench3d.errors import DataError

        try:
            return (self.root / f"{category}.json").read_bytes()
        except OSError:
            raise DataError(f"{self.root / (category + '.json')} is missing.") from None

    def fingerprint(self, category):
        return hashlib.sha256(self._read(category)).hexdigest()

    def samples(self, category, split="val"):
        return [Sample(f"{category}-{n}", category, e) for n, e in enumerate(json.loads(self._read(category)))]

    sequences = samples

    def skipped(self, category):
        return FAULTS.get("left out", {}).get(category, {})


def write_twin(root, spec, progress, workers):
    if (root / "twin").exists():
        return  # the contract: what is already there and whole is left alone
    CALLS.append(("twin", spec.categories))
    root.mkdir(parents=True, exist_ok=True)
    (root / "twin").touch()
    for category in spec.categories:
        (root / f"{category}.json").write_text(json.dumps([5.0, 15.0, 40.0, 100.0][: spec.test_images]))


def create_task(settings, protocol):
    from bench3d.contracts import MetricSpec, Task

    class FakeTask(Task):
        metrics = (
            MetricSpec(
                name="accuracy@30deg", value="error", reduce="fraction_below", threshold=30.0, unit="%",
                higher_is_better=True, chance={"guess": "chance"},
            ),
            MetricSpec(name="median error", value="error", reduce="median", unit="deg", higher_is_better=False),
            MetricSpec(name="absent", value="nowhere", reduce="mean", unit="", higher_is_better=False),
        )  # fmt: skip

        def samples(self, dataset, category, limit):
            return dataset.samples(category)[:limit]

        def prepare(self, model, category, source):
            CALLS.append(("prepare", category, source is not None))

        def evaluate(self, model, samples, device):
            CALLS.append(("evaluate", [s.id for s in samples]))
            if len(samples) > FAULTS.get("room for", 99):
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            if any(s.id == FAULTS.get("at") for s in samples):
                raise FAULTS["error"]
            values = [
                {
                    "id": s.id, "category": s.category, "cluster": s.id, "error": s.error + settings.offset,
                    "chance": 0.25, "features_ms": 2.0, "groups": {"even": "yes" if int(s.id[-1]) % 2 == 0 else "no"},
                }
                for s in samples
            ]  # fmt: skip
            return FAULTS.get("values", lambda v: v)(values)

        def pictures(self, model, samples, values, out, device):
            out.mkdir(parents=True, exist_ok=True)
            (out / "one.png").write_bytes(b"png")
            yield out / "one.png"
            if "picture" in FAULTS:
                raise FAULTS["picture"]

    return FakeTask()
