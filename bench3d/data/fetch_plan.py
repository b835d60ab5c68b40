"""What `data fetch` would do: which files are there, which are missing, how large they are, whether they fit."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench3d.contracts import DatasetRegistration
from bench3d.contracts.registration import Download
from bench3d.data.fetch_http import remote_size
from bench3d.data.fetch_parts import Parts
from bench3d.data.fetch_records import Records
from bench3d.data.licences import accepted
from bench3d.data.root import human_bytes
from bench3d.errors import DataError, OutputError, UnknownNameError
from bench3d.plugins import load_registry, load_settings
from bench3d.plugins.names import did_you_mean

ASKED_AT_ONCE = 8


@dataclass(frozen=True)
class Item:
    """One file: `size` as published or as the server says, None where neither does; `have` bytes are here already."""

    download: Download
    there: bool
    size: int | None = None
    have: int = 0


@dataclass(frozen=True)
class DatasetPlan:
    """One data set. `categories` are those asked for, empty for all."""

    registration: DatasetRegistration
    folder: Path
    categories: tuple[str, ...]
    items: tuple[Item, ...]
    licence_accepted: bool

    @property
    def todo(self) -> tuple[Item, ...]:
        """The files that are missing."""
        return tuple(i for i in self.items if not i.there)

    @property
    def bytes(self) -> int | None:
        """Bytes to fetch; None where a size is not known."""
        sizes = [i.size for i in self.todo]
        return None if None in sizes else sum(i.size - i.have for i in self.todo if i.size is not None)


def plan_dataset(
    registration: DatasetRegistration, root: Path, categories: Sequence[str] = (), network: bool = True
) -> DatasetPlan:
    """What is there of a data set and what has to be fetched.

    Args:
        registration: of the data set.
        root: the data root.
        categories: canonical names; empty for all.
        network: ask servers for sizes that are not published.

    Raises:
        UnknownNameError: a category that the data set does not have.
        DataError: it is missing and cannot be fetched by a program, or it is linked and incomplete: with the next step.
    """
    unknown = sorted(set(categories) - set(registration.categories))
    if unknown:
        hint = did_you_mean(unknown[0], registration.categories) or "Leave --category out."
        raise UnknownNameError(f"{registration.name} has no category {unknown[0]}.", hint)
    folder = root / registration.folder
    wanted = [
        d for d in registration.downloads if not (d.categories and categories) or set(d.categories) & set(categories)
    ]
    if folder.is_symlink() and not folder.exists():
        raise DataError(
            f"{folder} is a link to nothing.",
            f"Remove it, or point it anew: bench3d data fetch {registration.name} --link FOLDER.",
        )
    if not wanted and not folder.is_dir():
        raise DataError(f"{registration.name} cannot be fetched by a program.", _by_hand(registration))
    items = _items(registration, root, wanted, tuple(categories), network)
    if folder.is_symlink() and not all(i.there for i in items):
        lacking = sorted({c for i in items if not i.there for c in i.download.categories})
        raise DataError(
            f"{registration.name} is linked to {folder.resolve()}, which does not hold "
            f"{', '.join(lacking) or 'all of it'}, and nothing is fetched into a linked folder.",
            f"See `bench3d data check {registration.name}` for what is missing; put it there, or remove the link.",
        )
    is_accepted = not registration.registration_required or accepted(root, registration.name, registration.licence)
    return DatasetPlan(registration, folder, tuple(categories), items, is_accepted)


def check_space(plans: Sequence[DatasetPlan], root: Path) -> None:
    """Raises OutputError where what is to be fetched does not fit: all content, and the largest archive beside it."""
    needed, free = space_needed(plans), free_bytes(root)
    if needed > free:
        raise OutputError(
            f"The disk of {root} is too small: about {human_bytes(needed)} are needed, {human_bytes(free)} are free.",
            "Free some space, take fewer categories (--category), or another disk (--data DIR, or BENCH3D_DATA).",
        )


def space_needed(plans: Sequence[DatasetPlan]) -> int:
    """Bytes on the disk at the worst moment, as far as sizes are known. Archives hold images, which hardly shrink."""
    items = [i for p in plans for i in p.todo]
    archives = [i.size or 0 for i in items if i.download.unpack]
    return sum(i.size or 0 for i in items) + max(archives, default=0) - sum(i.have for i in items)


def free_bytes(root: Path) -> int:
    """Free bytes on the disk that a data root stands on, or will stand on."""
    place = root.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _by_hand(registration: DatasetRegistration) -> str:
    how = registration.how_to_get or f"See {registration.url}."
    return f"{how} Then: bench3d data fetch {registration.name} --link FOLDER."


def _items(
    registration: DatasetRegistration,
    root: Path,
    wanted: Sequence[Download],
    categories: tuple[str, ...],
    network: bool,
) -> tuple[Item, ...]:
    """Files that belong together (of one category, or of the whole data set) are judged together: where `fetch` has
    begun them, its records say what is there; else a user may have put them there, and the reader knows.
    """
    records = Records(root)
    by_hand = {g: _put_there(registration, root, g, categories) for g in {d.categories for d in wanted}}
    there = {d.url: by_hand[d.categories] or records.done(d.url) for d in wanted}
    unsaid = [d.url for d in wanted if d.bytes is None and not there[d.url]]
    said = _remote_sizes(unsaid) if network else {}
    return tuple(
        Item(d, True)
        if there[d.url]
        else Item(d, False, d.bytes or said.get(d.url), Parts(records.folder, d.url).longest())
        for d in wanted
    )


def _remote_sizes(urls: Sequence[str]) -> dict[str, int | None]:
    """What servers say; one that does not answer the first time is not asked again."""
    hosts: dict[str, list[str]] = {}
    for url in urls:
        hosts.setdefault(urlsplit(url).netloc, []).append(url)
    sizes: dict[str, int | None] = {}
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        for first, *rest in hosts.values():
            sizes[first] = remote_size(first)
            if sizes[first] is not None:
                sizes.update(zip(rest, pool.map(remote_size, rest), strict=True))
    return sizes


def _put_there(
    registration: DatasetRegistration, root: Path, group: tuple[str, ...], categories: tuple[str, ...]
) -> bool:
    """Whether a user, not `fetch`, has put the files of these categories there, whole."""
    records, folder = Records(root), root / registration.folder
    same = [d.url for d in registration.downloads if d.categories == group]
    if not folder.is_dir() or any(records.get(url) or Parts(records.folder, url).exist() for url in same):
        return False
    asked = tuple(c for c in group if not categories or c in categories)
    if not asked:
        return True
    reader = load_registry().create("dataset", registration.name, root=folder, settings=load_settings(registration))
    return not any(p.severity == "error" for p in reader.check(asked))
