"""The models behind objects of a notebook: a network with its input policy, a copy of the user's."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from bench3d.api.digest import ONCE, modules_of, object_digest
from bench3d.api.object_settings import ObjectSettings
from bench3d.api.objects import Wrapped
from bench3d.contracts import Model
from bench3d.errors import Bench3DError, PluginError, UsageError
from bench3d.features.backbone import DenseBackbone
from bench3d.features.fingerprint import class_name

PROBE = 224
"""Side in pixels of the image that tells a network's patch."""


class FunctionNet:
    """A function of images, with the modules that it uses in eval mode, and on their own device, while it is called."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        self.function = function
        self.modules = modules_of(function)

    def __call__(self, images: torch.Tensor) -> Any:
        """What the function gives, on the device of the images."""
        tensors = (t for m in self.modules for t in m.parameters())
        own = next((t.device for t in tensors), images.device)
        with _eval_mode(self.modules):
            values = self.function(images.to(own))
        return values.to(images.device) if isinstance(values, torch.Tensor) else values


class Checked(torch.nn.Module):
    """A network whose answers are held against the contract: a float map with one vector every `patch` pixels."""

    def __init__(self, net: Any, patch: int, name: str) -> None:
        super().__init__()
        self.net, self.patch, self.name = net, patch, name

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Raises PluginError where the answer has another grid or type."""
        values = _map_of(self.net(images), self.name)
        wanted = (images.shape[2] // self.patch, images.shape[3] // self.patch)
        if tuple(values.shape[2:]) != wanted or len(values) != len(images):
            raise PluginError(
                f"{self.name} answers to images {tuple(images.shape)} with a map {tuple(values.shape)}, not with "
                f"{wanted[0]}x{wanted[1]} cells of {self.patch} pixels.",
                "Give wrap(..., patch=N), and a network whose cells tile its input.",
            )
        return values


class ObjectBackbone(DenseBackbone):
    """A network of the user's; `digest` also keeps its features apart in the cache."""

    digest: str = ""

    def fingerprint(self, category: str | None = None) -> str | None:
        """None where the object cannot be told from others."""
        own = super().fingerprint(category)
        return None if own is None or self.digest.startswith(ONCE) else own


def settings_of(wrapped: Wrapped) -> dict[str, Any]:
    """Settings that go with an object. UsageError where its patch cannot be found out."""
    digest = {"object": object_digest(wrapped.thing)}
    if not _is_network(wrapped):
        return digest
    settings = {**digest, "mean": wrapped.mean, "std": wrapped.std, "patch": wrapped.patch or _probe(wrapped)}
    return settings if wrapped.input_size is None else {**settings, "input_size": wrapped.input_size}


def settings_model_of(wrapped: Wrapped) -> str:
    """Name of the model of these settings."""
    return "ObjectSettings" if _is_network(wrapped) else "DigestSettings"


def _is_network(wrapped: Wrapped) -> bool:
    return wrapped.kind == "backbone" and not isinstance(wrapped.thing, Model)


def factory_of(wrapped: Wrapped) -> Callable[..., Any]:
    """The factory of the object's registration; every call gives a copy of its own."""
    if _is_network(wrapped):
        return lambda weights, settings, device: _backbone(wrapped, settings, device)
    return lambda **_: _copy_of(wrapped)


def _copy_of(wrapped: Wrapped) -> Any:
    made = copied(wrapped.thing, wrapped.name)
    if isinstance(made, Model):
        made.random_weights = made.random_weights or wrapped.random_weights
    return made


def _backbone(wrapped: Wrapped, settings: ObjectSettings, device: str) -> Model:
    thing = wrapped.thing
    facts = {"weights": {"source": "object", "class": class_name(thing), "digest": settings.object}}
    net = copied(thing, wrapped.name) if isinstance(thing, torch.nn.Module) else FunctionNet(thing)
    patch = settings.patch or 1
    backbone = ObjectBackbone(
        Checked(net, patch, wrapped.name),
        patch=patch,
        settings=settings,
        device=device,
        mean=settings.mean,
        std=settings.std,
        random_weights=wrapped.random_weights,
        facts=facts,
    )
    backbone.digest = settings.object
    return backbone


def copied(thing: Any, name: str) -> Any:
    """A deep copy. UsageError where it cannot be copied."""
    try:
        return copy.deepcopy(thing)
    except Exception as error:
        raise UsageError(
            f"{name} cannot be copied ({type(error).__name__}: {error}).", "Give a function that makes no state."
        ) from error


def _probe(wrapped: Wrapped) -> int:
    """Input pixels per cell, from the answer to one grey image."""
    side = wrapped.input_size or PROBE
    tensors = (t for m in modules_of(wrapped.thing) for t in m.parameters())
    device = next((t.device for t in tensors), torch.device("cpu"))
    hint = "Give wrap(net, name, patch=..., input_size=...), or a network (B, 3, H, W) -> (B, C, h, w)."
    try:
        with torch.inference_mode(), _eval_mode(modules_of(wrapped.thing)):
            values = _map_of(wrapped.thing(torch.zeros(1, 3, side, side, device=device)), wrapped.name)
    except Bench3DError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise UsageError(f"{wrapped.name} refuses an image of {side}x{side} ({said}).", hint) from error
    height, width = values.shape[2:]
    if height != width or height > side or side % height:
        raise UsageError(f"{wrapped.name} makes {height}x{width} cells of an image of {side}x{side} pixels.", hint)
    return side // int(height)


def _map_of(values: Any, name: str) -> torch.Tensor:
    if isinstance(values, torch.Tensor) and values.ndim == 4 and values.is_floating_point():
        return values
    what = f"{tuple(values.shape)}" if isinstance(values, torch.Tensor) else f"a {type(values).__name__}"
    raise PluginError(
        f"{name} answers with {what}, not with a map (B, C, h, w) of floats.",
        "Wrap a function: lambda images: net.forward_features(images)[:, 1:].transpose(1, 2).unflatten(2, (h, w)).",
    )


@contextlib.contextmanager
def _eval_mode(modules: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Eval mode while the block lasts; every module is then as it was."""
    before = [(m, m.training) for module in modules for m in module.modules()]
    for module, _ in before:
        module.training = False
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
