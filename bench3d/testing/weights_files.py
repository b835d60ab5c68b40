"""Whether a backbone takes a file of weights, or refuses it in words; never neither."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from bench3d.contracts import Model
from bench3d.errors import Bench3DError, UsageError, WeightsError
from bench3d.testing.contents import reachable
from bench3d.testing.images import square
from bench3d.testing.models import largest_difference, values_of
from bench3d.testing.subjects import CheckFailed, Skip, Subject, require


def check_weights_file(subject: Subject) -> str:
    """A foreign or missing file is refused; the model's own tensors, saved and loaded, give the same features.

    Raises:
        CheckFailed: a file is passed over in silence, or what comes back differs.
        Skip: the object is not registered: no factory takes weights.
    """
    if not subject.registered:
        raise Skip("not registered: nothing takes weights")
    folder = subject.folder("weights")
    foreign = folder / "foreign.safetensors"
    save_file({"nothing.of.it": torch.zeros(3)}, foreign)
    for path, what in ((folder / "missing.pth", "that does not exist"), (foreign, "of another network")):
        _refused(subject, path, what)
    if getattr(subject.registration, "weights", None) is None:
        return "has no weights and refuses files"
    return _round_trip(subject, folder)


def _refused(subject: Subject, path: Path, what: str) -> None:
    try:
        subject.create(weights=str(path))
    except (WeightsError, UsageError):
        return
    except Bench3DError as error:
        raise CheckFailed(
            f"{subject.name} answers to a weights file {what} with a {type(error).__name__}.",
            "Raise WeightsError, naming the file.",
        ) from error
    except Exception as error:
        raise CheckFailed(
            f"{subject.name} answers to a weights file {what} with {type(error).__name__} and no sentence.",
            "Use bench3d.features.weights.weights_file, read_state_dict and load_exactly.",
        ) from error
    raise CheckFailed(
        f"{subject.name} passes over a weights file {what} in silence.",
        "Load it with bench3d.features.weights, or call no_weights(weights, name) where there are none.",
    )


def _round_trip(subject: Subject, folder: Path) -> str:
    settings = subject.settings()
    if "seed" in type(settings).model_fields:
        settings = subject.settings(seed=settings.seed + 5)
    source = subject.create(settings=settings)
    batch = square(source, 1)
    wanted = values_of(source, batch)
    reasons = []
    for number, state in enumerate(_states(source)):
        path = folder / f"own-{number}.safetensors"
        save_file(state, path)
        try:
            loaded = subject.create(weights=str(path))
        except WeightsError as error:
            reasons.append(error.message)
            continue
        finally:
            path.unlink()
        return _same(subject, loaded, wanted, batch)
    raise Skip(f"it takes no file of its own tensors' names ({reasons[-1] if reasons else 'it holds no torch module'})")


def _same(subject: Subject, loaded: Model, wanted: list[torch.Tensor], batch: Any) -> str:
    difference = largest_difference(values_of(loaded, batch), wanted)
    require(
        difference == 0,
        f"{subject.name}: weights that were saved and loaded give other features (by {difference:.1e}).",
        "Load every tensor: load_exactly says which are missing.",
    )
    require(
        not loaded.random_weights,
        f"{subject.name} says that the weights of a file are random.",
        "Set random_weights only where weights are 'random'.",
    )
    return "saved and loaded bit for bit"


def _states(model: Model) -> Iterator[dict[str, torch.Tensor]]:
    """State dicts under the names that a checkpoint may have: of the network, and of the parts that hold all of it."""
    for network in reachable(model):
        if not isinstance(network, torch.nn.Module):
            continue
        total = sum(p.numel() for p in network.parameters())
        for part in network.modules():
            if sum(p.numel() for p in part.parameters()) == total > 0:
                yield {k: v.detach().cpu().clone().contiguous() for k, v in part.state_dict().items()}
