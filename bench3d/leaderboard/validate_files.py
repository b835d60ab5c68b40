"""Validation of a submission's files: which there are, how large, and whether a record and its samples can be read."""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench3d.errors import DataError
from bench3d.leaderboard.badges import VERIFICATION, badge_of
from bench3d.leaderboard.safety import MAX_NAME, MAX_RECORD_BYTES, judged, read_untrusted
from bench3d.leaderboard.validate_case import Case, shown
from bench3d.records import iter_samples, sidecar_of
from bench3d.records.sidecar import PACKED, SAMPLES
from bench3d.records.store import RECORD

MAX_PACKED_BYTES = 20_000_000
MAX_UNPACKED_BYTES = 200_000_000
SIDECAR = "Submit the sidecar that the run wrote."
_COMMITTED = (RECORD, PACKED, VERIFICATION)
_RESULTS = (*_COMMITTED, SAMPLES, "pictures")
_SUSPECT = re.compile(rb"""[<\\\x80-\xff]|"\s*[=+@~/-]|[\s'=(,:;]/\w|\]\(|:[/\w]|@[\w-]+\.[A-Za-z]""")
"""Bytes without which no text of a line can be unsafe: only lines with one are looked through."""
_BOUNDS = {RECORD: MAX_RECORD_BYTES, PACKED: MAX_PACKED_BYTES, SAMPLES: MAX_UNPACKED_BYTES, VERIFICATION: 1 << 16}


def check_files(case: Case, maintainer: bool) -> bool:
    """Judges what stands in the folder before anything is read; False where nothing of it may be read."""
    if case.folder.is_symlink() or not case.folder.is_dir():
        case.say("error", "files", "It is no folder.", step="Submit the folder itself.")
        return False
    readable = True
    for entry in sorted(os.scandir(case.folder), key=lambda e: e.name):
        readable &= _check_file(case, entry, maintainer)
    if not (case.folder / RECORD).exists():
        case.say("error", "files", "There is no record.json.", step="bench3d leaderboard submit writes all the files.")
        return False
    found = [name for name in (SAMPLES, PACKED) if (case.folder / name).exists()]
    if len(found) > 1:
        case.say("error", "files", f"Both {SAMPLES} and {PACKED} are there.", step="Remove one of them.")
    case.sidecar = sidecar_of(case.folder)
    if case.sidecar is None:
        step = "Submit the samples too: without them no score can be recomputed."
        case.say("error", "files", "The sidecar with the samples is missing.", step=step)
    return readable


def _check_file(case: Case, entry: os.DirEntry[str], maintainer: bool) -> bool:
    path = case.folder / entry.name
    allowed = _COMMITTED if case.committed else _RESULTS
    if entry.is_symlink():
        case.say("error", "files", f"{entry.name} is a symbolic link.", file=path, step="Put the file itself there.")
        return False
    if entry.name not in allowed:
        step = "bench3d leaderboard submit packs it." if entry.name == SAMPLES else "Remove it."
        case.say("error", "files", f"{entry.name} has no place in a submission.", file=path, step=step)
        return entry.name == SAMPLES
    facts = entry.stat(follow_symlinks=False)
    if entry.name == "pictures" and entry.is_dir():
        return True
    if not stat.S_ISREG(facts.st_mode):
        case.say("error", "files", f"{entry.name} is no regular file.", file=path, step="Put a file there.")
        return False
    case.bytes += facts.st_size
    bound = _BOUNDS.get(entry.name, MAX_RECORD_BYTES)
    if facts.st_size > bound:
        sentence = f"{entry.name} has {facts.st_size / 1e6:.1f} MB; at the most {bound / 1e6:.0f} MB are taken."
        case.say("error", "files", sentence, file=path, step="Evaluate fewer samples, or ask the maintainers.")
        return False
    if entry.name == VERIFICATION and case.committed and not maintainer:
        sentence = "A verification is written by a maintainer, never submitted."
        case.say("error", "files", sentence, file=path, step="Remove it; maintainers validate with --maintainer.")
    return True


def check_schema(case: Case) -> bool:
    """Reads the record; False where it is none. What stands in a verification is told."""
    try:
        case.record = read_untrusted(case.path, plain=False)
        case.schema = str(json.loads(case.path.read_bytes()).get("schema", ""))
    except DataError as error:
        check = "identity" if "identity" in error.message else "schema"
        message = error.message.replace(f"{case.path}, ", "").replace(str(case.path), RECORD)
        step = "Make the record again with bench3d run; it is not edited by hand."
        case.say("error", check, message, field="identity" if check == "identity" else "", step=step)
        return False
    if case.schema != case.record.schema_:
        step = "Run it again with this version to have intervals checked as well."
        case.say(
            "note", "schema", f"It is of the older schema {case.schema}: its intervals are not checked.", step=step
        )
    if (case.folder / VERIFICATION).is_file():
        badge, reason = badge_of(case.folder, case.record)
        if badge == "self-reported":
            step = "Verify it again: bench3d leaderboard verify."
            case.say(
                "warning", "verification", f"It does not count: {reason}", file=case.folder / VERIFICATION, step=step
            )
    return True


def check_sidecar(case: Case) -> None:
    """Reads the samples, once and within bounds, and checks them against what the record says of them."""
    if case.sidecar is None or case.record is None:
        return
    stream = iter_samples(case.sidecar, max_bytes=MAX_UNPACKED_BYTES, links=False)
    samples: list[dict[str, Any]] = []
    seen: Counter[tuple[str, str]] = Counter()
    try:
        for line, sample in stream.raw():
            for why in _malformed(sample):
                case.say("error", "samples", f"Line {stream.lines}: {why}.", file=case.sidecar, step=SIDECAR)
            if _SUSPECT.search(line):
                for field, why in _unsafe(sample):
                    sentence = f"Line {stream.lines} holds {why}."
                    case.say(
                        "error", "texts", sentence, file=case.sidecar, field=field, step="Rename it and run again."
                    )
            seen[str(sample.get("category")), sample["id"]] += 1
            samples.append(sample)
    except DataError as error:
        case.say(
            "error",
            "sidecar",
            error.message.replace(str(case.sidecar), case.sidecar.name),
            file=case.sidecar,
            step=SIDECAR,
        )
        return
    case.sha256 = stream.sha256
    _against_record(case, seen, len(samples))
    if not any(f.check == "samples" for f in case.findings):
        case.samples = samples


def _against_record(case: Case, seen: Counter[tuple[str, str]], count: int) -> None:
    assert case.record is not None
    doubled = [f"{category}/{name}" for (category, name), times in seen.items() if times > 1]
    if doubled:
        case.say("error", "sidecar", f"Samples stand there twice: {shown(doubled)}.", file=case.sidecar, step=SIDECAR)
    if count != case.record.samples:
        sentence = f"The record says {case.record.samples} samples and the sidecar holds {count}."
        case.say("error", "sidecar", sentence, field="samples", step=SIDECAR)
    if case.record.samples_sha256 not in (None, case.sha256):
        sentence = "The sidecar is not the one that the record was made with: its digest differs."
        case.say("error", "sidecar", sentence, field="samples_sha256", step=SIDECAR)


def _malformed(sample: dict[str, Any]) -> Iterator[str]:
    """What keeps a sample from being aggregated. Numbers are finite: the reader refuses others."""
    if not isinstance(sample.get("category"), str):
        yield "it has no category"
    if len(sample["id"]) > MAX_NAME:
        yield f"its id has {len(sample['id'])} characters"
    if not isinstance(sample.get("cluster"), (str, int)):
        yield "it has no cluster"
    if not _texts_only(sample.get("groups") or {}):
        yield "its groups are no names of bins"
    parts = sample.get("parts") or {}
    if not isinstance(parts, dict):
        yield "its parts are no columns"
        return
    groups = parts.get("groups") or {}
    columns = [v for k, v in parts.items() if k != "groups"] + (
        list(groups.values()) if isinstance(groups, dict) else [None]
    )
    if not all(isinstance(column, list) for column in columns) or len({len(column) for column in columns}) > 1:
        yield "the columns of its parts are not of one length"


def _texts_only(groups: Any) -> bool:
    return isinstance(groups, dict) and all(isinstance(v, (str, int, float)) for v in groups.values())


def _unsafe(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield from ((field, why) for why in judged(field, value))
    elif isinstance(value, list):
        for member in value:
            if not isinstance(member, (int, float)):
                yield from _unsafe(member, field)
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from ((f"{field} (key)", why) for why in judged("", key))
            yield from _unsafe(member, f"{field}.{key}" if field else key)
