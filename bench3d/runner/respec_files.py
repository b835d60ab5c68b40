"""Weights and checkpoints of a record that are files: a measurement knows their content, this finds where it lies."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench3d.errors import Bench3DError, WeightsError
from bench3d.plugins import load_registry
from bench3d.records import Record, file_digest, short
from bench3d.runner.checkpoints import split_adapter


def typed(record: Record, option: str) -> Iterator[str]:
    """What a person gave for an option in the record's command; nothing where a worker of a grid made it."""
    try:
        words = shlex.split(record.provenance.command)
    except ValueError:  # the quotes of the shell are not in it
        words = record.provenance.command.split()
    if words[:2] != ["bench3d", "run"]:
        return
    for word, value in zip(words, words[1:] + [""], strict=True):
        if word == option:
            yield value
        elif word.startswith(f"{option}="):
            yield word.partition("=")[2]


def weights_of(record: Record, given: Path | None, lenient: bool = False) -> str:
    """What --weights takes: pretrained, random or the file with the record's weights (with `lenient` just WEIGHTS).

    Raises:
        WeightsError: the file is not there, or another one.
    """
    measured: Any = record.identity.measurement["backbone"].get("weights")
    if measured == "random":
        return "random"
    digest = measured.get("sha256") if isinstance(measured, dict) and "id" not in measured else None
    if digest is None:
        return "pretrained"
    if lenient:
        return "WEIGHTS"
    if given is not None:
        if file_digest(given.expanduser()) != digest:
            raise WeightsError(f"{given} holds other weights than the record's ({short(digest)}).")
        return str(given)
    for text in typed(record, "--weights"):
        path = Path(text).expanduser()
        if path.is_file() and file_digest(path) == digest:
            return text
    raise WeightsError(
        f"The record was made with a file of weights ({short(str(digest))}) that is not here.",
        "Give it with --weights FILE.",
    )


def checkpoint_of(record: Record, results: Path, given: str | None, lenient: bool = False) -> str:
    """The adapter's name, with the checkpoint that it was loaded from: the one given, the one of the record's command,
    or a fit in the results folder of the same content.

    Raises:
        WeightsError: none of them has the content that the record names.
    """
    measured = record.identity.measurement["adapter"]
    name, wanted = str(measured["name"]), measured.get("checkpoint")
    if not isinstance(wanted, dict):
        return name
    if isinstance(wanted.get("hub"), str):
        return f"{name}:{wanted['hub']}"
    if lenient:
        return f"{name}:CHECKPOINT"
    if given is not None:
        if _content(f"{name}:{given}") != wanted:
            raise WeightsError(f"{given} is another checkpoint than the record's ({short(str(wanted.get('sha256')))}).")
        return f"{name}:{given}"
    fits = sorted((results / "fits" / name).glob("*/*/artifact.json"))
    for text in (*typed(record, "--adapter"), *(f"{name}:{path.parent}" for path in fits)):
        if _content(text) == wanted:
            return text
    raise WeightsError(
        f"The record was made with a checkpoint of {name} ({short(str(wanted.get('sha256')))}) that is not here.",
        "Give it with --checkpoint PATH.",
    )


def _content(text: str) -> dict[str, Any] | None:
    """What stands for the checkpoint of `NAME:PATH` in an identity, None where there is none."""
    try:
        _, checkpoint = split_adapter(load_registry(), text)
    except Bench3DError:
        return None
    return None if checkpoint is None else checkpoint.identity
