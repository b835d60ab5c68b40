"""How a task asks for features: which image, placed how on the network input. The host answers, each image once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from bench3d.contracts.progress import NullProgress, Progress

if TYPE_CHECKING:
    import numpy as np

    from bench3d.contracts.features import WeightedMap
    from bench3d.contracts.model import Model
    from bench3d.geometry.pixels import PixelGeometry

PlacingKind = Literal["as-is", "letterbox", "corner", "stretch", "crop"]
Resample = Literal["bilinear", "lanczos", "unsmoothed"]


@dataclass(frozen=True)
class Placing:
    """How an original image becomes the input of a model.

    Attributes:
        kind: `as-is`: the whole image at its own size, the backbone's input policy resizes it. The others make a
            square of `canvas` pixels: `letterbox`: longer side = canvas, centred, padded; `corner`: longer side =
            canvas, at the top left, padded right or below; `stretch`: both sides = canvas; `crop`: by `geometry`.
        canvas: side of the square in pixels; None for `as-is` and `crop`.
        resample: `bilinear`: antialiased by area where it shrinks; `lanczos`: Pillow's, as SD-DINO does;
            `unsmoothed`: of a crop whose edges lie on pixel edges, without averaging, cut to whole grey levels, as
            Common3D does.
        fill: value in [0, 1] of the padding.
        geometry: of `crop`, from the original image to the crop.
    """

    kind: PlacingKind = "as-is"
    canvas: int | None = None
    resample: Resample = "bilinear"
    fill: float = 0.0
    geometry: PixelGeometry | None = None


class PixelSource(Protocol):
    """An image that is no file of its own, such as a frame of a video. Hashable: equal sources are one image."""

    def __hash__(self) -> int: ...

    def read(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB; called in other threads. DataError where it cannot be had."""


@dataclass(frozen=True)
class ImageRequest:
    """One image as a model is to see it. Two equal requests are one image.

    Attributes:
        path: the image file, or the file that `pixels` come from.
        placing: how it is placed.
        category: canonical category, where the task has one (chooses a per-category artifact).
        size: (W, H) of the annotation; a file of another size is a DataError. None for any.
        pixels: where the image is no file of its own.
    """

    path: Path
    placing: Placing = field(default_factory=Placing)
    category: str | None = None
    size: tuple[int, int] | None = None
    pixels: PixelSource | None = None


class Encoder(Protocol):
    """Features of images, each computed once however often it is asked for: memory, then the feature cache, then the
    model, a batch at a time and loaded ahead.
    """

    def expect(self, requests: Iterable[ImageRequest]) -> None:
        """Says which images come next, in the order of their first use. Replaces what was expected before."""

    def maps(self, request: ImageRequest) -> list[WeightedMap]:
        """The model's weighted maps of one image, each a batch of one, float32, on the run's device.

        Raises:
            DataError: the image is missing, broken or of another size.
        """


@dataclass(frozen=True)
class Session:
    """What the host hands to a task once, before its first category."""

    model: Model
    encoder: Encoder
    device: str = "cpu"
    progress: Progress = field(default_factory=NullProgress)
