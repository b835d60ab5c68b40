"""Checks of a data set: its reader, on the tiny twin that its writer makes (or on a folder that the user gives)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from bench3d.contracts import DatasetRegistration, NullProgress, Problem
from bench3d.errors import Bench3DError
from bench3d.plugins.names import resolve
from bench3d.testing.auditing import deeds
from bench3d.testing.checks import Check, Skip, require
from bench3d.testing.conventions import check_listed
from bench3d.testing.folders import annotation_files, changed_names, copied, some, state_of
from bench3d.testing.readers import Listed, What, everything
from bench3d.testing.subjects import Subject
from bench3d.testing.twins import Stand, stand_of, tiny_spec

NO_CATEGORY = "no-such-category"


def opens(subject: Subject) -> str:
    """The writer writes the official layout, and the reader opens it."""
    stand = stand_of(subject)
    reader = stand.open()
    if stand.twin:
        require(
            (stand.folder / "twin.json").is_file(),
            f"The writer left no twin.json in {stand.registration.folder}.",
            "Begin with bench3d.data.twin.open_twin and end with close_twin.",
        )
        require(
            getattr(reader, "synthetic", None) is True,
            "The reader does not say that the twin is synthetic.",
            "Set self.synthetic = bench3d.data.twin.is_synthetic(root): made-up data never rank beside real ones.",
        )
    found = everything(reader, stand.category)
    return ", ".join(f"{len(listed)} {what.replace('_', ' ')}" for what, listed in found.items())


def writes_once(subject: Subject) -> str:
    """A whole twin is left alone, and another spec does not mix with it."""
    stand = stand_of(subject)
    if not stand.twin or stand.registration.synth is None:
        raise Skip("the kit did not write it")
    write = resolve(stand.registration.synth, f"twin of {subject.name}")
    before = state_of(stand.folder)
    write(stand.folder, tiny_spec(stand.registration), NullProgress(), 1)
    changed = changed_names(before, state_of(stand.folder))
    require(not changed, f"Written again, the twin changes {some(changed)}.", "What is whole is left alone.")
    try:
        write(stand.folder, tiny_spec(stand.registration, seed=2), NullProgress(), 1)
    except Bench3DError as error:
        return error.message
    require(False, "A twin of another seed is written over the first one.", "bench3d.data.twin.open_twin refuses it.")
    return ""


def listing(subject: Subject) -> str:
    """Ids are unique, of this category, with a cluster, and the same in the same order when opened again."""
    stand = stand_of(subject)
    counts = []
    again = everything(stand.open(), stand.category)
    for what, found in everything(stand.open(), stand.category).items():
        require(bool(found), f"{what} of {stand.category} is empty.", "Raise DataError where nothing is there.")
        ids = [one.id for one in found]
        _texts(what, found)
        twice = sorted({i for i in ids if ids.count(i) > 1})
        require(not twice, f"Two of {what} have the id {twice[:1]}.", "Ids must be unique within a category and split.")
        require(
            ids == [one.id for one in again[what]],
            f"{what} has other ids, or another order, when the data set is opened again.",
            "Sort what the file system lists, and make ids of names, not of counters or hashes of objects.",
        )
        counts.append(f"{len(ids)} ids")
    return ", ".join(counts)


def _texts(what: What, found: Sequence[Listed]) -> None:
    for one in found:
        require(isinstance(one.id, str) and bool(one.id), f"{what} has the id {one.id!r}, not a text.")
        if one.what in ("samples", "pairs"):
            require(
                isinstance(one.cluster, str) and bool(one.cluster),
                f"{one.id} has the cluster {one.cluster!r}, not a text.",
                "It names what is drawn together in a bootstrap: the object, the scene, or the image.",
            )
        if one.category is not None:
            require(isinstance(one.category, str) and bool(one.category), f"{one.id} has no category.")


def categories(subject: Subject) -> str:
    """What it lists is of the category asked for, and an unknown one is refused in a sentence."""
    stand = stand_of(subject)
    reader = stand.open()
    for found in everything(reader, stand.category).values():
        for one in found:
            require(
                one.category in (None, stand.category),
                f"{one.id} is of the category {one.category!r}, listed as {stand.category!r}.",
            )
    for what in everything(reader, stand.category):
        try:
            everything(stand.open(), NO_CATEGORY)
        except Bench3DError as error:
            return error.message
        except Exception as error:
            require(False, f"{what}({NO_CATEGORY!r}) raises {type(error).__name__}, not a UsageError or DataError.")
        require(False, f"{what}({NO_CATEGORY!r}) is answered as if there were such a category.")
    return ""


def shapes(subject: Subject) -> str:
    """Images, masks, cameras and keypoints are of the declared shapes and conventions."""
    stand = stand_of(subject)
    found = everything(stand.open(), stand.category)
    for listed in found.values():
        check_listed(listed)
    return ", ".join(found)


def fingerprint(subject: Subject) -> str:
    """The fingerprint is the same when opened again and another one when an annotation changes."""
    stand = stand_of(subject)
    first = stand.open().fingerprint(stand.category)
    require(isinstance(first, str) and len(first) >= 8, f"The fingerprint is {first!r}, not a hash as a text.")
    reader = stand.open()
    everything(reader, stand.category)
    require(
        first == reader.fingerprint(stand.category),
        "The fingerprint differs when the data set is opened again, or after it was read.",
    )
    copy = copied(subject, stand)
    require(
        stand.open(copy).fingerprint(stand.category) == first,
        "The fingerprint differs in a copy of the folder.",
        "Hash contents and names inside the folder, no paths or times.",
    )
    for path in annotation_files(copy):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])
        try:
            noticed = stand.open(copy).fingerprint(stand.category) != first
        except Bench3DError:
            noticed = True
        path.write_bytes(content)
        if noticed:
            return f"{first[:12]}, changes with {path.relative_to(copy)}"
    require(
        False,
        "No annotation can change the fingerprint: each was cut short in turn.",
        "It is what tells that results belong to these data: hash lists, poses and cameras.",
    )
    return ""


def check_silent(subject: Subject) -> None:
    """`check` finds nothing in a good folder."""
    stand = stand_of(subject)
    found = _problems(stand.open(), stand)
    require(not found, f"check finds {len(found)} problems in a good folder: {_words(found[:1])}")


def check_damage(subject: Subject) -> str:
    """`check` names a truncated image and a missing one, without stopping at the first."""
    stand = stand_of(subject)
    copy = copied(subject, stand)
    paths = list(
        dict.fromkeys(
            path.resolve()
            for found in everything(stand.open(copy), stand.category).values()
            for one in found
            for path, _ in one.images
        )
    )
    if len(paths) < 2:
        raise Skip("there are not two images to damage")
    cut, gone = paths[0], paths[-1]
    cut.write_bytes(cut.read_bytes()[: max(64, cut.stat().st_size // 3)])
    gone.unlink()
    found = _problems(stand.open(copy), stand)
    for path, what in ((cut, "cut to a third"), (gone, "removed")):
        require(
            any(path.name in problem.file or path.name in problem.message for problem in found),
            f"check does not name {path.name}, which was {what}; it says: {_words(found[:2])}",
            "Decode every file that the lists name, and go on after the first problem.",
        )
    return f"{cut.name} and {gone.name} were named"


def _problems(reader: Any, stand: Stand) -> list[Problem]:
    chosen = None if stand.category == "all" else [stand.category]
    found = list(reader.check(chosen))
    for one in found:
        require(isinstance(one, Problem), f"check gives {type(one).__name__}, not a Problem.")
    return [p for p in found if p.severity == "error"]


def _words(found: Sequence[Problem]) -> str:
    return "; ".join(f"{p.file}: {p.message}" for p in found) or "nothing"


def reads_only(subject: Subject) -> None:
    """Reading writes nothing, starts no process, opens no connection and unpickles no code."""
    stand = stand_of(subject)
    _read_all(stand.open(), stand)  # what it imports on its way is none of our business
    before = state_of(stand.folder)
    with deeds() as done:
        _read_all(stand.open(), stand)
    changed = changed_names(before, state_of(stand.folder))
    require(not changed, f"Reading changes {some(changed)}.", "A data set may lie on a disk that cannot be written to.")
    require(
        not done,
        f"Reading does this: {'; '.join(sorted(set(done))[:3])}.",
        "Files of others are data: no pickle, no shell, no network.",
    )


def _read_all(reader: Any, stand: Stand) -> None:
    reader.fingerprint(stand.category)
    for listed in everything(reader, stand.category).values():
        check_listed(listed)
    list(reader.check(None if stand.category == "all" else [stand.category]))


def recognised(subject: Subject) -> None:
    """`recognise` says yes to its layout and no to an empty folder, whatever the folder's name."""
    registration = subject.registration
    assert isinstance(registration, DatasetRegistration)
    if registration.recognise is None:
        raise Skip("it has no `recognise`")
    ask = resolve(registration.recognise, f"dataset {subject.name}")
    require(ask(subject.folder("empty")) is False, "recognise takes an empty folder for the data set.")
    require(ask(subject.tmp / "not-there") is False, "recognise does not say no to a folder that is not there.")
    stand = stand_of(subject)
    renamed = subject.folder("another") / "name"
    shutil.copytree(stand.folder, renamed)
    require(ask(renamed) is True, "recognise does not know its own layout in a folder of another name.")


def absent(subject: Subject) -> str:
    """A folder without the data ends in a sentence, not in a traceback."""
    stand = stand_of(subject)
    try:
        everything(stand.open(subject.folder("empty")), stand.category)
    except Bench3DError as error:
        return error.message
    except Exception as error:
        require(
            False,
            f"An empty folder raises {type(error).__name__}: {error}",
            "Raise bench3d.errors.DataError with file, field and the next step.",
        )
    require(False, "An empty folder is read as if the data were there.")
    return ""


_KIND = ("dataset",)
CHECKS = (
    Check("opens", _KIND, "Its twin is written in the official layout and read back.", opens),
    Check("listing", _KIND, "Ids are unique, stable over two openings, and carry a cluster.", listing),
    Check("categories", _KIND, "It lists what was asked for and refuses an unknown category.", categories),
    Check("shapes", _KIND, "Images, masks, cameras and points are of the declared conventions.", shapes),
    Check("fingerprint", _KIND, "The fingerprint is stable, and changes when an annotation does.", fingerprint),
    Check("check-silent", _KIND, "check() finds nothing in a good folder.", check_silent),
    Check("check-damage", _KIND, "check() names a truncated and a missing image.", check_damage),
    Check("absent", _KIND, "An empty folder ends in a sentence.", absent),
    Check("reads-only", _KIND, "Reading writes, starts, connects to and unpickles nothing.", reads_only),
    Check("recognise", _KIND, "Its layout is recognised under any name, and nothing else is.", recognised),
    Check("writes-once", _KIND, "A whole twin is left alone, and another one is not mixed into it.", writes_once),
)
