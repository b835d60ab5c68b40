"""Which runs may be compared (tables), what a run is called, and which runs are variants of one (families)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench3d.features.settings import INPUT_POLICY
from bench3d.leaderboard.entries import Entry
from bench3d.records import identity_hash

_COMPONENTS = ("backbone", "adapter", "shape_model")
_LONGEST = 60


def misshapen(entry: Entry) -> str | None:
    """Why a measurement cannot be placed: the field that has not the shape that `bench3d run` writes; None for none."""
    m = entry.record.identity.measurement
    for name in ("task", "dataset", "backbone"):
        part = m.get(name)
        if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
            return f"field identity.measurement.{name}: an object with a name is needed"
    for name in ("adapter", "shape_model", "protocol"):
        part = m.get(name)
        if part is not None and not (isinstance(part, Mapping) and isinstance(part.get("name"), str)):
            return f"field identity.measurement.{name}: neither null nor an object with a name"
    if not isinstance(m["dataset"].get("synthetic", False), bool):
        return "field identity.measurement.dataset.synthetic: neither true nor false"
    limit = m.get("limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
        return "field identity.measurement.limit: neither null nor a whole number"
    return None


@dataclass
class Group:
    """Entries of one table. `data` is category -> fingerprint of all of them; `key` what they have in common."""

    key: dict[str, Any]
    data: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    id: str = ""
    settings: str = ""

    def takes(self, fingerprints: Mapping[str, str]) -> bool:
        """Whether data of these fingerprints are the group's, as far as both have the same categories."""
        return all(self.data.get(c, f) == f for c, f in fingerprints.items())

    def add(self, entry: Entry, fingerprints: Mapping[str, str]) -> None:
        """Takes an entry in."""
        self.entries.append(entry)
        self.data.update(fingerprints)


def grouped(entries: Iterable[Entry]) -> list[Group]:
    """Entries that may be compared: one task and its settings, one protocol, the same data, the same limit.

    Runs of some categories stand beside runs of all: what decides is that no category's data differ.
    """
    groups: dict[str, list[Group]] = {}
    ordered = sorted(entries, key=lambda e: (-len(_fingerprints(e)), e.record.identity.hash))
    for entry in ordered:
        key, fingerprints = _key(entry), _fingerprints(entry)
        mine = groups.setdefault(identity_hash(key), [])
        home = next((g for g in mine if g.takes(fingerprints)), None)
        if home is None:
            home = Group(key)
            mine.append(home)
        home.add(entry, fingerprints)
    found = [group for mine in groups.values() for group in mine]
    for digest, mine in groups.items():
        for group in mine:
            group.id = _table_id(group, digest, alone=len(mine) == 1)
    _name_differences(found)
    return sorted(found, key=lambda g: (g.key["dataset"].get("synthetic", False), g.key["task"]["name"], g.id))


def _key(entry: Entry) -> dict[str, Any]:
    m = entry.record.identity.measurement
    dataset = {k: v for k, v in _part(m, "dataset").items() if k != "fingerprints"}
    return {
        "task": {"name": "", **_part(m, "task")},
        "protocol": m.get("protocol"),
        "dataset": dataset,
        "limit": m.get("limit"),
    }


def _part(measurement: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = measurement.get(name)
    return dict(value) if isinstance(value, Mapping) else {}


def _fingerprints(entry: Entry) -> dict[str, str]:
    found = _part(entry.record.identity.measurement, "dataset").get("fingerprints")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, Mapping) else {}


def _table_id(group: Group, digest: str, alone: bool) -> str:
    protocol = group.key["protocol"] or {}
    words = f"{group.key['task']['name']}-{protocol.get('name', '')}".lower()
    name = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:_LONGEST]
    first = "" if alone else "-" + identity_hash({"data": dict(sorted(group.data.items())[:1])})[:4]
    twin = "-synthetic" if group.key["dataset"].get("synthetic") else ""
    return f"{name}{twin}-{digest[:6]}{first}"


def _name_differences(groups: Sequence[Group]) -> None:
    """Says of every table what sets it apart from the others of its task and protocol."""
    families: dict[str, list[Group]] = {}
    for group in groups:
        protocol = group.key["protocol"] or {}
        families.setdefault(f"{group.key['task']['name']}\t{protocol.get('name')}", []).append(group)
    for family in families.values():
        flat = [{**_flat(g.key), "data": _data_words(g)} for g in family]
        for group, mine in zip(family, flat, strict=True):
            told = [k for k in mine if k != "dataset.synthetic" and any(o.get(k) != mine[k] for o in flat)]
            same_rest = any(
                o is not mine and all(o.get(k) == mine[k] for k in mine if k != "data") for o in flat
            )  # then the data alone tell them apart
            words = [_setting(k, mine[k]) for k in told if k != "data" or same_rest]
            group.settings = ", ".join(words)


def _setting(key: str, value: str) -> str:
    if key == "limit":
        return "all samples" if value == "null" else f"at most {value} samples a category"
    return f"{key.removeprefix('task.settings.')}={_word(value)}"


def _data_words(group: Group) -> str:
    return identity_hash({"data": dict(sorted(group.data.items())[:1])})[:6]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for key, part in value.items():
            found.update(_flat(part, f"{name}.{key}" if name else str(key)))
        return found
    return {name: json.dumps(value, sort_keys=True, default=str)}


def _word(text: str) -> str:
    short = text.strip('"')
    return short if len(short) <= 40 else f"{short[:37]}..."


def components(entry: Entry) -> tuple[str, str, str]:
    """Names of backbone (untrained ones say so), adapter and shape model."""
    m = entry.record.identity.measurement
    names = []
    for part in _COMPONENTS:
        name = str(_part(m, part).get("name") or "none")
        names.append(name)
    if _part(m, "backbone").get("weights") == "random":
        names[0] += " (untrained)"
    return names[0], names[1], names[2]


def title(entry: Entry) -> str:
    """`dinov2 + smoothap-lora + common3d`."""
    return " + ".join(name for name in components(entry) if name != "none") or entry.record.label


def model_key(entry: Entry) -> str:
    """What the same features are called in every task: backbone, weights, adapter.

    How large the input was is left out, for a task's protocol decides that.
    """
    m = entry.record.identity.measurement
    backbone, adapter = _part(m, "backbone"), _part(m, "adapter")
    settings = {k: v for k, v in _part(backbone, "settings").items() if k not in INPUT_POLICY}
    features = {**backbone, "settings": settings}
    return identity_hash(
        {"backbone": features, "adapter": adapter or None, "seed": m.get("seed") if adapter else None}
    )[:12]


def family_key(entry: Entry) -> str:
    """What variants of one model have in common: the names of its parts."""
    return "/".join(components(entry))


def variants(entries: Sequence[Entry]) -> list[str]:
    """For entries of one family: how each differs from the first one, "" for the first.

    The first is one of those with most categories: the one that is nearest to all others, then the oldest.
    """
    flat = [_settings(e) for e in entries]
    keys = sorted({k for f in flat for k in f})
    apart = [sum(sum(f.get(k) != o.get(k) for k in keys) for o in flat) for f in flat]
    widest = [-len(_fingerprints(e)) for e in entries]
    order = sorted(range(len(entries)), key=lambda i: (widest[i], apart[i], entries[i].record.provenance.time, i))
    base = flat[order[0]]
    words = []
    for i, mine in enumerate(flat):
        told = [k for k in keys if mine.get(k) != base.get(k)]
        preset = entries[i].record.provenance.preset
        if preset is not None and preset != entries[order[0]].record.provenance.preset:
            told = ["preset", *(k for k in told if not k.startswith("shape_model."))]
        named = {**mine, "preset": str(preset)}
        shown = [_difference(k, named.get(k, "none")) for k in told if not k.startswith("fits.")]
        shown = shown or (["other training data"] if told else [])
        if i != order[0]:
            words.append(", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else ""))
        else:
            words.append("")
    return [w or ("" if i == order[0] else "run again") for i, w in enumerate(words)]


def _difference(key: str, value: str) -> str:
    if key in ("categories", "preset"):
        return f"only {value}" if key == "categories" else f"preset {value}"
    return f"{key.removeprefix('backbone.')}={_word(value)}"


def _settings(entry: Entry) -> dict[str, str]:
    """What may differ inside a family, flat: `backbone.layer`, `adapter.rank`, `seed`, `fits.…`."""
    m = entry.record.identity.measurement
    found: dict[str, str] = {}
    for part in _COMPONENTS:
        mine = _part(m, part)
        found.update(_flat(_part(mine, "settings"), part))
        rest = {k: v for k, v in mine.items() if k not in ("settings", "name")}
        found.update(_flat(rest, part))
    found["seed"] = json.dumps(m.get("seed"))
    found["categories"] = ", ".join(sorted(_fingerprints(entry)))
    found.update(_flat(_part(m, "fits"), "fits"))
    if "layer_choice" in m:
        found.update(_flat(m["layer_choice"], "layer_choice"))
    return found
