"""The reader of MVImgNet and of other COLMAP projects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from bench3d.contracts import Observations, PosedView, Problem, ViewSet
from bench3d.data.hashing import Digest
from bench3d.data.tracks import tracked_points, tracked_views
from bench3d.data.twin import is_synthetic
from bench3d.errors import DataError, UsageError
from bench3d_plugins.mvimgnet.layout import CAMERAS, IMAGES, MODEL, projects

FEWEST_VIEWS = 2


class MVImgNet:
    """Photographs with the tracks of a sparse model. There are no settings and one category, "all".

    A set is an instance ("<class>/<instance>") or, where `root` itself is a COLMAP project, the root. Two views
    correspond in the keypoints that COLMAP found on one point. World units are the model's own. Photographs that were
    scaled since are read with their cameras and keypoints scaled; missing ones are counted in the attributes.
    """

    def __init__(self, root: Path, settings: object | None = None) -> None:
        self.root = Path(root)
        self.synthetic = is_synthetic(self.root)
        self._sets: list[ViewSet] | None = None
        self._skipped: Counter[str] = Counter()

    def view_sets(self, category: str = "all") -> Sequence[ViewSet]:
        """One set an instance, sorted by class and name; those with fewer than two photographs are left out.

        Reads poses and image headers; keypoints are read when a set's observations are asked for.

        Raises:
            DataError: no project, none with two photographs, or a broken model; names file and record.
            UsageError: a category other than "all".
        """
        _one_category(category)
        if self._sets is None:
            self._skipped.clear()
            found = []
            for folder in self.projects():
                one = self.project_set(folder)
                if len(one.views) >= FEWEST_VIEWS:
                    found.append(one)
                else:
                    self._skipped["fewer than two photographs"] += 1
            if not found:
                raise DataError(
                    f"No COLMAP project in {self.root} has two of its photographs.",
                    "Put them into the folder images/ beside sparse/.",
                )
            self._sets = found
        return list(self._sets)

    def skipped(self, category: str = "all") -> dict[str, int]:
        """How many instances were left out, by reason."""
        self.view_sets(category)
        return dict(self._skipped)

    def projects(self) -> list[Path]:
        """Folders with a sparse model; DataError where there is none."""
        try:
            found = list(projects(self.root))
        except OSError as error:
            raise DataError(f"The folder {self.root} cannot be read ({error.strerror or error}).") from error
        if not found:
            raise DataError(
                f"There is no COLMAP model (sparse/0) in {self.root}, nor two folders below it.",
                "Name the folder that holds the classes, or one project.",
            )
        return found

    def project_set(self, folder: Path) -> ViewSet:
        """The set of one project; it may hold fewer than two views."""
        tracked = tracked_views(folder / MODEL, folder / "images")
        relative = folder.relative_to(self.root)
        attributes: dict[str, object] = dict(tracked.left_out)
        if len(relative.parts) > 1:
            attributes["class"] = relative.parts[0]
        return ViewSet(
            id=relative.as_posix() if relative.parts else self.root.resolve().name,
            views=tracked.views,
            truth="tracks",
            observations=partial(_observations, folder / MODEL, tracked.views),
            attributes=attributes,
        )

    def fingerprint(self, category: str = "all") -> str:
        """SHA-256 over the cameras and images of every model and the sizes of the photographs."""
        digest = Digest()
        for one, folder in ((one, self._folder(one)) for one in self.view_sets(category)):
            for name in (CAMERAS, IMAGES):
                digest.add_file(f"{one.id}/{name}", folder / MODEL / name)
            digest.add(one.id, repr([(view.id, view.size) for view in one.views]).encode())
        return digest.hexdigest()

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file, without stopping at the first; decodes everything."""
        from bench3d_plugins.mvimgnet.check import check

        for category in categories or ():
            _one_category(category)
        return check(self)

    def _folder(self, one: ViewSet) -> Path:
        return self.root if (self.root / MODEL).is_dir() else self.root / one.id


def _observations(model: Path, views: tuple[PosedView, ...]) -> tuple[Observations, ...]:
    found = tracked_points(model, {view.id: view.size for view in views})
    return tuple(found[view.id] for view in views)


def _one_category(category: str) -> None:
    if category != "all":
        raise UsageError(
            f"MVImgNet has no category {category!r} here.", 'It knows one, "all"; a class is a folder of the data set.'
        )
