"""What one round of planning looks up once: fingerprints of data, digests of weights, whether a fit stands.

Outside of a session nothing is kept, so that a long-lived process sees files that change.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from bench3d.errors import DataError

T = TypeVar("T")
_KNOWN: ContextVar[dict[Hashable, Any] | None] = ContextVar("planning_session", default=None)


@contextmanager
def planning_session() -> Iterator[None]:
    """Plans made inside take every file as it was when the first of them looked at it.

    A session inside another joins it.
    """
    if _KNOWN.get() is not None:
        yield
        return
    token = _KNOWN.set({})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def once(key: Hashable, look: Callable[[], T]) -> T:
    """`look()`, or what it gave (or the DataError that it raised) under this key earlier in the planning session."""
    known = _KNOWN.get()
    if known is None:
        return look()
    if key not in known:
        try:
            known[key] = (look(), None)
        except DataError as error:
            known[key] = (None, error)
    value, failure = known[key]
    if failure is not None:
        raise failure.with_traceback(None)
    return cast(T, value)
