"""Folders that are made beside their place and put there by one rename: the first whole one wins.

    <parent>/<name>.<token>/claim.json   whose it is
    <parent>/<name>.<token>/work/        what becomes the folder

The claim is there before the work and goes after it, and no two owned folders have one name: a folder whose owner is
gone can be taken by one rename, which one process wins.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench3d.errors import OutputError
from bench3d.files import make_folder, output_errors
from bench3d.records.claims import Claim, proven_dead

CLAIM, WORK = "claim.json", "work"
ABANDONED_SECONDS = 7 * 24 * 3600.0
"""A folder of another machine's is removed when nothing in it was written for so long, by the file system's clock."""
_TRIES = 20


@dataclass(frozen=True)
class Owned:
    """A folder of this process alone; `close` removes it with everything in it."""

    root: Path
    claim: Claim

    @classmethod
    def open(cls, parent: Path, name: str, about: str = "") -> Owned:
        """A new one with an empty folder `work` in it. OutputError where it cannot be made; nothing stays then."""
        root = parent / f"{name}.{os.getpid()}-{secrets.token_hex(4)}"
        for left in reversed(range(_TRIES)):
            try:
                claim = Claim.take(root / CLAIM, about)
                assert claim is not None, "the name is new"
                owned = cls(root, claim)
            except OutputError as error:
                remove_if_empty(root)
                remove_if_empty(parent)
                if not left or not isinstance(error.__cause__, FileNotFoundError):
                    raise  # else: another process removed `parent`, as it was empty
                continue
            try:
                make_folder(owned.work)
            except BaseException:
                owned.close()
                raise
            return owned
        raise AssertionError("unreachable")

    @property
    def work(self) -> Path:
        """What is being made."""
        return self.root / WORK

    def others(self) -> Iterator[Path]:
        """The owned folders of the same name, alive or dead."""
        name = self.root.name.rpartition(".")[0]
        for root in sorted(self.root.parent.glob(f"{glob.escape(name)}.*")):
            if root != self.root and root.is_dir():
                yield root

    def remove_dead(self, root: Path) -> None:
        """Removes another owned folder where its process is provably gone, or nobody wrote in it for a long time."""
        remove_if_empty(root)
        if not proven_dead(root / CLAIM) and not self._is_abandoned(root):
            return
        grave = self.root / secrets.token_hex(4)
        with contextlib.suppress(OSError):
            os.rename(root, grave)  # of several that clean up, one has it
            shutil.rmtree(grave, ignore_errors=True)

    def close(self) -> None:
        """Removes it, and `parent` where it is empty then."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.claim.release()
        shutil.rmtree(self.root, ignore_errors=True)
        remove_if_empty(self.root.parent)

    def _is_abandoned(self, root: Path) -> bool:
        touched = self.root / "now"
        try:
            touched.touch()
            now = touched.stat().st_mtime
            touched.unlink()
        except OSError:
            return False
        return now - newest(root) > ABANDONED_SECONDS


def newest(folder: Path) -> float:
    """The latest modification time of a folder and everything in it, in seconds; 0 where it is gone."""
    latest = 0.0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            latest = max(latest, path.lstat().st_mtime)
    return latest


def remove_if_empty(folder: Path) -> None:
    """Removes a folder in which nothing is."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def publish_folder(mine: Path, place: Path, aside: Path, is_whole: Callable[[Path], bool], force: bool = False) -> bool:
    """Makes the folder `mine` the folder `place`, all at once, unless a whole one stands there.

    Args:
        mine: on the same file system as `place`.
        aside: a path that does not exist yet, with the same parent folder as others of the kind: what gives way is
            moved to names that begin so.
        is_whole: whether what stands at a path is to be kept; what is not gives way.
        force: a whole one gives way too.

    Returns:
        whether `mine` stands there now. If not it is where it was, and a whole one of another process stands there.

    Raises:
        OutputError: the file system does not let us.
    """
    moving = mine
    for _ in range(_TRIES):
        forced = force and moving is mine
        try:
            os.rename(moving, place)
            return moving is mine
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                with output_errors(place):
                    raise
        if not forced and is_whole(place):
            if moving is not mine:
                shutil.rmtree(moving, ignore_errors=True)
            return False
        old = aside.with_name(f"{aside.name}{secrets.token_hex(4)}")
        with output_errors(place):
            try:
                os.rename(place, old)
            except FileNotFoundError:
                continue
        if moving is mine and not forced and is_whole(old):
            moving = old  # it was published between the look and the move: back with it
        else:
            shutil.rmtree(old, ignore_errors=True)
    with output_errors(place):
        raise OSError(errno.EBUSY, "other processes keep writing it")
    raise AssertionError("unreachable")
