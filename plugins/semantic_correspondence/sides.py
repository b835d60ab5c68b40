"""Left/right counterparts of keypoints, read off their names."""

from __future__ import annotations

import re
from collections.abc import Mapping

WORDS = {"left": "right", "right": "left", "l": "r", "r": "l"}
PATTERN = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])")


def counterparts(names: Mapping[str, str]) -> dict[str, str]:
    """Keypoint id -> id of the same part on the other side, for names that differ in left and right alone."""
    by_name = {_plain(name): key for key, name in names.items()}
    found = {}
    for key, name in names.items():
        mirrored = PATTERN.sub(lambda match: WORDS[match.group(1)], _plain(name))
        if mirrored != _plain(name) and mirrored in by_name:
            found[key] = by_name[mirrored]
    return found


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_\-]+", name.strip().lower()))
