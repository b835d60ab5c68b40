"""The reader of PF-PASCAL (and of its twin, which stands in the same layout)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from bench3d.contracts import Problem
from bench3d.contracts.pairs import KeypointImage, KeypointPair
from bench3d.data.hashing import Digest
from bench3d.data.images import image_size
from bench3d.data.mat import read_mat_arrays
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.data.voc import VOC_CLASSES, canonical_name, voc_name
from bench3d.errors import DataError
from bench3d_plugins.pf_pascal.lists import (
    BY_PLACE,
    UNEQUAL,
    Listed,
    count_defects,
    find_list,
    read_list,
    row_flags,
    split_name,
)
from bench3d_plugins.pf_pascal.settings import PFPascalSettings

HINT = "Get the file again."


class PFPascal:
    """Image pairs with keypoints. `root` is the folder PF-dataset-PASCAL.

    An image's id is <category>/<VOC id>, a pair's id <row in the list>-<source>-<target>, its cluster the source image.
    The published lists carry no keypoint numbers, so `keypoint_ids` is empty but for `repaired` and the training list,
    whose keypoints come from the annotations (their rows count from 0). Boxes and the images' keypoints are there where
    the annotations are.
    """

    def __init__(self, root: Path, settings: PFPascalSettings | None = None) -> None:
        self.root = Path(root)
        self.settings = settings or PFPascalSettings()
        self.synthetic = is_synthetic(self.root)
        self._lists: dict[Path, list[Listed]] = {}
        self._images: dict[tuple[str, str], KeypointImage] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def pairs(self, category: str, split: str) -> Sequence[KeypointPair]:
        """Pairs of a category in the order of the list. Splits: test, val, trn. Images are not decoded.

        Of a pair with unequal numbers of keypoints the first min(n_source, n_target) are kept, as the published
        evaluation does. Where keypoints come from the annotations, pairs that share no visible one are left out.

        Raises:
            DataError: a file is missing or broken; names file and field.
            UsageError: unknown category or split.
        """
        official = voc_name(category, VOC_CLASSES, "PF-PASCAL")
        pairs = [self.pair(row, split) for row in self.rows(split) if row.official == official]
        if not pairs:
            raise DataError(f"{self.list_path(split)} has no pair of the class {official}.", "Complete the list.")
        shared = [pair for pair in pairs if len(pair.source_xy)]
        self._left_out[official, split] = len(pairs) - len(shared)
        return shared

    def keypoint_names(self, category: str) -> Mapping[str, str]:
        """An empty mapping: the data set names no keypoints."""
        voc_name(category, VOC_CLASSES, "PF-PASCAL")
        return {}

    def defects(self) -> Mapping[str, int]:
        """How many rows of the list `different` are wrong in which way (see `count_defects`); empty for other lists."""
        if self.settings.list != "different":
            return {}
        return count_defects(self.rows("test"), self._standard())

    def notes(self) -> tuple[str, ...]:
        """Sentences about the chosen list, and the pairs read so far, that belong beside every number made with it."""
        if self.settings.list == "repaired":
            notes = ["Image pairs of the list `different`, keypoints joined by their numbers in the annotations."]
            if count := sum(self._left_out.values()):
                notes.append(f"{count} of its pairs share no visible keypoint and are left out.")
            return tuple(notes)
        found = self.defects()
        if not found:
            return ()
        rows = found["rows"]
        notes = [
            "The list `different` holds the standard pairs with the targets permuted inside each class; keypoints are "
            "paired by their place in the list, so that many labels are wrong and 100 % cannot be reached.",
            f"{found['unequal_counts']} of {rows} rows have unequal numbers of source and target keypoints; the first "
            f"ones are kept and {found['points_dropped']} source keypoints dropped, as in the published evaluation.",
            f"{found['self_pairs']} of {rows} rows pair an image with itself.",
        ]
        if "unchanged" in found:
            notes.append(
                f"{found['also_in_standard']} of {rows} pairs are also in the standard list, {found['unchanged']} of "
                "them in the same row."
            )
        return tuple(notes)

    def fingerprint(self, category: str) -> str:
        """SHA-256 over a category's rows in the chosen test list and the validation list, and over their annotations.

        Image bytes are not read: a twin's follow from its spec, the published ones are fixed by their names.
        """
        official = voc_name(category, VOC_CLASSES, "PF-PASCAL")
        digest = Digest()
        mark = twin_mark(self.root)
        if mark is not None:
            facts = (mark["generator"], mark["spec"].get("seed"), mark["spec"].get("image_size"))
            digest.add("twin", repr(facts).encode())
        digest.add("list", self.settings.list.encode())
        images = set()
        for split in ("test", "val"):
            if split == "val" and not self.list_path(split).is_file():
                continue
            for row in self.rows(split):
                if row.official == official:
                    digest.add(split, repr(sorted(row.row.cells.items())).encode())
                    images |= set(row.names)
        for path in sorted(self.annotation_path(official, name) for name in images):
            digest.add(path.name, path.read_bytes() if path.is_file() else b"missing")
        return digest.hexdigest()

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field; reads and decodes everything that the lists name."""
        from bench3d_plugins.pf_pascal.check import check

        return check(self, categories)

    def list_path(self, split: str) -> Path:
        """The CSV file of a split (whether or not it is there)."""
        return find_list(self.root, split_name(split), self.settings.list, self.settings.list_file)

    def rows(self, split: str) -> list[Listed]:
        """All rows of a split's list; DataError with file, line and column."""
        require_whole(self.root)
        return self._read(self.list_path(split))

    def pair(self, row: Listed, split: str) -> KeypointPair:
        """The pair of a row; no keypoints where it should take them from the annotations and none is shared."""
        source, target = (self.image(row.official, name) for name in row.names)
        flags: list[str] = []
        ids: tuple[str, ...] = ()
        joined = row.source_xy is None or row.target_xy is None
        if split_name(split) == "test" and self.settings.list in ("different", "repaired"):
            flags = row_flags(row, self._standard())
        if split_name(split) == "test" and self.settings.list == "repaired":
            joined, flags = True, [flag for flag in flags if flag not in (UNEQUAL, BY_PLACE)]
        if joined or row.source_xy is None or row.target_xy is None:
            first, second = (self.annotation(row.official, name)[0] for name in row.names)
            ids = tuple(key for key in first if key in second)
            source_xy = np.array([first[key] for key in ids]).reshape(-1, 2)
            target_xy = np.array([second[key] for key in ids]).reshape(-1, 2)
        else:
            count = min(len(row.source_xy), len(row.target_xy))
            source_xy, target_xy = row.source_xy[:count], row.target_xy[:count]
        stems = "-".join(PurePosixPath(name).stem for name in row.names)
        return KeypointPair(
            id=f"{row.number:04d}-{stems}",
            category=canonical_name(row.official),
            source=source,
            target=target,
            source_xy=source_xy,
            target_xy=target_xy,
            keypoint_ids=ids,
            cluster=source.id,
            attributes={"flags": flags} if flags else {},
        )

    def image(self, official: str, name: str) -> KeypointImage:
        """An image of a class, with box and keypoints where its annotation is there."""
        if (official, name) not in self._images:
            path = self.root / name
            image = KeypointImage(f"{canonical_name(official)}/{path.stem}", path, image_size(path))
            if self.annotation_path(official, name).is_file():
                keypoints, box = self.annotation(official, name)
                image = replace(image, keypoints=keypoints, box=box)
            self._images[official, name] = image
        return self._images[official, name]

    def annotation_path(self, official: str, name: str) -> Path:
        """The annotation of an image of a class."""
        return self.root / "Annotations" / official / f"{PurePosixPath(name).stem}.mat"

    def annotation(self, official: str, name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Visible keypoints (2,) by number from "0" on, and the box (4,); DataError with file and field."""
        path = self.annotation_path(official, name)
        found = read_mat_arrays(path, ("kps", "bbox"))
        kps, box = found["kps"], found["bbox"].ravel()
        if kps.shape[1] != 2 or not len(kps) or np.isinf(kps).any():
            raise DataError(f"{path}: field kps does not hold one point of two numbers a row.", HINT)
        if box.shape != (4,) or not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
            raise DataError(f"{path}: field bbox does not hold the corners of a box.", HINT)
        return {str(i): point for i, point in enumerate(kps) if np.isfinite(point).all()}, box

    def _read(self, path: Path) -> list[Listed]:
        if path not in self._lists:
            self._lists[path] = read_list(path)
        return self._lists[path]

    def _standard(self) -> list[Listed] | None:
        path = find_list(self.root, "test", "standard", None)
        if not path.is_file():
            path = find_list(self.root, "test", "same", None)
        return self._read(path) if path.is_file() else None
