"""One file over HTTP: asks for what is missing, goes on after cuts, starts again where the file has changed."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from bench3d import __version__
from bench3d.contracts import Progress
from bench3d.data.fetch_parts import Part, Parts, Remote
from bench3d.data.meter import Meter
from bench3d.errors import DataError
from bench3d.files import output_errors

CHUNK = 1 << 18
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How long a download is tried: `tries` in a row without a byte (`unreached` while no server has answered at all),
    pauses that double up to `longest` seconds.
    """

    tries: int = 8
    unreached: int = 3
    first: float = 1.0
    longest: float = 60.0
    timeout: float = 60.0

    def pause(self, failures: int, asked: float | None = None) -> float:
        """Seconds to wait after so many failures in a row; at least what the server asked for."""
        return min(self.longest, max(asked or 0.0, self.first * 2 ** (failures - 1)))


class Cut(Exception):
    """The connection broke, or the server is busy; worth another try."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Unreached(Cut):
    """No server answered."""


class OutOfRange(Exception):
    """The server has no bytes where the part ends: the part is not of this file."""


def download(
    url: str,
    parts: Parts,
    progress: Progress,
    *,
    expected: int | None = None,
    trusted: bool = False,
    patience: Patience,
) -> Part:
    """The whole file as a part that this process owns.

    Args:
        url: http or https.
        parts: where half a download may lie, and where it is left when this one is broken off.
        progress: gets a stage in bytes.
        expected: published length.
        trusted: the content will be compared with a published SHA-256: then a part may be gone on with although the
            server gives no ETag and no date.
        patience: when to give up.

    Raises:
        DataError: the address does not answer, refuses, or has a file of another length. What came is kept.
        OutputError: disk full, no permission. What came is kept.
    """
    _check_address(url)
    return _Download(url, parts, progress, expected, trusted, patience).run()


class _Download:
    """One file: requests until it is whole. `part` is what this process owns of it."""

    def __init__(
        self, url: str, parts: Parts, progress: Progress, expected: int | None, trusted: bool, patience: Patience
    ) -> None:
        self.url, self.parts, self.progress = url, parts, progress
        self.expected, self.trusted, self.patience = expected, trusted, patience
        self.part = parts.adopt()
        self.reached = False

    def run(self) -> Part:
        """Tries until the file is whole or patience is at its end."""
        failures = 0
        try:
            while self.part is None or not self.part.whole:
                before = self._kept()
                try:
                    self._attempt()
                    break
                except OutOfRange as problem:
                    self._drop()
                    failures = self._wait(problem, failures + 1)
                except Cut as problem:
                    failures = self._wait(problem, 1 if self._kept() > before else failures + 1)
        except BaseException:
            if self.part is not None:
                self.part.release()
            raise
        assert self.part is not None
        return self.part

    def _kept(self) -> int:
        return 0 if self.part is None else self.part.size

    def _drop(self) -> None:
        if self.part is not None:
            self.part.discard()
            self.part = None

    def _wait(self, problem: Exception, failures: int) -> int:
        """Pauses before the next try and gives back `failures`. DataError where there were too many."""
        self.reached = self.reached or not isinstance(problem, Unreached)
        if failures >= (self.patience.tries if self.reached else self.patience.unreached):
            kept = f" {self._kept()} bytes are kept." if self._kept() else ""
            raise DataError(
                f"{self.url} could not be fetched ({problem}).{kept}",
                "Look at the network and run the same command again: it goes on where it stopped.",
            ) from problem
        seconds = self.patience.pause(failures, getattr(problem, "after", None))
        self.progress.say(f"{file_name(self.url)}: {problem}; trying again in {seconds:.0f} s.")
        time.sleep(seconds)
        return failures

    def _attempt(self) -> None:
        """One request: goes on with the part, or begins one."""
        if self.part is not None and not (self.part.remote.validator or self.trusted):
            self._drop()  # nothing would tell whether the rest is of the same file
        start = self._kept()
        validator = None if self.part is None else self.part.remote.validator
        with _ask(self.url, start, validator, self.patience.timeout) as (answer, at, remote):
            if self.expected is not None and remote.total is not None and remote.total != self.expected:
                raise DataError(
                    f"{self.url} has {remote.total} bytes, and {self.expected} were published: it is another file.",
                    "Get the data by hand, look what has changed, and link them with --link.",
                )
            if self.part is not None and not _same(remote, self.part.remote):
                self._drop()
                if at:
                    raise Cut("the file has changed on the server")
            if start and not at:
                self.progress.say(f"{file_name(self.url)}: the server sends the file from its beginning.")
            self.part = self.part or self.parts.create(remote)
            try:
                _fill(self.part, answer, at, Meter(self.progress, file_name(self.url), remote.total))
            finally:
                self.progress.finish()
            if remote.total is not None and self.part.size < remote.total:
                raise Cut(f"the connection was cut at {self.part.size} of {remote.total} bytes")
            if remote.total is not None and self.part.size > remote.total:
                raise OutOfRange(f"the server sent {self.part.size} bytes, and announced {remote.total}")


def _same(new: Remote, old: Remote) -> bool:
    """Whether an answer speaks of the file that was begun."""
    return all(a == b for a, b in ((new.total, old.total), (new.validator, old.validator)) if a and b)


def _fill(part: Part, answer: IO[bytes], at: int, meter: Meter) -> None:
    """Writes what comes behind the first `at` bytes."""
    with output_errors(part.path), open(part.path, "r+b") as handle:
        handle.truncate(at)
        handle.seek(at)
        if at:
            meter.add(at)
        for chunk in _chunks(answer):
            handle.write(chunk)
            meter.add(len(chunk))
            part.beat()


def _chunks(answer: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            chunk = answer.read(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise Cut(f"the connection was cut: {_reason(error)}") from error
        if not chunk:
            return
        yield chunk


@contextmanager
def _ask(url: str, start: int, validator: str | None, timeout: float) -> Iterator[tuple[IO[bytes], int, Remote]]:
    """The answer, the offset of its first byte, and what it says of the file."""
    headers = {"User-Agent": f"bench3d/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    with _opened(urllib.request.Request(url, headers=headers), timeout) as answer:
        at, total = 0, _number(answer.headers.get("Content-Length"))
        if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
            found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
            if found is None or int(found[1]) != start:
                raise OutOfRange("the server sent another range than was asked for")
            at, total = start, _number(found[3])
        yield answer, at, Remote(total, answer.headers.get("ETag"), answer.headers.get("Last-Modified"))


@contextmanager
def _opened(request: urllib.request.Request, timeout: float) -> Iterator[Any]:
    """An answer of status 200 or 206; Cut where another try may help, DataError where it will not."""
    url = request.full_url
    try:
        answer = urllib.request.build_opener(_SafeRedirects).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise OutOfRange("the file on the server is shorter than what was fetched") from error
        if error.code in TRY_AGAIN:
            raise Cut(f"the server answers {error.code} {error.reason}", _retry_after(error)) from error
        raise DataError(
            f"{url} cannot be fetched: the server answers {error.code} {error.reason}.",
            "The owner may have moved it: see the data set's page with `bench3d data describe`.",
        ) from error
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        raise Unreached(_reason(error)) from error
    with answer:
        yield answer


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to an address that anyone on the way could forge."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        allowed = ("https://",) if req.full_url.lower().startswith("https://") else ("http://", "https://")
        if not newurl.lower().startswith(allowed):
            raise DataError(f"{req.full_url} points to {newurl}, which is not safe to follow.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def remote_size(url: str, timeout: float = 10.0) -> int | None:
    """Bytes of a file, as its server says; None where it does not answer or does not say."""
    _check_address(url)
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": f"bench3d/{__version__}"})
    try:
        with _opened(request, timeout) as answer:
            return _number(answer.headers.get("Content-Length"))
    except (Cut, OutOfRange, DataError):
        return None


def _check_address(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url} is no http or https address.", "This is a mistake of the plugin that names it.")


def file_name(url: str) -> str:
    """The last part of an address, for people."""
    return urllib.parse.unquote(url.rstrip("/").rpartition("/")[2])


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdigit() else None


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    seconds = _number(error.headers.get("Retry-After"))
    return None if seconds is None else float(seconds)


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    cause = inner if isinstance(inner, BaseException) else error
    words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return f"{words[:1].lower()}{words[1:]}"
