"""Pairs, feature maps and an encoder that are made up, so that every answer is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench3d.contracts import FeatureMap, ImageRequest, KeypointImage, KeypointPair, Model, Session, WeightedMap
from bench3d.contracts.registration import Protocol
from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.semantic_correspondence.protocols import PF_PASCAL, PF_WILLOW, SPAIR71K
from bench3d_plugins.semantic_correspondence.settings import SemanticSettings
from bench3d_plugins.semantic_correspondence.task import SemanticCorrespondence

SIZE = (100, 50)
EVERY = {
    f"{task}/{p.name}": p
    for task, protocols in (("spair71k", SPAIR71K), ("pf-pascal", PF_PASCAL), ("pf-willow", PF_WILLOW))
    for p in protocols
}


class Encoder:
    """Maps by the image's name; the network input is the canvas, its cells are evenly spread."""

    def __init__(self, maps: Mapping[str, torch.Tensor], canvas: int) -> None:
        self.values = dict(maps)
        self.canvas = canvas
        self.asked: list[ImageRequest] = []

    def expect(self, requests: object) -> None:
        """Nothing is loaded ahead."""

    def maps(self, request: ImageRequest) -> list[WeightedMap]:
        """One map."""
        self.asked.append(request)
        values = self.values[request.path.stem][None]
        n = values.shape[-1]
        assert request.size is not None
        geometry = PixelGeometry(request.size, (self.canvas, self.canvas)).with_grid((n, n), (self.canvas / n,) * 2)
        return [WeightedMap(FeatureMap(values, (geometry,)))]


class Square(Model):
    """A model that wants square canvases."""

    def __init__(self, canvas: int | None) -> None:
        self.canvas = canvas


def image(name: str, size: tuple[int, int] = SIZE, box: object = (10, 10, 60, 40), **points: tuple) -> KeypointImage:
    """An image whose name says which map it has."""
    at = {key.removeprefix("k"): np.array(xy, dtype=float) for key, xy in points.items()}
    return KeypointImage(name, Path(f"{name}.jpg"), size, None if box is None else np.array(box, dtype=float), None, at)


def pair(
    source: KeypointImage, target: KeypointImage, source_xy: object, target_xy: object, **more: Any
) -> KeypointPair:
    """A pair; keypoint ids 0, 1, ... unless given."""
    source_xy, target_xy = np.atleast_2d(np.array(source_xy, float)), np.atleast_2d(np.array(target_xy, float))
    ids = more.pop("ids", tuple(str(n) for n in range(len(source_xy))))
    name = more.pop("id", f"{source.id}-{target.id}")
    return KeypointPair(name, "cat", source, target, source_xy, target_xy, ids, source.id, **more)


class Pairs:
    """A data set of given pairs."""

    synthetic = False

    def __init__(self, pairs: list, names: Mapping[str, str] | None = None, notes: tuple[str, ...] = ()) -> None:
        self._pairs, self._names, self._notes = pairs, dict(names or {}), notes

    def pairs(self, category: str, split: str) -> list:
        """All of them."""
        assert split == "test"
        return self._pairs

    def keypoint_names(self, category: str) -> Mapping[str, str]:
        """As given."""
        return self._names

    def notes(self) -> tuple[str, ...]:
        """As given."""
        return self._notes


def opened(
    protocol: Protocol | str,
    maps: Mapping[str, torch.Tensor],
    canvas: int = 84,
    network: int | None = None,
    **changed: Any,
) -> tuple[SemanticCorrespondence, Encoder, Model]:
    """A task under a protocol, its encoder and its model."""
    chosen = EVERY[protocol] if isinstance(protocol, str) else protocol
    settings = SemanticSettings(**{**chosen.settings, **changed})
    task = SemanticCorrespondence(settings, chosen)
    encoder, model = Encoder(maps, network or canvas), Square(canvas)
    task.open(Session(model=model, encoder=encoder))
    return task, encoder, model


def one_hot(n: int, moved: Mapping[tuple[int, int], tuple[int, int]] | None = None) -> torch.Tensor:
    """(n*n, n, n): every cell has a feature of its own; `moved` says which cells (column, row) swap theirs."""
    values = torch.eye(n * n).reshape(n * n, n, n).clone()
    for a, b in (moved or {}).items():
        values[:, [a[1], b[1]], [a[0], b[0]]] = values[:, [b[1], a[1]], [b[0], a[0]]]
    return values


def random_map(n: int, seed: int, channels: int = 32) -> torch.Tensor:
    """(channels, n, n) normal."""
    return torch.randn(channels, n, n, generator=torch.Generator().manual_seed(seed))


def predicted(protocol: str, maps: Mapping[str, torch.Tensor], source_xy: object, **options: Any) -> np.ndarray:
    """(K, 2) answers of a pair a -> b of 100x50 images."""
    size = options.pop("size", SIZE)
    task, _, model = opened(protocol, maps, **options)
    (found,) = task.evaluate(model, [pair(image("a", size), image("b", size), source_xy, source_xy)], "cpu")
    return np.stack([found["parts"]["x"], found["parts"]["y"]], axis=1)
