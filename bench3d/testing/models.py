"""Promises of every model, a backbone as much as one with an adapter or a shape model on top.

Each function takes a model and raises CheckFailed. All but `features_of` name the model by its class, or by `label`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from bench3d.contracts import ImageBatch, Model, WeightedMap
from bench3d.features.backbone import full_precision
from bench3d.features.extract import slice_batch
from bench3d.geometry.pixels import PixelGeometry
from bench3d.testing.contents import contents, reachable
from bench3d.testing.images import batch_of, scene, square
from bench3d.testing.state import changes, restored_state, snapshot, stirred_random
from bench3d.testing.subjects import require

CALLS = 3


def features_of(model: Model, batch: ImageBatch) -> list[WeightedMap]:
    """The model's maps as a run asks for them, types as they come. Changes no state of the process."""
    with restored_state(), torch.inference_mode(), full_precision():
        return model.features(batch)


def check_contract(model: Model, geometry: PixelGeometry, category: str | None = None) -> str:
    """Types, shapes and geometry of the maps of two images.

    Returns:
        the maps' shapes, for a report.

    Raises:
        CheckFailed: no map, not float32 of shape (B, C, h, w), not finite, or a geometry that does not match.
    """
    name = type(model).__name__
    images = torch.cat([scene(geometry.input_size, seed) for seed in (0, 1)])
    maps = features_of(model, batch_of(images, geometry, category))
    require(isinstance(maps, list) and len(maps) > 0, f"{name}.features gives no map.", "Return a list of WeightedMap.")
    for weighted in maps:
        values = weighted.map.values
        require(
            values.dtype == torch.float32, f"{name}: features are {values.dtype}, not float32.", "End with .float()."
        )
        require(values.ndim == 4 and len(values) == 2, f"{name}: features of 2 images are {tuple(values.shape)}.")
        require(bool(torch.isfinite(values).all()), f"{name}: features are not finite.")
        require(np.isfinite(weighted.weight), f"{name}: the weight {weighted.weight} of a map is no number.")
        require(len(weighted.map.geometry) == 2, f"{name}: {len(weighted.map.geometry)} geometries for 2 images.")
        for own in weighted.map.geometry:
            _check_geometry(name, own, geometry, (values.shape[3], values.shape[2]))
    return ", ".join("x".join(str(n) for n in m.map.values.shape[1:]) for m in maps)


def _check_geometry(name: str, own: PixelGeometry, geometry: PixelGeometry, grid: tuple[int, int]) -> None:
    require(own.grid_size == grid, f"{name}: the geometry says {own.grid_size} cells, the features {grid}.")
    require(
        own.original_size == geometry.original_size,
        f"{name}: the geometry lost the original image: start from batch.geometry[i].",
    )
    corners = torch.tensor([[0.0, 0.0], list(map(float, geometry.original_size))], dtype=torch.float64)
    back = own.cell_to_original(own.original_to_cell(corners))
    require(bool(torch.allclose(back, corners, atol=1e-6)), f"{name}: the geometry is not invertible.")


def check_coverage(model: Model, images: torch.Tensor) -> None:
    """The cells cover the image, to a cell: a part that was cut off without a word would be matched wrongly.

    Raises:
        CheckFailed: with the part that is covered.
    """
    height, width = images.shape[2:]
    geometry = PixelGeometry.identity((width, height))
    for weighted in features_of(model, batch_of(images, geometry)):
        values = weighted.map.values
        require(
            bool(torch.isfinite(values).all()), f"{_words(model)}: features of a {width}x{height} image not finite."
        )
        own = weighted.map.geometry[0]
        _check_geometry(type(model).__name__, own, geometry, (values.shape[3], values.shape[2]))
        cells = torch.tensor([[0.0, 0.0], [1.0, 1.0], [values.shape[3], values.shape[2]]], dtype=torch.float64)
        first, second, last = own.cell_to_original(cells)
        slack = (second - first).abs() + 1e-6
        end = torch.tensor([width, height], dtype=torch.float64)
        require(
            bool((first <= slack).all() and (last >= end - slack).all()),
            f"{_words(model)}: the cells of a {width}x{height} image cover only "
            f"x {first[0]:.0f} to {last[0]:.0f} and y {first[1]:.0f} to {last[1]:.0f}.",
            "Resize the whole image and say so with geometry.resized, or refuse the size with a UsageError.",
        )


def check_batch(model: Model, tolerance: float = 1e-4, category: str | None = None) -> str:
    """Eight images at once, in any order, give what they give one by one, to `tolerance` of the largest feature.

    Raises:
        CheckFailed: with the largest difference.
    """
    batch = square(model, 8, category)
    single = [features_of(model, slice_batch(batch, i, i + 1)) for i in range(8)]
    order = [5, 2, 7, 0, 3, 6, 1, 4]
    shuffled = replace(batch, images=batch.images[order], ids=tuple(batch.ids[i] for i in order))
    worst = 0.0
    for number, together in enumerate(features_of(model, batch)):
        values = together.map.values
        scale = values.abs().max().clamp_min(1e-12)
        alone = torch.cat([maps[number].map.values for maps in single])
        difference = float((values - alone).abs().max() / scale)
        hint = "Use no statistics of the batch: batch norm in eval mode, normalisation per image."
        require(
            difference <= tolerance,
            f"{type(model).__name__}: features of a batch of 8 differ by {difference:.1e} from those of batches of 1.",
            hint,
        )
        mixed = float((features_of(model, shuffled)[number].map.values - values[order]).abs().max() / scale)
        require(
            mixed <= tolerance,
            f"{type(model).__name__}: features of a batch of 8 in another order differ by {mixed:.1e}.",
            hint,
        )
        worst = max(worst, difference, mixed)
    return f"at most {worst:.0e}"


def check_repeatable(model: Model, batch: ImageBatch) -> None:
    """The same batch twice, all global random states alike, gives the same bits.

    Raises:
        CheckFailed: with the largest difference.
    """
    first = values_of(model, batch)
    for _ in range(CALLS):
        difference = largest_difference(first, values_of(model, batch))
        require(
            difference == 0,
            f"{_words(model)}: the same batch gives other features the second time (by {difference:.1e}).",
            "Seed what is drawn from the settings, and keep nothing from one call to the next.",
        )


def check_no_hidden_randomness(model: Model, batch: ImageBatch) -> None:
    """Features do not follow the state of torch's, numpy's or random's global generators.

    Raises:
        CheckFailed: with the largest difference.
    """
    first = values_of(model, batch)
    for seed in (1, 2):
        with stirred_random(seed):
            again = values_of(model, batch)
        difference = largest_difference(first, again)
        require(
            difference == 0,
            f"{_words(model)}: features depend on a global random generator (by {difference:.1e}).",
            "Draw from a torch.Generator or numpy Generator of your own, seeded by the settings; no dropout.",
        )


def check_eval_mode(model: Model) -> str:
    """No network inside is in training mode.

    Raises:
        CheckFailed: names the first part that is.
    """
    networks = [thing for thing in reachable(model) if isinstance(thing, torch.nn.Module)]
    for network in networks:
        for name, module in network.named_modules():
            require(
                not module.training,
                f"{_words(model)}: {type(module).__name__}{f' ({name})' if name else ''} is in training mode.",
                "Call .eval() on the network when the model is made.",
            )
    return f"{sum(1 for n in networks for _ in n.modules())} modules" if networks else "no torch modules found"


def check_unchanged(model: Model, batch: ImageBatch) -> None:
    """`features` changes neither the model nor the batch.

    Raises:
        CheckFailed: names the tensor.
    """
    before, images, valid = contents(model), batch.images.clone(), batch.valid.clone()
    for _ in range(CALLS):
        features_of(model, batch)
    require(
        torch.equal(images, batch.images) and torch.equal(valid, batch.valid),
        f"{_words(model)}: features changes the images of its batch in place.",
        "Work on a copy.",
    )
    after = contents(model)
    changed = [name for name in before if after.get(name) != before[name]]
    require(
        not changed,
        f"{_words(model)}: features changes {', '.join(changed[:3])} of the model.",
        "A model in use is frozen: no running statistics, no updates.",
    )


def check_no_graph(model: Model, batch: ImageBatch) -> None:
    """Features carry no gradient graph, which would keep all activations alive.

    Raises:
        CheckFailed: they do.
    """
    with restored_state(), torch.enable_grad(), full_precision():
        maps = model.features(batch)
    require(
        not any(m.map.values.requires_grad for m in maps),
        f"{_words(model)}: features keep a gradient graph.",
        "Freeze the parameters (requires_grad_(False)), or compute under torch.inference_mode().",
    )


def check_state(call: Callable[[], Any], what: str) -> None:
    """`call` leaves the state that a process shares as it was.

    Raises:
        CheckFailed: names what changed and how.
    """
    with restored_state():
        former = snapshot()
        call()
        found = changes(former)
    require_no_changes(found, what)


def require_no_changes(found: list[str], what: str) -> None:
    """Raises CheckFailed where `found` (of `state.changes`) is not empty."""
    require(
        not found,
        f"{what} changes {' and '.join(found[:3])} for the whole process.",
        "Put it back, or use a context manager (torch.random.fork_rng, warnings.catch_warnings, ...).",
    )


def check_describe(model: Model) -> str:
    """`describe` gives facts that a record can hold: JSON without NaN.

    Raises:
        CheckFailed: names the fact that is none.
    """
    facts = model.describe()
    require(isinstance(facts, Mapping), f"{_words(model)}.describe gives a {type(facts).__name__}, not a mapping.")
    for key, value in facts.items():
        try:
            json.dumps({key: value}, allow_nan=False)
        except (TypeError, ValueError) as error:
            require(False, f"{_words(model)}.describe: {key} is no JSON value ({error}).")
    return ", ".join(f"{k} {v}" for k, v in facts.items() if isinstance(v, (int, str)) and len(str(v)) <= 24)


def values_of(model: Model, batch: ImageBatch) -> list[torch.Tensor]:
    """The values of the maps of a batch."""
    return [weighted.map.values for weighted in features_of(model, batch)]


def largest_difference(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    """Largest absolute difference of maps; infinite where their number or shapes differ."""
    if [t.shape for t in a] != [t.shape for t in b]:
        return float("inf")
    if all(torch.equal(x, y) for x, y in zip(a, b, strict=True)):
        return 0.0
    worst = max(float((x.double() - y.double()).abs().max()) for x, y in zip(a, b, strict=True))
    return worst if worst > 0 else float("nan")


def _words(model: Model) -> str:
    return type(model).__name__
