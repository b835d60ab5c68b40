"""Synthetic twins: named specs, the marks that say whether a twin is whole, and writing several data sets at once.

`twin.partial.json` stands in a twin's folder from its first byte on and says what is being made; `twin.json` is
written last and says that it is whole. So a killed run can be resumed, and two specs never mix in one folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from bench3d.contracts.data import TwinSpec, TwinWriter
from bench3d.contracts.progress import Progress
from bench3d.contracts.registration import DatasetRegistration
from bench3d.errors import DataError, UsageError
from bench3d.files import make_folder, write_json
from bench3d.records import Busy, Claim, Watch, identity_hash

SCHEMA = "bench3d.twin/1"
DONE = "twin.json"
PARTIAL = "twin.partial.json"
WRITING = ".writing.json"
"""Who is writing the twin (bench3d.records.Claim)."""
LATER_FIELDS = ("objects", "train_objects", "pairs", "videos")
"""Fields of TwinSpec that a first figure was made without."""

SPECS = {
    "quickstart": TwinSpec(
        categories=("car", "chair", "bus"), train_instances=60, views=5, test_images=100, hard_images=60
    ),
    "full": TwinSpec(
        categories=("bicycle", "bus", "car", "chair", "couch", "motorcycle", "tv"),
        train_instances=50,
        views=30,
        test_images=100,
    ),
}


def twin_spec(name: str) -> TwinSpec:
    """A named spec; UsageError for an unknown name."""
    if name not in SPECS:
        raise UsageError(f"There is no twin named {name!r}.", f"There are {', '.join(sorted(SPECS))}.")
    return SPECS[name]


def spec_values(spec: TwinSpec) -> dict[str, Any]:
    """A spec as JSON values. A field that came later is left out at its default, so that earlier twins stay valid."""
    values = json.loads(json.dumps(dataclasses.asdict(spec)))
    return {k: v for k, v in values.items() if k not in LATER_FIELDS or v != getattr(TwinSpec, k)}


def twin_name(preset: str, spec: TwinSpec) -> str:
    """A twin's folder under the data root's `synthetic`: the preset's name, and a hash where `spec` departs from it."""
    if spec == twin_spec(preset):
        return preset
    return f"{preset}-{identity_hash(spec_values(spec))[:8]}"


def ensure_twin(
    root: Path,
    spec: TwinSpec,
    registrations: Sequence[DatasetRegistration],
    progress: Progress,
    workers: int = 1,
    wait: bool = True,
) -> Path:
    """Makes the twin of `spec` in `root` where it is not there yet, and returns `root`.

    Every registration's writer fills `root/<registration.folder>`; a whole one with the same spec and generator is
    left alone (nothing is written then), a partial one is completed. Two processes may call this at once: the second
    waits for the first.

    Raises:
        DataError: another spec or generator version stands there, or a data set has no twin.
        OutputError: no permission, no space.
        Busy: another process is writing it, and `wait` is False.
    """
    whole = all((place / DONE).exists() for place in (root, *(root / r.folder for r in registrations)))
    with contextlib.nullcontext() if whole else _writing(root, progress, wait):
        open_twin(root, spec, None)
        for registration in registrations:
            _writer(registration)(root / registration.folder, spec, progress, workers)
        close_twin(root, spec, None)
    return root


def open_twin(folder: Path, spec: TwinSpec, generator: str | None) -> bool:
    """Begins or resumes writing a twin in `folder`; True where it is already whole.

    Raises:
        DataError: the folder holds a twin of another spec or generator version.
    """
    wanted = _mark(spec, generator)
    for name in (DONE, PARTIAL):
        found = _read_mark(folder / name)
        if found is None:
            continue
        if difference := _difference(found, wanted):
            raise DataError(
                f"{folder} holds a synthetic twin made with {difference}.",
                "Choose another data folder, or remove this one and run again.",
            )
        if name == DONE:
            return True
    make_folder(folder)
    if not (folder / PARTIAL).exists():
        write_json(folder / PARTIAL, wanted)
    return False


def close_twin(folder: Path, spec: TwinSpec, generator: str | None) -> None:
    """Declares the twin in `folder` whole."""
    if not (folder / DONE).exists():
        write_json(folder / DONE, _mark(spec, generator))
    with contextlib.suppress(OSError):
        (folder / PARTIAL).unlink(missing_ok=True)


def is_synthetic(folder: Path) -> bool:
    """Whether a data set's folder, or the one it stands in, carries a twin's mark (whole or partial)."""
    return any((place / name).exists() for place in (folder, folder.parent) for name in (DONE, PARTIAL))


def require_whole(folder: Path) -> None:
    """Raises DataError where the twin in `folder` was begun and not finished."""
    if (folder / PARTIAL).exists() and not (folder / DONE).exists():
        raise DataError(
            f"The synthetic twin in {folder} is unfinished: its writing was interrupted.",
            "Run with --synthetic (or `bench3d data synth`) again: it goes on where it stopped.",
        )


def twin_mark(folder: Path) -> dict[str, Any] | None:
    """What `twin.json` in `folder` says ("spec", "generator"), None where there is none."""
    return _read_mark(folder / DONE)


def _mark(spec: TwinSpec, generator: str | None) -> dict[str, Any]:
    return {"schema": SCHEMA, "generator": generator, "spec": spec_values(spec)}


def _read_mark(path: Path) -> dict[str, Any] | None:
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}).", "Remove the twin's folder and make it again.") from error
    if not isinstance(mark, dict) or mark.get("schema") != SCHEMA or not isinstance(mark.get("spec"), dict):
        raise DataError(f"{path} is no mark of a synthetic twin.", "Remove the twin's folder and make it again.")
    return mark


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    if found.get("generator") != wanted["generator"]:
        return f"generator version {found.get('generator')} instead of {wanted['generator']}"
    keys = sorted(set(found["spec"]) | set(wanted["spec"]))
    changed = [key for key in keys if found["spec"].get(key) != wanted["spec"].get(key)]
    return ", ".join(f"{key} {found['spec'].get(key)} instead of {wanted['spec'].get(key)}" for key in changed)


def _writer(registration: DatasetRegistration) -> TwinWriter:
    if not registration.synth:
        raise DataError(f"{registration.name} has no synthetic twin.", "Use the official data.")
    module, attribute = registration.synth.split(":")
    return cast(TwinWriter, getattr(importlib.import_module(module), attribute))


@contextlib.contextmanager
def _writing(root: Path, progress: Progress, wait: bool) -> Iterator[None]:
    """Claims the folder of a twin: two writers of one twin would only waste work."""
    watch, told = Watch(), False
    while (claim := Claim.take(root / WRITING, f"twin {root.name}", watch)) is None:
        if not wait:
            raise Busy(f"Another process is writing the twin in {root}.", "Run again when it has ended.")
        if not told:
            progress.say(f"Another process is writing the twin in {root}: waiting for it.")
        told = True
        time.sleep(0.2)
    with claim:
        yield
