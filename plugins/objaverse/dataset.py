"""The reader of Objaverse renderings (and of their twin, which stands in the same layout)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from bench3d.contracts import PosedView, Problem, ViewSet
from bench3d.data.depth import load_depth
from bench3d.data.hashing import Digest
from bench3d.data.images import image_size, load_mask
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.errors import DataError, UsageError
from bench3d_plugins.objaverse.layout import PARTS, TRAINING_LIST, file_name, object_names, view_files
from bench3d_plugins.objaverse.poses import folder_poses, intrinsics

UNIT = 1e-3  # object units of one step of the depth files
TOLERANCE = 5e-3
"""Object units within which two points are one; what the published finetuning uses (tasks.md a and i)."""
FEWEST_VIEWS = 2


class Objaverse:
    """Renderings of objects. `root` holds one folder an object; there are no settings and one category, "all".

    The world of a set is its object's frame: centred by its bounding box, the longest side 1, z up. A view counts as
    there where its three files are; what is missing is counted in the attribute `missing_views`. In a twin the
    category of an object is known from its name. Objects that a file train.txt names, a line each, are for training
    alone; without such a file every object is for both.
    """

    def __init__(self, root: Path, settings: object | None = None) -> None:
        self.root = Path(root)
        self.synthetic = is_synthetic(self.root)
        self._fingerprint: str | None = None

    @cached_property
    def poses(self) -> np.ndarray:
        """(N, 4, 4) cam_T_obj of view 0..N-1; DataError where the folder's own are broken."""
        return folder_poses(self.root)

    def view_sets(self, category: str = "all") -> Sequence[ViewSet]:
        """One set an object, sorted by name; objects with fewer than two whole views are left out (see `skipped`).

        Reads names and one image header an object; no image is decoded.

        Raises:
            DataError: no object, a view without a pose, or an image that is not square; names the file.
            UsageError: a category other than "all".
        """
        _one_category(category)
        return self._sets([name for name in self._objects if name not in self.training_names])

    def training_sets(self, category: str = "all") -> Sequence[ViewSet]:
        """The objects that train.txt names, every object where there is no such file; else as `view_sets`."""
        _one_category(category)
        return self._sets([name for name in self._objects if name in self.training_names] or list(self._objects))

    @cached_property
    def training_names(self) -> frozenset[str]:
        """What train.txt names; DataError where it cannot be read or names an object that is not there."""
        path = self.root / TRAINING_LIST
        try:
            names = path.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return frozenset()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"The list {path} cannot be read ({error}).", "Write it again, or remove it.") from error
        missing = sorted(set(names) - set(self._objects))
        if missing:
            raise DataError(
                f"{path} names {missing[0]}, which is not there.", "Complete the data set, or mend the list."
            )
        return frozenset(names)

    def _sets(self, names: Sequence[str]) -> Sequence[ViewSet]:
        whole = [name for name in names if len(self._objects[name]) >= FEWEST_VIEWS]
        if not whole:
            raise DataError(f"No object in {self.root} has two whole views.", "Run `bench3d data check` on it.")
        return [self.object_set(name, self._objects[name]) for name in whole]

    def skipped(self, category: str = "all") -> dict[str, int]:
        """How many objects are left out, by reason."""
        _one_category(category)
        few = sum(len(views) < FEWEST_VIEWS for views in self._objects.values())
        return {"fewer than two whole views": few} if few else {}

    def names(self) -> list[str]:
        """Names of the objects, sorted; DataError where there is none."""
        require_whole(self.root)
        try:
            names = object_names(self.root)
        except OSError as error:
            raise DataError(f"The folder {self.root} cannot be read ({error.strerror or error}).") from error
        if not names:
            raise DataError(f"No folder in {self.root} holds renderings (color_000000.png).", "Complete the data set.")
        return names

    def whole_views(self, name: str) -> list[int]:
        """Numbers of an object's views whose three files are there; DataError for one without a pose."""
        views = [view for view, parts in view_files(self.root / name).items() if parts == set(PARTS)]
        if views and views[-1] >= len(self.poses):
            raise DataError(
                f"{self.root / name / file_name('color', views[-1])} has no pose: there are {len(self.poses)}.",
                f"Put the poses of these renderings into {self.root} as obj_poses.npy.",
            )
        return views

    def object_set(self, name: str, views: Sequence[int]) -> ViewSet:
        """The set of one object's whole views, two or more; see `view_sets`."""
        folder = self.root / name
        size = image_size(folder / file_name("color", views[0]))
        if size[0] != size[1]:
            raise DataError(
                f"{folder / file_name('color', views[0])} has {size[0]}x{size[1]} pixels, the renderings are square.",
                "Render it again; for other cameras use the layout of posed-images.",
            )
        camera = intrinsics(size[0])
        posed = []
        for view in views:
            depth, mask = (folder / file_name(part, view) for part in ("depth", "mask"))
            posed.append(
                PosedView(
                    id=f"{view:06d}",
                    image=folder / file_name("color", view),
                    size=size,
                    intrinsics=camera,
                    cam_T_world=self.poses[view],
                    depth=partial(load_depth, depth, UNIT, size, mask),
                    mask=partial(load_mask, mask, size),
                )
            )
        missing = len(self.poses) - len(views)
        return ViewSet(
            id=name,
            views=tuple(posed),
            truth="depth",
            tolerance=TOLERANCE,
            object_category=self._category_of(name),
            attributes={"missing_views": missing} if missing else {},
        )

    def fingerprint(self, category: str = "all") -> str:
        """SHA-256 over poses, objects and views with the sizes of their files (for a twin: its generator's facts).

        Image bytes are not read. Sizes of a twin's files are left out: they follow from the PNG library.
        """
        _one_category(category)
        if self._fingerprint is None:
            digest = Digest()
            mark = twin_mark(self.root)
            if mark is not None:
                facts = (mark["generator"], mark["spec"].get("seed"), mark["spec"].get("image_size"))
                digest.add("twin", repr(facts).encode())
            digest.add("training", repr(sorted(self.training_names)).encode())
            digest.add("poses", self.poses.round(9).tobytes())
            for name, views in self._objects.items():
                files = [file_name(part, view) for view in views for part in PARTS]
                sizes = [None if mark is not None else (self.root / name / file).stat().st_size for file in files]
                digest.add(name, repr(list(zip(files, sizes, strict=True))).encode())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file; reads and decodes everything."""
        from bench3d_plugins.objaverse.check import check

        for category in categories or ():
            _one_category(category)
        return check(self)

    @cached_property
    def _objects(self) -> dict[str, list[int]]:
        """Whole views of every object."""
        return {name: self.whole_views(name) for name in self.names()}

    @cached_property
    def _categories(self) -> tuple[str, ...]:
        mark = twin_mark(self.root)
        return () if mark is None else tuple(mark["spec"].get("categories", ()))

    def _category_of(self, name: str) -> str | None:
        prefix = name.rpartition("-")[0]
        return prefix if prefix in self._categories else None


def _one_category(category: str) -> None:
    if category != "all":
        raise UsageError(f"Objaverse renderings have no category {category!r}.", 'They know one, "all".')
