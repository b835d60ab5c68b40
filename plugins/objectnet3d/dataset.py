"""The reader of ObjectNet3D (and of its twin, which stands in the same layout)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench3d.contracts import PoseSample, Problem, Progress
from bench3d.data.hashing import Digest
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.data.viewpoint import HINT
from bench3d.data.viewpoint_folder import CadModels, viewpoint_sample
from bench3d.errors import DataError
from bench3d_plugins.objectnet3d.annotation import Frame
from bench3d_plugins.objectnet3d.index import Index
from bench3d_plugins.objectnet3d.names import (
    CADS,
    LISTS,
    annotation_path,
    canonical_category,
    image_path,
    list_name,
    list_path,
    official_class,
)


class ObjectNet3D:
    """Posed single images. `root` is the folder ObjectNet3D; there are no settings.

    The image lists are not per category: a frame belongs to the category of its first object with focal != 0, which
    also gives its pose, camera, box and CAD model (`bench3d_plugins.objectnet3d.annotation`). A sample's id and
    cluster: see `bench3d.data.viewpoint_folder.viewpoint_sample`.

    `progress` may be set before the first call: it shows when thousands of annotations are read for the first time.
    """

    def __init__(self, root: Path, settings: object | None = None) -> None:
        self.root = Path(root)
        self.synthetic = is_synthetic(self.root)
        self.cads = CadModels(self.root, CADS)
        self.index = Index(self.root)
        self._fingerprints: dict[str, str] = {}
        self._read: dict[tuple[str, str], tuple[list[PoseSample], dict[str, int]]] = {}

    @property
    def progress(self) -> Progress:
        """Where the first reading of the annotations is shown."""
        return self.index.progress

    @progress.setter
    def progress(self, progress: Progress) -> None:
        self.index.progress = progress

    def samples(self, category: str, split: str) -> Sequence[PoseSample]:
        """Samples in the order of the official list, less those that the protocol leaves out (see `skipped`).

        Raises:
            DataError: a file of the category, or one whose category cannot be told, is missing or broken; names file
                and field.
            UsageError: unknown category or split.
        """
        return list(self._split(category, split)[0])

    def skipped(self, category: str, split: str) -> dict[str, int]:
        """How many frames of a category the protocol leaves out, by reason (`bench3d_plugins.objectnet3d.annotation`).

        Frames in which no class can be read are counted in every category.
        """
        return dict(self._split(category, split)[1])

    def fingerprint(self, category: str) -> str:
        """SHA-256 over a category's frames in all lists, their annotations, its CAD models and a twin's generator.

        Image bytes are not read: a twin's follow from its spec, the release's are fixed by their names.
        """
        official = official_class(category)
        require_whole(self.root)
        if official not in self._fingerprints:
            digest = Digest()
            mark = twin_mark(self.root)
            if mark is not None:
                facts = (mark["generator"], mark["spec"].get("seed"), mark["spec"].get("image_size"))
                digest.add("twin", repr(facts).encode())
            for listed in dict.fromkeys(LISTS.values()):
                if (self.root / list_path(listed)).exists():
                    for name, row in self.index.of_class(listed, official):
                        digest.add(f"{listed}/{name}", row.digest.encode())
            for path in self.cads.files(official):
                digest.add_file(path.name, path)
            self._fingerprints[official] = digest.hexdigest()
        return self._fingerprints[official]

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field; decodes everything of the categories that the lists name.

        Frames of the other 80 classes are not looked at beyond their annotation files.
        """
        from bench3d_plugins.objectnet3d.check import check

        return check(self, categories)

    def _split(self, category: str, split: str) -> tuple[list[PoseSample], dict[str, int]]:
        official, listed = official_class(category), list_name(split)
        require_whole(self.root)
        if (official, listed) not in self._read:
            frames = list(self.index.of_class(listed, official))
            broken = [row.frame.error for _, row in frames if row.frame.error is not None]
            if broken:
                more = f" {len(broken) - 1} more are broken." if len(broken) > 1 else ""
                raise DataError(broken[0] + more, f"{HINT} All of them: bench3d data check objectnet3d.")
            skipped = Counter(row.frame.reason for _, row in frames if row.frame.reason is not None)
            samples = [s for name, row in frames if (s := self._sample(name, row.frame)) is not None]
            self._read[official, listed] = (samples, dict(skipped))
        return self._read[official, listed]

    def _sample(self, name: str, frame: Frame) -> PoseSample | None:
        if frame.found is None:
            return None
        annotation, image = self.root / annotation_path(name), self.root / image_path(name)
        ours = canonical_category(frame.found.official)
        sample = viewpoint_sample(frame.found, ours, annotation, image, self.cads, self.synthetic)
        return replace(
            sample, attributes={**sample.attributes, "coarse_angles": frame.coarse, "objects": frame.objects}
        )
