"""The reader of SPair-71k (and of its twin, which stands in the same layout)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench3d.contracts import Problem
from bench3d.contracts.pairs import KeypointImage, KeypointPair
from bench3d.data.hashing import Digest
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.data.voc import canonical_name
from bench3d.errors import DataError
from bench3d_plugins.spair71k.annotation import ImageAnnotation, PairAnnotation, parse_image, parse_pair
from bench3d_plugins.spair71k.names import (
    NAMES_FILE,
    SPLITS,
    annotation_path,
    image_path,
    layout_path,
    mask_path,
    official_name,
    pair_category,
    pair_files,
    pair_folder,
    split_name,
)
from bench3d_plugins.spair71k.settings import SPair71kSettings

HINT = "Complete the data set."


class SPair71k:
    """Image pairs with semantic keypoints. `root` is the folder SPair-71k.

    An image's id is <category>/<stem>, a pair's id its line in the list (<number>-<source>-<target>:<category>), its
    cluster the source image. `mask` is the segmentation as published: VOC class numbers, 255 on borders.
    """

    def __init__(self, root: Path, settings: SPair71kSettings | None = None) -> None:
        self.root = Path(root)
        self.settings = settings or SPair71kSettings()
        self.synthetic = is_synthetic(self.root)
        self._lists: dict[str, dict[str, list[str]]] = {}
        self._pairs: dict[tuple[str, str], list[KeypointPair]] = {}
        self._images: dict[tuple[str, str], KeypointImage] = {}
        self._fingerprints: dict[str, str] = {}

    def pairs(self, category: str, split: str) -> Sequence[KeypointPair]:
        """Pairs of a category in the order of the published list. Splits: test, val, trn. No image is opened.

        Raises:
            DataError: a file is missing or broken; names file and field.
            UsageError: unknown category or split.
        """
        official, listed = official_name(category), split_name(split)
        if (official, listed) not in self._pairs:
            self._pairs[official, listed] = [self.pair(line, listed) for line in self.lines(official, listed)]
        return list(self._pairs[official, listed])

    def keypoint_names(self, category: str) -> Mapping[str, str]:
        """Names of the keypoint ids; empty where there is no file of names (the data set has none of its own).

        Raises:
            DataError: the file of names is missing though the settings name it, or is broken.
        """
        official = official_name(category)
        path = self.settings.keypoint_names or self.root / NAMES_FILE
        if self.settings.keypoint_names is None and not path.exists():
            return {}
        return read_names(path, official)

    def fingerprint(self, category: str) -> str:
        """SHA-256 over a category's lists, its pairs of test and val, their images' annotations and keypoint names.

        Training pairs go in by their names only, and image bytes not at all: a twin's follow from its spec, the
        release's are fixed by their names.
        """
        official = official_name(category)
        if official not in self._fingerprints:
            digest = Digest()
            mark = twin_mark(self.root)
            if mark is not None:
                facts = (mark["generator"], mark["spec"].get("seed"), mark["spec"].get("image_size"))
                digest.add("twin", repr(facts).encode())
            for split in dict.fromkeys(SPLITS.values()):
                if not (self.root / layout_path(self.settings.layout, split)).exists():
                    continue
                lines = self.lines(official, split)
                digest.add(split, "\n".join(lines).encode())
                if split != "trn":
                    for line in lines:
                        path = self.pair_path(line, split)
                        digest.add(line, path.read_bytes() if path.exists() else b"missing")
            for path in sorted((self.root / annotation_path(official, "x")).parent.glob("*.json")):
                digest.add(path.name, path.read_bytes())
            digest.add("names", repr(sorted(self.keypoint_names(category).items())).encode())
            self._fingerprints[official] = digest.hexdigest()
        return self._fingerprints[official]

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field; reads and decodes everything that the lists name."""
        from bench3d_plugins.spair71k.check import check

        return check(self, categories)

    def lines(self, category: str, split: str) -> list[str]:
        """Names of a category's pairs in a list, in its order; DataError where the list is missing or broken."""
        official, listed = official_name(category), split_name(split)
        if listed not in self._lists:
            self._lists[listed] = self._read_list(listed)
        if official not in self._lists[listed]:
            path = self.root / layout_path(self.settings.layout, listed)
            raise DataError(f"{path} has no pair of the category {official}.", HINT)
        return self._lists[listed][official]

    def _read_list(self, listed: str) -> dict[str, list[str]]:
        require_whole(self.root)
        path = self.root / layout_path(self.settings.layout, listed)
        found: dict[str, list[str]] = {}
        for number, line in enumerate(_read(path, "list").decode("utf-8", errors="replace").split(), start=1):
            category = pair_category(line)
            if category is None:
                raise DataError(f"{path}: line {number} is {line[:80]!r}, no name of a pair.", "Get the file again.")
            found.setdefault(category, []).append(line)
        return found

    def pair_path(self, line: str, split: str) -> Path:
        """The file of a pair's annotation, whatever stands for its colon; the published name where there is none.

        Raises:
            DataError: several files could be meant.
        """
        folder = self.root / pair_folder(split)
        published = folder / pair_files(line)[0]
        if published.exists():
            return published
        found = list(dict.fromkeys(p.resolve() for name in pair_files(line)[1:] if (p := folder / name).exists()))
        if len(found) > 1:
            raise DataError(
                f"{folder}: {found[0].name} and {found[1].name} could both be the pair {line}.", "Remove one of them."
            )
        return found[0] if found else published

    def pair_annotation(self, line: str, split: str) -> PairAnnotation:
        """A pair as annotated; DataError with file and field."""
        official = line.rpartition(":")[2]
        path = self.root / pair_folder(split) / pair_files(line)[0]
        try:
            content = path.read_bytes()
        except OSError:
            path = self.pair_path(line, split)
            content = _read(path, "annotation")
        return parse_pair(path, content, official)

    def image_annotation(self, official: str, stem: str) -> ImageAnnotation:
        """An image as annotated; DataError with file and field."""
        path = self.root / annotation_path(official, stem)
        return parse_image(path, _read(path, "annotation"))

    def pair(self, line: str, split: str) -> KeypointPair:
        """The pair that a line of a list names; DataError with file and field."""
        official = line.rpartition(":")[2]
        found = self.pair_annotation(line, split)
        source = self.image(official, found.source)
        target = self.image(official, found.target)
        return KeypointPair(
            id=line,
            category=canonical_name(official),
            source=source,
            target=target,
            source_xy=found.source_xy,
            target_xy=found.target_xy,
            keypoint_ids=found.keypoint_ids,
            cluster=source.id,
            attributes=found.groups,
        )

    def image(self, official: str, name: str) -> KeypointImage:
        """An image with all its visible keypoints, read once; DataError with file and field."""
        if (official, name) not in self._images:
            stem = Path(name).stem
            found = self.image_annotation(official, stem)
            mask = self.root / mask_path(official, stem)
            self._images[official, name] = KeypointImage(
                id=f"{canonical_name(official)}/{stem}",
                image=self.root / image_path(official, name),
                size=found.size,
                box=found.box,
                mask=mask if mask.exists() else None,
                keypoints=found.keypoints,
            )
        return self._images[official, name]


def read_names(path: Path, official: str) -> dict[str, str]:
    """Names of a category's keypoints from a CSV file whose columns are kp_id and the categories.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    text = _read(path, "file of keypoint names").decode("utf-8", errors="replace")
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if row]
    for name in ("kp_id", official):
        if not rows or name not in rows[0]:
            raise DataError(f"{path} has no column {name}.", "Name another file with keypoint_names, or remove it.")
    key, column = rows[0].index("kp_id"), rows[0].index(official)
    return {row[key]: row[column] for row in rows[1:] if len(row) > max(key, column) and row[column]}


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"The {what} {path} is missing.", HINT) from None
    except OSError as error:
        raise DataError(f"The {what} {path} cannot be read ({error.strerror or error}).", HINT) from error
