"""A web server on this machine that behaves as badly as a test wants."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """A file: `cuts` and `statuses` are used up by one request each, then it is served whole."""

    content: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    pause: float = 0.0  # seconds per 16 kB
    location: str | None = None


@dataclass
class FileServer:
    """`files` by path; `log` holds (method, path, Range, If-Range) of every request."""

    url: str
    files: dict[str, Served] = field(default_factory=dict)
    log: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)

    def gets(self) -> list[str | None]:
        """The Range of every GET, in order."""
        return [wanted for method, _, wanted, _ in self.log if method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        state: FileServer = self.server.state  # type: ignore[attr-defined]
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        state.log.append((self.command, self.path, wanted, condition))
        file = state.files.get(self.path)
        if file is None:
            self._answer(404)
        elif file.location:
            self._answer(302, Location=file.location)
        elif file.statuses and self.command == "GET" and (status := file.statuses.pop(0)) != 200:
            self._answer(status)
        else:
            self._file(file, wanted, condition)

    def _file(self, file: Served, wanted: str | None, condition: str | None) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        headers = {"ETag": file.etag} if file.etag else {}
        start = 0
        if found and file.ranges and (condition is None or condition == file.etag):
            start, size = int(found[1]), len(file.content)
            if start >= size:
                self._answer(416)
                return
            headers["Content_Range"] = f"bytes {start}-{size - 1}/{size}"
        self._answer(206 if "Content_Range" in headers else 200, len(file.content) - start, **headers)
        if self.command == "GET":
            self._send(file, file.content[start:])

    def _answer(self, status: int, length: int = 0, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, file: Served, content: bytes) -> None:
        cut = file.cuts.pop(0) if file.cuts else None
        content = content if cut is None else content[:cut]
        try:
            for at in range(0, len(content), 1 << 14):
                self.wfile.write(content[at : at + (1 << 14)])
                time.sleep(file.pause)
        except OSError:  # the client has gone
            self.close_connection = True
        if cut is not None:
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def file_server() -> Iterator[FileServer]:
    """A running server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    state = FileServer(f"http://127.0.0.1:{server.server_address[1]}")
    server.state = state  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
