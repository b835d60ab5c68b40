"""Old record schemas stay readable: one function per step, from the JSON of one schema to that of the next.

What an old record does not hold is left empty and never guessed. Identities are hashes of the measurement, which has a
schema of its own, and do not change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


def _from_1(value: Json) -> Json:
    """2 adds how each metric is computed, the digest of the sidecar, and how each interval was made."""
    return {**value, "schema": "bench3d.record/2"}


_STEPS: dict[str, Callable[[Json], Json]] = {"bench3d.record/1": _from_1}
UPGRADABLE = tuple(_STEPS)


def upgraded(value: Json, schema: str) -> Json:
    """The JSON of a record, brought from the schema that it names to `schema`; as it is where no step leads there."""
    while value.get("schema") != schema:
        step = _STEPS.get(str(value.get("schema")))
        if step is None:
            break
        value = step(value)
    return value
