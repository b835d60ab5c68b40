"""Arrays in pickles: their numbers stay in the file until they are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.data.pickle_opcodes import Refused
from bench3d.errors import DataError

DTYPE = re.compile(r"[<>|=]?([biu?f][1248]?|b1|[US]\d{1,4})")


@dataclass(frozen=True)
class Stretch:
    """Bytes of the file that were not read."""

    start: int
    length: int


@dataclass(frozen=True, eq=False)
class PickledArray:
    """An array in a pickle; its numbers are read from the file each time.

    Attributes:
        path: the file.
        shape, dtype: of the array.
        fortran: whether the first axis runs fastest.
        where: position in the file, or the bytes themselves.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    where: Stretch | bytes

    def read(self) -> np.ndarray:
        """The whole array, a copy.

        Raises:
            DataError: the file has gone or has changed.
        """
        flat = np.frombuffer(self._bytes(0, int(np.prod(self.shape, dtype=np.int64))), dtype=self.dtype)
        return flat.reshape(self.shape, order="F" if self.fortran else "C").copy()

    def row(self, index: int) -> np.ndarray:
        """One entry of the first axis; only its bytes are read. See `read`."""
        if self.fortran:
            return self.read()[index]
        if not 0 <= index < self.shape[0]:
            raise IndexError(index)
        count = int(np.prod(self.shape[1:], dtype=np.int64))
        return np.frombuffer(self._bytes(index * count, count), dtype=self.dtype).reshape(self.shape[1:]).copy()

    def _bytes(self, first: int, count: int) -> bytes:
        start, length = first * self.dtype.itemsize, count * self.dtype.itemsize
        if isinstance(self.where, bytes):
            return self.where[start : start + length]
        try:
            with open(self.path, "rb") as file:
                file.seek(self.where.start + start)
                found = file.read(length)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror or error}).", "Get it again.") from error
        if len(found) != length:
            raise DataError(f"{self.path} has become shorter while it was read.", "Get the file again.")
        return found


class TypeOfArray:
    """A NumPy type under construction: code such as "u1", then its byte order."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not DTYPE.fullmatch(code):
            raise Refused(f"it holds an array of the type {str(code)[:40]!r}")
        self.code, self.order = code.lstrip("<>|="), code[0] if code[0] in "<>" else "="

    def set_state(self, state: Any) -> None:
        """The order is the second of NumPy's eight values; later ones tell of structured types, which are refused."""
        _, order, *rest = state
        if order not in ("<", ">", "|", "=") or any(value is not None for value in rest[:3]):
            raise Refused("it holds an array of a structured type")
        self.order = order

    @property
    def dtype(self) -> np.dtype:
        """The type."""
        return np.dtype(("" if self.order == "|" else self.order) + self.code)
