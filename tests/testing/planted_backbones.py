"""A small honest backbone, and the same with one fault each."""

import time
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from bench3d.contracts import BackboneRegistration, FeatureMap, WeightedMap, Weights
from bench3d.features.backbone import DenseBackbone
from bench3d.features.weights import load_exactly, read_state_dict, weights_file
from bench3d.geometry.pixels import PixelGeometry

PATCH = 16


class Net(torch.nn.Module):
    """Two convolutions on patches, drawn from a seed; `late` is what a fault puts behind them."""

    def __init__(self, seed=0, late=None):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.patches = torch.nn.Conv2d(3, 12, PATCH, stride=PATCH)
            self.mix = torch.nn.Conv2d(12, 12, 1)
        self.late = late or torch.nn.Identity()

    def forward(self, images):
        return self.late(self.mix(F.gelu(self.patches(images))))


class Planted(DenseBackbone):
    """Its features pass through `change(values, batch)` and its geometry through `place(geometry)`."""

    def __init__(self, net, settings, device="cpu", change=None, place=None, **more):
        more.setdefault("random_weights", True)
        super().__init__(net, patch=PATCH, settings=settings, device=device, **more)
        self.change, self.place = change, place

    def features(self, batch):
        maps = super().features(batch)
        if self.place is not None:
            maps = [WeightedMap(FeatureMap(m.map.values, tuple(self.place(g) for g in m.map.geometry))) for m in maps]
        if self.change is not None:
            maps = [WeightedMap(FeatureMap(self.change(m.map.values, batch), m.map.geometry)) for m in maps]
        return maps

    def fingerprint(self, category=None):
        change, place, self.change, self.place = self.change, self.place, 0, 0
        try:
            return super().fingerprint(category)
        finally:
            self.change, self.place = change, place


def net_of(weights, seed, late=None):
    """The network with the weights of a file, or random ones."""
    net, path = Net(seed, late), weights_file(weights)
    if path is not None:
        load_exactly(net, read_state_dict(path), path.name)
    return net, {"random_weights": path is None}


def honest(weights, settings, device, **more):
    """The factory: seed, file and marks as they should be."""
    net, marks = net_of(weights, settings.seed)
    return Planted(net, settings, device, **{"facts": {"dim": 12}, **marks, **more})


def with_options(**options):
    return lambda **keywords: honest(**keywords, **options)


def changed(change):
    return with_options(change=change)


def registration(**more):
    facts = {
        "patch": PATCH,
        "dim": 12,
        "params": 9384,
        "weights": Weights(source="url", id="https://example.org/planted.pth"),
    }
    return BackboneRegistration(
        name="planted",
        summary="A backbone with a fault",
        factory="planted_backbones:honest",
        settings="bench3d.features.settings:BackboneSettings",
        **{**facts, **more},
    )


def other_stride(geometry):
    """Eight pixels per cell where there are sixteen: the cells end in the middle of the image."""
    return _regrid(geometry, stride=PATCH / 2)


def wider_stride(geometry):
    return _regrid(geometry, stride=PATCH * 1.25)


def half_a_cell(geometry):
    return _regrid(geometry, origin=PATCH / 2)


def transposed(values, batch):
    return values.transpose(2, 3) if values.shape[2] == values.shape[3] else values


def _regrid(g, stride=PATCH, origin=0.0):
    fresh = PixelGeometry(g.original_size, g.input_size, scale=g.scale, offset=g.offset)
    return fresh.with_grid(g.grid_size, (float(stride),) * 2, (float(origin),) * 2)


class LeftSquare(Planted):
    """Looks at the left square of a wide image, and says nothing of it."""

    def features(self, batch):
        side = min(batch.images.shape[2:])
        part = replace(batch, images=batch.images[..., :side, :side], valid=batch.valid[..., :side, :side])
        (found,) = super().features(part)
        cells = found.map.values.shape[3]
        stride = (side / cells,) * 2
        geometry = tuple(g.with_grid((cells, cells), stride, (0.0, 0.0)) for g in batch.geometry)
        return [WeightedMap(FeatureMap(found.map.values, geometry))]


def left_square_only(weights, settings, device):
    net, marks = net_of(weights, settings.seed)
    return LeftSquare(net, settings, device, **marks)


def normed_by_batch(values, batch):
    return values - values.mean(dim=0, keepdim=True) + values.mean(dim=(1, 2, 3), keepdim=True)


def torch_noise(values, batch):
    return values + 0.1 * torch.randn(values.shape)


def numpy_noise(values, batch):
    return values + 0.1 * float(np.random.default_rng().standard_normal())


def legacy_noise(values, batch):
    return values + 0.1 * float(np.random.standard_normal())  # noqa: NPY002


def dropout(values, batch):
    return F.dropout(values, 0.2, training=True)


def standardised(values, batch):
    """Divides by the contrast of the image, which a plain one does not have."""
    contrast = batch.images.flatten(1).std(dim=1)[:, None, None, None]
    return values / contrast


def default_dtype(values, batch):
    torch.set_default_dtype(torch.float64)
    return values


def inplace(values, batch):
    batch.images.mul_(0.5)
    return values


def asleep(values, batch):
    time.sleep(30)
    return values


def broken(values, batch):
    raise ZeroDivisionError("nothing to divide by")


def behind_a_closure(net):
    def call(images):
        return net(images)

    return call


def forgot_eval(weights, settings, device):
    """A closure hides the network from DenseBackbone, which would have called eval()."""
    net, marks = net_of(weights, settings.seed, torch.nn.BatchNorm2d(12))
    net.requires_grad_(False)
    return Planted(behind_a_closure(net), settings, device, **marks)


def keeps_graph(weights, settings, device):
    net, marks = net_of(weights, settings.seed)
    net.eval()
    return Planted(behind_a_closure(net), settings, device, **marks)


def learns(weights, settings, device):
    model = honest(weights, settings, device)

    def change(values, batch):
        model.net.mix.bias.add_(0.01)
        return values

    model.change = change
    return model


def global_draw(weights, settings, device):
    """Weights of the global generator, which goes on as if nothing had been drawn."""
    if weights != "random":
        return honest(weights, settings, device)
    net, marks = net_of(weights, settings.seed)
    with torch.random.fork_rng(devices=[]):
        net.mix.weight.data = torch.randn(12, 12, 1, 1) + settings.seed
    return Planted(net, settings, device, **marks)


def seed_ignored(weights, settings, device):
    net, marks = net_of(weights, 0)
    return Planted(net, settings.model_copy(update={"seed": 0}), device, **marks)


def seeds_globally(weights, settings, device):
    torch.manual_seed(settings.seed)
    return honest(weights, settings, device)


def file_ignored(weights, settings, device):
    return honest("random", settings, device)


def file_half_loaded(weights, settings, device):
    """Loads half of what has to be loaded and never says that it is half."""
    model = honest(weights, settings, device)
    if not model.random_weights:
        model.net.mix = Net(settings.seed).mix.requires_grad_(False).eval()
    return model


class OneFingerprint(Planted):
    def fingerprint(self, category=None):
        return "always the same"


def one_fingerprint(weights, settings, device):
    net, marks = net_of(weights, settings.seed)
    return OneFingerprint(net, settings, device, **marks)


def no_mark(weights, settings, device):
    return honest(weights, settings, device, random_weights=False)


def tensor_fact(weights, settings, device):
    return honest(weights, settings, device, facts={"mean": torch.zeros(3)})


def no_model(weights, settings, device):
    return Net(settings.seed)
