"""`bench3d leaderboard submit`: the files of a submission and the text of its pull request. No network."""

from __future__ import annotations

import getpass
import gzip
import io
import re
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench3d.errors import Bench3DError, DataError, OutputError
from bench3d.files import make_folder, write_bytes, write_json, write_text
from bench3d.leaderboard.safety import plain_text, read_untrusted
from bench3d.leaderboard.submit_text import pull_request
from bench3d.leaderboard.validate import RECORDS, Validation, record_folders, validate
from bench3d.leaderboard.validate_files import MAX_PACKED_BYTES, MAX_UNPACKED_BYTES
from bench3d.records import Record, iter_samples, short, sidecar_of
from bench3d.records.sidecar import PACKED
from bench3d.records.store import RECORD
from bench3d.runner.jobs import file_name

_COMMON_NAMES = {"root", "user", "ubuntu", "runner", "admin", "localhost", "nobody", "docker", "jovyan", "default"}


@dataclass(frozen=True)
class Submission:
    """What was prepared: the folders that were written, the pull request's text, and what to type."""

    folders: tuple[Path, ...]
    title: str
    text: Path
    commands: tuple[str, ...]
    validation: Validation


class Refused(Bench3DError):
    """Records that did not pass; `validation` says why."""

    def __init__(self, validation: Validation) -> None:
        errors = validation.count("error")
        super().__init__(
            f"Nothing was written: validation found {errors} error{'s' if errors > 1 else ''}.",
            "Mend what it names and submit again.",
        )
        self.validation = validation


def submit(paths: Sequence[Path], out: Path, into: Path | None = None) -> Submission:
    """Validates records and writes them as they are committed.

    Args:
        paths: as `validate` takes them.
        out: the leaderboard folder that gets `records/<task>/<label>-<identity>/` and `pull-request.md`.
        into: a clone of the repository: then its `leaderboard` folder is `out`, and the commands run there.

    Raises:
        Refused: an error was found; nothing is written.
        DataError: no record at a path.
        OutputError: the folder cannot be written.
    """
    if into is not None:
        if not (into / ".git").exists():
            raise OutputError(f"{into} is no clone of a repository.", "Clone bench3d there, or leave --into out.")
        out = into / "leaderboard"
    records = out / "records"
    folders = list(dict.fromkeys(folder for path in paths for folder in record_folders(path)))
    if not folders:
        raise DataError(
            "There is no record at the given paths.", "Give a record.json, its folder, or a results folder."
        )
    checked = validate(folders, records)
    if not checked.passed:
        raise Refused(checked)
    read = [(folder, read_untrusted(folder / RECORD)) for folder in folders]
    personal = [f"{RECORD} of {folder.name}: {name}" for folder, record in read for name in personal_names(record)]
    if personal:
        raise DataError(
            f"A record names this machine or its user ({plain_text(personal[0], 120)}).",
            "Records are public: run again under another name of the folder or file.",
        )
    written = tuple(_write(folder, record, records) for folder, record in read)
    size = sum(file.stat().st_size for folder in written for file in folder.iterdir())
    title, text = pull_request([record for _, record in read], checked, size)
    place = out / "pull-request.md"
    write_text(place, text)
    return Submission(written, title, place, _commands(written, title, place, into), checked)


def personal_names(record: Record) -> list[str]:
    """The name of this machine and of its user, where the record holds them as words of their own."""
    found = []
    text = record.model_dump_json(exclude={"identity": {"hash"}, "scores": True, "groups": True, "chance": True})
    for name in {_user(), socket.gethostname().partition(".")[0], Path.home().name}:
        ordinary = len(name) < 4 or name.lower() in _COMMON_NAMES or name.isdigit()
        if not ordinary and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE):
            found.append(name)
    return sorted(found)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name
        return ""


def _write(folder: Path, record: Record, records: Path) -> Path:
    """One record with its sidecar packed, the same bytes for the same run. Pictures stay at home."""
    task = str(record.identity.measurement["task"]["name"])
    place = records / file_name(task) / f"{file_name(record.label)}-{short(record.identity.hash)}"
    new = not place.exists()
    try:
        make_folder(place)
        packed, digest = _packed(folder)
        write_bytes(place / PACKED, packed)
        write_json(place / RECORD, record.model_copy(update={"pictures": [], "samples_sha256": digest}).as_json())
    except BaseException:
        if new:
            shutil.rmtree(place, ignore_errors=True)
        raise
    return place


def _packed(folder: Path) -> tuple[bytes, str]:
    """The sidecar as gzip without a time or a name in it, and the digest of its content."""
    sidecar = sidecar_of(folder)
    assert sidecar is not None, "validation found one"
    stream = iter_samples(sidecar, max_bytes=MAX_UNPACKED_BYTES)
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as packing:
        for block in stream.blocks():
            packing.write(block)
    if buffer.tell() > MAX_PACKED_BYTES:
        raise DataError(
            f"{sidecar} has {buffer.tell() / 1e6:.1f} MB packed; {MAX_PACKED_BYTES / 1e6:.0f} MB are taken.",
            "Evaluate fewer samples, or ask the maintainers.",
        )
    return buffer.getvalue(), stream.sha256


def _commands(written: Sequence[Path], title: str, text: Path, into: Path | None) -> tuple[str, ...]:
    """What to type in the clone. Every word in it is quoted."""
    from shlex import quote

    branch = "leaderboard-" + short(written[0].name.rpartition("-")[2])
    start = (
        [f"cp -r {quote(str(written[0].parents[1]))} CLONE/leaderboard/", "cd CLONE"]
        if into is None
        else [f"cd {quote(str(into))}"]
    )
    names = [Path(*RECORDS.parts, *folder.parts[-2:]) for folder in written]
    return (
        *start,
        f"git switch -c {quote(branch)}",
        "git add " + " ".join(quote(str(name)) for name in names),
        f"git commit -m {quote(title)}",
        f"git push -u origin {quote(branch)}",
        f"gh pr create --title {quote(title)} --body-file {quote(str(text.absolute()))}",
    )
