"""Gets data sets: downloads, verifies, unpacks, publishes by renaming; or links a folder that is there already.

A file goes through `<data root>/.downloads` and nothing else of the data root is touched before it is whole, verified
and unpacked. Whatever is broken off is gone on with by the same call.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

from bench3d.contracts import DatasetRegistration, Progress
from bench3d.contracts.registration import Download
from bench3d.data.fetch_http import Patience, download, file_name
from bench3d.data.fetch_parts import Part, Parts
from bench3d.data.fetch_plan import DatasetPlan, check_space
from bench3d.data.fetch_records import WORK, Fetched, Records
from bench3d.data.meter import Meter
from bench3d.data.unpack import unpack
from bench3d.errors import DataError, OutputError, UsageError
from bench3d.files import make_folder, output_errors
from bench3d.plugins import load_registry, load_settings
from bench3d.plugins.names import resolve

PATIENCE = Patience()
CHUNK = 1 << 20
LOOK_SECONDS = 1.0


def fetch_dataset(plan: DatasetPlan, root: Path, progress: Progress, patience: Patience = PATIENCE) -> list[Fetched]:
    """Fetches what a plan says is missing, in the plan's order.

    Raises:
        UsageError: the owner's licence has not been accepted (`bench3d.data.licences`).
        DataError: a server does not answer, or sends something else than was published.
        OutputError: no space, no permission.
    """
    if plan.todo and not plan.licence_accepted:
        raise UsageError(
            f"The licence of {plan.registration.name} has not been accepted.", "Read it and add --accept-licence."
        )
    check_space([plan], root)
    return [fetch_file(plan.registration, item.download, root, progress, patience) for item in plan.todo]


def fetch_file(
    registration: DatasetRegistration, what: Download, root: Path, progress: Progress, patience: Patience = PATIENCE
) -> Fetched:
    """Fetches one file of a data set, verifies it and puts it, or what it holds, in its place.

    Of several processes that fetch one file, the others wait for the first as long as it lives.
    """
    records, parts = Records(root), Parts(root / WORK, what.url)
    _wait_for_others(parts, progress, file_name(what.url))
    standing = records.get(what.url)
    if standing is not None and records.done(what.url):
        return standing
    trusted = what.sha256 is not None
    part = download(what.url, parts, progress, expected=what.bytes, trusted=trusted, patience=patience)
    try:
        record = _verified(part, what, standing, progress)
        records.put(record)
        paths = _place(part, registration, what, root, progress)
        record = Fetched(record.url, record.bytes, record.sha256, record.published, record.fetched, tuple(paths))
        records.put(record)
    except DataError:  # the bytes are not what they should be: they are of no use
        part.discard()
        raise
    except BaseException:
        part.release()
        raise
    part.discard()
    return record


def link_dataset(
    registration: DatasetRegistration, folder: Path, root: Path, categories: tuple[str, ...] = ()
) -> tuple[Path, bool]:
    """Links a folder that holds a data set into the data root.

    Args:
        registration: of the data set.
        folder: the data set's own folder, or one that holds it under its official name.
        root: the data root.
        categories: look for these only.

    Returns:
        the folder that the link points to, and whether the link is new.

    Raises:
        DataError: it is no such data set, or a broken one: with the first thing that is missing.
        UsageError: no such folder, or something else stands where the link would.
        OutputError: the link cannot be made.
    """
    folder = Path(os.path.abspath(folder.expanduser()))
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Give the folder that holds the data set.")
    if (folder / registration.folder).is_dir():
        folder = folder / registration.folder
    link = root / registration.folder
    if link.exists():
        if link.samefile(folder):
            return folder, False
        what = f"a link to {os.readlink(link)}" if link.is_symlink() else "a folder"
        raise UsageError(f"{link} is there already: {what}.", "Remove or rename it first.")
    _recognise(registration, folder, categories)
    make_folder(link.parent)
    with output_errors(link):
        temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
        os.symlink(folder, temporary, target_is_directory=True)
        os.replace(temporary, link)  # also over a link to nothing
    return folder, True


def _recognise(registration: DatasetRegistration, folder: Path, categories: tuple[str, ...]) -> None:
    """DataError where the reader does not accept a folder."""
    if registration.recognise and resolve(registration.recognise, f"dataset {registration.name}")(folder):
        return
    reader = load_registry().create("dataset", registration.name, root=folder, settings=load_settings(registration))
    errors = [p for p in reader.check(categories or None) if p.severity == "error"]
    if errors:
        first = errors[0]
        more = f" ({len(errors) - 1} more like this)" if len(errors) > 1 else ""
        where = f"{first.file}, {first.field}" if first.field else first.file
        raise DataError(
            f"{folder} is no whole {registration.name}: {where}: {first.message}{more}",
            first.hint or registration.how_to_get or None,
        )


def _wait_for_others(parts: Parts, progress: Progress, name: str) -> None:
    if parts.others():
        progress.say(f"Another process is fetching {name}: waiting for it.")
    while parts.others():
        time.sleep(LOOK_SECONDS)


def _verified(part: Part, what: Download, before: Fetched | None, progress: Progress) -> Fetched:
    """The record of a file whose content is what it should be. DataError where it is not."""
    name, digest = file_name(what.url), _digest(part, file_name(what.url), progress)
    if what.sha256 and digest != what.sha256.lower():
        raise DataError(
            f"{name} is not the file that was published: its SHA-256 is {digest}, and {what.sha256} was expected. "
            "It was deleted.",
            "Run the same command again; if it stays so, the owner has changed the file, or someone on the way has.",
        )
    if before is not None and not what.sha256 and before.sha256 != digest:
        raise DataError(
            f"{name} is not the file that was fetched from {what.url} on {before.fetched[:10]}: its SHA-256 is "
            f"{digest}, and was {before.sha256}. It was deleted.",
            "Ask its owner. If the new one is right, delete .downloads/*.record.json of the data root and run again.",
        )
    if not what.sha256:
        progress.say(f"{name}: no checksum is published; this download's SHA-256 is {digest} (kept in downloads.json).")
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Fetched(what.url, part.size, digest, bool(what.sha256), now)


def _digest(part: Part, name: str, progress: Progress) -> str:
    digest, meter = hashlib.sha256(), Meter(progress, f"checking {name}", part.size)
    try:
        with open(part.path, "rb") as handle:
            while chunk := handle.read(CHUNK):
                digest.update(chunk)
                meter.add(len(chunk))
                part.beat()
    finally:
        progress.finish()
    return digest.hexdigest()


def _place(part: Part, registration: DatasetRegistration, what: Download, root: Path, progress: Progress) -> list[str]:
    """Puts a verified file where it belongs; what it became, as paths under the data root."""
    into = PurePosixPath(what.into)
    if not what.unpack:
        place = root / into / Path(file_name(what.url)).name
        make_folder(place.parent)
        with output_errors(place):
            _copy(part.path, place)
        return [place.relative_to(root).as_posix()]
    part.beat()
    unpack(part.path, part.unpacked, progress, part.beat, title=file_name(what.url))
    if into == PurePosixPath():  # beside other data sets: only its own folder is taken
        names = [registration.folder]
        if not (part.unpacked / registration.folder).is_dir():
            raise DataError(f"{file_name(what.url)} holds no folder {registration.folder}.", registration.how_to_get)
    else:
        names = sorted(p.name for p in part.unpacked.iterdir())
    for name in names:
        place = root / into / name
        make_folder(place.parent)
        with output_errors(place):
            _merge(part.unpacked / name, place)
    shutil.rmtree(part.unpacked, ignore_errors=True)
    return [(into / name).as_posix() for name in names]


def _copy(source: Path, place: Path) -> None:
    """A second name for a file, atomically. The part stays until the record is written: others wait for both."""
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        os.link(source, temporary)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, temporary)
    os.replace(temporary, place)


def _merge(source: Path, place: Path) -> None:
    """Moves a tree to its place by renaming; where a folder stands already, its content goes into it."""
    if source.is_dir() and not source.is_symlink() and place.is_dir():
        for child in sorted(source.iterdir()):
            _merge(child, place / child.name)
        return
    try:
        os.replace(source, place)
    except OSError as error:
        if source.is_dir() and place.is_dir():  # another process put it there a moment ago
            _merge(source, place)
            return
        with contextlib.suppress(OSError):
            if place.is_dir() != source.is_dir():
                raise OutputError(f"{place} is in the way.", "Remove or rename it and run again.") from error
        raise
