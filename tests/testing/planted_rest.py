"""Plugins with one fault each, made of honest ones: what the kit must see."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bench3d.contracts import MetricSpec, Problem, Task
from bench3d.plugins import load_registry
from bench3d.testing import subject_for, subject_from

counter = itertools.count()


def planted(kind, name, tmp: Path, spoil, stand=None, **fields):
    """The subject of a registered thing whose factory's result goes through `spoil`; `stand`: a twin that is there."""
    honest = subject_for(kind, name, tmp=tmp)
    made = subject_from(
        replace(honest.registration, **fields), lambda **k: spoil(honest.factory(**k)), tmp=tmp, registered=True
    )
    if stand is not None:
        mine = replace(stand, make=lambda folder: made.create(root=folder)) if kind == "dataset" else stand
        made.shared("its data", lambda: mine)
    return made


class Wrapped:
    """Everything of another reader."""

    def __init__(self, reader):
        self.reader = reader
        self.synthetic = reader.synthetic

    def __getattr__(self, name):
        return getattr(self.reader, name)


class RestlessIds(Wrapped):
    """Ids of a counter that goes on."""

    def pairs(self, category, split):
        return [replace(p, id=f"{p.id}-{next(counter)}") for p in self.reader.pairs(category, split)]


class TwiceTheSameId(Wrapped):
    def pairs(self, category, split):
        return [replace(p, id="one") for p in self.reader.pairs(category, split)]


class Mirrored(Wrapped):
    """Cameras with y up."""

    def samples(self, category, split):
        flip = np.diag([1.0, -1.0, -1.0, 1.0])
        return [replace(s, cam_T_obj=flip @ s.cam_T_obj) for s in self.reader.samples(category, split)]


class AnotherFrame(Wrapped):
    """Objects lie on their side: nothing but the box tells."""

    def samples(self, category, split):
        turn = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
        return [replace(s, cam_T_obj=s.cam_T_obj @ turn) for s in self.reader.samples(category, split)]


class Scaled(Wrapped):
    """Scale left in the rotation."""

    def samples(self, category, split):
        scale = np.diag([1.1, 1.1, 1.1, 1.0])
        return [replace(s, cam_T_obj=s.cam_T_obj @ scale) for s in self.reader.samples(category, split)]


class Numb(Wrapped):
    """A fingerprint of the category's name."""

    def fingerprint(self, category):
        return f"constant-{category}"


class BySurroundings(Wrapped):
    """A fingerprint that depends on where the folder lies."""

    def fingerprint(self, category):
        return self.reader.fingerprint(category) + str(self.reader.root)


class StopsAtTheFirst(Wrapped):
    def check(self, categories=None):
        return itertools.islice(self.reader.check(categories), 1)


class CriesWolf(Wrapped):
    def check(self, categories=None):
        return [Problem("some.file", "looks odd"), *self.reader.check(categories)]


class Writes(Wrapped):
    """An index beside the data."""

    def pairs(self, category, split):
        (self.reader.root / "index.cache").write_text("index")
        return self.reader.pairs(category, split)


class Unpickles(Wrapped):
    """An unguarded pickle among the annotations."""

    def pairs(self, category, split):
        import pickle

        pickle.loads(pickle.dumps(Path("harmless")))
        return self.reader.pairs(category, split)


class Traceback(Wrapped):
    def pairs(self, category, split):
        if not any(self.reader.root.iterdir()):
            raise KeyError("images")
        return self.reader.pairs(category, split)


class Around(Task):
    """Another task with a change."""

    def __init__(self, task):
        self.task = task
        self.metrics = task.metrics
        for name in ("open", "images", "samples", "prepare", "notes", "pictures"):
            setattr(self, name, getattr(task, name))

    def samples(self, dataset, category, limit):
        return self.task.samples(dataset, category, limit)

    def prepare(self, model, category, source):
        self.task.prepare(model, category, source)

    def evaluate(self, model, samples, device):
        return [self.change(dict(v), samples, model) for v in self.task.evaluate(model, samples, device)]

    def change(self, value, samples, model):
        return value


class ByBatch(Around):
    def change(self, value, samples, model):
        return value | {"reference_px": value["reference_px"] * (1 + 0.01 * (len(samples) - 1))}


class NoCluster(Around):
    def change(self, value, samples, model):
        return {k: v for k, v in value.items() if k != "cluster"}


class Random(Around):
    def change(self, value, samples, model):
        return value | {"jitter": float(torch.rand(()))}


class ChanceInPercent(Around):
    """Exact levels, times 100."""

    def change(self, value, samples, model):
        parts = {
            k: [100 * v for v in column] if k.startswith("chance") else column for k, column in value["parts"].items()
        }
        return value | {"parts": parts}


class FirstFew(Around):
    def __init__(self, task):
        super().__init__(task)
        self.samples = lambda dataset, category, limit: task.samples(dataset, category, None)[:limit]


class ChangesTheModel(Around):
    def change(self, value, samples, model):
        model.scratch = torch.ones(1)
        return value


class Unannounced(Around):
    def __init__(self, task):
        super().__init__(task)
        self.images = lambda samples: ()


class NotANumber(Around):
    def change(self, value, samples, model):
        return value | {"reference_px": float("nan")}


class SameNames(Around):
    def __init__(self, task):
        super().__init__(task)
        self.metrics = (*task.metrics, MetricSpec(**{**vars(task.metrics[0]), "unit": "px"}))


class Spoilt:
    """Every method of another renderer."""

    def __new__(cls, renderer):
        own = type(cls.__name__, (type(renderer),), {k: v for k, v in vars(cls).items() if callable(v) and k[0] != "_"})
        return own()


class UpsideDown(Spoilt):
    def rasterize(self, clip, faces, size):
        return type(self).__mro__[1].rasterize(self, clip, faces, size).flip(1)


class WrongCorner(Spoilt):
    """u and v swapped."""

    def rasterize(self, clip, faces, size):
        return type(self).__mro__[1].rasterize(self, clip, faces, size)[..., [1, 0, 2, 3]]


class NoSilhouettes(Spoilt):
    """Antialiasing without a gradient to the vertices."""

    def antialias(self, colour, raster, clip, faces):
        return type(self).__mro__[1].antialias(self, colour, raster, clip.detach() + 0 * clip, faces)


class FarFirst(Spoilt):
    """The farther triangle wins."""

    def rasterize(self, clip, faces, size):
        turned = clip * torch.tensor([1.0, 1.0, -1.0, 1.0])
        return type(self).__mro__[1].rasterize(self, turned, faces, size) * torch.tensor([1.0, 1.0, -1.0, 1.0])


def executor(cls, tmp, **options):
    """The subject of an executor class."""
    registration = load_registry().find("executor", "inline")
    made = subject_from(registration, lambda settings: cls(), tmp=tmp, registered=True)
    made.options = replace(made.options, **options)
    return made
