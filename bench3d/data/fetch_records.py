"""What was fetched: one record an address under `<data root>/.downloads`, all of them together in `downloads.json`.

Each record is a file of its own, so that two processes cannot lose one another's; `downloads.json` is written from them
for people to read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bench3d.data.fetch_parts import address_key
from bench3d.errors import DataError
from bench3d.files import make_folder, write_json

WORK = ".downloads"
SUMMARY = "downloads.json"


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched.

    Attributes:
        published: whether `sha256` is the owner's; else it is that of the first download.
        fetched: when (ISO, UTC).
        paths: what it became, under the data root; empty until it is unpacked.
    """

    url: str
    bytes: int
    sha256: str
    published: bool
    fetched: str
    paths: tuple[str, ...] = ()


class Records:
    """The records of a data root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / WORK

    def get(self, url: str) -> Fetched | None:
        """The record of an address, None where there is none.

        Raises:
            DataError: it is broken.
        """
        return self._read(self._path(url))

    def done(self, url: str) -> bool:
        """Whether the file was fetched and what it became still stands there."""
        record = self.get(url)
        return record is not None and bool(record.paths) and all((self.root / p).exists() for p in record.paths)

    def put(self, record: Fetched) -> None:
        """Writes a record, and the summary."""
        make_folder(self.folder)
        write_json(self._path(record.url), asdict(record))
        found = (self._read(path) for path in sorted(self.folder.glob("*.record.json")))
        summary = {r.url: {k: v for k, v in asdict(r).items() if k != "url"} for r in found if r is not None}
        write_json(self.root / SUMMARY, summary)

    def forget(self, url: str) -> None:
        """Removes a record."""
        self._path(url).unlink(missing_ok=True)

    def _path(self, url: str) -> Path:
        return self.folder / f"{address_key(url)}.record.json"

    def _read(self, path: Path) -> Fetched | None:
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return Fetched(**{**values, "paths": tuple(str(p) for p in values["paths"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{path} is no readable record of a download ({error}).", "Delete it; the file is then fetched again."
            ) from error
