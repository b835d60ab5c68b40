"""The templates of the site, compiled once; everything that they show is escaped."""

from __future__ import annotations

import functools
from importlib import resources

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from bench3d.leaderboard.page import words

POLICY = Markup(
    "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src 'self' file:; "
    "base-uri 'none'; form-action 'none'"
)
"""Content security policy. `file:` beside 'self', as some browsers give pages from disk no origin of their own."""
_SUFFIX = ".html.j2"


def asset(name: str) -> str:
    """The text of a file of the page's folder."""
    return (resources.files("bench3d.leaderboard_files") / "page" / name).read_text(encoding="utf-8")


@functools.cache
def environment() -> Environment:
    """The templates by name ("index", "table", "run"), with the functions of `words` as filters."""
    folder = resources.files("bench3d.leaderboard_files") / "page"
    sources = {
        entry.name.removesuffix(_SUFFIX): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(_SUFFIX)
    }
    made = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(
        rank=words.rank_text, size=words.bytes_text, count=words.count_text, seconds=words.seconds_text,
        moment=words.time_text, unit=words.unit_text, metric=words.metric_text, coverage=words.coverage_text,
    )  # fmt: skip
    made.globals.update(policy=POLICY, badges=words.BADGES, missing=words.MISSING)
    return made
