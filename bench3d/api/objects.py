"""Objects of a notebook in the place of registered names: a network, a model, an adapter, a task.

An object is registered for as long as a call lasts, under the name `object:NAME`. Its digest is a setting of it, so
that a run's identity is honest: what changes the object (a weight, a line of its code) makes another run. Whoever reads
the record sees by the name that nobody else can make it again: it can be compared on one's own machine, not submitted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from bench3d.contracts import (
    AdapterRegistration,
    BackboneRegistration,
    Model,
    Registration,
    ShapeModel,
    ShapeModelRegistration,
    Task,
    TaskRegistration,
)
from bench3d.errors import PluginError, UsageError
from bench3d.plugins import load_registry

if TYPE_CHECKING:
    import torch

PREFIX = "object:"
"""Names of objects begin with it; no plugin can register one (a colon ends the name of a family)."""
PACKAGE = "this process"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Net: TypeAlias = "torch.nn.Module | Callable[[torch.Tensor], torch.Tensor] | Model"
lent = SimpleNamespace()
"""Factories of the objects that are lent now, by a number."""
_numbers = itertools.count()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, eq=False)
class Wrapped:
    """An object with what its registration would say; see `wrap`."""

    thing: Any = field(repr=False)
    name: str
    kind: str
    about: dict[str, Any] = field(default_factory=dict)
    patch: int | None = None
    mean: tuple[float, float, float] = IMAGENET[0]
    std: tuple[float, float, float] = IMAGENET[1]
    input_size: int | None = None
    random_weights: bool = False


def wrap(
    thing: Net | ShapeModel | Task,
    name: str,
    *,
    patch: int | None = None,
    mean: Sequence[float] = IMAGENET[0],
    std: Sequence[float] = IMAGENET[1],
    input_size: int | None = None,
    random_weights: bool = False,
    **about: Any,
) -> Wrapped:
    """An object that `run`, `plan` and `train` take in the place of a registered name.

        >>> net = torchvision.models.resnet18(weights="DEFAULT")
        >>> trunk = torch.nn.Sequential(*list(net.children())[:-2])
        >>> bench3d.run(backbone=bench3d.wrap(trunk, "my-resnet"), task="spair71k", synthetic=True)

    Args:
        thing: a network or function (B, 3, H, W) -> (B, C, h, w), which is copied, put into eval mode and never
            changed; or an instance of `bench3d.contracts.Model`, of an adapter or shape model
            (`bench3d.contracts.ShapeModel`), or of a `bench3d.contracts.Task`.
        name: what the record calls it, behind "object:"; letters, digits, dots, dashes and underscores.
        patch: of a network: input pixels per cell; None to find out by giving it an image.
        mean, std: of a network: what its input is normalised by, after [0, 1]. ImageNet's unless said otherwise.
        input_size: of a network: the longer side of its input in pixels, where it takes only one; else the setting
            `backbone.grid` or `backbone.input_size` decides.
        random_weights: the network was never trained: the record says so, and it takes no rank.
        about: fields of its registration (`bench3d.contracts.AdapterRegistration` and so on), such as `train_dataset`
            and `per_category` of an adapter, `adds` of a shape model, `dataset` and `headline` of a task.

    Raises:
        UsageError: nothing of that kind, a name that cannot be, or an unknown field.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for an object.", "Use letters, digits, dots, dashes and underscores.")
    kind = kind_of(thing, about)
    known = {f.name for f in dataclasses.fields(_REGISTRATIONS[kind])} - {"name", "factory", "settings"}
    unknown = sorted(set(about) - known)
    if unknown:
        raise UsageError(f"wrap() knows no {unknown[0]} of a {kind}.", f"Known: {', '.join(sorted(known))}.")
    if kind == "task" and "dataset" not in about:
        raise UsageError("A task needs the name of its data set.", 'wrap(task, "NAME", dataset="...").')
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise UsageError("mean and std are three numbers each, std above 0.")
    means, stds = (float(mean[0]), float(mean[1]), float(mean[2])), (float(std[0]), float(std[1]), float(std[2]))
    return Wrapped(thing, name, kind, dict(about), patch, means, stds, input_size, random_weights)


_REGISTRATIONS: dict[str, type[Registration]] = {
    "backbone": BackboneRegistration,
    "adapter": AdapterRegistration,
    "shape-model": ShapeModelRegistration,
    "task": TaskRegistration,
}


def kind_of(thing: Any, about: dict[str, Any]) -> str:
    """The kind that an object is of. UsageError where it is none."""
    if isinstance(thing, Task):
        return "task"
    if isinstance(thing, ShapeModel):
        return "shape-model" if "adds" in about else "adapter"
    if isinstance(thing, type):
        raise UsageError(f"{thing.__name__} is a class, not an object.", f"Give {thing.__name__}(...).")
    if isinstance(thing, Model) or callable(thing):
        return "backbone"
    raise UsageError(
        f"A {type(thing).__name__} is nothing that can be evaluated.",
        "Give a registered name, a torch module, a function of images, or an instance of a bench3d contract.",
    )


@contextlib.contextmanager
def lend(wrapped: Wrapped) -> Iterator[tuple[str, dict[str, Any]]]:
    """Registers an object while the block lasts; yields the name and the settings that go with it."""
    from bench3d.api.wrapped_models import factory_of, settings_model_of, settings_of

    number, settings = f"n{next(_numbers)}", settings_of(wrapped)
    about = {"summary": f"An object of this process ({type(wrapped.thing).__name__})", **wrapped.about}
    if wrapped.kind == "task" and not about.get("headline"):
        metrics = list(getattr(wrapped.thing, "metrics", ()))
        if not metrics:
            raise PluginError("The task has no metrics.", "Set its attribute `metrics`.")
        about["headline"] = metrics[0].name
    registration = _REGISTRATIONS[wrapped.kind](
        name=PREFIX + wrapped.name,
        factory=f"{__name__}:lent.{number}",
        settings=f"bench3d.api.object_settings:{settings_model_of(wrapped)}",
        **about,
    )
    setattr(lent, number, factory_of(wrapped))
    try:
        with load_registry().lend(registration, PACKAGE):
            yield registration.name, settings
    finally:
        delattr(lent, number)
