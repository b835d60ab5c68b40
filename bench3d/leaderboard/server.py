"""A site on this machine's own address: for looking at it before it is published. Not for the open network.

Only files inside the folder are given out, each with headers under which a page can load nothing from elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from bench3d.errors import OutputError
from bench3d.leaderboard.page.templates import POLICY

ADDRESS = "127.0.0.1"
_POLICY = f"{POLICY.replace(' file:', '')}; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".tex": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
}
_BLOCK = 1 << 16
_Stamp = tuple[int, int, int]


class SiteServer(ThreadingHTTPServer):
    """Gives out the files of one folder on 127.0.0.1, looked up anew at every request.

    Args:
        folder: the site. It may be replaced while the server runs.
        port: 0 takes a free one.

    Raises:
        OutputError: the port is taken or not allowed.
    """

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # there it would take over a port that another program listens on

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = Path(os.path.abspath(folder))
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise OutputError(f"Port {port} of {ADDRESS} cannot be used: {why}.", "Take another --port.") from error

    @property
    def url(self) -> str:
        """Where the site is."""
        return f"http://{ADDRESS}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up in the middle is no error."""


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[SiteServer]:
    """A server that answers in a thread of its own until the block ends. OutputError as `SiteServer`."""
    with SiteServer(folder, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def site_file(root: Path, target: str) -> Path | None:
    """The file that the target of a request means, None where there is none to give out.

    Nothing outside `root` is, nor anything whose name begins with a dot; a folder means its index.html and is never
    listed; links are followed and have to end inside.
    """
    try:
        parts = unquote(urlsplit(target).path, errors="strict").split("/")
    except (UnicodeDecodeError, ValueError):
        return None
    names = [part for part in parts if part]
    if any(name.startswith(".") or "\\" in name or ":" in name or "\0" in name for name in names):
        return None
    try:
        base = root.resolve(strict=True)
        found = base.joinpath(*names)
        if found.is_dir():
            if parts[-1]:
                return None  # without the slash at its end the links of its index would lead elsewhere
            found = found / "index.html"
        found = found.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return found if found.is_relative_to(base) and found.is_file() else None


class _Handler(BaseHTTPRequestHandler):
    server: SiteServer
    server_version = "bench3d"
    sys_version = ""
    timeout = 30
    _begun = False

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        if not self._asked_here():
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        found = site_file(self.server.folder, self.path)
        try:
            if found is None:
                raise FileNotFoundError
            with open(found, "rb") as handle:
                self._file(handle, found.suffix, body)
        except OSError:  # there is none, it was replaced since it was found, or the browser has gone
            if not self._begun:
                self.send_error(HTTPStatus.NOT_FOUND)

    def _file(self, handle: BinaryIO, suffix: str, body: bool) -> None:
        self._begun = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(os.fstat(handle.fileno()).st_size))
        self.end_headers()
        while body and (block := handle.read(_BLOCK)):
            self.wfile.write(block)

    def _asked_here(self) -> bool:
        """Whether the browser means this address: a name of a stranger that leads here (DNS rebinding) does not."""
        port = self.server.server_address[1]
        return self.headers.get("Host") in (f"{ADDRESS}:{port}", f"localhost:{port}")

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: what a request holds would reach the terminal."""


def stamps(folders: Sequence[Path]) -> dict[str, _Stamp]:
    """What tells whether the records under folders have changed: time, size and number of every file beside one.

    Folders and files that vanish meanwhile are left out.
    """
    found: dict[str, _Stamp] = {}
    for folder in folders:
        for place, inner, files in os.walk(folder):
            inner[:] = [name for name in inner if not name.startswith(".")]
            if "record.json" not in files:
                continue
            inner.clear()
            for name in files:
                path = os.path.join(place, name)
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found
