"""Pickles of data sets, read as data: nothing in them is ever called, so nothing in them can run.

A pickle is a program for a small stack machine. This one knows the opcodes that numbers, texts, containers and arrays
need, and no others; the few names that NumPy's own pickles hold (`ALLOWED`) are answered by functions of this module
that build plain values, never by what the names mean in Python. Everything else is refused by its name. Large arrays
stay in the file: `PickledArray` reads the rows that are asked for.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench3d.errors import DataError

INLINE = 1 << 16
"""Byte strings of at most so many bytes are read at once; longer ones stay in the file until they are asked for."""
LARGEST_NUMBER = 64
"""Bytes of an integer; no data set needs more, and reading a long one takes quadratic time."""
DTYPE = re.compile(r"[<>|=]?([biu?f][1248]?|b1|[US]\d{1,4})")
_MARK = object()


class _Refused(Exception):
    """What is wrong with the file, in a sentence without its name."""


@dataclass(frozen=True)
class _Stretch:
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
    where: _Stretch | bytes

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


def load_pickle(path: Path) -> Any:
    """What a pickle holds: None, bool, int, float, str, bytes, list, tuple, dict, and `PickledArray` for every array.

    Raises:
        DataError: the file is missing, cut short, or holds anything else; says what.
    """
    with _mapped(path) as data:
        try:
            return _Machine(path, data).run()
        except _Refused as error:
            raise DataError(f"{path} is refused: {error}.", "Take the file from its publisher; it runs no code.") from None
        except (IndexError, KeyError, ValueError, TypeError, struct.error, OverflowError, UnicodeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise DataError(f"{path} is no whole pickle ({what}).", "Get the file again.") from error


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except FileNotFoundError:
        raise DataError(f"The file {path} is missing.", "Complete the data set.") from None
    except ValueError as error:  # an empty file cannot be mapped
        raise DataError(f"{path} is empty.", "Get the file again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).", "Get the file again.") from error


@dataclass(frozen=True)
class _Name:
    """A name out of `ALLOWED`."""

    means: Literal["array", "frombuffer", "scalar", "dtype", "ndarray", "encode"]


ALLOWED: dict[tuple[str, str], _Name] = {
    **{(f"{core}.multiarray", "_reconstruct"): _Name("array") for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.multiarray", "scalar"): _Name("scalar") for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.numeric", "_frombuffer"): _Name("frombuffer") for core in ("numpy.core", "numpy._core")},
    ("numpy", "ndarray"): _Name("ndarray"),
    ("numpy", "dtype"): _Name("dtype"),
    ("_codecs", "encode"): _Name("encode"),
}
"""The names that a pickle may hold: what NumPy writes for arrays, scalars and their types."""


class _Type:
    """A NumPy type under construction: code such as "u1", then its byte order."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not DTYPE.fullmatch(code):
            raise _Refused(f"it holds an array of the type {str(code)[:40]!r}")
        self.code, self.order = code.lstrip("<>|="), code[0] if code[0] in "<>" else "="

    def set_state(self, state: Any) -> None:
        """The order is the second of NumPy's eight values; further ones describe structured types, which are refused."""
        _, order, *rest = state
        if order not in ("<", ">", "|", "=") or any(value is not None for value in rest[:3]):
            raise _Refused("it holds an array of a structured type")
        self.order = order

    @property
    def dtype(self) -> np.dtype:
        """The type."""
        return np.dtype(("" if self.order == "|" else self.order) + self.code)


class _Pending:
    """An array whose shape and bytes come later."""

    def __init__(self) -> None:
        self.array: PickledArray | None = None


class _Machine:
    """The stack machine. Positions are bytes of the file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.at = path, data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value that is left when the program stops."""
        while True:
            code = self.take(1)[0]
            if code == ord("."):
                return _plain(self.stack.pop())
            action = _ACTIONS.get(code)
            if action is None:
                raise _Refused(f"it holds the pickle opcode 0x{code:02x}, which data do not need")
            action(self)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or self.at + count > len(self.data):
            raise _Refused("it is cut short")
        found = self.data[self.at : self.at + count]
        self.at += count
        return found

    def number(self, layout: str) -> Any:
        """One packed number."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        """Text up to the end of the line."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise _Refused("it is cut short")
        return self.take(end + 1 - self.at)[:-1].decode("utf-8")

    def blob(self, count: int) -> bytes | _Stretch:
        """A byte string; a long one is passed over."""
        if count <= INLINE:
            return self.take(count)
        if self.at + count > len(self.data):
            raise _Refused("it is cut short")
        found = _Stretch(self.at, count)
        self.at += count
        return found

    def push(self, value: Any) -> None:
        """Onto the stack."""
        self.stack.append(value)

    def marked(self) -> list[Any]:
        """Everything above the last mark, which goes too."""
        at = len(self.stack) - 1 - next(n for n, value in enumerate(reversed(self.stack)) if value is _MARK)
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def several(self, count: int) -> tuple[Any, ...]:
        """The top of the stack."""
        found = tuple(self.stack[len(self.stack) - count :])
        if len(found) != count or any(value is _MARK for value in found):
            raise _Refused("its stack runs empty")
        del self.stack[len(self.stack) - count :]
        return found

    def remember(self, index: int) -> None:
        """The top of the stack, for later."""
        self.memo[index] = self.stack[-1]

    def name(self, module: Any, name: Any) -> None:
        """A name, if it is allowed."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise _Refused("it holds a name that is no text")
        known = ALLOWED.get((module, name))
        if known is None:
            raise _Refused(f"it asks for {module[:60]}.{name[:60]}, which is no part of an array")
        self.push(known)

    def reduce(self) -> None:
        """Builds what a name and its arguments stand for."""
        name, arguments = self.several(2)
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise _Refused("it calls something")
        self.push(_BUILDERS[name.means](self, *arguments))

    def set_state(self) -> None:
        """Completes an array or a type."""
        target, state = self.several(2)
        if isinstance(target, _Type) and isinstance(state, tuple):
            target.set_state(state)
        elif isinstance(target, _Pending) and target.array is None and isinstance(state, tuple) and len(state) == 5:
            _, shape, kind, fortran, raw = state
            target.array = self.array(shape, kind, bool(fortran), raw)
        else:
            raise _Refused("it changes the state of something that is no array")
        self.push(target)

    def array(self, shape: Any, kind: Any, fortran: bool, raw: Any) -> PickledArray:
        """An array of checked size."""
        if not isinstance(kind, _Type):
            raise _Refused("it holds an array without a type")
        if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 1 << 40 for n in shape):
            raise _Refused("it holds an array without a shape")
        if isinstance(raw, str):  # of Python 2
            raw = raw.encode("latin1")
        if not isinstance(raw, (bytes, _Stretch)):
            raise _Refused("it holds an array of Python objects")
        length = raw.length if isinstance(raw, _Stretch) else len(raw)
        count = 1
        for n in shape:
            count *= n
        if count * kind.dtype.itemsize != length:
            raise _Refused(f"an array of {shape} {kind.dtype} has {length} bytes")
        return PickledArray(self.path, shape, kind.dtype, fortran, raw)


def _frombuffer(machine: _Machine, raw: Any, kind: Any, shape: Any, order: Any) -> PickledArray:
    return machine.array(shape, kind, order == "F", raw)


def _scalar(machine: _Machine, kind: Any, raw: Any) -> Any:
    return machine.array((), kind, False, raw).read()[()].item()


def _encode(machine: _Machine, text: Any, encoding: Any) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise _Refused("it encodes a text")
    return text.encode("latin1")


def _type(machine: _Machine, code: Any, align: Any = False, copy: Any = True) -> _Type:
    return _Type(code)


_BUILDERS: dict[str, Callable[..., Any]] = {
    "array": lambda machine, *arguments: _Pending(),
    "frombuffer": _frombuffer,
    "scalar": _scalar,
    "dtype": _type,
    "encode": _encode,
}


def _plain(value: Any, depth: int = 0, seen: dict[int, Any] | None = None) -> Any:
    """The value with every array finished; what is no value of a data set is refused."""
    seen = {} if seen is None else seen
    if isinstance(value, _Pending):
        if value.array is None:
            raise _Refused("it holds an array without a shape")
        return value.array
    if isinstance(value, (PickledArray, bool, int, float, str, bytes)) or value is None:
        return value
    if isinstance(value, _Stretch) or not isinstance(value, (list, tuple, dict)):
        raise _Refused(f"it holds a {type(value).__name__.lstrip('_')}, which is no value of a data set")
    if depth > 32:
        raise _Refused("its values are nested too deeply")
    if id(value) in seen:  # one value in several places is finished once
        return seen[id(value)]
    found: Any
    if isinstance(value, dict):
        found = {_plain(k): _plain(v, depth + 1, seen) for k, v in value.items()}
    else:
        found = type(value)(_plain(v, depth + 1, seen) for v in value)
    seen[id(value)] = found
    return found


def _integer(machine: _Machine, count: int) -> int:
    if count > LARGEST_NUMBER:
        raise _Refused(f"it holds an integer of {count} bytes")
    return int.from_bytes(machine.take(count), "little", signed=True)


def _text_integer(machine: _Machine) -> int | bool:
    text = machine.line().rstrip("L")
    if len(text) > 2 * LARGEST_NUMBER:
        raise _Refused("it holds an integer of many digits")
    return text == "01" if text in ("00", "01") else int(text)


def _key(value: Any) -> Hashable:
    if not isinstance(value, (str, int, float, bytes, tuple)):
        raise _Refused(f"it holds a dictionary with a {type(value).__name__} as a key")
    return value


def _fill_list(machine: _Machine, items: list[Any]) -> None:
    if not isinstance(machine.stack[-1], list):
        raise _Refused("it appends to something that is no list")
    machine.stack[-1].extend(items)


def _fill_dict(machine: _Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, dict) or len(items) % 2:
        raise _Refused("it sets items of something that is no dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[_key(key)] = value


def _dict_of(items: list[Any]) -> dict[Any, Any]:
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def _text(machine: _Machine, count: int, encoding: str = "utf-8") -> str:
    return machine.take(count).decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")


_ACTIONS: dict[int, Callable[[_Machine], Any]] = {
    0x80: lambda m: m.take(1),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME: what it frames follows in place
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("I"): lambda m: m.push(_text_integer(m)),
    ord("L"): lambda m: m.push(_text_integer(m)),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: lambda m: m.push(_integer(m, m.number("<B"))),
    0x8B: lambda m: m.push(_integer(m, m.number("<I"))),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): lambda m: m.push(m.number(">d")),
    0x8C: lambda m: m.push(_text(m, m.number("<B"))),
    ord("X"): lambda m: m.push(_text(m, m.number("<I"))),
    0x8D: lambda m: m.push(_text(m, m.number("<Q"))),
    ord("U"): lambda m: m.push(_text(m, m.number("<B"), "latin1")),  # texts and bytes of Python 2
    ord("T"): lambda m: m.push(m.blob(m.number("<i"))),
    ord("C"): lambda m: m.push(m.take(m.number("<B"))),
    ord("B"): lambda m: m.push(m.blob(m.number("<I"))),
    0x8E: lambda m: m.push(m.blob(m.number("<Q"))),
    0x96: lambda m: m.push(m.blob(m.number("<Q"))),  # BYTEARRAY8
    ord("("): lambda m: m.push(_MARK),
    ord("0"): lambda m: m.stack.pop(),
    ord("1"): lambda m: m.marked(),
    ord("2"): lambda m: m.push(m.stack[-1]),
    ord("]"): lambda m: m.push([]),
    ord("l"): lambda m: m.push(m.marked()),
    ord("a"): lambda m: _fill_list(m, list(m.several(1))),
    ord("e"): lambda m: _fill_list(m, m.marked()),
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.marked())),
    0x85: lambda m: m.push(m.several(1)),
    0x86: lambda m: m.push(m.several(2)),
    0x87: lambda m: m.push(m.several(3)),
    ord("}"): lambda m: m.push({}),
    ord("d"): lambda m: m.push(_dict_of(m.marked())),
    ord("s"): lambda m: _fill_dict(m, list(m.several(2))),
    ord("u"): lambda m: _fill_dict(m, m.marked()),
    ord("p"): lambda m: m.remember(int(m.line())),
    ord("q"): lambda m: m.remember(m.number("<B")),
    ord("r"): lambda m: m.remember(m.number("<I")),
    0x94: lambda m: m.remember(len(m.memo)),  # MEMOIZE
    ord("g"): lambda m: m.push(m.memo[int(m.line())]),
    ord("h"): lambda m: m.push(m.memo[m.number("<B")]),
    ord("j"): lambda m: m.push(m.memo[m.number("<I")]),
    ord("c"): lambda m: m.name(m.line(), m.line()),
    0x93: lambda m: m.name(*m.several(2)),
    ord("R"): lambda m: m.reduce(),
    ord("b"): lambda m: m.set_state(),
}
