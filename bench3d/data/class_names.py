"""Names of a data set's classes and splits: what its files call them, and what bench3d does. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench3d.errors import UsageError


@dataclass(frozen=True)
class ClassNames:
    """The names of one data set.

    Attributes:
        title: of the data set, for messages; known: how a message begins to list its categories.
        classes: canonical category -> its class there.
        lists: split -> the name of its list of images.
    """

    title: str
    classes: Mapping[str, str]
    lists: Mapping[str, str]
    known: str = "It has"

    def official_class(self, category: str) -> str:
        """The class of a category, by either name; UsageError for an unknown one."""
        if category in self.classes:
            return self.classes[category]
        if category in self.classes.values():
            return category
        raise UsageError(f"{self.title} has no category {category!r}.", f"{self.known} {', '.join(self.classes)}.")

    def canonical_category(self, official: str) -> str:
        """bench3d's name of an official class; an unknown one is returned as it is."""
        return next((ours for ours, theirs in self.classes.items() if theirs == official), official)

    def list_name(self, split: str) -> str:
        """The name of a split's list; UsageError for an unknown split."""
        if split not in self.lists:
            raise UsageError(f"{self.title} has no split {split!r}.", f"It has {', '.join(self.lists)}.")
        return self.lists[split]
