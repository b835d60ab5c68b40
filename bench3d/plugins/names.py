"""Names: nearest ones to a misspelt one, and "module:attribute" references."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any

from bench3d.errors import PluginError


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names most like `name`, whatever the case; best first, at most `count`."""
    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), candidate)
    wanted = name.casefold()
    close = difflib.get_close_matches(wanted, folded, n=count, cutoff=0.6)
    holds = [k for k in folded if k not in close and len(wanted) >= 3 and (k.startswith(wanted) or f"-{wanted}" in k)]
    return [folded[k] for k in (close + sorted(holds))[:count]]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint sentence: the nearest names, else all of them."""
    every = sorted(set(known))
    close = nearest(name, every)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Known: {', '.join(every)}." if every else ""


def resolve(reference: str, owner: str) -> Any:
    """Imports "module:attribute".

    Args:
        reference: dotted module, a colon, dotted attribute.
        owner: what the reference belongs to, for the error ("backbone hog").

    Raises:
        PluginError: the module cannot be imported or has no such attribute.
    """
    module_name, _, attribute = reference.partition(":")
    try:
        value: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            value = getattr(value, part)
    except Exception as error:
        raise PluginError(
            f"The {owner} is broken: {reference} cannot be loaded ({type(error).__name__}: {error}).",
            "Run with --debug for the traceback, or `bench3d doctor`.",
        ) from error
    return value
