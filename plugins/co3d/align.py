"""What aligning needs of CO3D: its sequences each in its own frame, the published references and alignments.

See bench3d.contracts.data.Aligner. A sequence without a usable cloud, or with a frame whose camera or path is broken,
is left out with the reason; the others are not touched by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from bench3d.contracts import ObjectSequence, PosedFrame
from bench3d.contracts.data import PublishedAlignment
from bench3d.data.images import load_mask_values
from bench3d.data.ply import read_ply_points
from bench3d.data.twin import is_synthetic, require_whole
from bench3d.errors import DataError
from bench3d_plugins.co3d import canonical
from bench3d_plugins.co3d.annotations import FRAMES, SEQUENCES, Frame, frame_entries, parse_frame, read_sequences
from bench3d_plugins.co3d.names import category_of, folder_of
from bench3d_plugins.co3d.references import references
from bench3d_plugins.co3d.settings import CO3DSettings
from bench3d_plugins.co3d.tables import alignment_of, read_sequence_list

TRUTH = "alignment.json"


class CO3DAligner:
    """Reads sequences that have no alignment yet. `root` is the folder that holds the categories."""

    def __init__(self, root: Path, settings: CO3DSettings | None = None) -> None:
        self.root = Path(root)
        self.settings = settings or CO3DSettings()

    def present(self) -> list[str]:
        """Categories that have annotations here."""
        return sorted(category_of(path.parent.name) for path in self.root.glob(f"*/{FRAMES}"))

    def raw_sequences(self, category: str) -> tuple[list[ObjectSequence], dict[str, str]]:
        """Sequences in their own frames, those of the list or all; and those left out, with the reason.

        Raises:
            DataError: no such category, or its annotation files are missing or broken as a whole.
        """
        require_whole(self.root)
        place = self.root / folder_of(category)
        if not place.is_dir():
            raise DataError(f"CO3D has no folder {place}.", f"Download the category {folder_of(category)}.")
        annotated = read_sequences(place / SEQUENCES)
        listed = self.settings.sequence_list
        names = list(annotated) if listed is None else read_sequence_list(listed, category)
        names = names[: self.settings.max_sequences]
        frames, skipped = read_sound_frames(place / FRAMES, set(names))
        found = []
        for name in names:
            cloud = annotated[name].cloud if name in annotated else None
            images = place / name / "images"
            if name not in annotated:
                skipped[name] = "no annotation"
            elif cloud is None:
                skipped[name] = "no point cloud"
            elif not (images.is_dir() and any(images.iterdir())):
                skipped[name] = "no images on disk"
            elif name not in skipped and not frames.get(name):
                skipped[name] = "no frames"
            if name not in skipped and cloud is not None:
                found.append(self._sequence(category_of(folder_of(category)), name, cloud, frames[name]))
        return found, skipped

    def references(self, category: str) -> Mapping[str, str]:
        """The published ones."""
        return references(category)

    def truth(self, category: str) -> Mapping[str, np.ndarray] | None:
        """The alignments that a twin was made with; None for real data."""
        path = self.root / TRUTH
        if not (is_synthetic(self.root) and path.exists()):
            return None
        look_up = alignment_of(path, category, None)
        names = read_sequences(self.root / folder_of(category) / SEQUENCES)
        return {name: matrix for name in names if (matrix := look_up(name)) is not None}

    def published(self, folder: Path, variant: str | None = None) -> PublishedAlignment:
        """Alignments and labels of the authors' repository uns-obj-pose3d."""
        from bench3d_plugins.co3d.published import read_published

        return read_published(folder, variant)

    def _sequence(self, category: str, name: str, cloud: str, frames: list[Frame]) -> ObjectSequence:
        ordered = sorted(frames, key=lambda frame: frame.number)
        posed = tuple(
            PosedFrame(
                id=f"{category}_{name}_{frame.number:06d}",
                image=self.root / frame.image,
                mask=self.root / frame.mask,
                size=frame.size,
                intrinsics=frame.intrinsics,
                cam_T_obj=frame.cam_T_raw,
                depth=None if frame.depth is None else self.root / frame.depth,
            )
            for frame in ordered
        )
        return ObjectSequence(
            name, category, posed, partial(clean_points, self.root / cloud, name, posed, self.settings)
        )


def clean_points(path: Path, name: str, frames: tuple[PosedFrame, ...], settings: CO3DSettings) -> np.ndarray:
    """(N, 3) points of a cloud that the masks cover, in the sequence's own frame.

    Raises:
        DataError: no cloud, an empty one, or a broken mask.
    """
    rng = canonical.sequence_rng(settings.seed, name)
    points = read_ply_points(path)
    if len(points) == 0:
        raise DataError(f"The point cloud {path} is empty.", "Get the file again.")
    points = canonical.subsample(points, settings.cloud_points, rng)
    share = canonical.mask_share(
        points,
        (load_mask_values(frame.mask, frame.size) for frame in frames),
        (frame.cam_T_obj for frame in frames),
        (frame.intrinsics for frame in frames),
    )
    return points[canonical.keep_points(share, settings.mask_share, rng)]


def read_sound_frames(path: Path, names: set[str]) -> tuple[dict[str, list[Frame]], dict[str, str]]:
    """Frames of the named sequences; and the sequences with a broken frame, with what is broken."""
    found: dict[str, list[Frame]] = {}
    broken: dict[str, str] = {}
    for entry in frame_entries(path):
        name = entry.get("sequence_name", str, optional=True)
        if name not in names or name in broken:
            continue
        try:
            found.setdefault(name, []).append(parse_frame(entry))
        except DataError as error:
            broken[name] = f"broken frame: {error.message}"
    return found, broken
