"""YAML files of the leaderboard, read strictly: a mistake is a sentence that names file and field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from bench3d.errors import DataError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def read_yaml(path: Traversable) -> dict[str, Any]:
    """The mapping of a file.

    Raises:
        DataError: it cannot be read, is no YAML or no mapping.
    """
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} cannot be read: {error}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"{path.name} is no valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(read, dict):
        raise DataError(f"{path.name}: its top level must be a mapping.")
    return read


def first_error(error: ValidationError) -> str:
    """The first mistake: "field blocks.2.tolerance: Field required."."""
    wrong = error.errors()[0]
    field = ".".join(str(step) for step in wrong["loc"])
    message = str(wrong["msg"]).removeprefix("Value error, ")
    return f"field {field}: {message}." if field else f"{message}."
