"""Small copies of the pictures of runs: decoded with a limit and encoded anew, never copied as they are."""

from __future__ import annotations

import io
import itertools
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench3d.contracts import Progress
from bench3d.files import output_errors
from bench3d.leaderboard.board import Board, Row

SIDE = 560
"""Pixels of the longer side of a small copy."""
PER_RUN = 6
MOST = 240
"""Of a site: decoding one takes longer than a whole page."""
MOST_PIXELS = 25_000_000
MOST_BYTES = 30_000_000
FORMATS = ("PNG", "JPEG", "WEBP")
QUALITY = 68


@dataclass(frozen=True)
class Picture:
    """A small copy in `runs/`: its file, its size in pixels, what it is called."""

    file: str
    width: int
    height: int
    words: str


def thumbnails(board: Board, folder: Path, most_bytes: int, progress: Progress) -> dict[str, list[Picture]]:
    """Writes small copies into `folder` until they take `most_bytes`: the first of every run, then the second...

    Args:
        folder: exists.

    Returns:
        row id -> pictures, in the order of the record.
    """
    found: dict[str, list[Picture]] = {}
    rows = [row for table in board.tables for row in table.rows if row.entry.record.pictures]
    chosen = list(itertools.islice(_in_turn(rows), MOST))
    progress.start("pictures", len(chosen))
    left = most_bytes
    for row, name in chosen:
        progress.advance()
        made = small_copy(row.entry.path.parent, name)
        if made is None:
            continue
        content, size = made
        if len(content) > left:
            break
        left -= len(content)
        mine = found.setdefault(row.id, [])
        file = f"{row.id}-{len(mine) + 1}.webp"
        with output_errors(folder / file):
            (folder / file).write_bytes(content)
        mine.append(Picture(file, *size, words_of(name)))
    progress.finish()
    return found


def small_copy(run: Path, name: str) -> tuple[bytes, tuple[int, int]] | None:
    """A picture of a run as WebP of at most `SIDE` pixels, and its (W, H).

    None where it is no PNG, JPEG or WebP file inside the run's own folder, too large, or broken.
    """
    from PIL import Image, UnidentifiedImageError

    path = _inside(run, name)
    if path is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    return None
                opened.draft("RGB", (SIDE, SIDE))
                plain = opened.convert("RGB")
            plain.thumbnail((SIDE, SIDE))
            kept = Image.new("RGB", plain.size)  # nothing but pixels: no metadata of the file goes on
            kept.paste(plain)
            buffer = io.BytesIO()
            kept.save(buffer, "WEBP", quality=QUALITY, method=2)
    except (OSError, ValueError, SyntaxError, MemoryError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return buffer.getvalue(), kept.size


def words_of(name: str) -> str:
    """The name of a picture's file as words: "pictures/car-003_pose.png" is "car 003 pose"."""
    stem = name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[\s_-]+", " ", stem).strip()[:80] or "picture"


def _in_turn(rows: list[Row]) -> Iterator[tuple[Row, str]]:
    for turn in range(PER_RUN):
        for row in rows:
            names = row.entry.record.pictures
            if turn < len(names):
                yield row, names[turn]


def _inside(run: Path, name: str) -> Path | None:
    """The file, if it is a plain one under the run's folder however links lead, and not huge."""
    try:
        root, path = run.resolve(), (run / name).resolve()
        if not path.is_relative_to(root) or not path.is_file() or path.stat().st_size > MOST_BYTES:
            return None
    except (OSError, ValueError, RuntimeError):  # a null byte, a name too long, a loop of links
        return None
    return path
