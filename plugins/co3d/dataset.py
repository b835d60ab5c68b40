"""The reader of CO3D v2 (and of its twin, which stands in the same layout)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence as Listing
from functools import partial
from pathlib import Path

import numpy as np

from bench3d.contracts import ObjectSequence, PosedFrame, PosedView, Problem, ViewSet
from bench3d.data.hashing import Digest
from bench3d.data.images import load_depth_co3d, load_mask
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.errors import DataError
from bench3d.geometry.camera import remove_similarity_scale
from bench3d.records import identity_settings
from bench3d_plugins.co3d import canonical
from bench3d_plugins.co3d.annotations import FRAMES, Frame
from bench3d_plugins.co3d.names import category_of, folder_of
from bench3d_plugins.co3d.prepared import EMPTY_FRAMES, Examined, Mesh, Store
from bench3d_plugins.co3d.selection import Raw, Selection, select
from bench3d_plugins.co3d.settings import CO3DSettings
from bench3d_plugins.co3d.tables import NEXT, WHY, Lookup, alignment_of, read_sequence_list

TOLERANCE, RELATIVE_TOLERANCE = 0.02, 0.01
"""Of depth maps from multi-view stereo, in canonical units (the object reaches 1) and as a share of the depth: ours."""


class CO3D:
    """Object-centred videos in one canonical frame per category. `root` is the folder that holds the categories.

    Poses, units and points of a sequence are canonical: its raw frame goes through its alignment, then the AABB
    centre of its cleaned cloud (with `extent: mesh` of the proxy mesh around it) becomes the origin and the largest
    |coordinate| of it 1.
    """

    def __init__(self, root: Path, settings: CO3DSettings | None = None) -> None:
        self.root = Path(root)
        self.settings = settings or CO3DSettings()
        self.store = Store(self.root, self.settings)
        self.synthetic = is_synthetic(self.root)
        self._loaded: dict[str, tuple[Selection, Lookup]] = {}
        self._skipped: dict[str, Counter[str]] = {}
        self._sequences: dict[str, list[ObjectSequence]] = {}
        self._unaligned: dict[str, dict[str, tuple[Examined, np.ndarray]]] = {}
        self._depths: dict[str, tuple[Frame, float]] = {}

    def sequences(self, category: str) -> Listing[ObjectSequence]:
        """Sequences of a category in the order of its list, frames in theirs; see `skipped` for those left out.

        Reads every mask of every sequence once, to clean the clouds; what that gives is kept (`Store`).

        Raises:
            DataError: no alignment, no usable sequence, or a broken file; names file, entry and field.
        """
        key = folder_of(category)
        if key not in self._sequences:
            selection, aligned = self._load(key)
            left_out = Counter(selection.left_out)
            examined = self._examined(key, selection, left_out)
            self._sequences[key] = [self._sequence(one, _matrix(aligned, one.raw)) for one in examined]
            self._skipped[key] = left_out
        return list(self._sequences[key])

    def raw_sequences(self, category: str) -> Listing[ObjectSequence]:
        """Sequences that need no alignment: each in its raw axes, centred and scaled by its own cleaned cloud.

        Those of the sequence list, else every annotated one. `own_T_raw` is the map from the published frame of a
        sequence to the one here, `proxy_mesh` its mesh in the frame here; ids of frames end in "_raw".

        Raises:
            DataError: as `sequences`, but for the alignment.
        """
        found = self._unaligned_of(category)
        return [self._posed_sequence(one, own_T_raw, "_raw") for one, own_T_raw in found.values()]

    def own_T_raw(self, category: str, name: str) -> np.ndarray:
        """(4, 4) similarity from the published frame of a sequence to its frame in `raw_sequences`."""
        return self._unaligned_of(category)[name][1]

    def proxy_mesh(self, category: str, name: str) -> Mesh:
        """The proxy mesh of one of `raw_sequences`, in its frame there: vertices (V, 3) float64, faces (F, 3) int32.

        Raises:
            DataError: no closed mesh can be put around its cloud.
        """
        one, own_T_raw = self._unaligned_of(category)[name]
        vertices, faces = self.store.mesh(one.raw, one.prepared.points)
        return vertices @ own_T_raw[:3, :3].T + own_T_raw[:3, 3], faces

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
        """How many listed sequences were left out, by reason; and frames whose mask is empty. Reads as `sequences`."""
        self.sequences(category)
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
        chosen = identity_settings(self.settings)
        for name in ("sequence_list", "alignment", "reference"):
            del chosen[name]
        digest.add("settings", repr(sorted(chosen.items())).encode())
        selection, aligned = self._load(folder_of(category))
        for raw in selection.sequences:
            digest.add(raw.name, _matrix(aligned, raw).tobytes())
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

    def chosen_names(self, category: str, annotated: Iterable[str], aligned: Lookup | None) -> list[str]:
        """Names of the sequences to read: the list's, or all annotated ones that are aligned (None: all)."""
        if self.settings.sequence_list is not None:
            names = read_sequence_list(self.settings.sequence_list, category)
        else:
            names = [name for name in annotated if aligned is None or aligned(name) is not None]
        return names if self.settings.filters == "published" else names[: self.settings.max_sequences]

    def alignment(self, category: str) -> Lookup:
        """The alignment table of a category; DataError with what is needed and why where there is none."""
        path = self.settings.alignment
        if path is None:
            path = self.root / "alignment.json"
            if not path.exists():
                raise DataError(f"No alignment of {category}'s sequences was given. {WHY}", NEXT)
        return alignment_of(path, category, self.settings.reference)

    def unaligned(self, category: str) -> Selection:
        """The sequences that `raw_sequences` looks at, none where there are none; DataError for broken annotations."""
        folder = folder_of(category)
        self._require(folder)
        return select(
            self.root, folder, self.settings, lambda annotated: self.chosen_names(category_of(folder), annotated, None)
        )

    def _load(self, folder: str) -> tuple[Selection, Lookup]:
        if folder not in self._loaded:
            self._require(folder)
            category = category_of(folder)
            aligned = self.alignment(category)
            selection = select(
                self.root, folder, self.settings, lambda annotated: self.chosen_names(category, annotated, aligned)
            )
            if not selection.sequences:
                raise self._nothing(folder, selection.left_out)
            for raw in selection.sequences:
                _matrix(aligned, raw)
            self._loaded[folder] = selection, aligned
        return self._loaded[folder]

    def _require(self, folder: str) -> None:
        require_whole(self.root)
        place = self.root / folder
        if not place.is_dir():
            raise DataError(f"CO3D has no folder {place}.", f"Download the category {folder}, or use --synthetic.")

    def _nothing(self, folder: str, left_out: Counter[str]) -> DataError:
        why = ", ".join(f"{count} with {reason}" for reason, count in left_out.items()) or "it has none that is aligned"
        place = self.root / folder
        return DataError(f"No sequence of {category_of(folder)} in {place} can be used: {why}.", NEXT)

    def _examined(self, folder: str, selection: Selection, left_out: Counter[str]) -> list[Examined]:
        """The sequences that their masks and clouds let pass, as many as are wanted; counts the others."""
        kept: list[Examined] = []
        for raw in selection.sequences:
            if len(kept) == self.settings.max_sequences:
                break
            one = self.store.examine(raw)
            if one.reason is None:
                kept.append(one)
                left_out[EMPTY_FRAMES] += one.empty_frames
            else:
                left_out[one.reason] += 1
        left_out += Counter()  # drops zeros
        if not kept:
            raise self._nothing(folder, left_out)
        return kept

    def _unaligned_of(self, category: str) -> dict[str, tuple[Examined, np.ndarray]]:
        key = folder_of(category)
        if key not in self._unaligned:
            selection = self.unaligned(category)
            examined = self._examined(key, selection, Counter(selection.left_out))
            self._unaligned[key] = {
                one.raw.name: (one, canonical.canonical_transform(one.prepared.points, np.eye(4), 0.0))
                for one in examined
            }
        return self._unaligned[key]

    def _sequence(self, one: Examined, aligned_T_raw: np.ndarray) -> ObjectSequence:
        percentile = self.settings.extent_percentile if one.vertices is None else 0.0
        measured = one.prepared.points if one.vertices is None else one.vertices
        return self._posed_sequence(one, canonical.canonical_transform(measured, aligned_T_raw, percentile))

    def _posed_sequence(self, one: Examined, canonical_T_raw: np.ndarray, mark: str = "") -> ObjectSequence:
        category, points = category_of(one.raw.folder), one.prepared.points
        moved = points @ canonical_T_raw[:3, :3].T + canonical_T_raw[:3, 3]
        scale = float(np.cbrt(np.linalg.det(canonical_T_raw[:3, :3])))
        frames = []
        for frame in spread(one.seen_frames(), self.settings.max_frames):
            posed = self._posed(category, frame, canonical_T_raw, mark)
            self._depths[posed.id] = (frame, scale)
            frames.append(posed)
        return ObjectSequence(one.raw.name, category, tuple(frames), partial(np.copy, moved))

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

    def _posed(self, category: str, frame: Frame, canonical_T_raw: np.ndarray, mark: str) -> PosedFrame:
        return PosedFrame(
            id=f"{category}_{frame.sequence}_{frame.number:06d}{mark}",
            image=self.root / frame.image,
            mask=self.root / frame.mask,
            size=frame.size,
            intrinsics=frame.intrinsics,
            cam_T_obj=remove_similarity_scale(frame.cam_T_raw, canonical_T_raw),
            depth=None if frame.depth is None else self.root / frame.depth,
        )


def _matrix(aligned: Lookup, raw: Raw) -> np.ndarray:
    """aligned_T_raw (4, 4) of a sequence; DataError where it has none."""
    matrix = aligned(raw.name)
    if matrix is None:
        raise DataError(f"Sequence {raw.name} of {category_of(raw.folder)} has no alignment. {WHY}", NEXT)
    return matrix


def spread(frames: tuple[Frame, ...], most: int | None) -> list[Frame]:
    """At most `most` frames, evenly spaced from the first to the last."""
    if most is None or len(frames) <= most:
        return list(frames)
    return [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, most).round().astype(int))]
