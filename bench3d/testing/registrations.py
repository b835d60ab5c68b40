"""Checks of what a plugin says of itself, for every kind: facts, references, settings, presets, and a light import."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bench3d.contracts import BackboneRegistration, DatasetRegistration, Registration, TaskRegistration
from bench3d.contracts.registration import ASPECTS
from bench3d.errors import Bench3DError
from bench3d.plugins import load_preset, load_registry, load_settings, preset_names, settings_model
from bench3d.plugins.names import resolve
from bench3d.testing.checks import Check, Skip, require
from bench3d.testing.importing import HEAVY, light_import, quiet_import, registered
from bench3d.testing.subjects import Subject

NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*:?")
LONGEST_SUMMARY = 120
CAPABILITIES = ("features", "pose", "mask", "shape")
KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "backbone": ("weights", "settings", "device"),
    "adapter": ("settings",),
    "shape-model": ("settings",),
    "task": ("settings", "protocol"),
    "dataset": ("root", "settings"),
    "renderer": ("device",),
    "executor": ("settings",),
}
"""Kind -> the keywords that the host calls its factory with."""
FURTHER = ("synth", "render", "recognise")
"""Fields of some kinds that hold "module:attribute" of a function."""
PROVIDERS = {"task": "dataset", "adapter": "train_dataset", "shape-model": "train_dataset"}
"""Kind -> the field that names a data set."""


def name(subject: Subject) -> str:
    """The name can be typed, and be part of a file's name."""
    given = registered(subject).name
    family = given.endswith(":")
    require(
        NAME.fullmatch(given) is not None,
        f"The name {given!r} is not made of lower-case letters, digits, '-', '_' and '.'.",
        "Write it like vit-small; only a family of backbones ends in a colon.",
    )
    require(
        not family or subject.kind == "backbone",
        f"The {subject.kind} {given} ends in a colon: only backbones have families.",
        "Leave the colon out.",
    )
    return given


def metadata(subject: Subject) -> str:
    """Summary, licence, version of results, and where somebody else's work comes from."""
    registration = registered(subject)
    summary = registration.summary
    require(
        bool(summary.strip()) and "\n" not in summary and len(summary) <= LONGEST_SUMMARY,
        f"The summary {summary[:40]!r} is not one line of 1 to {LONGEST_SUMMARY} characters.",
        "It is what `bench3d list` shows beside the name.",
    )
    version = registration.result_version
    require(
        isinstance(version, int) and not isinstance(version, bool) and version >= 1,
        f"result_version is {version!r}, not a whole number from 1.",
        "Raise it by one whenever results change.",
    )
    require(
        bool(registration.licence.strip()) or _licence_of_weights(registration),
        "There is no licence.",
        'Set licence="..." of the registration, such as "Apache-2.0" for your own code.',
    )
    theirs = subject.kind == "dataset" or (isinstance(registration, BackboneRegistration) and registration.weights)
    require(
        not theirs or bool(registration.citation or registration.url),
        f"The {subject.kind} uses others' work and names neither citation nor url.",
        "Set citation= (authors, title, year) or url=.",
    )
    require(
        not registration.url or registration.url.startswith(("https://", "http://")),
        f"The url {registration.url!r} is no web address.",
    )
    if isinstance(registration, DatasetRegistration):
        _downloads(registration)
    return registration.licence


def _licence_of_weights(registration: Registration) -> bool:
    """A family's licence is that of its members, which only their publisher knows."""
    return isinstance(registration, BackboneRegistration) and registration.name.endswith(":")


def _downloads(registration: DatasetRegistration) -> None:
    require(bool(registration.folder.strip()), "The data set names no folder under the data root.")
    for file in registration.downloads:
        require(
            file.url.startswith(("https://", "http://")) and ".." not in file.into and not file.into.startswith("/"),
            f"The download {file.url} is no web address, or goes outside the data root (into={file.into!r}).",
        )
        require(
            file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256) is not None,
            f"The sha256 of {file.url} is not 64 hexadecimal digits.",
        )
    require(
        bool(registration.downloads or registration.how_to_get or registration.synth),
        "Nothing says how to get the data: downloads, how_to_get and synth are all empty.",
        "Say in how_to_get where they come from.",
    )


def references(subject: Subject) -> str:
    """What is named as "module:attribute" is there, and the factory takes the keywords of its kind."""
    registration = registered(subject)
    owner = f"{subject.kind} {registration.name}"
    factory = _resolved(subject, "factory", registration.factory)
    require(callable(factory), f"The factory {registration.factory} is no function or class.")
    keywords = KEYWORDS.get(subject.kind, ())
    if subject.kind == "backbone" and registration.name.endswith(":"):
        keywords = (*keywords, "variant")
    if keywords:
        _takes(factory, registration.factory, keywords)
    found = ["factory"]
    for field in FURTHER:
        reference = getattr(registration, field, None)
        if reference is not None:
            require(
                callable(_resolved(subject, field, reference)), f"{field}={reference!r} of the {owner} is no function."
            )
            found.append(field)
    return ", ".join(found)


def _resolved(subject: Subject, field: str, reference: str) -> Any:
    try:
        return resolve(reference, f"{subject.kind} {subject.registration.name}")
    except Bench3DError as error:
        missing = [m for m in subject.registration.extras if f"'{m}'" in error.message]
        if missing:
            raise Skip(f"{missing[0]} is not installed here") from None
        require(False, f"{field}={reference!r} cannot be loaded: {error.__cause__ or error.message}")
    return None


def _takes(factory: Any, reference: str, keywords: tuple[str, ...]) -> None:
    try:
        inspect.signature(factory).bind(**dict.fromkeys(keywords))
    except ValueError:  # a builtin without a signature
        return
    except TypeError as error:
        words = ", ".join(f"{k}=..." for k in keywords)
        require(False, f"The factory {reference} cannot be called with ({words}): {error}.", f"def create({words}):")


def settings(subject: Subject) -> str:
    """Settings refuse unknown keys, are valid by default, and survive being written as JSON."""
    from pydantic import BaseModel, ValidationError

    model = settings_model(registered(subject))
    try:
        model.model_validate({"no_such_setting_": 0})
        kinds: set[str] = set()
    except ValidationError as error:
        kinds = {e["type"] for e in error.errors()}
    require(
        "extra_forbidden" in kinds,
        f"{model.__name__} accepts an unknown key: a user's misspelt setting would do nothing.",
        'Set model_config = ConfigDict(extra="forbid").',
    )
    try:
        default = model()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        require(False, f"{model.__name__}() is not valid: {where}: {first['msg']}.", "Give every setting a default.")
    for key, value in default:
        if isinstance(value, BaseModel):
            require(
                type(value).model_config.get("extra") == "forbid",
                f"The nested settings {key} ({type(value).__name__}) accept an unknown key.",
                'Set model_config = ConfigDict(extra="forbid") there, too.',
            )
    again = model.model_validate_json(default.model_dump_json())
    require(again == default, f"{model.__name__} differs after it was written as JSON and read again.")
    model.model_json_schema()  # what `describe` and the record are made of
    return f"{len(model.model_fields)} settings"


def presets(subject: Subject) -> str:
    """Every preset is valid, knows its keys and says what it is for; those taken by default exist."""
    registration = registered(subject)
    if registration.presets is None:
        raise Skip("it has no presets")
    names = preset_names(registration)
    require(bool(names), f"There is no *.yaml in {registration.presets}.", "Is the folder part of the package's data?")
    known = _backbone_keys()
    for preset in names:
        loaded = load_preset(registration, preset)
        load_settings(registration, preset=loaded)
        require(bool(loaded.summary.strip()), f"The preset {preset} has no summary.")
        unknown = sorted(set(loaded.backbone) - known)
        require(not unknown, f"The preset {preset} wishes {unknown[:1]} of the backbone: no backbone has that setting.")
    for field in ("default_preset", "synthetic_preset"):
        wanted = getattr(registration, field, None)
        require(wanted is None or wanted in names, f"{field} is {wanted!r}, which is not among {', '.join(names)}.")
    return ", ".join(names)


def _backbone_keys() -> set[str]:
    """Every setting that some backbone has."""
    known: set[str] = set()
    for registration in load_registry().registrations("backbone"):
        known |= set(settings_model(registration).model_fields)
    return known


def related(subject: Subject) -> str:
    """The data set and contract that it names are registered."""
    registration = registered(subject)
    registry = load_registry()
    field = PROVIDERS.get(subject.kind)
    wanted = getattr(registration, field, None) if field else None
    accepts = getattr(registration, "accepts", None)
    if wanted is None and accepts is None:
        raise Skip("it names no data set")
    if wanted is not None:
        require(
            wanted in registry.names("dataset"),
            f"{field} is {wanted!r}, and no plugin offers such a data set.",
            f"There are {', '.join(registry.names('dataset'))}.",
        )
    if accepts is not None:
        offered = {
            p for r in registry.registrations("dataset") if isinstance(r, DatasetRegistration) for p in r.provides
        }
        require(accepts in offered, f"accepts={accepts!r}, which no data set provides ({', '.join(sorted(offered))}).")
    return " ".join(filter(None, (wanted, accepts)))


def protocols(subject: Subject) -> str:
    """A task's protocols are told apart, their settings exist, and its headline is one of its metrics."""
    registration = registered(subject)
    assert isinstance(registration, TaskRegistration)
    _unique("protocol", (p.name for p in registration.protocols))
    known = _backbone_keys()
    for protocol in registration.protocols:
        where = f"The protocol {protocol.name}"
        require(bool(protocol.summary.strip()), f"{where} has no summary.")
        require(
            isinstance(protocol.version, int) and not isinstance(protocol.version, bool) and protocol.version >= 1,
            f"{where} has the version {protocol.version!r}, not a whole number from 1.",
        )
        require(
            isinstance(protocol.oracles, tuple) and all(isinstance(o, str) and o for o in protocol.oracles),
            f"{where} has the oracles {protocol.oracles!r}, not a tuple of names.",
            'Write oracles=("category",), with the comma, or () where the model is given nothing.',
        )
        load_settings(registration, overrides=protocol.settings)
        unknown = sorted(set(protocol.backbone) - known)
        require(not unknown, f"{where} wishes {unknown[:1]} of the backbone: no backbone has that setting.")
    load_settings(registration, overrides=registration.validation)
    unable = sorted(set(registration.requires) - set(CAPABILITIES))
    require(not unable, f"It requires {unable[:1]}, which no model can have ({', '.join(CAPABILITIES)}).")
    require(registration.aspect in ("", *ASPECTS), f"aspect={registration.aspect!r} is none of {', '.join(ASPECTS)}.")
    given = registration.protocols[0] if registration.protocols else None
    metrics = [m.name for m in subject.create(protocol=given).metrics]
    require(
        registration.headline in metrics,
        f"The headline {registration.headline!r} is none of its metrics ({', '.join(metrics)}).",
    )
    return f"{len(registration.protocols)} protocols, headline {registration.headline}"


def _unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for one in names:
        require(one not in seen, f"Two {what}s are called {one}.")
        seen.add(one)


CHECKS = (
    # First: it sees only what is not imported yet.
    Check("quiet-import", ("*",), "Importing it changes no state that other code shares.", quiet_import),
    Check(
        "light-import", ("*",), f"Its module loads nothing of {', '.join(HEAVY[:4])}, ... and is quick.", light_import
    ),
    Check("name", ("*",), "Its name can be typed and be part of a file's name.", name),
    Check("metadata", ("*",), "Summary, licence, result version and source are stated.", metadata),
    Check("references", ("*",), "What it names as module:attribute is there and fits its kind.", references),
    Check("settings", ("*",), "Settings refuse unknown keys, have defaults, and survive JSON.", settings),
    Check("presets", ("*",), "Every preset is valid and says what it is for.", presets),
    Check("related", ("task", "adapter", "shape-model"), "The data set it names is registered.", related),
    Check("protocols", ("task",), "Protocols are valid and the headline is one of the metrics.", protocols),
)
