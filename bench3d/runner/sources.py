"""Where data come from: official files under a data root, or a synthetic twin that may not be written yet. No torch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench3d.contracts import DatasetRegistration, Registration, TaskRegistration
from bench3d.contracts.data import TwinSpec
from bench3d.errors import DataError, UnknownNameError, UsageError
from bench3d.plugins import load_registry, load_settings, settings_model
from bench3d.plugins.names import did_you_mean, resolve
from bench3d.records import identity_hash, identity_settings
from bench3d.runner.memo import once
from bench3d.runner.spec import RunSpec

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter

    from bench3d.contracts import Progress

QUICKSTART = "quickstart"
ALL = "all"
"""The one category of a data set that has none."""


@dataclass(frozen=True)
class Component:
    """A registration with the name it was asked for by and its resolved settings."""

    registration: Registration
    name: str
    settings: BaseModel

    def identity(self, purpose: Literal["identity", "fit"] = "identity") -> dict[str, Any]:
        """What of it can change a number; with "fit" what can change a fit."""
        return {
            "name": self.name,
            "result_version": self.registration.result_version,
            "settings": identity_settings(self.settings, purpose),
        }


@dataclass(frozen=True)
class DataSource:
    """A dataset and where it stands: a data root with the official files, a folder of any name, or a synthetic twin."""

    component: Component
    root: Path
    twin: TwinSpec | None = None
    folder: Path | None = None

    @property
    def registration(self) -> DatasetRegistration:
        """The dataset's registration."""
        assert isinstance(self.component.registration, DatasetRegistration)
        return self.component.registration

    @property
    def categories(self) -> tuple[str, ...]:
        """What it holds; empty where it knows no categories."""
        if not self.registration.categories:
            return ()
        if self.twin is None:
            return self.registration.categories
        return tuple(c for c in self.twin.categories if c in self.registration.categories)

    @property
    def is_written(self) -> bool:
        """Of a twin: whether it is whole."""
        return (self.root / self.registration.folder / "twin.json").is_file()

    def open(self, progress: Progress | None = None) -> Any:
        """The reader, told where to show work that takes long. DataError where the folder is missing."""
        from bench3d.data.root import dataset_folder

        folder = self.folder or dataset_folder(self.registration, self.root)
        reader = load_registry().create("dataset", self.component.name, root=folder, settings=self.component.settings)
        if progress is not None and hasattr(reader, "progress"):
            reader.progress = progress
        return reader

    def fingerprint(self, category: str) -> str:
        """Hash of what decides a number. A twin's follows from its spec and generator: it need not be written yet.

        Raises:
            DataError: real data that are missing or broken.
        """
        if self.twin is None:
            stands = (self.component.name, self.component.settings.model_dump_json(), self.root, self.folder)
            reader = functools.partial(once, ("reader", *stands), self.open)
            return once(("fingerprint", *stands, category), lambda: str(reader().fingerprint(category)))
        from bench3d.data.twin import spec_values

        spec = spec_values(self.twin)
        if self.registration.categories:  # else every category of the twin is in the one that the data set knows
            del spec["categories"]
        return identity_hash({"twin": spec, "generator": self._generator(), "category": category})

    def _generator(self) -> list[str]:
        """Version of the generator, and `GENERATOR` of the module that writes this dataset's layout."""
        from bench3d.synth import GENERATOR_VERSION

        module = (self.registration.synth or "").partition(":")[0]
        writer = resolve(f"{module}:GENERATOR", f"twin of {self.component.name}") if module else ""
        return [str(GENERATOR_VERSION), str(writer)]


def find_sources(
    spec: RunSpec, overrides: dict[str, Any], task: TaskRegistration | None, *fitted: Registration | None
) -> dict[str, DataSource]:
    """Name of the task, adapter or shape model -> its data."""
    from bench3d.data.root import data_root

    root = data_root(spec.data)
    twin, rest = (None, overrides)
    if spec.synthetic:
        twin, root, rest = resolve_twin(spec, root, overrides)
    found: dict[str, tuple[DatasetRegistration, Path | None]] = {}
    if task is not None:
        given = root if spec.data is not None and twin is None else None
        found[task.name] = _recognised(_dataset(task.dataset), task.accepts, given)
    for owner in fitted:
        trained_on = getattr(owner, "train_dataset", None)
        if owner is not None and trained_on:
            given = spec.data if task is None and twin is None else None
            found[owner.name] = _recognised(_dataset(trained_on), getattr(owner, "accepts", None), given)
    every = [registration for registration, _ in found.values()]
    for registration in every:
        if twin is not None and registration.synth is None:
            raise DataError(
                f"{registration.name} has no synthetic twin.", "Use the official data, without --synthetic."
            )
    return {
        owner: DataSource(Component(r, r.name, _data_settings(r, rest, every)), root, twin, folder)
        for owner, (r, folder) in found.items()
    }


def _dataset(name: str) -> DatasetRegistration:
    registration = load_registry().get("dataset", name)
    assert isinstance(registration, DatasetRegistration)
    return registration


def _recognised(
    own: DatasetRegistration, accepts: str | None, given: Path | None
) -> tuple[DatasetRegistration, Path | None]:
    """The data set; or, where the folder that a user gives is of another layout that is accepted, that one.

    Returns:
        the data set, and its folder where that is not the one under the data root.
    """
    if given is None or accepts is None or given.name == own.folder or (given / own.folder).is_dir():
        return own, None
    others = [r for r in load_registry().registrations("dataset") if r.name != own.name]
    for registration in (own, *others):
        assert isinstance(registration, DatasetRegistration)
        if accepts not in registration.provides or registration.recognise is None:
            continue
        if resolve(registration.recognise, f"dataset {registration.name}")(given):
            return registration, given
    return own, None


def _data_settings(own: DatasetRegistration, overrides: Mapping[str, Any], every: list[DatasetRegistration]) -> Any:
    """The keys of the scope `data` go to the datasets that know them; a key that none knows is an error."""
    known = {r.name: set(settings_model(r).model_fields) for r in every}
    theirs = set().union(*known.values()) - known[own.name]
    return load_settings(own, overrides={k: v for k, v in overrides.items() if k.split(".")[0] not in theirs})


def resolve_twin(spec: RunSpec, root: Path, overrides: dict[str, Any]) -> tuple[TwinSpec, Path, dict[str, Any]]:
    """The twin's spec, its folder, and the settings that are the dataset's own."""
    import yaml
    from pydantic import ValidationError

    from bench3d.data.root import twin_root
    from bench3d.data.twin import twin_name, twin_spec

    name = str(overrides.pop("twin", QUICKSTART))
    base = twin_spec(name)
    fields = {f.name for f in dataclasses.fields(TwinSpec)}
    mine = {k: yaml.safe_load(v) if isinstance(v, str) else v for k, v in overrides.items() if k in fields}
    if isinstance(mine.get("categories"), str):
        mine["categories"] = tuple(mine["categories"].replace(",", " ").split())
    elif spec.categories and not set(spec.categories) <= set(base.categories):
        mine["categories"] = tuple(spec.categories)
    try:
        twin = _twin_adapter().validate_python({**dataclasses.asdict(base), **mine})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"data.{first['loc'][0]} = {first['input']!r}: {first['msg']}.") from error
    _known_to_the_generator(twin.categories)
    return twin, twin_root(root, twin_name(name, twin)), {k: v for k, v in overrides.items() if k not in fields}


@functools.cache
def _twin_adapter() -> TypeAdapter[TwinSpec]:
    from pydantic import TypeAdapter

    return TypeAdapter(TwinSpec)


def _known_to_the_generator(categories: tuple[str, ...]) -> None:
    from bench3d.synth import CATEGORIES

    unknown = sorted(set(categories) - set(CATEGORIES))
    if unknown:
        raise UnknownNameError(
            f"The synthetic twin has no category {unknown[0]}.", did_you_mean(unknown[0], CATEGORIES)
        )


def find_categories(spec: RunSpec, sources: list[DataSource]) -> tuple[str, ...]:
    """The categories of the run: those asked for, else those that all its data know; sorted, for the record's order."""
    known = [set(s.categories) for s in sources if s.categories]
    if not known:
        if spec.categories and sources:
            raise UsageError(f"{sources[0].component.name} has no categories.", "Leave --category out.")
        return tuple(sorted(spec.categories)) or ((ALL,) if sources else ())
    common = sorted(set.intersection(*known))
    unknown = sorted(set(spec.categories) - set(common))
    if unknown:
        raise UnknownNameError(
            f"There is no category {unknown[0]} in {' and '.join(sorted({s.component.name for s in sources}))}.",
            did_you_mean(unknown[0], common),
        )
    return tuple(sorted(set(spec.categories) or common))
