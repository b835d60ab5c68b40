"""Captures of a data set with SfM outputs: the bank is the 3D points' features where the reference views saw them."""

from __future__ import annotations

import zlib
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench3d.contracts.oneshot import OneShotObject
from bench3d.features.bank import Bank, empty_bank, kept_rows, merged
from bench3d.features.matching import sample_at
from bench3d_plugins.oneshot_pose.capture import Capture, Extent, view_map
from bench3d_plugins.oneshot_pose.settings import OnePoseTaskSettings, PoseSettings

if TYPE_CHECKING:
    from bench3d.contracts import Encoder

HALF = 0.5


def capture_of(one: OneShotObject, settings: OnePoseTaskSettings) -> Capture:
    """The object with every `query_step`-th of its test images."""
    size = float(np.linalg.norm(np.ptp(one.corners, axis=0)))
    # Translation errors count at the object's origin, as published.
    extent = Extent(one.corners, np.zeros(3), size)
    return Capture(
        id=one.id,
        references=one.references,
        queries=one.queries[:: settings.query_step],
        extent=cache(lambda: extent),
        build=partial(build, one, settings),
    )


def build(one: OneShotObject, settings: PoseSettings, encoder: Encoder) -> Bank:
    """The object's bank. The cap is drawn before any feature is read, by the settings' seed and the object's name."""
    reconstruction = one.reconstruction()
    counts = [len(seen.points) for seen in reconstruction.observations]
    starts = np.concatenate([[0], np.cumsum(counts)])
    rows = kept_rows(int(starts[-1]), settings.max_rows, (settings.seed, zlib.crc32(one.id.encode())))
    descriptors, groups = [], []
    for number, (view, seen) in enumerate(zip(one.references, reconstruction.observations, strict=True)):
        own = rows[np.searchsorted(rows, starts[number]) : np.searchsorted(rows, starts[number + 1])] - starts[number]
        if not len(own):
            continue
        features = view_map(encoder, view, None)
        cells = features.geometry[0].original_to_cell(seen.xy[own] - reading_shift(settings))
        descriptors.append(sample_at(features.values[0], cells))
        groups.append(seen.points[own])
    if not descriptors:
        return empty_bank()
    points = np.concatenate(groups)
    bank = Bank(reconstruction.points[points], torch.cat(descriptors))
    return merged(bank, points) if settings.merge else bank


def reading_shift(settings: PoseSettings) -> float:
    """Pixels left of and above a point at which its feature is read."""
    return HALF if settings.read_at == "corner" else 0.0
