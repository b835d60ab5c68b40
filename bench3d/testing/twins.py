"""The tiny synthetic twin that data sets and tasks are checked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.contracts import DatasetRegistration, NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.data.root import dataset_folder
from bench3d.data.twin import ensure_twin
from bench3d.plugins import load_registry, load_settings
from bench3d.synth import CATEGORIES
from bench3d.testing.subjects import Skip, Subject

SIDE = 64
ALL = "all"


@dataclass(frozen=True)
class Stand:
    """A data set on disk, with the category it is read by.

    Attributes:
        folder: what the reader's factory gets as `root`.
        category: one that is there.
        twin: whether the kit wrote it.
        make: a reader of a folder.
    """

    registration: DatasetRegistration
    folder: Path
    category: str
    twin: bool
    make: Callable[[Path], Any]

    def open(self, folder: Path | None = None) -> Any:
        """A fresh reader of the folder, or of another one (a copy)."""
        return self.make(folder or self.folder)


def tiny_spec(registration: DatasetRegistration, seed: int = 1) -> TwinSpec:
    """Two training instances of three views, four test images of 64 pixels, one object, four pairs: about a second.

    The categories are the first that both the generator and the data set know; for a data set with categories of its
    own its first one.
    """
    known = [c for c in CATEGORIES if c in registration.categories] or list(registration.categories) or ["car"]
    return TwinSpec(
        categories=("car",) if "car" in known else (known[0],),
        seed=seed,
        train_instances=2,
        views=3,
        test_images=4,
        hard_images=2,
        image_size=SIDE,
        objects=1,
        train_objects=1,
        pairs=4,
    )


def registered_reader(registration: DatasetRegistration) -> Callable[[Path], Any]:
    """What opens a folder with a registered data set's reader, at its default settings."""

    def make(folder: Path) -> Any:
        settings = load_settings(registration)
        return load_registry().create("dataset", registration.name, root=folder, settings=settings)

    return make


def write_twin(registration: DatasetRegistration, root: Path, make: Callable[[Path], Any]) -> Stand:
    """Writes the tiny twin below `root`, as `bench3d data synth` would.

    Raises:
        Skip: the data set has no twin.
    """
    if registration.synth is None:
        raise Skip("it has no synthetic twin (`synth`); give a folder with --data")
    spec = tiny_spec(registration)
    ensure_twin(root, spec, [registration], NullProgress(), workers=1)
    category = spec.categories[0] if registration.categories else ALL
    return Stand(registration, root / registration.folder, category, True, make)


def stand_of(subject: Subject) -> Stand:
    """What a data set is checked on: the folder of the options, else its tiny twin; made once a subject."""
    registration = subject.registration
    assert isinstance(registration, DatasetRegistration)

    def reader(folder: Path) -> Any:
        return subject.create(root=folder)

    def make() -> Stand:
        if subject.options.data is None:
            return write_twin(registration, subject.folder("twin"), reader)
        return given_folder(registration, subject.options.data, reader)

    stand: Stand = subject.shared("its data", make)
    return stand


def given_folder(registration: DatasetRegistration, data: Path, make: Callable[[Path], Any]) -> Stand:
    """A folder that the user names: the data set's own, or a data root that holds it."""
    folder = data if not (data / registration.folder).is_dir() else dataset_folder(registration, data)
    stand = Stand(registration, folder, ALL, False, make)
    if not registration.categories:
        return stand
    reader, failure = stand.open(), "none of its categories can be read there"
    for category in registration.categories:
        try:
            reader.fingerprint(category)
        except Exception as error:
            failure = str(error)
            continue
        return Stand(registration, folder, category, False, make)
    raise Skip(f"{folder}: {failure}")
