"""What aligning needs of CO3D: its sequences each in its own frame, the published references and alignments.

See bench3d.contracts.videos.Aligner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from bench3d.contracts import ObjectSequence, PosedFrame
from bench3d.contracts.videos import PublishedAlignment
from bench3d.morphable.alignment_stages import LeftOut
from bench3d_plugins.co3d.annotations import SEQUENCES, read_sequences
from bench3d_plugins.co3d.dataset import CO3D
from bench3d_plugins.co3d.names import category_of, folder_of
from bench3d_plugins.co3d.prepared import Store
from bench3d_plugins.co3d.references import references
from bench3d_plugins.co3d.selection import Raw
from bench3d_plugins.co3d.settings import CO3DSettings
from bench3d_plugins.co3d.tables import alignment_of

TRUTH = "alignment.json"


class CO3DAligner:
    """Reads sequences that have no alignment yet. `root` is the folder that holds the categories."""

    backbone = "dinov2"  # ViT-S/14, as published

    def __init__(self, root: Path, settings: CO3DSettings | None = None) -> None:
        # Only clouds are wanted here; a proxy mesh is made by who aligns, with its own settings.
        self.reader = CO3D(root, (settings or CO3DSettings()).model_copy(update={"extent": "cloud"}))

    def present(self) -> list[str]:
        """Categories that have annotations here."""
        return self.reader.present()

    def raw_sequences(self, category: str) -> tuple[list[ObjectSequence], dict[str, int]]:
        """Sequences as published, those of the list or all; and how many were left out, by reason.

        The clouds are cleaned when they are asked for; one that is of no use raises LeftOut then.

        Raises:
            DataError: no such category, or its annotations are broken.
        """
        selection = self.reader.unaligned(category)
        left_out, raws = Counter(selection.left_out), list(selection.sequences)
        if self.reader.settings.filters == "published":
            raws = self._filtered(raws, left_out)
        return [posed(self.reader, raw) for raw in raws], dict(left_out)

    def references(self, category: str) -> Mapping[str, str]:
        """The published ones."""
        return references(category)

    def truth(self, category: str) -> Mapping[str, np.ndarray] | None:
        """The alignments that a twin was made with; None for real data."""
        path = self.reader.root / TRUTH
        if not (self.reader.synthetic and path.exists()):
            return None
        look_up = alignment_of(path, category, None)
        names = read_sequences(self.reader.root / folder_of(category) / SEQUENCES)
        return {name: matrix for name in names if (matrix := look_up(name)) is not None}

    def published(self, folder: Path, variant: str | None = None) -> PublishedAlignment:
        """Alignments and labels of the authors' repository uns-obj-pose3d."""
        from bench3d_plugins.co3d.published import read_published

        return read_published(folder, variant)

    def _filtered(self, raws: list[Raw], left_out: Counter[str]) -> list[Raw]:
        """The first `max_sequences` that the published filters let pass."""
        kept: list[Raw] = []
        for raw in raws:
            if len(kept) == self.reader.settings.max_sequences:
                break
            reason = self.reader.store.examine(raw).reason
            if reason is None:
                kept.append(raw)
            else:
                left_out[reason] += 1
        return kept


def posed(reader: CO3D, raw: Raw) -> ObjectSequence:
    """A sequence with its published cameras and the cleaned cloud in its own frame and unit."""
    category = category_of(raw.folder)
    frames = tuple(
        PosedFrame(
            id=f"{category}_{raw.name}_{frame.number:06d}_published",
            image=reader.root / frame.image,
            mask=reader.root / frame.mask,
            size=frame.size,
            intrinsics=frame.intrinsics,
            cam_T_obj=frame.cam_T_raw,
            depth=None if frame.depth is None else reader.root / frame.depth,
        )
        for frame in raw.frames
    )
    return ObjectSequence(raw.name, category, frames, partial(cleaned, reader.store, raw))


def cleaned(store: Store, raw: Raw) -> np.ndarray:
    """(N, 3) cleaned points of a sequence, as published.

    Raises:
        LeftOut: masks or cloud are of no use. DataError: broken files.
    """
    one = store.examine(raw)
    if one.reason is not None:
        raise LeftOut(one.reason)
    return one.prepared.points
