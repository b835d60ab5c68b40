"""The reader of OnePose-LowTexture (and of its twin, which stands in the same layout)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from bench3d.contracts import Observations, PosedView, Problem, ViewSet
from bench3d.contracts.oneshot import OneShotObject, Reconstruction
from bench3d.data.hashing import Digest
from bench3d.data.images import image_size
from bench3d.data.poses import pose_problem, read_matrix, rigid
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.errors import DataError, UnknownNameError, UsageError
from bench3d_plugins.onepose.annotation import CENTRE, read_observations, read_points
from bench3d_plugins.onepose.layout import (
    ANNOTATIONS,
    COLOR,
    CORNERS,
    INTRINSICS,
    OBJECTS,
    POSES,
    REFERENCE,
    TEST,
    base_folder,
    object_names,
    points_file,
    sequence,
    stems,
)
from bench3d_plugins.onepose.settings import OnePoseSettings

HINT = "Complete the data set."


class OnePoseLowTexture:
    """Objects with a reference and a test sequence. There is one category, "all"; the world is the object, in metres.

    `root` is the folder that holds lowtexture_test_data and sfm_output (or the first of them). References are the
    images that have an annotation; queries all images of the test sequence, in the order of Python's sorted paths.
    Pixels and cameras of the files, whose pixel centres are whole numbers, are moved by half a pixel.
    """

    def __init__(self, root: Path, settings: OnePoseSettings | None = None) -> None:
        self.root = Path(root)
        self.base = base_folder(self.root)
        self.settings = settings or OnePoseSettings()
        self.synthetic = is_synthetic(self.base)
        self._objects: list[OneShotObject] | None = None

    def objects(self, category: str = "all") -> Sequence[OneShotObject]:
        """The objects sorted by folder. Reads poses, cameras and image headers; decodes no image, loads no SfM output.

        Raises:
            DataError: nothing is there, or a file is missing or broken; names file and field.
            UsageError: a category other than "all", or an object that is not there.
        """
        one_category(category)
        if self._objects is None:
            self._objects = [self.one(name) for name in self.names()]
        return list(self._objects)

    def view_sets(self, category: str = "all") -> Sequence[ViewSet]:
        """The reference sequences: views that know by the SfM points what corresponds. Raises as `objects`."""
        return [
            ViewSet(one.id, one.references, "tracks", observations=partial(_unique_tracks, one.reconstruction))
            for one in self.objects(category)
        ]

    def names(self) -> list[str]:
        """Folder names of the objects that the settings choose."""
        require_whole(self.base)
        found = object_names(self.base)
        if not found:
            raise DataError(f"There are no objects (0700-toyrobot-others, ...) in {self.base / OBJECTS}.", HINT)
        if self.settings.objects is None:
            return found
        chosen = []
        for wanted in self.settings.objects:
            named = [name for name in found if wanted in (name, name.split("-")[0])]
            if not named:
                raise UnknownNameError(f"There is no object {wanted} in {self.base / OBJECTS}.", "See data.objects.")
            chosen += named
        return list(dict.fromkeys(chosen))

    def one(self, name: str) -> OneShotObject:
        """An object by its folder name; see `objects`."""
        reference, test = sequence(self.base, name, REFERENCE), sequence(self.base, name, TEST)
        annotated = stems(reference / ANNOTATIONS, ".json")
        if not annotated:
            raise DataError(
                f"There are no annotations (*.json) in {reference / ANNOTATIONS}.",
                "Make the SfM outputs with OnePose++'s run.py, or leave the object out with data.objects.",
            )
        queries = stems(test / COLOR, ".png")
        if not queries:
            raise DataError(f"There are no images (*.png) in {test / COLOR}.", HINT)
        return OneShotObject(
            id=name,
            references=tuple(read_view(reference, stem) for stem in annotated),
            queries=tuple(read_view(test, stem) for stem in queries),
            corners=read_corners(self.base / OBJECTS / name / CORNERS),
            reconstruction=cache(partial(self.reconstruction, name, tuple(annotated))),
        )

    def reconstruction(self, name: str, annotated: tuple[str, ...]) -> Reconstruction:
        """The SfM outputs of an object, of the annotated images; DataError with file and field."""
        points = read_points(points_file(self.base, name))
        folder = sequence(self.base, name, REFERENCE) / ANNOTATIONS
        return Reconstruction(points, tuple(read_observations(folder / f"{s}.json", len(points)) for s in annotated))

    def fingerprint(self, category: str = "all") -> str:
        """SHA-256 over names, cameras and poses of the chosen objects, and the contents of their SfM outputs."""
        digest = Digest()
        mark = twin_mark(self.base)
        if mark is not None:
            facts = (mark["generator"], mark["spec"].get("seed"), mark["spec"].get("image_size"))
            digest.add("twin", repr(facts).encode())
        for one in self.objects(category):
            digest.add(one.id, one.corners.round(9).tobytes())
            for view in (*one.references, *one.queries):
                camera = np.concatenate([view.cam_T_world.ravel(), view.intrinsics.ravel()]).round(9)
                digest.add(f"{one.id}/{view.id}", camera.tobytes() + repr(view.size).encode())
            made = points_file(self.base, one.id)
            if made.is_file():
                digest.add_file("points", made)
            folder = sequence(self.base, one.id, REFERENCE) / ANNOTATIONS
            for stem in stems(folder, ".json"):
                digest.add_file(stem, folder / f"{stem}.json")
        return digest.hexdigest()

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field, without stopping at the first; decodes everything."""
        from bench3d_plugins.onepose.check import check

        for category in categories or ():
            one_category(category)
        return check(self)


def read_view(folder: Path, stem: str) -> PosedView:
    """One image of a sequence with its camera and pose; DataError with the file."""
    image = folder / COLOR / f"{stem}.png"
    return PosedView(
        id=f"{folder.name}/{stem}",
        image=image,
        size=image_size(image),
        intrinsics=read_intrinsics(folder / INTRINSICS / f"{stem}.txt"),
        cam_T_world=read_pose(folder / POSES / f"{stem}.txt"),
    )


def read_intrinsics(path: Path) -> np.ndarray:
    """(3, 3) in pixels that cover [i, i+1); the file's principal point counts from the centre of the first pixel."""
    camera = read_matrix(path, ((3, 3),))
    if not np.isfinite(camera).all() or min(camera[0, 0], camera[1, 1]) <= 0 or abs(camera[2, 2] - 1) > 1e-6:
        raise DataError(f"{path} holds no camera's intrinsics.", "It must read fx 0 cx, 0 fy cy, 0 0 1 in pixels.")
    camera[:2, 2] += CENTRE
    return camera


def read_pose(path: Path) -> np.ndarray:
    """(4, 4) object to camera in metres, its rotation made orthonormal; DataError where it is no pose."""
    pose = read_matrix(path, ((4, 4), (3, 4)))
    if len(pose) == 3:
        pose = np.vstack([pose, (0.0, 0.0, 0.0, 1.0)])
    if problem := pose_problem(pose):
        raise DataError(f"{path}: the pose {problem}.", "Get the file again.")
    return rigid(pose)


def read_corners(path: Path) -> np.ndarray:
    """(8, 3) corners of the object's box in metres; DataError where it is something else."""
    corners = read_matrix(path, ((8, 3),))
    if not np.isfinite(corners).all():
        raise DataError(f"{path} holds numbers that are not finite.", "Get the file again.")
    return corners


def one_category(category: str) -> None:
    """UsageError for a category other than "all"."""
    if category != "all":
        raise UsageError(f"OnePose-LowTexture has no category {category!r}.", 'It knows one, "all".')


def _unique_tracks(load: Callable[[], Reconstruction]) -> tuple[Observations, ...]:
    """Observations with every point once, ids ascending: of a point that a view saw twice the first sighting."""
    out = []
    for seen in load().observations:
        points, first = np.unique(seen.points, return_index=True)
        out.append(Observations(points, seen.xy[first]))
    return tuple(out)
