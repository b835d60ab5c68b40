"""The reader of PASCAL3D+ release 1.1 (and of its twin, which stands in the same layout)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench3d.contracts import PoseSample, Problem
from bench3d.data.hashing import Digest
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.data.viewpoint_folder import CadModels, read_names, viewpoint_sample
from bench3d_plugins.pascal3d.annotation import read_annotation
from bench3d_plugins.pascal3d.names import (
    CADS,
    LISTS,
    annotation_path,
    canonical_category,
    image_path,
    list_name,
    list_path,
    official_class,
)


class Pascal3D:
    """Posed single images. `root` is the folder PASCAL3D+_release1.1; there are no settings.

    A sample's id and cluster: see `bench3d.data.viewpoint_folder.viewpoint_sample`.
    """

    def __init__(self, root: Path, settings: object | None = None) -> None:
        self.root = Path(root)
        self.synthetic = is_synthetic(self.root)
        self.cads = CadModels(self.root, CADS)
        self._fingerprints: dict[str, str] = {}
        self._read: dict[tuple[str, str], tuple[list[PoseSample], dict[str, int]]] = {}

    def samples(self, category: str, split: str) -> Sequence[PoseSample]:
        """Samples in the order of the official list, less those that the protocol leaves out (see `skipped`).

        Raises:
            DataError: a file is missing or broken; names file and field.
            UsageError: unknown category or split.
        """
        return list(self._split(category, split)[0])

    def skipped(self, category: str, split: str) -> dict[str, int]:
        """How many frames of a list the protocol leaves out, by reason (protocol page 1.2)."""
        return dict(self._split(category, split)[1])

    def names(self, category: str, split: str) -> list[str]:
        """Image names of an official list; DataError where the list is missing, empty or holds a strange name."""
        require_whole(self.root)
        return read_names(self.root / list_path(official_class(category), list_name(split)))

    def fingerprint(self, category: str) -> str:
        """SHA-256 over the lists of a category, the annotations they name, its CAD models and a twin's generator.

        Image bytes are not read: a twin's follow from its spec, the release's are fixed by their names.
        """
        official = official_class(category)
        if official not in self._fingerprints:
            digest = Digest()
            mark = twin_mark(self.root)
            if mark is not None:
                facts = (mark["generator"], mark["spec"].get("seed"), mark["spec"].get("image_size"))
                digest.add("twin", repr(facts).encode())
            for listed in dict.fromkeys(LISTS.values()):
                if not (self.root / list_path(official, listed)).exists():
                    continue
                for name in self.names(category, listed):
                    path = self.root / annotation_path(official, name)
                    digest.add(f"{listed}/{name}", path.read_bytes() if path.exists() else b"missing")
            for path in self.cads.files(official):
                digest.add_file(path.name, path)
            self._fingerprints[official] = digest.hexdigest()
        return self._fingerprints[official]

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field; reads and decodes everything that the lists name."""
        from bench3d_plugins.pascal3d.check import check

        return check(self, categories)

    def _split(self, category: str, split: str) -> tuple[list[PoseSample], dict[str, int]]:
        official, listed = official_class(category), list_name(split)
        if (official, listed) not in self._read:
            samples: list[PoseSample] = []
            skipped: Counter[str] = Counter()
            for name in self.names(official, listed):
                path = self.root / annotation_path(official, name)
                found = read_annotation(path, official)
                if isinstance(found, str):
                    skipped[found] += 1
                    continue
                image, ours = self.root / image_path(official, name), canonical_category(official)
                samples.append(viewpoint_sample(found, ours, path, image, self.cads, self.synthetic))
            self._read[official, listed] = (samples, dict(skipped))
        return self._read[official, listed]
