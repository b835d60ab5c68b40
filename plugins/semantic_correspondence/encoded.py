"""Images as the matcher sees them: one blended map each, with what is computed once per image and kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import torch

from bench3d.contracts import ImageRequest, KeypointImage, Session
from bench3d.features.matching import Target, blend
from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.semantic_correspondence.frames import (
    Candidates,
    Frame,
    Grid,
    candidates,
    canvas_side,
    frame,
    placing,
)
from bench3d_plugins.semantic_correspondence.settings import SemanticSettings

MEMORY_BYTES = 512 * 2**20


@dataclass
class Encoded:
    """Features of one image.

    Attributes:
        target: the map (C, h, w), float32, with what matching computes once per map; cells of unit length where the
            settings say so.
        points: original pixels to canvas.
        grid: canvas to cells.
    """

    target: Target
    points: Frame
    grid: Grid
    settings: SemanticSettings

    @property
    def values(self) -> torch.Tensor:
        """(C, h, w)."""
        return self.target.values

    @cached_property
    def candidates(self) -> Candidates:
        """Where a match in this image may lie."""
        return candidates(self.points, self.grid, self.settings)

    @property
    def bytes(self) -> int:
        """Memory that it may take: the map, and one number for every candidate."""
        columns, rows = self.candidates.lattice.size
        return self.values.numel() * 4 + columns * rows * 4


class Images:
    """Asks the session's encoder; keeps the images last used, so that a target is prepared once for all its pairs."""

    def __init__(self, session: Session, settings: SemanticSettings, memory_bytes: int = MEMORY_BYTES) -> None:
        self.session = session
        self.settings = settings
        self.canvas = canvas_side(settings, session.model.canvas)
        self.memory_bytes = memory_bytes
        self._kept: OrderedDict[ImageRequest, Encoded] = OrderedDict()

    def request(self, image: KeypointImage, category: str) -> ImageRequest:
        """What the encoder is asked for."""
        return ImageRequest(image.image, placing(image.size, self.settings, self.canvas), category, image.size)

    def get(self, image: KeypointImage, category: str) -> Encoded:
        """The encoded image; DataError where the file is missing, broken or of another size."""
        request = self.request(image, category)
        found = self._kept.pop(request, None)
        if found is None:
            found = self._encode(request, image)
        self._kept[request] = found
        while len(self._kept) > 1 and sum(e.bytes for e in self._kept.values()) > self.memory_bytes:
            self._kept.popitem(last=False)
        return found

    def _encode(self, request: ImageRequest, image: KeypointImage) -> Encoded:
        merged = blend(self.session.encoder.maps(request))
        values = merged.values[0]
        if self.settings.unit_cells:
            values = torch.nn.functional.normalize(values, dim=0)
        points = frame(image.size, self.settings, self.canvas)
        geometry: PixelGeometry = merged.geometry[0]
        return Encoded(Target(values), points, Grid.of(geometry, points.side), self.settings)
