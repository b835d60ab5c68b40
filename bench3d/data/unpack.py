"""Unpacking archives that come from elsewhere: zip and tar, into a new folder, or not at all.

An archive that tries to write outside its folder (absolute names, "..", links), that holds devices or pipes, or that is
a bomb, is refused as a whole. Only content and names are taken over: no modes, owners or dates. Links are made last and
never point through another link, so that nothing can be written through one.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from lzma import LZMAError
from pathlib import Path
from typing import IO, Literal

from bench3d.contracts import NullProgress, Progress
from bench3d.data.meter import Meter
from bench3d.errors import DataError, OutputError
from bench3d.files import make_folder, output_errors

CHUNK = 1 << 20
RATIO = 200
"""Published data sets shrink by a factor of 2 to 20; deflate reaches 1000 on what is made for it."""
SMALL = 200_000_000
"""An archive may always unpack to so many bytes."""
MOST_MEMBERS = 5_000_000
MOST_TAIL = 256 << 20
KEPT_FREE = 100_000_000
"""Bytes that stay free on the disk."""
LITTER = re.compile(r"(^|/)(__MACOSX(/|$)|\.DS_Store$|\._[^/]*$)")
"""What macOS adds to archives."""
BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, LZMAError, NotImplementedError,
    RuntimeError,
)  # fmt: skip
"""What the readers raise for truncated, corrupt and encrypted archives."""


@dataclass(frozen=True)
class Member:
    """One entry of an archive; `target` of a link, `open` a file's content, `end` the archive's bytes up to its end."""

    name: str
    kind: Literal["file", "folder", "link", "hard link"]
    size: int = 0
    end: int = 0
    target: str = ""
    open: Callable[[], IO[bytes] | None] = field(default=lambda: None, repr=False)


def unpack(
    archive: Path,
    folder: Path,
    progress: Progress | None = None,
    beat: Callable[[], None] = lambda: None,
    title: str | None = None,
) -> None:
    """Unpacks a zip or tar archive (gz, bz2, xz) into `folder`, which must not exist yet.

    Args:
        archive: its kind is told by its content, not by its name.
        folder: removed again where anything goes wrong.
        progress: gets a stage over the archive's bytes.
        beat: called now and then.
        title: what messages call the archive; its file name by default.

    Raises:
        DataError: no archive, a broken one, or one that is not safe to unpack; names the member.
        OutputError: it does not fit on the disk, or cannot be written.
    """
    title = title or archive.name
    progress = progress or NullProgress()
    make_folder(folder.parent)
    with output_errors(folder):
        folder.mkdir()
    try:
        with open(archive, "rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            meter = Meter(progress, f"unpacking {title}", size)
            _Unpacking(title, folder, size).run(_members(raw, title), meter, beat)
            meter.reach(size)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, BROKEN):
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise DataError(f"{title} cannot be unpacked: it is broken ({reason}).", "Fetch it again.") from error
        if isinstance(error, OSError):  # a full disk may show only when a file is closed
            with output_errors(folder):
                raise
        raise
    finally:
        progress.finish()


class _Unpacking:
    """One archive on its way into one folder; every limit is looked at before anything is written."""

    def __init__(self, title: str, folder: Path, size: int) -> None:
        self.title, self.folder = title, folder
        self.most = max(SMALL, RATIO * size)
        self.free = shutil.disk_usage(folder).free - KEPT_FREE
        self.links: dict[str, Member] = {}
        self.files: dict[str, str] = {}  # folded name -> name
        self.hard_links: list[Member] = []
        self.written = 0

    def run(self, members: Iterator[Member], meter: Meter, beat: Callable[[], None]) -> None:
        """Files and folders as they come, then the links."""
        for count, member in enumerate(members):
            if count >= MOST_MEMBERS:
                raise self.unsafe(f"more than {MOST_MEMBERS} members")
            if not LITTER.search(member.name):
                self.take(member, beat)
            meter.reach(member.end)
            beat()
        for folded in [*self.files, *self.links]:
            self.not_below_a_link(folded)
        self.link()

    def unsafe(self, what: str) -> DataError:
        """The refusal of the whole archive."""
        return DataError(
            f"{self.title} is not safe to unpack ({what}); nothing of it was kept.", "Do not use this file."
        )

    def take(self, member: Member, beat: Callable[[], None]) -> None:
        """Writes a file or folder; keeps a link for later."""
        parts = self.parts(member.name)
        if not parts:
            return
        name = "/".join(parts)
        path = self.folder.joinpath(*parts)
        if member.kind in ("link", "hard link"):
            found = Member(name, member.kind, target=member.target)
            if member.kind == "link":
                self.links[_folded(name)] = found
            else:
                self.hard_links.append(found)
            return
        with output_errors(path):
            (path if member.kind == "folder" else path.parent).mkdir(parents=True, exist_ok=True)
        if member.kind == "file":
            self.files[_folded(name)] = name
            self.write(member, path, beat)

    def parts(self, name: str) -> list[str]:
        """The parts of a name. DataError for one that leads out of the folder."""
        plain = name.replace("\\", "/")
        parts = [p for p in plain.split("/") if p not in ("", ".")]
        if plain.startswith("/") or ".." in parts or "\0" in name or re.match(r"[A-Za-z]:(/|$)", plain):
            raise self.unsafe(f"the member {name!r} leads out of the folder")
        return parts

    def write(self, member: Member, path: Path, beat: Callable[[], None]) -> None:
        """One file; what is announced and what comes are both kept within the limits."""
        self.within_limits(member.size)
        source = member.open()
        if source is None:
            raise self.unsafe(f"{member.name} has no content")
        with output_errors(path):
            sink = open(path, "wb")  # noqa: SIM115 (closed below)
        with source, sink:
            while chunk := source.read(CHUNK):
                self.within_limits(len(chunk))
                self.written += len(chunk)
                with output_errors(path):
                    sink.write(chunk)
                beat()

    def within_limits(self, more: int) -> None:
        """DataError for a bomb, OutputError where the disk is too small."""
        if self.written + more > self.most:
            raise self.unsafe(f"it unpacks to more than {RATIO} times its size")
        if self.written + more > self.free:
            raise OutputError(
                f"{self.title} does not fit on the disk of {self.folder.parent} when it is unpacked.",
                "Free some space and run again: what was fetched is kept.",
            )

    def not_below_a_link(self, folded: str) -> None:
        """Refuses members that stand below a link of the archive: they would be written where it points."""
        parts = folded.split("/")
        for count in range(1, len(parts)):
            if "/".join(parts[:count]) in self.links:
                raise self.unsafe(f"the member {folded!r} stands below a link")

    def link(self) -> None:
        """Makes the links, all of which stay inside and go through no other link."""
        for member in self.hard_links:
            target = "/".join(self.parts(member.target))
            if self.files.get(_folded(target)) != target:
                raise self.unsafe(f"the hard link {member.name!r} points to no file of the archive")
            self.place(member, partial(os.link, self.folder / target))
        for member in self.links.values():
            self.stays_inside(member)
        for member in self.links.values():
            self.place(member, partial(os.symlink, member.target))

    def place(self, member: Member, make: Callable[[Path], object]) -> None:
        """Makes one link."""
        path = self.folder / member.name
        self.not_below_a_link(_folded(member.name))
        if os.path.lexists(path):
            raise self.unsafe(f"{member.name!r} is both a link and something else")
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path)

    def stays_inside(self, member: Member) -> None:
        """Walks a link's target name by name."""
        at = member.name.split("/")[:-1]
        steps = member.target.replace("\\", "/").split("/")
        outside = self.unsafe(f"the link {member.name!r} points to {member.target!r}")
        if member.target.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", member.target) or "\0" in member.target:
            raise outside
        for step in steps:
            if _folded("/".join(at)) in self.links:
                raise outside
            if step == "..":
                if not at:
                    raise outside
                at.pop()
            elif step not in ("", "."):
                at.append(step)


def _folded(name: str) -> str:
    """A name as a file system sees it that knows neither case nor two ways to write an accent."""
    return unicodedata.normalize("NFC", name).casefold()


def _members(raw: IO[bytes], title: str) -> Iterator[Member]:
    if zipfile.is_zipfile(raw):
        raw.seek(0)
        yield from _zip_members(raw, title)
        return
    raw.seek(0)
    try:
        archive = tarfile.open(fileobj=raw, mode="r:*")  # noqa: SIM115 (closed below)
    except tarfile.ReadError as error:
        raise DataError(f"{title} is neither a zip nor a tar archive.", "Fetch it again.") from error
    with archive:
        yield from _tar_members(archive, raw, title)


def _zip_members(raw: IO[bytes], title: str) -> Iterator[Member]:
    end = 0
    with zipfile.ZipFile(raw) as archive:
        for info in archive.infolist():
            end += info.compress_size
            mode = info.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if info.is_dir():
                yield Member(info.filename, "folder", end=end)
            elif kind == stat.S_IFLNK:
                target = archive.read(info).decode("utf-8", "surrogateescape") if info.file_size < 4096 else "/"
                yield Member(info.filename, "link", end=end, target=target)
            elif kind in (0, stat.S_IFREG):
                yield Member(info.filename, "file", info.file_size, end, open=partial(archive.open, info))
            else:
                raise _no_file(title, info.filename)


def _tar_members(archive: tarfile.TarFile, raw: IO[bytes], title: str) -> Iterator[Member]:
    for info in archive:
        end = raw.tell()
        if info.isdir():
            yield Member(info.name, "folder", end=end)
        elif info.issym():
            yield Member(info.name, "link", end=end, target=info.linkname)
        elif info.islnk():
            yield Member(info.name, "hard link", end=end, target=info.linkname)
        elif info.isfile():
            yield Member(info.name, "file", info.size, end, open=partial(archive.extractfile, info))
        else:
            raise _no_file(title, info.name)
    # The checksum of a gz stands behind the last member, where tarfile does not read.
    for _ in range(MOST_TAIL // CHUNK):
        if archive.fileobj is None or not archive.fileobj.read(CHUNK):
            return
    raise DataError(f"{title} has far more behind its last member than a tar archive needs.", "Do not use this file.")


def _no_file(title: str, name: str) -> DataError:
    return DataError(
        f"{title} is not safe to unpack (the member {name!r} is a device or a pipe); nothing of it was kept.",
        "Do not use this file.",
    )
