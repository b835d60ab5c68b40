"""Feature maps kept in memory: the least recently used go first where a budget of bytes is spent."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from bench3d.contracts import ImageRequest, WeightedMap
from bench3d.machine import available_bytes, free_device_bytes

MOST_ON_CPU = 4 * 2**30
"""Bytes of main memory that are taken at most where nothing is said."""


class MapMemory:
    """Weighted maps by request.

    What was computed ahead and not asked for yet goes last, and of that first what was put first.

    Attributes:
        budget: bytes; maps larger than all of it are not kept.
        used: bytes kept now.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self._asked: OrderedDict[ImageRequest, list[WeightedMap]] = OrderedDict()
        self._ahead: OrderedDict[ImageRequest, list[WeightedMap]] = OrderedDict()

    def __contains__(self, request: ImageRequest) -> bool:
        return request in self._asked or request in self._ahead

    def get(self, request: ImageRequest) -> list[WeightedMap] | None:
        """The maps of a request, which becomes the most recently used; None where they are not kept."""
        maps = self._asked.pop(request, None) or self._ahead.pop(request, None)
        if maps is None:
            return None
        self._asked[request] = maps
        return list(maps)

    def put(self, request: ImageRequest, maps: Sequence[WeightedMap], ahead: bool = False) -> None:
        """Keeps maps as the most recently used, or as computed `ahead`; others go until the budget holds."""
        self._drop(request)
        size = map_bytes(maps)
        if size > self.budget:
            return
        (self._ahead if ahead else self._asked)[request] = list(maps)
        self.used += size
        while self.used > self.budget:
            rest = (r for kept in (self._asked, self._ahead) for r in kept if r != request)
            self._drop(next(rest))

    def forget_order(self) -> None:
        """Nothing is ahead any more: what was, is as good as used longest ago."""
        self._asked = OrderedDict([*self._ahead.items(), *self._asked.items()])
        self._ahead = OrderedDict()

    def clear(self) -> None:
        """Forgets everything."""
        self._asked.clear()
        self._ahead.clear()
        self.used = 0

    def _drop(self, request: ImageRequest) -> None:
        maps = self._asked.pop(request, None) or self._ahead.pop(request, None)
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
