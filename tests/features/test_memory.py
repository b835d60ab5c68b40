"""Maps in memory: a budget of bytes, the least recently used first."""

from pathlib import Path

import torch

from bench3d.contracts import FeatureMap, ImageRequest, WeightedMap
from bench3d.features.memory import MapMemory
from bench3d.geometry.pixels import PixelGeometry

A, B, C, D = (ImageRequest(Path(name)) for name in "abcd")


def maps(size=1):
    return [WeightedMap(FeatureMap(torch.zeros(1, size, 5, 5), (PixelGeometry.identity((5, 5)),)))]


def kept(memory):
    return "".join(r.path.name for r in (A, B, C, D) if r in memory)


def test_the_least_recently_used_goes_first():
    memory = MapMemory(3 * 100)
    for request in (A, B, C):
        memory.put(request, maps())
    assert memory.get(A) is not None
    memory.put(D, maps())
    assert kept(memory) == "acd" and memory.used == 300
    memory.put(B, maps(2))
    assert kept(memory) == "bd" and memory.used == 300
    memory.put(B, maps())
    assert memory.used == 200
    memory.put(C, maps(4))
    assert memory.get(C) is None and kept(memory) == "bd"


def test_what_was_computed_ahead_outlives_what_was_used():
    memory = MapMemory(3 * 100)
    memory.put(A, maps(), ahead=True)
    memory.put(B, maps())
    memory.put(C, maps())
    memory.put(D, maps())
    assert kept(memory) == "acd"
    memory.get(A)  # asked for now: it counts as the others do
    memory.put(B, maps(2))
    assert kept(memory) == "ab"


def test_an_order_that_no_longer_holds_protects_nothing():
    memory = MapMemory(2 * 100)
    memory.put(A, maps(), ahead=True)
    memory.put(B, maps())
    memory.forget_order()
    memory.put(C, maps())
    assert kept(memory) == "bc"
