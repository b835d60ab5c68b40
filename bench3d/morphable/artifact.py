"""What a shape model's fit leaves on disk: `artifact.json` with settings and facts, tensors as safetensors.

Every file is named in the index with its hash, and the index is written last: an artifact is whole where it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from bench3d.contracts import Artifact
from bench3d.errors import WeightsError
from bench3d.files import atomic_path, write_json

INDEX = "artifact.json"
HINT = "Train it again with --force."


class ArtifactIndex(BaseModel):
    """`artifact.json`; a shape model adds fields of its own.

    Attributes:
        files: sha256 of every other file of the artifact.
    """

    model_config = ConfigDict(extra="forbid")

    schema_: str = Field(alias="schema")
    category: str
    recipe: str
    seed: int
    files: dict[str, str]
    facts: dict[str, Any]


IndexT = TypeVar("IndexT", bound=ArtifactIndex)


@dataclass(frozen=True)
class ArtifactFormat(Generic[IndexT]):
    """One shape model's artifacts.

    Attributes:
        title: of the method, for messages.
        schema: name and version in the index.
        index: what its index holds.
        weights: the file whose hash is the artifact's digest.
        optional: files that it may have besides.
    """

    title: str
    schema: str
    index: type[IndexT]
    weights: str
    optional: tuple[str, ...] = ()

    def write(self, folder: Path, tensors: Mapping[str, Mapping[str, torch.Tensor]], **fields: Any) -> Artifact:
        """Writes files (name -> tensors) first and the index, made of the other `fields`, last.

        Raises:
            OutputError: no space or no permission.
        """
        files = {}
        for name, values in tensors.items():
            with atomic_path(folder / name) as temporary:
                save_file({key: value.detach().cpu().contiguous() for key, value in values.items()}, temporary)
            files[name] = _sha256(folder / name)
        content = self.index(**{"schema": self.schema, "files": files, **fields})
        write_json(folder / INDEX, content.model_dump(mode="json", by_alias=True))
        return self._artifact(folder, content)

    def read(self, folder: Path) -> Artifact:
        """Validates a folder: the index, and that every file is the one it names.

        Raises:
            WeightsError: naming file and field.
        """
        content = self.open(folder)
        for name, expected in content.files.items():
            if _sha256(folder / name) != expected:
                raise WeightsError(f"{folder / name} is not the file that {INDEX} describes (files.{name}).", HINT)
        return self._artifact(folder, content)

    def open(self, folder: Path) -> IndexT:
        """The index of a folder.

        Raises:
            WeightsError: naming file and field.
        """
        path = folder / INDEX
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise WeightsError(
                f"{folder} holds no {INDEX}: no {self.title} artifact.", "Train one with bench3d train."
            ) from None
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path} is no readable JSON ({error}).", HINT) from error
        if not isinstance(raw, dict) or raw.get("schema") != self.schema:
            raise WeightsError(f"{path}: field schema is not {self.schema}.", HINT)
        try:
            content = self.index.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise WeightsError(f"{path}: field {field}: {first['msg']}.", HINT) from error
        if self.weights not in content.files or set(content.files) - {self.weights, *self.optional}:
            others = "".join(f", and {name} at most" for name in self.optional)
            raise WeightsError(f"{path}: field files must name {self.weights}{others}.", HINT)
        return content

    def tensors(self, folder: Path) -> dict[str, torch.Tensor]:
        """The tensors of the weights file, on the CPU.

        Raises:
            WeightsError: the file is missing or broken, or a value is not finite.
        """
        path = folder / self.weights
        try:
            values: dict[str, torch.Tensor] = load_file(path)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path} cannot be read ({error}).", HINT) from error
        for name, value in values.items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise WeightsError(f"{path} holds values that are not finite ({name}).", HINT)
        return values

    def fill(self, network: nn.Module, folder: Path, values: Mapping[str, torch.Tensor] | None = None) -> None:
        """Puts the weights (`values` where they were read already) into a network that the index describes.

        Raises:
            WeightsError: as `tensors`, or they do not fit the network.
        """
        try:
            network.load_state_dict(self.tensors(folder) if values is None else values)
        except RuntimeError as error:
            detail = str(error).splitlines()[-1].strip()
            path = folder / self.weights
            raise WeightsError(f"{path} does not fit the settings in {INDEX}: {detail}", HINT) from error

    def _artifact(self, folder: Path, content: IndexT) -> Artifact:
        return Artifact(folder, content.recipe, content.files[self.weights], content.category, content.facts)


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as handle:
            digest = hashlib.sha256()
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error}).", HINT) from error
    return digest.hexdigest()
