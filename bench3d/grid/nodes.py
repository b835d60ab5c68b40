"""What a node has left in the results folder: its result, who is at it, its failures, its progress. No torch.

<results>/claims/<node>.json               who is at it
<grid>/nodes/<node>/log.txt                what its processes printed
<grid>/nodes/<node>/progress.json          how far it is
<grid>/nodes/<node>/last.json              how its last process failed, in its own words
<grid>/nodes/<node>/failures.jsonl         every failure that counts, one a line
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench3d.contracts import DatasetRegistration
from bench3d.errors import DataError
from bench3d.files import make_folder, output_errors
from bench3d.grid.model import Node, State
from bench3d.plugins import load_registry
from bench3d.records import RunIndex
from bench3d.records.claims import holder
from bench3d.runner.jobs import is_artifact

TRIES = 2
"""A node that failed so often has failed."""
FAILURES, LAST, PROGRESS, LOG = "failures.jsonl", "last.json", "progress.json", "log.txt"
FIXED: frozenset[State] = frozenset({"missing", "incompatible"})
"""States that only planning again can change."""


def node_folder(grid: Path, node: str) -> Path:
    """Where a grid keeps the log and the notes of a node."""
    return grid / "nodes" / node


def claim_path(results: Path, node: str) -> Path:
    """The claim of the process that does a node, of whatever grid."""
    return results / "claims" / f"{node}.json"


def twin_sets(node: Node) -> list[DatasetRegistration]:
    """The data sets that a twin's node writes."""
    found = [load_registry().get("dataset", name) for name in node.key.split()]
    return [r for r in found if isinstance(r, DatasetRegistration)]


def is_done(node: Node, index: RunIndex | None = None) -> bool:
    """Whether a node's result stands. With an index only records that it has listed are seen."""
    if node.folder is None:
        return False
    if node.kind == "data":
        return all((node.folder / r.folder / "twin.json").is_file() for r in twin_sets(node))
    if node.kind == "fit":
        return is_artifact(node.folder, node.key)
    with contextlib.suppress(DataError):
        return (index or RunIndex(node.folder.parents[2])).status(node.key) == "finished"
    return False


def state_now(node: Node, grid: Path, results: Path, index: RunIndex) -> tuple[State, str]:
    """The state of a node as the results folder has it, and the reason of a failure; needs are not looked at."""
    if node.state in FIXED:
        return node.state, node.reason
    if is_done(node, index):
        return "done", ""
    if holder(claim_path(results, node.id)) is not None:
        return "running", ""
    failed = failures(grid, node.id)
    if failed and (len(failed) >= TRIES or failed[-1].get("final")):
        return "failed", str(failed[-1].get("message", ""))
    return "todo", ""


def failures(grid: Path, node: str) -> list[dict[str, Any]]:
    """The failures of a node that count, the earliest first."""
    found: list[dict[str, Any]] = []
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in (node_folder(grid, node) / FAILURES).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                value = json.loads(line)
                found += [value] if isinstance(value, dict) else []
    return found


def add_failure(grid: Path, node: str, failure: Mapping[str, Any]) -> None:
    """Appends a failure, with the time."""
    path = make_folder(node_folder(grid, node)) / FAILURES
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with output_errors(path), open(path, "a", encoding="utf-8") as lines:
        lines.write(json.dumps({"time": now, **failure}, ensure_ascii=False) + "\n")


def forget_failures(grid: Path, node: str) -> bool:
    """Puts the failures of a node aside; False where there are none."""
    path = node_folder(grid, node) / FAILURES
    try:
        os.replace(path, path.with_suffix(".old.jsonl"))
    except FileNotFoundError:
        return False
    return True


def read_note(path: Path) -> dict[str, Any]:
    """A small JSON file of a node; empty where it is not there or broken."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
