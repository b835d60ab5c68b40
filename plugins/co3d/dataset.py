"""The reader of CO3D v2 (and of its twin, which stands in the same layout)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence as Listing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench3d.contracts import ObjectSequence, PosedFrame, PosedView, Problem, ViewSet
from bench3d.data.hashing import Digest
from bench3d.data.images import load_depth_co3d, load_mask, load_mask_values
from bench3d.data.ply import read_ply_points
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.errors import DataError
from bench3d.geometry.camera import remove_similarity_scale
from bench3d_plugins.co3d import canonical
from bench3d_plugins.co3d.annotations import (
    FRAMES,
    SEQUENCES,
    Frame,
    Sequence,
    frame_entries,
    parse_frame,
    read_sequences,
)
from bench3d_plugins.co3d.names import category_of, folder_of
from bench3d_plugins.co3d.settings import CO3DSettings
from bench3d_plugins.co3d.tables import NEXT, WHY, Lookup, alignment_of, read_sequence_list

NO_CLOUD = "no point cloud"
NO_IMAGES = "no images on disk"
TOLERANCE, RELATIVE_TOLERANCE = 0.02, 0.01
"""Of depth maps from multi-view stereo, in canonical units (the object reaches 1) and as a share of the depth: ours."""


@dataclass(frozen=True, eq=False)
class Raw:
    """A sequence as published, with its alignment."""

    name: str
    cloud: str
    frames: tuple[Frame, ...]
    aligned_T_raw: np.ndarray


class CO3D:
    """Object-centred videos in one canonical frame per category. `root` is the folder that holds the categories.

    Poses, units and points of a sequence are canonical: its raw frame goes through its alignment, then the AABB
    centre of its cleaned cloud becomes the origin and the largest |coordinate| of the cloud 1.
    """

    def __init__(self, root: Path, settings: CO3DSettings | None = None) -> None:
        self.root = Path(root)
        self.settings = settings or CO3DSettings()
        self.synthetic = is_synthetic(self.root)
        self._raw: dict[str, list[Raw]] = {}
        self._skipped: dict[str, Counter[str]] = {}
        self._sequences: dict[str, list[ObjectSequence]] = {}
        self._depths: dict[str, tuple[Frame, float]] = {}

    def sequences(self, category: str) -> Listing[ObjectSequence]:
        """Sequences of a category in the order of its list, frames in theirs.

        Reads every mask of every sequence once, to clean the clouds.

        Raises:
            DataError: no alignment, no usable sequence, or a missing or broken file; names file, entry and field.
        """
        key = folder_of(category)
        if key not in self._sequences:
            self._sequences[key] = [self._sequence(category_of(key), raw) for raw in self._load(key)]
        return list(self._sequences[key])

    def view_sets(self, category: str) -> Listing[ViewSet]:
        """The sequences of a category as posed views with depth, frames without a depth map left out.

        Raises:
            DataError: as `sequences`, or no sequence has two frames with depth.
        """
        sets = [self._view_set(one) for one in self.sequences(category)]
        whole = [one for one in sets if len(one.views) > 1]
        if not whole:
            raise DataError(
                f"No sequence of {category} in {self.root} has depth maps.", "Download the depth maps, too."
            )
        return whole

    def skipped(self, category: str) -> dict[str, int]:
        """How many listed sequences were left out, by reason."""
        self._load(folder_of(category))
        return dict(self._skipped[folder_of(category)])

    def depth(self, frame: PosedFrame) -> np.ndarray:
        """(H, W) float32 depth along the camera axis of a frame of this source, canonical units, 0 where unknown."""
        found, scale = self._depths.get(frame.id, (None, 0.0))
        if found is None or found.depth is None:
            raise DataError(f"Frame {frame.id} has no depth map.", "Choose another frame.")
        mask = None if found.depth_mask is None else self.root / found.depth_mask
        return load_depth_co3d(self.root / found.depth, found.depth_scale, found.size, mask) * np.float32(scale)

    def fingerprint(self, category: str) -> str:
        """SHA-256 over settings, chosen sequences with their alignments and cameras, and sizes of their clouds.

        Image, mask and cloud contents are not read: a twin's follow from its spec, the release's are fixed by name.
        """
        digest = Digest()
        mark = twin_mark(self.root)
        if mark is not None:
            facts = (mark["generator"], mark["spec"].get("seed"), mark["spec"].get("image_size"))
            digest.add("twin", repr(facts).encode())
        chosen = self.settings.model_dump(mode="json", exclude={"sequence_list", "alignment", "reference"})
        digest.add("settings", repr(sorted(chosen.items())).encode())
        for raw in self._load(folder_of(category)):
            digest.add(raw.name, raw.aligned_T_raw.tobytes())
            cloud = self.root / raw.cloud
            digest.add(raw.cloud, str(cloud.stat().st_size if cloud.exists() else None).encode())
            for frame in raw.frames:
                digest.add(frame.image, frame.cam_T_raw.tobytes() + frame.intrinsics.tobytes() + frame.mask.encode())
        return digest.hexdigest()

    def check(self, categories: Listing[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field of the chosen sequences, without stopping at the first."""
        from bench3d_plugins.co3d.check import check

        return check(self, categories)

    def present(self) -> list[str]:
        """Categories that have annotations here."""
        return sorted(category_of(path.parent.name) for path in self.root.glob(f"*/{FRAMES}"))

    def chosen_names(self, category: str, annotated: Iterable[str], aligned: Lookup) -> list[str]:
        """Names of the sequences to read: the list's, or all annotated ones that are aligned."""
        if self.settings.sequence_list is not None:
            names = read_sequence_list(self.settings.sequence_list, category)
        else:
            names = [name for name in annotated if aligned(name) is not None]
        return names[: self.settings.max_sequences]

    def alignment(self, category: str) -> Lookup:
        """The alignment table of a category; DataError with what is needed and why where there is none."""
        path = self.settings.alignment
        if path is None:
            path = self.root / "alignment.json"
            if not path.exists():
                raise DataError(f"No alignment of {category}'s sequences was given. {WHY}", NEXT)
        return alignment_of(path, category, self.settings.reference)

    def _load(self, folder: str) -> list[Raw]:
        if folder not in self._raw:
            category, place = category_of(folder), self.root / folder
            require_whole(self.root)
            if not place.is_dir():
                raise DataError(f"CO3D has no folder {place}.", f"Download the category {folder}, or use --synthetic.")
            skipped: Counter[str] = Counter()
            annotated = read_sequences(place / SEQUENCES)
            aligned = self.alignment(category)
            names = self.chosen_names(category, annotated, aligned)
            usable = [name for name in names if self._usable(folder, annotated, name, skipped)]
            frames = read_frames(place / FRAMES, set(usable))
            raws = [self._one(category, annotated[name], frames.get(name, []), aligned) for name in usable]
            if not raws:
                why = ", ".join(f"{count} with {reason}" for reason, count in skipped.items()) or "none is aligned"
                raise DataError(f"No sequence of {category} in {place} can be used: {why}.", NEXT)
            self._raw[folder], self._skipped[folder] = raws, skipped
        return self._raw[folder]

    def _usable(self, folder: str, annotated: dict[str, Sequence], name: str, skipped: Counter[str]) -> bool:
        if name not in annotated:
            raise DataError(
                f"Sequence {name} is listed but {self.root / folder / SEQUENCES} has no such sequence.",
                "Complete the data set, or take it off the list.",
            )
        images = self.root / folder / name / "images"
        reason = NO_CLOUD if annotated[name].cloud is None else None
        if not (images.is_dir() and any(images.iterdir())):
            reason = NO_IMAGES
        if reason is not None:
            skipped[reason] += 1
        return reason is None

    def _one(self, category: str, sequence: Sequence, frames: list[Frame], aligned: Lookup) -> Raw:
        matrix = aligned(sequence.name)
        if matrix is None:
            raise DataError(f"Sequence {sequence.name} of {category} has no alignment. {WHY}", NEXT)
        if not frames or sequence.cloud is None:
            raise DataError(
                f"{self.root / folder_of(category) / FRAMES} has no frames of sequence {sequence.name}.",
                "Get the file again.",
            )
        return Raw(sequence.name, sequence.cloud, tuple(sorted(frames, key=lambda f: f.number)), matrix)

    def _sequence(self, category: str, raw: Raw) -> ObjectSequence:
        points = self._clean(raw)
        canonical_T_raw = canonical.canonical_transform(points, raw.aligned_T_raw, self.settings.extent_percentile)
        moved = points @ canonical_T_raw[:3, :3].T + canonical_T_raw[:3, 3]
        scale = float(np.cbrt(np.linalg.det(canonical_T_raw[:3, :3])))
        frames = []
        for frame in spread(raw.frames, self.settings.max_frames):
            posed = self._posed(category, frame, canonical_T_raw)
            self._depths[posed.id] = (frame, scale)
            frames.append(posed)
        return ObjectSequence(raw.name, category, tuple(frames), partial(np.copy, moved))

    def _view_set(self, sequence: ObjectSequence) -> ViewSet:
        views = [
            PosedView(
                id=frame.id,
                image=frame.image,
                size=frame.size,
                intrinsics=frame.intrinsics,
                cam_T_world=frame.cam_T_obj,
                depth=partial(self.depth, frame),
                mask=partial(load_mask, frame.mask, frame.size),
            )
            for frame in sequence.frames
            if frame.depth is not None
        ]
        return ViewSet(
            id=sequence.name,
            views=tuple(views),
            truth="depth",
            tolerance=TOLERANCE,
            relative_tolerance=RELATIVE_TOLERANCE,
            object_category=sequence.category,
            attributes={"frames_without_depth": len(sequence.frames) - len(views)},
        )

    def _clean(self, raw: Raw) -> np.ndarray:
        rng = canonical.sequence_rng(self.settings.seed, raw.name)
        points = read_ply_points(self.root / raw.cloud)
        if len(points) == 0:
            raise DataError(f"The point cloud {self.root / raw.cloud} is empty.", "Get the file again.")
        points = canonical.subsample(points, self.settings.cloud_points, rng)
        share = canonical.mask_share(
            points,
            (load_mask_values(self.root / frame.mask, frame.size) for frame in raw.frames),
            (frame.cam_T_raw for frame in raw.frames),
            (frame.intrinsics for frame in raw.frames),
        )
        return points[canonical.keep_points(share, self.settings.mask_share, rng)]

    def _posed(self, category: str, frame: Frame, canonical_T_raw: np.ndarray) -> PosedFrame:
        return PosedFrame(
            id=f"{category}_{frame.sequence}_{frame.number:06d}",
            image=self.root / frame.image,
            mask=self.root / frame.mask,
            size=frame.size,
            intrinsics=frame.intrinsics,
            cam_T_obj=remove_similarity_scale(frame.cam_T_raw, canonical_T_raw),
            depth=None if frame.depth is None else self.root / frame.depth,
        )


def read_frames(path: Path, names: set[str]) -> dict[str, list[Frame]]:
    """Frames of the named sequences; those of other sequences are not even validated."""
    found: dict[str, list[Frame]] = {}
    for entry in frame_entries(path):
        if (name := entry.get("sequence_name", str)) in names:
            found.setdefault(name, []).append(parse_frame(entry))
    return found


def spread(frames: tuple[Frame, ...], most: int | None) -> list[Frame]:
    """At most `most` frames, evenly spaced from the first to the last."""
    if most is None or len(frames) <= most:
        return list(frames)
    return [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, most).round().astype(int))]
