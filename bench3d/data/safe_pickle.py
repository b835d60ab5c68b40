"""Pickles of data sets, read as data: nothing in them is ever called, so nothing in them can run.

A pickle is a program for a small stack machine. This one knows the opcodes that numbers, texts, containers and arrays
need, and no others; the few names that NumPy's own pickles hold (`ALLOWED`) are answered by functions of this module
that build plain values, never by what the names mean in Python. Everything else is refused by its name. Large arrays
stay in the file: `PickledArray` reads the rows that are asked for.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench3d.data.pickle_opcodes import ACTIONS, MARK, Refused
from bench3d.data.pickled_array import PickledArray, Stretch, TypeOfArray
from bench3d.errors import DataError

__all__ = ["ALLOWED", "PickledArray", "load_pickle"]

INLINE = 1 << 16
"""Byte strings of at most so many bytes are read at once; longer ones stay in the file until they are asked for."""


def load_pickle(path: Path) -> Any:
    """What a pickle holds: None, bool, int, float, str, bytes, list, tuple, dict, and `PickledArray` for every array.

    Raises:
        DataError: the file is missing, cut short, or holds anything else; says what.
    """
    with _mapped(path) as data:
        try:
            return _Machine(path, data).run()
        except Refused as error:
            raise DataError(
                f"{path} is refused: {error}.", "Take the file from its publisher; it runs no code."
            ) from None
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

    means: Literal["array", "frombuffer", "scalar", "dtype", "ndarray", "encode", "empty"]


ALLOWED: dict[tuple[str, str], _Name] = {
    **{(f"{core}.multiarray", "_reconstruct"): _Name("array") for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.multiarray", "scalar"): _Name("scalar") for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.numeric", "_frombuffer"): _Name("frombuffer") for core in ("numpy.core", "numpy._core")},
    ("numpy", "ndarray"): _Name("ndarray"),
    ("numpy", "dtype"): _Name("dtype"),
    ("_codecs", "encode"): _Name("encode"),
    ("__builtin__", "bytes"): _Name("empty"),  # no bytes, in the older protocols
}
"""The names that a pickle may hold: what NumPy writes for arrays, scalars and their types."""


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
            action = ACTIONS.get(code)
            if action is None:
                raise Refused(f"it holds the pickle opcode 0x{code:02x}, which data do not need")
            action(self)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or self.at + count > len(self.data):
            raise Refused("it is cut short")
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
            raise Refused("it is cut short")
        return self.take(end + 1 - self.at)[:-1].decode("utf-8")

    def blob(self, count: int) -> bytes | Stretch:
        """A byte string; a long one is passed over."""
        if count <= INLINE:
            return self.take(count)
        if self.at + count > len(self.data):
            raise Refused("it is cut short")
        found = Stretch(self.at, count)
        self.at += count
        return found

    def push(self, value: Any) -> None:
        """Onto the stack."""
        self.stack.append(value)

    def marked(self) -> list[Any]:
        """Everything above the last mark, which goes too."""
        at = next((n for n in range(len(self.stack) - 1, -1, -1) if self.stack[n] is MARK), None)
        if at is None:
            raise Refused("its stack runs empty")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def several(self, count: int) -> tuple[Any, ...]:
        """The top of the stack."""
        found = tuple(self.stack[len(self.stack) - count :])
        if len(found) != count or any(value is MARK for value in found):
            raise Refused("its stack runs empty")
        del self.stack[len(self.stack) - count :]
        return found

    def remember(self, index: int) -> None:
        """The top of the stack, for later."""
        self.memo[index] = self.stack[-1]

    def name(self, module: Any, name: Any) -> None:
        """A name, if it is allowed."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Refused("it holds a name that is no text")
        known = ALLOWED.get((module, name))
        if known is None:
            raise Refused(f"it asks for {module[:60]}.{name[:60]}, which is no part of an array")
        self.push(known)

    def reduce(self) -> None:
        """Builds what a name and its arguments stand for."""
        name, arguments = self.several(2)
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise Refused("it calls something")
        self.push(_BUILDERS[name.means](self, *arguments))

    def set_state(self) -> None:
        """Completes an array or a type."""
        target, state = self.several(2)
        if isinstance(target, TypeOfArray) and isinstance(state, tuple):
            target.set_state(state)
        elif isinstance(target, _Pending) and target.array is None and isinstance(state, tuple) and len(state) == 5:
            _, shape, kind, fortran, raw = state
            target.array = self.array(shape, kind, bool(fortran), raw)
        else:
            raise Refused("it changes the state of something that is no array")
        self.push(target)

    def array(self, shape: Any, kind: Any, fortran: bool, raw: Any) -> PickledArray:
        """An array of checked size."""
        if not isinstance(kind, TypeOfArray):
            raise Refused("it holds an array without a type")
        if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 1 << 40 for n in shape):
            raise Refused("it holds an array without a shape")
        if isinstance(raw, str):  # of Python 2
            raw = raw.encode("latin1")
        if not isinstance(raw, (bytes, Stretch)):
            raise Refused("it holds an array of Python objects")
        length = raw.length if isinstance(raw, Stretch) else len(raw)
        count = 1
        for n in shape:
            count *= n
        if count * kind.dtype.itemsize != length:
            raise Refused(f"an array of {shape} {kind.dtype} has {length} bytes")
        return PickledArray(self.path, shape, kind.dtype, fortran, raw)


def _frombuffer(machine: _Machine, raw: Any, kind: Any, shape: Any, order: Any) -> PickledArray:
    return machine.array(shape, kind, order == "F", raw)


def _scalar(machine: _Machine, kind: Any, raw: Any) -> Any:
    return machine.array((), kind, False, raw).read()[()].item()


def _encode(machine: _Machine, text: Any, encoding: Any) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise Refused("it encodes a text")
    return text.encode("latin1")


def _type(machine: _Machine, code: Any, align: Any = False, copy: Any = True) -> TypeOfArray:
    return TypeOfArray(code)


_BUILDERS: dict[str, Callable[..., Any]] = {
    "array": lambda machine, *arguments: _Pending(),
    "frombuffer": _frombuffer,
    "scalar": _scalar,
    "dtype": _type,
    "encode": _encode,
    "empty": lambda machine: b"",
}


def _plain(value: Any, depth: int = 0, seen: dict[int, Any] | None = None) -> Any:
    """The value with every array finished; what is no value of a data set is refused."""
    seen = {} if seen is None else seen
    if isinstance(value, _Pending):
        if value.array is None:
            raise Refused("it holds an array without a shape")
        return value.array
    if isinstance(value, (PickledArray, bool, int, float, str, bytes)) or value is None:
        return value
    if isinstance(value, Stretch) or not isinstance(value, (list, tuple, dict)):
        raise Refused(f"it holds a {type(value).__name__.lstrip('_')}, which is no value of a data set")
    if depth > 32:
        raise Refused("its values are nested too deeply")
    if id(value) in seen:  # one value in several places is finished once
        return seen[id(value)]
    found: Any
    if isinstance(value, dict):
        found = {_plain(k): _plain(v, depth + 1, seen) for k, v in value.items()}
    else:
        found = type(value)(_plain(v, depth + 1, seen) for v in value)
    seen[id(value)] = found
    return found
