"""The identity of a measurement: canonical JSON of everything that changes the number, and its SHA-256.

Computable without torch, weights or training. Batch size, device and worker count never enter: a setting that only
changes speed or memory is declared `Field(..., json_schema_extra={"identity": False})` in its settings model, and one
that a fit does not depend on (it acts at inference only) `json_schema_extra={"fit": False}`. A setting that was added
when figures had been made is declared `{"later": True}`: at its default it is left out, so that their identities stand.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench3d.errors import DataError, UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel


def canonical_json(value: Any) -> str:
    """One text per value: keys sorted, no spaces, tuples as lists, floats in their shortest form, 1.0 as 1, -0.0 as 0.

    Raises:
        UsageError: NaN, infinity, or anything that is not JSON (a path, a set): names where it stands.
    """
    return json.dumps(_normal(value, ""), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def identity_hash(measurement: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(measurement).encode("ascii")).hexdigest()


def short(digest: str) -> str:
    """The 12 digits that folder names carry."""
    return digest[:12]


def identity_settings(settings: BaseModel, purpose: Literal["identity", "fit"] = "identity") -> dict[str, Any]:
    """Settings as JSON values, without the fields declared `identity: False`, at any depth.

    For the recipe of a fit also without those declared `fit: False`. Fields declared `later: True` are left out where
    they have their defaults.
    """
    from pydantic import BaseModel

    dumped = settings.model_dump(mode="json")
    for name, field in type(settings).model_fields.items():
        extra = field.json_schema_extra
        marks = extra if isinstance(extra, dict) else {}
        value = getattr(settings, name)
        late = marks.get("later") is True and value == field.get_default(call_default_factory=True)
        if late or marks.get("identity") is False or (purpose == "fit" and marks.get("fit") is False):
            dumped.pop(name, None)
        elif isinstance(value, BaseModel):
            dumped[name] = identity_settings(value, purpose)
    return dumped


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        DataError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as handle:
            for block in iter(lambda: handle.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    return digest.hexdigest()


def _normal(value: Any, where: str) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(f"{where or 'The value'} is {value}, which has no place in an identity.")
        return int(value) if value.is_integer() and abs(value) < 2**53 else float(value)
    if isinstance(value, Mapping):
        wrong = [k for k in value if not isinstance(k, str)]
        if wrong:
            raise UsageError(f"{where or 'The value'} has the key {wrong[0]!r}, which is no text.")
        return {k: _normal(v, f"{where}.{k}" if where else k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normal(v, f"{where}[{n}]") for n, v in enumerate(value)]
    raise UsageError(f"{where or 'The value'} is a {type(value).__name__}, which has no canonical form.")
