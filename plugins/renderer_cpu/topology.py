"""Which triangles meet at which edge, found once per mesh."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

CACHED_TOPOLOGIES = 8


@dataclass(frozen=True)
class Topology:
    """Edges of a mesh. Edge k of a face joins its corners k and (k + 1) % 3.

    Attributes:
        face_edges: (F, 3) int32 edge of every side of a face.
        ends: (E, 2) int32 vertices of an edge.
        starts: (E + 1,) int32 offsets into `owners` and `opposites`.
        owners: (3 F,) int32 the faces at an edge.
        opposites: (3 F,) int32 their corners across the edge.
    """

    face_edges: np.ndarray
    ends: np.ndarray
    starts: np.ndarray
    owners: np.ndarray
    opposites: np.ndarray


def build_topology(faces: np.ndarray) -> Topology:
    """Finds the edges of faces (F, 3) int32; any number of faces may meet at an edge."""
    sides = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2).astype(np.int64)
    low, high = sides.min(axis=1), sides.max(axis=1)
    keys = low << 32 | high
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    fresh = np.diff(ordered, prepend=-1) != 0
    edge_of = np.empty(len(keys), dtype=np.int32)
    edge_of[order] = np.cumsum(fresh) - 1
    firsts = np.flatnonzero(fresh)
    return Topology(
        face_edges=edge_of.reshape(-1, 3),
        ends=np.stack([low[order[firsts]], high[order[firsts]]], axis=1).astype(np.int32),
        starts=np.append(firsts, len(keys)).astype(np.int32),
        owners=(order // 3).astype(np.int32),
        opposites=np.ascontiguousarray(np.roll(faces, -2, axis=1).reshape(-1)[order]),
    )


class TopologyCache:
    """The last few topologies, found by the content of the faces (a comparison is far cheaper than a build)."""

    def __init__(self, size: int = CACHED_TOPOLOGIES) -> None:
        self._size = size
        self._entries: OrderedDict[int, tuple[np.ndarray, Topology]] = OrderedDict()
        self._serial = 0
        self._lock = threading.Lock()

    def get(self, faces: np.ndarray) -> Topology:
        """The topology of faces (F, 3); the faces are copied, so that later changes to them are noticed."""
        with self._lock:
            for key in reversed(self._entries):
                known, topology = self._entries[key]
                if np.array_equal(known, faces):
                    self._entries.move_to_end(key)
                    return topology
        topology = build_topology(faces)
        with self._lock:
            self._serial += 1
            self._entries[self._serial] = (faces.copy(), topology)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
        return topology
