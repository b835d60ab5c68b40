"""Folders of annotated viewpoints (PASCAL3D+, ObjectNet3D): lists of names, CAD models, samples, and their problems."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from bench3d.contracts import PoseSample, Problem
from bench3d.data.images import image_size, load_rgb
from bench3d.data.off import read_off
from bench3d.data.viewpoint import CAD_SCALE, Annotation
from bench3d.errors import Bench3DError, DataError
from bench3d.geometry.camera import viewpoint_pose

Mesh = tuple[np.ndarray, np.ndarray]

BOX_SLACK = 2.0  # pixels a box may stand out of its image: the releases count them from 1 and round


def read_names(path: Path) -> list[str]:
    """Image names of an official list; DataError where the list is missing, empty or holds a strange name."""
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


def cad_file(index: int) -> str:
    """Name of a CAD model in its class's folder; `index` counts from 1."""
    return f"{index:02d}.off"


class CadModels:
    """The CAD models of a data set: `<root>/<folder>/<class>/<NN>.off`, read once each."""

    def __init__(self, root: Path, folder: str) -> None:
        self.root, self.name = root, folder
        self._meshes: dict[tuple[str, int], Mesh] = {}
        self._counts: dict[str, int] = {}

    def folder(self, official: str) -> Path:
        """Where the models of a class stand."""
        return self.root / self.name / official

    def files(self, official: str) -> list[Path]:
        """The models of a class that are there."""
        return sorted(self.folder(official).glob("*.off"))

    def count(self, official: str) -> int:
        """Number of the last model of a class; DataError where there is none."""
        if official not in self._counts:
            indices = [int(path.stem) for path in self.files(official) if path.stem.isdigit()]
            if not indices:
                raise DataError(f"There are no CAD models in {self.folder(official)}.", "Complete the data set.")
            self._counts[official] = max(indices)
        return self._counts[official]

    def mesh(self, official: str, index: int) -> Mesh:
        """Model `index` (from 1) in canonical units: vertices (V, 3) float64, faces (F, 3) int32."""
        key = (official, index)
        if key not in self._meshes:
            vertices, faces = read_off(self.folder(official) / cad_file(index))
            self._meshes[key] = (vertices * CAD_SCALE, faces)
        return self._meshes[key]

    def problems(self, official: str) -> Generator[Problem, None, int]:
        """Problems of a class's models; returns the number of the last one, 0 where there is none."""
        try:
            last = self.count(official)
        except Bench3DError as error:
            yield Problem(str(self.folder(official)), error.message, hint=error.hint)
            return 0
        for index in range(1, last + 1):
            path = self.folder(official) / cad_file(index)
            try:
                read_off(path)
            except Bench3DError as error:
                yield Problem(str(path), error.message, hint=error.hint)
        return last


def viewpoint_sample(
    found: Annotation, category: str, annotation: Path, image: Path, cads: CadModels, synthetic: bool
) -> PoseSample:
    """The sample of an annotated image. Its id is <category>_<image name>.

    Its cluster is the image, or in a twin the instance, which the CAD index names there: every test instance of a twin
    has its own CAD model, the exact mesh (in the releases the CAD model is the nearest of a few).

    Raises:
        DataError: the CAD index is beyond the class's models, or the image is needed for its size and broken.
    """
    official, name, last = found.official, image.stem, cads.count(found.official)
    if found.cad_index > last:
        raise DataError(
            f"{annotation}: field cad_index is {found.cad_index}, but {cads.name}/{official} ends at {last}.",
            "Get the file again, or complete the CAD models.",
        )
    return PoseSample(
        id=f"{category}_{name}",
        category=category,
        image=image,
        size=found.size or image_size(image),
        intrinsics=found.intrinsics(),
        cam_T_obj=viewpoint_pose(found.azimuth, found.elevation, found.theta, found.distance * CAD_SCALE),
        box=np.array(found.box),
        cluster=f"{category}_cad{found.cad_index}" if synthetic else f"{category}_{name}",
        mesh=partial(cads.mesh, official, found.cad_index),
        attributes={
            **found.flags,
            "azimuth": found.azimuth,
            "elevation": found.elevation,
            "theta": found.theta,
            "distance": found.distance,
            "cad_index": found.cad_index,
            "synthetic": synthetic,
        },
    )


def image_problems(path: Path) -> Generator[Problem, None, tuple[int, int] | None]:
    """The problem of an image that cannot be decoded; returns its (W, H), None where there is a problem."""
    try:
        pixels = load_rgb(path)
    except Bench3DError as error:
        yield Problem(str(path), error.message, hint=error.hint)
        return None
    return pixels.shape[1], pixels.shape[0]


def annotation_problems(
    file: str, found: Annotation, size: tuple[int, int] | None, last_cad: int, cads: CadModels
) -> Iterator[Problem]:
    """What does not fit in an annotation that could be read.

    Args:
        file: the annotation's path.
        size: (W, H) of the image, None where it could not be decoded.
        last_cad: number of the class's last CAD model, 0 where there is none.
    """
    if last_cad and found.cad_index > last_cad:
        message = f"cad_index is {found.cad_index}, {cads.name}/{found.official} ends at {last_cad}."
        yield Problem(file, message, field="cad_index")
    if found.size and size and found.size != size:
        yield Problem(file, f"The annotation says {found.size}, the image has {size} pixels.", field="size")
    x0, y0, x1, y1 = found.box
    if x1 <= x0 or y1 <= y0:
        yield Problem(file, f"The box {found.box} is empty.", field="bbox")
    elif size and (min(x0, y0) < -BOX_SLACK or x1 > size[0] + BOX_SLACK or y1 > size[1] + BOX_SLACK):
        yield Problem(file, f"The box {found.box} leaves the image of {size} pixels.", field="bbox", severity="warning")


def named_field(message: str) -> str | None:
    """The field that an error of the annotations' reader (`bench3d.data.viewpoint`) names."""
    words = message.split(": field ", 1)
    return words[1].split()[0] if len(words) == 2 else None
