"""A small honest adapter and shape model, to be spoilt one method at a time."""

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from bench3d.contracts import (
    AdapterRegistration,
    Artifact,
    FeatureMap,
    Model,
    PoseEstimate,
    ShapeModel,
    ShapeModelRegistration,
    WeightedMap,
)
from bench3d.errors import CapabilityError, WeightsError
from bench3d.files import write_json

CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float32)
FACES = [[0, 1, 3], [0, 3, 2], [4, 5, 7], [4, 7, 6]]


class ToySettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    steps: int = 4


def adapter(**more):
    facts = {"train_dataset": "co3d", "settings": "planted_fits:ToySettings", "factory": "planted_fits:Toy"}
    return AdapterRegistration(**{"name": "toy", "summary": "An adapter with a fault", **facts, **more})


def shape_model(**more):
    facts = {"train_dataset": "co3d", "settings": "planted_fits:ToySettings", "factory": "planted_fits:ToyShape"}
    adds = ("pose", "mask", "shape")
    return ShapeModelRegistration(
        **{"name": "toy", "summary": "A shape model with a fault", "adds": adds, **facts, **more}
    )


class ToyModel(Model):
    """The base's features, each cell times one number."""

    def __init__(self, base, factor):
        self.base, self.factor = base, factor
        self.capabilities, self.canvas, self.random_weights = base.capabilities, base.canvas, base.random_weights

    def features(self, batch):
        maps = self.base.features(batch)
        return [WeightedMap(FeatureMap(m.map.values * self.factor, m.map.geometry), m.weight) for m in maps]

    def fingerprint(self, category=None):
        return f"{self.base.fingerprint(category)}-{self.factor}"

    def describe(self):
        return self.base.describe()


class Toy(ShapeModel):
    model = ToyModel

    def __init__(self, settings):
        self.settings = settings

    def fit(self, model, source, context):
        rng = self.generator(context)
        weight = 1.0
        for _ in range(self.settings.steps):
            weight += float(rng.random())
            context.progress.advance(1, loss=weight)
        return self.save(context, weight)

    def generator(self, context):
        return np.random.default_rng(context.seed)

    def save(self, context, weight):
        content = {"recipe": context.recipe, "category": context.category, "weight": weight, "facts": {"steps": 4}}
        write_json(context.out / "artifact.json", content)
        return self.load(context.out)

    def load(self, path):
        try:
            content = json.loads((path / "artifact.json").read_text())
            digest = hashlib.sha256(repr(content["weight"]).encode()).hexdigest()
            return Artifact(path, content["recipe"], digest, content["category"], content["facts"])
        except (OSError, ValueError, KeyError) as error:
            raise WeightsError(f"{path} holds no artifact ({error}).") from error

    def weight(self, artifact):
        return json.loads((artifact.path / "artifact.json").read_text())["weight"]

    def apply(self, model, artifacts, device):
        (artifact,) = artifacts.values()
        return self.model(model, self.weight(artifact))


class ToyShapeModel(ToyModel):
    def __init__(self, base, factor, category):
        super().__init__(base, factor)
        self.category = category
        self.capabilities = base.capabilities | {"pose", "mask", "shape"}

    def known(self, category):
        if category != self.category:
            raise CapabilityError(f"There is no {category}.")

    def pose(self, batch, given):
        self.known(given.category)
        rotation = torch.eye(3).expand(len(batch), 3, 3).clone()
        return PoseEstimate(rotation, given.translation.clone(), torch.zeros(len(batch)))

    def shape(self, batch, given):
        self.known(given.category)
        return torch.from_numpy(CORNERS).expand(len(batch), 8, 3).clone(), torch.tensor(FACES)

    def mask(self, batch, given, pose):
        return torch.full((len(batch), 4, 4), 0.5)


class ToyShape(Toy):
    model = ToyShapeModel

    def apply(self, model, artifacts, device):
        ((category, artifact),) = artifacts.items()
        return self.model(model, self.weight(artifact), category)


# Adapters with a fault.


class ChangesTheModel(Toy):
    def apply(self, model, artifacts, device):
        model._mean = (0.5, 0.5, 0.5)
        return super().apply(model, artifacts, device)


class FitChangesTheModel(Toy):
    def fit(self, model, source, context):
        model._mean = (0.5, 0.5, 0.5)
        return super().fit(model, source, context)


class FitSeedsTheProcess(Toy):
    def fit(self, model, source, context):
        torch.manual_seed(context.seed)
        return super().fit(model, source, context)


@dataclass(frozen=True)
class Warm(Artifact):
    bias: float = 0.0


class LosesOnReload(Toy):
    """What is not in the file is only in the artifact that `fit` gives."""

    def save(self, context, weight):
        found = super().save(context, weight)
        return Warm(found.path, found.recipe, found.digest, found.category, found.facts, bias=0.5)

    def weight(self, artifact):
        return super().weight(artifact) + getattr(artifact, "bias", 0.0)


class LosesFacts(Toy):
    def save(self, context, weight):
        return replace(super().save(context, weight), facts={"steps": 4, "loss": 0.1})


class AnotherDigest(Toy):
    def save(self, context, weight):
        found = super().save(context, weight)
        return replace(found, digest=found.digest[::-1])


class IgnoresItsSeed(Toy):
    def generator(self, context):
        return np.random.default_rng(0)


class DrawsGlobally(Toy):
    def generator(self, context):
        return np.random.default_rng([context.seed, *np.random.get_state()[1][:4]])  # noqa: NPY002


class ForgetsWhereItWas(Toy):
    """Counts the steps that were done, and draws anew for the rest."""

    def fit(self, model, source, context):
        rng, state = self.generator(context), context.out / "state.json"
        begun = json.loads(state.read_text()) if state.exists() else {"done": 0, "weight": 1.0}
        weight = begun["weight"]
        for done in range(begun["done"], self.settings.steps):
            weight += float(rng.random())
            write_json(state, {"done": done + 1, "weight": weight})
            context.progress.advance(1, loss=weight)
        return self.save(context, weight)


class OwnRecipe(Toy):
    def save(self, context, weight):
        return super().save(replace(context, recipe="mine"), weight)


class OwnCategory(Toy):
    def save(self, context, weight):
        return super().save(replace(context, category="chair"), weight)


class TracebackOnBroken(Toy):
    def load(self, path):
        content = json.loads((path / "artifact.json").read_text())
        digest = hashlib.sha256(repr(content["weight"]).encode()).hexdigest()
        return Artifact(path, content["recipe"], digest, content["category"], content["facts"])


class SameFingerprint(Toy):
    class model(ToyModel):
        def fingerprint(self, category=None):
            return self.base.fingerprint(category)


class ForgetsRandomWeights(Toy):
    class model(ToyModel):
        def __init__(self, base, factor):
            super().__init__(base, factor)
            self.random_weights = not base.random_weights


class ClaimsMore(Toy):
    class model(ToyModel):
        capabilities = frozenset({"features"})

        def __init__(self, base, factor):
            super().__init__(base, factor)
            self.capabilities = base.capabilities | {"pose"}


class NoisyModel(Toy):
    class model(ToyModel):
        def features(self, batch):
            maps = super().features(batch)
            return [
                WeightedMap(FeatureMap(m.map.values + torch.randn(m.map.values.shape), m.map.geometry)) for m in maps
            ]


class NoVerb:
    def __init__(self, settings):
        pass


# Shape models with a fault.


def shape_with(**methods):
    """The honest shape model with other methods of its model."""
    made = type("Faulty", (ToyShapeModel,), methods)
    return type("FaultyShape", (ToyShape,), {"model": made})


def mirrored(self, batch, given):
    estimate = ToyShapeModel.pose(self, batch, given)
    estimate.rotation[:, 0] *= -1
    return estimate


def scaled(self, batch, given):
    estimate = ToyShapeModel.pose(self, batch, given)
    return replace(estimate, rotation=1.1 * estimate.rotation)


def behind(self, batch, given):
    estimate = ToyShapeModel.pose(self, batch, given)
    return replace(estimate, translation=-estimate.translation)


def drawn(self, batch, given):
    estimate = ToyShapeModel.pose(self, batch, given)
    return replace(estimate, score=torch.randn(len(batch)))


def moves_the_given(self, batch, given):
    given.translation.add_(0.1)
    return ToyShapeModel.pose(self, batch, given)


def logits(self, batch, given, pose):
    return torch.full((len(batch), 4, 4), 3.0)


def from_one(self, batch, given):
    vertices, faces = ToyShapeModel.shape(self, batch, given)
    return vertices, faces + 1 + 4


def of_the_batch(self, batch, given):
    vertices, faces = ToyShapeModel.shape(self, batch, given)
    return vertices * (1 + 0.1 * len(batch)), faces


def in_metres(self, batch, given):
    vertices, faces = ToyShapeModel.shape(self, batch, given)
    return vertices * 100, faces


def any_category(self, category):
    return None


def needs_depth(self, batch, given):
    if given.depth is None:
        raise CapabilityError("It needs depth.")
    assert given.depth.shape == batch.images[:, 0].shape
    assert (given.depth > 0).any() and (given.depth == 0).any()
    return ToyShapeModel.pose(self, batch, given)


def falls_over_without_depth(self, batch, given):
    return replace(ToyShapeModel.pose(self, batch, given), score=given.depth.amax(dim=(1, 2)))
