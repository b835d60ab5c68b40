"""Feature maps kept in memory: the least recently used go first when a budget of bytes is spent."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from bench3d.contracts import ImageRequest, WeightedMap
from bench3d.machine import available_bytes, free_device_bytes

MOST_ON_CPU = 4 * 2**30
"""Bytes of main memory that are taken at most where nothing is said."""


class MapMemory:
    """Weighted maps by request.

    Attributes:
        budget: bytes; maps larger than all of it are not kept.
        used: bytes kept now.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self._maps: OrderedDict[ImageRequest, list[WeightedMap]] = OrderedDict()

    def __contains__(self, request: ImageRequest) -> bool:
        return request in self._maps

    def __len__(self) -> int:
        return len(self._maps)

    def get(self, request: ImageRequest) -> list[WeightedMap] | None:
        """The maps of a request, which becomes the most recently used; None where they are not kept."""
        maps = self._maps.get(request)
        if maps is None:
            return None
        self._maps.move_to_end(request)
        return list(maps)

    def put(self, request: ImageRequest, maps: Sequence[WeightedMap]) -> None:
        """Keeps maps as the most recently used; others go until the budget holds."""
        self._drop(request)
        size = map_bytes(maps)
        if size > self.budget:
            return
        self._maps[request] = list(maps)
        self.used += size
        while self.used > self.budget:
            self._drop(next(iter(self._maps)))

    def clear(self) -> None:
        """Forgets everything."""
        self._maps.clear()
        self.used = 0

    def _drop(self, request: ImageRequest) -> None:
        maps = self._maps.pop(request, None)
        if maps is not None:
            self.used -= map_bytes(maps)


def map_bytes(maps: Sequence[WeightedMap]) -> int:
    """Bytes of the values of maps."""
    return sum(m.map.values.numel() * m.map.values.element_size() for m in maps)


def default_budget(device: str) -> int:
    """A quarter of what is free: of the GPU's memory, or of main memory and then at most 4 GiB."""
    if device.startswith("cuda"):
        return free_device_bytes(device) // 4
    return min(available_bytes() // 4, MOST_ON_CPU)
