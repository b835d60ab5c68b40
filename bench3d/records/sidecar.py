"""The sidecar of a record, `samples.jsonl` or `samples.jsonl.gz`: read as a stream, with bounds, as strangers write it.

JSON alone, one object a line. What JSON readers disagree about is refused: NaN, numbers past the largest one, a key
that stands twice, bytes that are no UTF-8. The digest is that of the uncompressed content: compressing keeps it.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from bench3d.errors import DataError

SAMPLES, PACKED = "samples.jsonl", "samples.jsonl.gz"
MAX_LINE_BYTES = 32 << 20
_BLOCK = 1 << 20
_KEY = re.compile(rb'"\s*:')


def sidecar_of(folder: Path) -> Path | None:
    """The sidecar in a record's folder, None where there is none. It may be a link, or broken: reading it says so."""
    for name in (SAMPLES, PACKED):
        path = folder / name
        if path.exists() or path.is_symlink():
            return path
    return None


class SampleStream:
    """The samples of a sidecar, one after the other; once through.

    Attributes:
        lines, bytes: what was read so far, bytes uncompressed.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        links: bool = True,
        keys_once: bool = True,
    ) -> None:
        self.path = path
        self.lines = 0
        self.bytes = 0
        self._max_bytes = max_bytes
        self._max_line_bytes = max_line_bytes
        self._links = links
        self._keys_once = keys_once
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of the uncompressed content that was read so far: of all of it after the last sample."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _, sample in self.raw():
            yield sample

    def raw(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Every line as it stands, and what it says. Raises as `iter_samples`."""
        for line in self._split():
            self.lines += 1
            yield line, _parsed(line, self, self._keys_once)

    def _split(self) -> Iterator[bytes]:
        pieces: list[bytes] = []  # of a line that is not at its end yet: joined once, however many blocks it takes
        for block in self.blocks():
            first, *others = block.split(b"\n")
            pieces.append(first)
            if others:
                yield b"".join(pieces)
                yield from others[:-1]
                pieces = others[-1:]
            if sum(map(len, pieces)) > self._max_line_bytes:
                raise DataError(f"{self.path}, line {self.lines + 1} has over {self._max_line_bytes} bytes.")
        if any(pieces):
            yield b"".join(pieces)

    def blocks(self) -> Iterator[bytes]:
        """The content as it is, uncompressed, in place of iterating. Raises as `iter_samples`."""
        with _opened(self.path, self._links) as file:
            packed = self.path.suffix == ".gz"
            if self._max_bytes is not None and not packed and os.fstat(file.fileno()).st_size > self._max_bytes:
                raise _too_large(self.path, self._max_bytes)
            source: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
            while True:
                try:
                    block = source.read(_BLOCK)
                except (OSError, EOFError, zlib.error) as error:
                    raise DataError(f"{self.path} cannot be read after line {self.lines}: {error}.") from error
                if not block:
                    return
                self.bytes += len(block)
                if self._max_bytes is not None and self.bytes > self._max_bytes:
                    raise _too_large(self.path, self._max_bytes)
                self._digest.update(block)
                yield block


def iter_samples(
    path: Path,
    *,
    max_bytes: int | None,
    max_line_bytes: int = MAX_LINE_BYTES,
    links: bool = True,
    keys_once: bool = True,
) -> SampleStream:
    """Streams a sidecar; iterate over the result, which then knows `sha256`, `lines` and `bytes`.

    Args:
        max_bytes: of the uncompressed content (and of the file): reading stops there, so that neither a huge file nor
            one that only unpacks to a huge one costs time or memory. None reads whatever is there.
        max_line_bytes: of one line.
        links: whether a symbolic link is followed; for what strangers send it is not.
        keys_once: refuse a line in which a key stands twice, which takes as long as all the rest. Without it the last
            one counts.

    Raises:
        DataError: while iterating: missing, no regular file, a link, too large, cut, or a line that is no JSON object
            with an `id`; names file and line.
    """
    return SampleStream(path, max_bytes=max_bytes, max_line_bytes=max_line_bytes, links=links, keys_once=keys_once)


def read_samples(path: Path, max_bytes: int | None = None) -> list[dict[str, Any]]:
    """Every sample of a sidecar, gzip or not.

    Raises:
        DataError: as `iter_samples`.
    """
    return list(iter_samples(path, max_bytes=max_bytes))


def _too_large(path: Path, bound: int) -> DataError:
    return DataError(f"{path} holds more than {bound / 1e6:.0f} MB.", "Evaluate fewer samples, or ask the maintainers.")


@contextlib.contextmanager
def _opened(path: Path, links: bool) -> Iterator[IO[bytes]]:
    """A regular file, opened without waiting (a pipe would), following links only where allowed."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if not links and path.is_symlink():
            raise DataError(f"{path} is a symbolic link.", "Put the file itself there.")
        descriptor = os.open(path, flags if links else flags | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DataError(f"{path} is a symbolic link.", "Put the file itself there.") from error
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DataError(f"{path} is no regular file.", "Put the file itself there.")
        yield file


def _parsed(line: bytes, stream: SampleStream, keys_once: bool) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
        if keys_once and isinstance(value, dict) and _keys(value) != len(_KEY.findall(line)):
            json.loads(line, object_pairs_hook=_object)  # which finds the key, or that a text looks like one
    except (ValueError, RecursionError) as error:
        raise DataError(f"{stream.path}, line {stream.lines} is no JSON: {error}.") from error
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise DataError(f"{stream.path}, line {stream.lines}, field id: missing.")
    return value


def _keys(value: dict[str, Any]) -> int:
    """Keys of an object and of the objects in it; those inside lists are left to the slow way."""
    return len(value) + sum(_keys(member) for member in value.values() if isinstance(member, dict))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)[:80]!r} stands twice")
    return found
