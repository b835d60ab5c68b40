"""CSV lists of image pairs: tables and numbers checked, image names kept inside the data set's folder."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np

from bench3d.errors import DataError

HINT = "Get the list again."


@dataclass(frozen=True)
class Row:
    """One row of a list: the cells by column, and where it stands (line counts from 1, the header's line)."""

    path: Path
    line: int
    cells: dict[str, str]

    def refuse(self, column: str, what: str) -> NoReturn:
        """Raises DataError with file, line and column."""
        raise DataError(f"{self.path}: line {self.line}: field {column} {what}.", HINT)

    def number(self, column: str) -> float:
        """A finite number."""
        return float(self.numbers(column, 1)[0])

    def numbers(self, column: str, count: int | None = None) -> np.ndarray:
        """(N,) float64 finite numbers that stand in one cell, separated by ";"; `count` of them where it is given."""
        words = self.cells[column].split(";")
        try:
            values = np.array([float(word) for word in words if word.strip()], dtype=np.float64)
        except ValueError:
            self.refuse(column, f"holds {self.cells[column][:60]!r}, not numbers")
        if not len(values) or not np.isfinite(values).all():
            self.refuse(column, "holds no numbers" if not len(values) else "holds a number that is not finite")
        if count is not None and len(values) != count:
            self.refuse(column, f"holds {len(values)} numbers instead of {count}")
        return values

    def image(self, column: str, prefix: str) -> PurePosixPath:
        """A relative path without `prefix`, the folder that it is written from; absolute paths and ".." are refused."""
        text = self.cells[column].strip().replace("\\", "/")
        path = PurePosixPath(text)
        outside = path.is_absolute() or ".." in path.parts or ":" in text or "\0" in text
        if outside or not path.name:
            self.refuse(column, f"is {text[:80]!r}, no path inside the data set")
        return path.relative_to(prefix) if path.parts[0] == prefix and len(path.parts) > 1 else path


def read_rows(path: Path, columns: tuple[str, ...]) -> list[Row]:
    """The rows of a CSV file whose header holds `columns` (other columns are kept too); blank lines are skipped.

    Raises:
        DataError: the file is missing or broken, lacks a column or is empty, or a row has too few or too many cells.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"The list {path} is missing.", "Complete the data set, or name the list in the settings."
        ) from (None)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list {path} cannot be read ({error}).", HINT) from error
    reader = csv.reader(text.splitlines())
    try:
        header = [name.strip() for name in next(reader, [])]
        lacking = [name for name in columns if name not in header]
        if lacking:
            raise DataError(f"The list {path} has no column {lacking[0]}.", HINT)
        rows = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                message = f"{path}: line {reader.line_num} has {len(cells)} cells instead of {len(header)}."
                raise DataError(message, HINT)
            rows.append(Row(path, reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise DataError(f"The list {path} cannot be read ({error}).", HINT) from error
    if not rows:
        raise DataError(f"The list {path} is empty.", HINT)
    return rows
