"""The opcodes of pickles that hold data: what each does to the stack machine of `safe_pickle`. No other is known.

`GLOBAL`, `STACK_GLOBAL`, `REDUCE` and `BUILD` are there because arrays need them; the machine decides what they may
name. `INST`, `OBJ`, `NEWOBJ`, persistent ids, extension codes and out-of-band buffers are not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

LARGEST_NUMBER = 64
"""Bytes of an integer; no data set needs more, and reading a long one takes quadratic time."""
MARK = object()
"""What a mark leaves on the stack."""


class Refused(Exception):
    """What is wrong with a pickle, in a sentence without its name."""


def _integer(machine: Any, count: int) -> int:
    if count > LARGEST_NUMBER:
        raise Refused(f"it holds an integer of {count} bytes")
    return int.from_bytes(machine.take(count), "little", signed=True)


def _text_integer(machine: Any) -> int | bool:
    text = machine.line().rstrip("L")
    if len(text) > 2 * LARGEST_NUMBER:
        raise Refused("it holds an integer of many digits")
    return text == "01" if text in ("00", "01") else int(text)


def _key(value: Any) -> Hashable:
    if not isinstance(value, (str, int, float, bytes, tuple)):
        raise Refused(f"it holds a dictionary with a {type(value).__name__} as a key")
    return value


def _fill_list(machine: Any, items: list[Any]) -> None:
    if not isinstance(machine.stack[-1], list):
        raise Refused("it appends to something that is no list")
    machine.stack[-1].extend(items)


def _fill_dict(machine: Any, items: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, dict) or len(items) % 2:
        raise Refused("it sets items of something that is no dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[_key(key)] = value


def _dict_of(items: list[Any]) -> dict[Any, Any]:
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def _text(machine: Any, count: int, encoding: str = "utf-8") -> str:
    return machine.take(count).decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")


ACTIONS: dict[int, Callable[[Any], Any]] = {
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
    ord("("): lambda m: m.push(MARK),
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
