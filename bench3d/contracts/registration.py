"""What a plugin tells the host about itself: light data with a lazy factory, so that `list` imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Where pretrained weights come from; `bytes` and `sha256` where the publisher states them.

    `registration_required`: their owner wants a form filled in or a licence accepted before they can be had.
    Of the source "package" are weights that lie in the plugin's own package: they are there, and nothing is fetched.
    """

    source: str  # "timm", "open_clip", "hub", "url", "package"
    id: str
    revision: str | None = None
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    licence: str = ""
    registration_required: bool = False

    @property
    def shipped(self) -> bool:
        """Whether they came with the plugin's package."""
        return self.source == "package"


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file of a data set that anyone may fetch.

    Attributes:
        url: http or https.
        bytes, sha256: where the publisher states them, or where they were read off the published file.
        unpack: a zip or tar archive, unpacked into `into` and removed; otherwise the file is kept there.
        into: folder under the data root ("" for the root itself).
        categories: the canonical categories it serves; empty for all.
    """

    url: str
    bytes: int | None = None
    sha256: str | None = None
    unpack: bool = True
    into: str = ""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A named, versioned bundle of evaluation settings.

    Attributes:
        oracles: the ground truth that the model is given.
        offers: further ground truths that a shape model may ask for, and their full names: {"depth": "depth:cad"}.
        settings: of the task; what a user sets goes before.
        backbone: what the protocol wishes of the backbone, such as {"grid": 60}; applied where the backbone's settings
            know the key, and what a user sets goes before.
    """

    name: str
    version: int = 1
    summary: str = ""
    oracles: tuple[str, ...] = ()
    offers: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    backbone: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Common part of every registration.

    Attributes:
        name: what a user types.
        summary: one line for `bench3d list`.
        factory: "module:attribute", imported only when the thing is used.
        settings: "module:attribute" of a pydantic model (extra="forbid"); its module must not import torch.
        presets: "package.module:folder" of YAML files, one preset a file (e.g. "bench3d.configs:presets/common3d").
        result_version: bumped by the author when outputs change; part of a run's identity.
        extras: importable top-level modules that must be installed.
        install: the command that installs what `extras` lacks.
        api: version of this kind's contract that it was made for; None: that of the plugin.

    `contract` is the version of the kind's contract (registration and what its factory makes) that this bench3d has,
    `oldest_contract` the oldest that it still serves.
    """

    kind: ClassVar[str] = ""
    contract: ClassVar[int] = 1
    oldest_contract: ClassVar[int] = 1
    name: str
    summary: str
    factory: str
    settings: str | None = None
    presets: str | None = None
    result_version: int = 1
    licence: str = ""
    citation: str = ""
    url: str = ""
    extras: tuple[str, ...] = ()
    install: str = ""
    api: int | None = None


@dataclass(frozen=True, kw_only=True)
class BackboneRegistration(Registration):
    """factory(weights: str, settings, device: str) -> Model.

    `weights` is "pretrained", "random" or a file path. A name that ends in ":" is a family: `timm:` answers to every
    `timm:NAME`, and its factory gets the keyword `variant="NAME"`.
    """

    kind: ClassVar[str] = "backbone"
    weights: Weights | None = None  # None: needs no weights (a floor such as hog)
    params: int | None = None
    patch: int | None = None
    dim: int | None = None
    input_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class AdapterRegistration(Registration):
    """factory(settings) -> Adapter; same verbs as a shape model (`fit`, `load`, `apply`).

    It is fitted on `train_dataset`, or with `accepts` on any folder given by --data that a data set providing that
    contract recognises. With `checkpoints`, `NAME:PATH` takes a checkpoint (a file, a folder, or a hub file
    "organisation/repository/file") instead of a fit; the adapter's `load` reads it. With `own_input` it is trained at
    an input size of its own, so that the backbone's input policy is no part of its recipe and one fit serves all tasks.
    """

    kind: ClassVar[str] = "adapter"
    per_category: bool = False
    train_dataset: str | None = None
    accepts: str | None = None
    checkpoints: bool = False
    own_input: bool = False
    default_preset: str = "paper"
    synthetic_preset: str = "quick"


@dataclass(frozen=True, kw_only=True)
class ShapeModelRegistration(Registration):
    """factory(settings) -> ShapeModel. Adds `adds` to the model's capabilities, is fitted on `train_dataset`.

    `oracles` are ground truths that it needs beside those of any protocol, such as ("depth",): only tasks that offer
    them can run it, and its records name them.
    """

    kind: ClassVar[str] = "shape-model"
    adds: tuple[str, ...] = ()
    oracles: tuple[str, ...] = ()
    train_dataset: str | None = None
    default_preset: str = "paper"
    synthetic_preset: str = "quick"


@dataclass(frozen=True, kw_only=True)
class DatasetRegistration(Registration):
    """factory(root: Path, settings) -> Dataset.

    `folder` is looked for under the data root; `synth` is "module:attribute" of the twin's writer
    (bench3d.contracts.data.TwinWriter), None where there is no twin. `categories` is empty where the data set has none:
    its readers then know the one category "all". `provides` names the contracts that the reader fulfils ("view-sets",
    "keypoint-pairs", ...). `recognise` is "module:attribute" of a function (Path) -> bool that says whether a folder
    is one of this layout, whatever its name: then `--data FOLDER` is enough. Its module loads no torch.
    `render` is "module:attribute" of what renders meshes in this layout (bench3d.contracts.data.MeshWriter).
    `align` is "module:attribute" of what brings its sequences into one frame per category
    (bench3d.contracts.videos.Aligner: `bench3d data align`), `prepare` of what filters and caches them beforehand
    (bench3d.contracts.videos.Preparer: `bench3d data prepare`).
    `downloads` is what `bench3d data fetch` gets; empty where an owner gives the data out only by hand.
    """

    kind: ClassVar[str] = "dataset"
    folder: str
    categories: tuple[str, ...] = ()
    bytes: int | None = None
    registration_required: bool = False
    how_to_get: str = ""
    synth: str | None = None
    provides: tuple[str, ...] = ()
    recognise: str | None = None
    render: str | None = None
    align: str | None = None
    prepare: str | None = None
    downloads: tuple[Download, ...] = ()


ASPECTS = ("equivariance", "pose", "transfer", "tracking", "segmentation", "shape")


@dataclass(frozen=True, kw_only=True)
class TaskRegistration(Registration):
    """factory(settings, protocol: Protocol) -> Task.

    `dataset` is what it runs on; where `accepts` names a contract ("view-sets"), `--data FOLDER` may also be any folder
    that another data set providing it recognises. `validation` holds the task's settings that turn to its validation
    data, such as {"split": "val"}, for choices that must not see the test set. `aspect` is what of the features the
    task measures, one of `ASPECTS`: a leaderboard sets "equivariance" against the others.
    """

    kind: ClassVar[str] = "task"
    requires: tuple[str, ...] = ()
    dataset: str
    accepts: str | None = None
    validation: dict[str, object] = field(default_factory=dict)
    protocols: tuple[Protocol, ...] = ()
    headline: str = ""  # name of the metric that a leaderboard sorts by
    aspect: str = ""


@dataclass(frozen=True, kw_only=True)
class RendererRegistration(Registration):
    """factory(device: str) -> Renderer; `devices` it runs on, the higher `priority` wins."""

    kind: ClassVar[str] = "renderer"
    devices: tuple[str, ...] = ("cpu",)
    priority: int = 0


@dataclass(frozen=True, kw_only=True)
class ExecutorRegistration(Registration):
    """factory(settings) -> Executor (bench3d.contracts.executor).

    `default`: a grid that names no executor takes it (of several the first by name).
    """

    kind: ClassVar[str] = "executor"
    default: bool = False


@dataclass(frozen=True, kw_only=True)
class LoggerRegistration(Registration):
    """factory(target: str) -> an object with any of the observing hooks' methods (bench3d.plugins.logs).

    `target` is what `--log NAME:TARGET` means ("DIR", "PROJECT"), `default` what is taken without one, `folder`
    whether it is a folder (then it is made absolute, so that every process writes to the same one).
    """

    kind: ClassVar[str] = "logger"
    target: str = ""
    default: str = ""
    folder: bool = False


@dataclass(frozen=True, kw_only=True)
class CommandRegistration(Registration):
    """factory is a typer.Typer or a function that becomes `bench3d NAME`."""

    kind: ClassVar[str] = "command"
