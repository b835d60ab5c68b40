"""Texts of strangers: what may reach a terminal, a page, a spreadsheet or LaTeX, and what a record may not hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench3d.errors import Bench3DError, DataError
from bench3d.records import Record, read_record

MAX_TEXT = 2000
_LONG = re.compile(rb'"[^"]{%d}' % MAX_TEXT)
MAX_NAME = 200
MAX_RECORD_BYTES = 2_000_000
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|[\x1b\x9b\x9d][\]P^_X][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]"
)
"""Terminal control sequences (ECMA-48): CSI, strings such as OSC with their end, and two-byte ones."""
_STACKED = 4
"""Combining marks on one letter: no script needs more, and towers of them cover the lines above."""
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"  # with the full-width forms, which spreadsheets take too
_TAG = re.compile(r"<[A-Za-z/!?]")
_LINK = re.compile(r"!?\[[^\]]*\]\(|(?i:\b(?:javascript|data|vbscript):)")
_LATEX = re.compile(r"\\[A-Za-z@]+|\^\^")
_PATH = re.compile(r"""(?:(?<=[\s'"=(,:;\[])|^)(?:~[\w.-]*[/\\]|[A-Za-z]:[\\/]|\\\\\w|file://|/[\w.-]+/)""")
_PERSON = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
_NAMES = ("label", "headline", "metric", "category", "by", "bin", "name", "component", "unit")
"""Fields that become names of files, columns or anchors."""


def plain_text(text: str, limit: int = MAX_TEXT) -> str:
    """A text without what acts on the one who shows it: one line of printable characters.

    Terminal escapes, control characters, bidirectional overrides, zero-width and private-use characters and lone
    surrogates are removed, line ends and tabs become spaces, towers of combining marks and the text itself are cut. It
    may still hold HTML, LaTeX, Markdown or a formula: what writes those escapes it there.
    """
    if not text.isprintable():
        text = "".join(_plain(c) for c in _ESCAPES.sub("", text[: 8 * limit]))
    if not text.isascii():
        text = "".join(_without_towers(text[: 8 * limit]))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_record(record: Record) -> Record:
    """The record with every text (and every key of its free-form parts) made plain; the same object where all were.

    Raises:
        DataError: the measurement holds a text that is not plain (changing it would change the identity), or two keys
            of one object become the same.
    """
    values = record.as_json()
    measurement = values["identity"]["measurement"]
    if _cleaned(measurement) != measurement:
        raise DataError(
            "field identity.measurement: a text holds control or invisible characters, or is too long.",
            "Its identity cannot be kept: run it again under plain names.",
        )
    cleaned = _cleaned(values)
    return record if cleaned == values else Record.model_validate(cleaned)


def read_untrusted(path: Path, max_bytes: int = MAX_RECORD_BYTES, plain: bool = True) -> Record:
    """A record that anyone may have written: a regular file of a bounded size, validated, its texts made plain.

    With `plain=False` the texts stay as they are, for one who judges them.

    Raises:
        DataError: with file and field; whatever is wrong with it.
    """
    try:
        if path.is_symlink() or not path.is_file():
            raise DataError(f"{path} is no regular file.", "Put the file itself there.")
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if size > max_bytes:
        raise DataError(f"{path} has {size / 1e6:.1f} MB; a record has {max_bytes / 1e6:.0f} at the most.")
    try:
        record = read_record(path)
        return clean_record(record) if plain and not _is_plain(path.read_bytes()) else record
    except RecursionError as error:
        raise DataError(f"{path} is no record: it is nested too deeply.") from error
    except DataError as error:
        if str(path) in error.message:
            raise
        raise DataError(f"{path}, {error.message}", error.hint) from error
    except (Bench3DError, ValueError, TypeError) as error:
        raise DataError(f"{path} is no record: {error}") from error


def _is_plain(text: bytes) -> bool:
    """Whether a JSON text can hold nothing that `plain_text` changes: then thousands of records are read much faster.

    JSON allows no bare control character inside a string, so that only escapes, DEL, what is not ASCII, and length are
    left to look for.
    """
    return text.isascii() and b"\\" not in text and b"\x7f" not in text and _LONG.search(text) is None


def csv_cell(value: object) -> str:
    """A cell of CSV that no spreadsheet takes for a formula: an apostrophe before what begins like one.

    Numbers stay numbers, also negative ones. Quoting of commas and quotes is the CSV writer's work.
    """
    text = "" if value is None else plain_text(str(value))
    return f"'{text}" if _begins_formula(text) else text


def unsafe_strings(record: Record) -> list[tuple[str, str]]:
    """(field, what is wrong with it) of every text that a record should not hold, in the order of its fields."""
    return [(field, why) for field, text in _texts(record.as_json(), "") for why in judged(field, text)]


def judged(field: str, text: str) -> Iterator[str]:
    """What is wrong with one text; a field whose last part is a name (`label`, `metric`) is judged as a file name."""
    name = field.rpartition(".")[2] in _NAMES
    if plain_text(text, len(text) + 1) != text:
        yield "control or invisible characters"
    if len(text) > (MAX_NAME if name else MAX_TEXT):
        yield f"{len(text)} characters"
    if _TAG.search(text):
        yield "an HTML tag"
    if _begins_formula(text):
        yield "begins like a spreadsheet formula"
    if _LATEX.search(text):
        yield "a LaTeX command"
    if _LINK.search(text):
        yield "a Markdown link or a script address"
    if _PERSON.search(text):
        yield "an e-mail address"
    if _PATH.search(text):
        yield "an absolute path"
    if name and (text in (".", "..") or "../" in text or "..\\" in text or text.startswith(("/", "\\"))):
        yield "a path in place of a name"


def _begins_formula(text: str) -> bool:
    begin = text.lstrip()[:1]
    return bool(begin) and begin in _FORMULA + "\t\r" and _NUMBER.fullmatch(text.strip()) is None


def _plain(character: str) -> str:
    if character.isprintable():
        return character
    category = unicodedata.category(character)
    if category in ("Zl", "Zp", "Zs") or character in "\n\r\t\v\f\x85":
        return " "
    return character if category == "Cn" else ""


def _without_towers(text: str) -> Iterator[str]:
    height = 0
    for character in text:
        height = height + 1 if unicodedata.combining(character) else 0
        if height <= _STACKED:
            yield character


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, list):
        return [_cleaned(v) for v in value]
    if isinstance(value, dict):
        found = {plain_text(k): _cleaned(v) for k, v in value.items()}
        if len(found) < len(value):
            raise DataError("two keys of one object differ in invisible characters alone.")
        return found
    return value


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """(field, text) of every string and of every key, depth first."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _texts(member, f"{where}.{number}")
    elif isinstance(value, dict):
        for key, member in value.items():
            inside = f"{where}.{plain_text(key, 60)}" if where else key
            if not key.isidentifier():
                yield f"{inside} (key)", key
            yield from _texts(member, inside)
