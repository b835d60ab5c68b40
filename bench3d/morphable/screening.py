"""What of a category's videos cannot be trained on is left out and counted, each with its reason."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench3d.contracts import ObjectSequence, PosedFrame
from bench3d.data.images import load_mask
from bench3d.errors import DataError

LEAST_POINTS = 11
"""Points that a cloud must have: where cleaning left fewer than ten, the published code goes on with ten."""


@dataclass(frozen=True)
class Screened:
    """Sequences that can be trained on.

    Attributes:
        sequences: in their order, without the frames that were left out.
        skipped_sequences: name -> reason; skipped_frames: id -> reason.
    """

    sequences: tuple[ObjectSequence, ...]
    skipped_sequences: dict[str, str]
    skipped_frames: dict[str, str]

    def summary(self) -> str:
        """One sentence for people, "" where nothing was left out."""
        counts = [(self.skipped_sequences, "sequence"), (self.skipped_frames, "frame")]
        parts = []
        for skipped, noun in counts:
            reasons = sorted(set(skipped.values()))
            if reasons:
                parts.append(f"{len(skipped)} {noun}{'' if len(skipped) == 1 else 's'} ({'; '.join(reasons)})")
        return f"Left out: {' and '.join(parts)}." if parts else ""

    def facts(self) -> dict[str, dict[str, Any]]:
        """For an artifact: reason -> how many, and each sequence and frame with its reason."""
        counts: dict[str, Any] = {}
        for noun, skipped in (("sequence", self.skipped_sequences), ("frame", self.skipped_frames)):
            for reason in skipped.values():
                counts[f"{noun}: {reason}"] = counts.get(f"{noun}: {reason}", 0) + 1
        return {"left_out": counts, "left_out_names": {**self.skipped_sequences, **self.skipped_frames}}


def screen(sequences: Sequence[ObjectSequence]) -> Screened:
    """Leaves out frames with a camera that is not finite or an empty mask, and sequences whose cloud is not finite or
    has fewer than `LEAST_POINTS` points, or which have no frame left.

    Raises:
        DataError: nothing is left of them; a mask is missing or broken.
    """
    kept: list[ObjectSequence] = []
    bad_sequences: dict[str, str] = {}
    bad_frames: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as workers:
        for sequence in sequences:
            reason = _cloud_fault(sequence)
            if reason is None:
                faults = dict(zip(sequence.frames, workers.map(_frame_fault, sequence.frames), strict=True))
                bad_frames |= {frame.id: fault for frame, fault in faults.items() if fault is not None}
                whole = tuple(frame for frame, fault in faults.items() if fault is None)
                if whole:
                    kept.append(sequence if len(whole) == len(faults) else replace(sequence, frames=whole))
                    continue
                reason = "no frame can be used: " + next((f for f in faults.values() if f), "it has none")
            bad_sequences[sequence.name] = reason
    if sequences and not kept:
        name, reason = next(iter(bad_sequences.items()))
        raise DataError(
            f"None of the {len(sequences)} sequences of {sequences[0].category} can be trained on ({name}: {reason}).",
            "Check them with `bench3d data check`.",
        )
    return Screened(tuple(kept), bad_sequences, bad_frames)


def _cloud_fault(sequence: ObjectSequence) -> str | None:
    points = np.asarray(sequence.points(), dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < LEAST_POINTS:
        return f"its point cloud has {len(points)} points, fewer than {LEAST_POINTS}"
    return None if np.isfinite(points).all() else "its point cloud is not finite"


def _frame_fault(frame: PosedFrame) -> str | None:
    if not (np.isfinite(frame.cam_T_obj).all() and np.isfinite(frame.intrinsics).all()):
        return "its camera is not finite"
    return None if load_mask(frame.mask, frame.size).any() else "its mask is empty"
