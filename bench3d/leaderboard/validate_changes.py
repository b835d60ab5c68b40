"""Which records a pull request touches, as git says, and whether it touches those of others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bench3d.errors import UsageError
from bench3d.leaderboard.safety import plain_text
from bench3d.leaderboard.validate_case import PLAIN_FILES, Finding

_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./~^@-]{0,200}")


def changed_records(records: Path, since: str, maintainer: bool) -> tuple[list[Path], list[Finding]]:
    """The folders of records that were added or changed since a revision, and what is wrong with the change itself.

    Args:
        records: the folder of committed records, in a git work tree.
        since: the revision that the change is made against; compared from where the two parted.
        maintainer: committed records may be changed and removed.

    Raises:
        UsageError: no work tree, or no such revision.
    """
    if _REVISION.fullmatch(since) is None:
        raise UsageError(f"--changed-since {plain_text(since, 80)} is no revision.", "Give a commit or a branch.")
    command = [
        "git",
        "-C",
        str(records),
        "diff",
        "--name-status",
        "--no-renames",
        "--relative",
        "-z",
        f"{since}...HEAD",
        "--",
        ".",
    ]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    except OSError as error:
        raise UsageError(f"--changed-since needs git: {error.strerror}.") from error
    if done.returncode != 0:
        said = plain_text(done.stderr.decode("utf-8", "replace"), 200)
        raise UsageError(f"git cannot say what changed since {since}: {said}", "Fetch that commit first.")
    fields = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    folders: dict[Path, None] = {}
    findings = []
    for state, name in zip(fields[0::2], fields[1::2], strict=False):
        path = records / name
        if state == "D" and path.name in PLAIN_FILES:
            continue
        if state != "A" and not maintainer:
            what = "removes" if state == "D" else "changes"
            sentence = f"This {what} a file that is committed already."
            step = "A pull request adds records; maintainers change them with --maintainer."
            findings.append(Finding("error", "files", plain_text(str(path), 500), "", sentence, step))
        parts = path.relative_to(records).parts
        if state == "D":
            continue
        if len(parts) > 2:
            folders[records.joinpath(*parts[:2])] = None
        elif path.name not in PLAIN_FILES:
            found = "It belongs to no record."
            step = "Records stand in <task>/<label>-<identity>/."
            findings.append(Finding("error", "files", plain_text(str(path), 500), "", found, step))
    return [folder for folder in folders if folder.exists() or folder.is_symlink()], findings
