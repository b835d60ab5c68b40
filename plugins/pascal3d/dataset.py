"""The reader of PASCAL3D+ release 1.1 (and of its twin, which stands in the same layout)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench3d.contracts import PoseSample, Problem
from bench3d.data.hashing import Digest
from bench3d.data.images import image_size
from bench3d.data.off import read_off
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.errors import DataError
from bench3d.geometry.camera import viewpoint_pose
from bench3d_plugins.pascal3d.annotation import Annotation, read_annotation
from bench3d_plugins.pascal3d.names import (
    CAD_SCALE,
    LISTS,
    annotation_path,
    cad_path,
    canonical_category,
    image_path,
    list_name,
    list_path,
    official_class,
)

Mesh = tuple[np.ndarray, np.ndarray]


class Pascal3D:
    """Posed single images. `root` is the folder PASCAL3D+_release1.1; there are no settings.

    A sample's id is <category>_<image name>. Its cluster is the image, or in a twin the instance, which the CAD
    index names there: every test instance of a twin has its own CAD model, the exact mesh (in the release the CAD
    model is the nearest of about ten).
    """

    def __init__(self, root: Path, settings: object | None = None) -> None:
        self.root = Path(root)
        self.synthetic = is_synthetic(self.root)
        self._meshes: dict[tuple[str, int], Mesh] = {}
        self._cad_counts: dict[str, int] = {}
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
        path = self.root / list_path(official_class(category), list_name(split))
        try:
            names = path.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            raise DataError(f"The list {path} is missing.", "Complete the data set.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"The list {path} cannot be read ({error}).", "Get the file again.") from error
        strange = next((name for name in names if "/" in name or "\\" in name or name.startswith(".")), None)
        if strange is not None:
            raise DataError(f"{path}: {strange!r} is no image name.", "Get the file again.")
        if not names:
            raise DataError(f"The list {path} is empty.", "Get the file again.")
        return names

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
            for path in sorted((self.root / "CAD" / official).glob("*.off")):
                digest.add_file(path.name, path)
            self._fingerprints[official] = digest.hexdigest()
        return self._fingerprints[official]

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field; reads and decodes everything that the lists name."""
        from bench3d_plugins.pascal3d.check import check

        return check(self, categories)

    def cad_count(self, official: str) -> int:
        """Number of CAD models of a class; DataError where there is none."""
        if official not in self._cad_counts:
            folder = self.root / "CAD" / official
            indices = [int(path.stem) for path in folder.glob("*.off") if path.stem.isdigit()]
            if not indices:
                raise DataError(f"There are no CAD models in {folder}.", "Complete the data set.")
            self._cad_counts[official] = max(indices)
        return self._cad_counts[official]

    def mesh(self, official: str, cad_index: int) -> Mesh:
        """CAD model `cad_index` (from 1) in canonical units: vertices (V, 3) float64, faces (F, 3) int32."""
        key = (official, cad_index)
        if key not in self._meshes:
            vertices, faces = read_off(self.root / cad_path(official, cad_index))
            self._meshes[key] = (vertices * CAD_SCALE, faces)
        return self._meshes[key]

    def _split(self, category: str, split: str) -> tuple[list[PoseSample], dict[str, int]]:
        official, listed = official_class(category), list_name(split)
        if (official, listed) not in self._read:
            samples: list[PoseSample] = []
            skipped: Counter[str] = Counter()
            for name in self.names(official, listed):
                found = read_annotation(self.root / annotation_path(official, name), official)
                if isinstance(found, str):
                    skipped[found] += 1
                else:
                    samples.append(self._sample(name, found))
            self._read[official, listed] = (samples, dict(skipped))
        return self._read[official, listed]

    def _sample(self, name: str, found: Annotation) -> PoseSample:
        official, category = found.official, canonical_category(found.official)
        if found.cad_index > self.cad_count(official):
            path = self.root / annotation_path(official, name)
            raise DataError(
                f"{path}: field cad_index is {found.cad_index}, but CAD/{official} ends at {self.cad_count(official)}.",
                "Get the file again, or complete the CAD models.",
            )
        image = self.root / image_path(official, name)
        return PoseSample(
            id=f"{category}_{name}",
            category=category,
            image=image,
            size=found.size or image_size(image),
            intrinsics=intrinsics(found),
            cam_T_obj=viewpoint_pose(found.azimuth, found.elevation, found.theta, found.distance * CAD_SCALE),
            box=np.array(found.box),
            cluster=f"{category}_cad{found.cad_index}" if self.synthetic else f"{category}_{name}",
            mesh=partial(self.mesh, official, found.cad_index),
            attributes={
                **found.flags,
                "azimuth": found.azimuth,
                "elevation": found.elevation,
                "theta": found.theta,
                "distance": found.distance,
                "cad_index": found.cad_index,
                "synthetic": self.synthetic,
            },
        )


def intrinsics(found: Annotation) -> np.ndarray:
    """(3, 3): f_x = f_y = focal * viewport, principal point (px, py)."""
    return np.array([[found.focal, 0.0, found.principal[0]], [0.0, found.focal, found.principal[1]], [0.0, 0.0, 1.0]])
