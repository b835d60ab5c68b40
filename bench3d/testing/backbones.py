"""The conformance kit of backbones.

    from bench3d.testing import check_backbone
    check_backbone(my_package.create("random", MySettings(grid=8), "cpu"))

is the short form for a model at hand. `CHECKS` is the whole kit, for what `bench3d.testing.checks` makes through the
plugin's own door. What an empty batch gives is left open: the host never asks for one.
"""

from __future__ import annotations

from typing import Any

import torch

from bench3d.contracts import BackboneRegistration, Model
from bench3d.errors import UsageError
from bench3d.testing import models
from bench3d.testing.checks import Check, Skip, Subject, require
from bench3d.testing.contents import reachable
from bench3d.testing.images import DEFAULT_SIDE, frames, plain, scene, square
from bench3d.testing.localisation import (
    Localisation,
    averages_colours,
    check_localisation,
    check_ramp,
)
from bench3d.testing.model_checks import SOUND, model_checks
from bench3d.testing.models import check_batch, check_contract, features_of, largest_difference, values_of
from bench3d.testing.state import stirred_random
from bench3d.testing.weights_files import check_weights_file

__all__ = [
    "CHECKS",
    "Localisation",
    "check_backbone",
    "check_batch",
    "check_contract",
    "check_localisation",
    "check_ramp",
    "frames",
]

GREYS = (0.0, 0.5, 1.0)
SECOND, OTHER_SEED = "a second model", "a model of another seed"


def check_backbone(
    model: Model, *, linear: bool = False, square_only: bool = False, largest: float = 0.5, shift: float = 0.2
) -> Localisation:
    """Shapes and types, batches, and where features lie, of a model at hand.

    Args:
        model: a backbone; small inputs (grid 8) keep this within seconds.
        linear: its features are local averages of the image's values (channels 0 and 1 red and green): the ramp test
            applies.
        square_only: it refuses images that are not square.
        largest, shift: bounds of `check_localisation`.

    Raises:
        PluginError: the first broken promise, in one sentence.
    """
    shapes = [geometry for _, geometry in frames(model, square_only)]
    for geometry in shapes:
        check_contract(model, geometry)
    check_batch(model)
    if linear:
        for geometry in shapes:
            check_ramp(model, geometry)
    return check_localisation(model, square_only=square_only, largest=largest, shift=shift)


def made(subject: Subject) -> Model:
    """The one instance that all checks which change nothing share."""

    def make() -> Model:
        model = subject.create()
        require(
            isinstance(model, Model),
            f"The factory of {subject.name} gives a {type(model).__name__}, not a bench3d.contracts.Model.",
            "Derive from Model, or return bench3d.features.backbone.DenseBackbone.",
        )
        return model

    model: Model = subject.shared("a model", make)
    return model


def makes(subject: Subject) -> str:
    """A model with features comes out of the factory."""
    model = made(subject)
    require("features" in model.capabilities, f"{subject.name}: capabilities lack features.")
    registration = subject.registration
    if subject.options.weights == "random" and getattr(registration, "weights", None) is not None:
        require(
            model.random_weights,
            f"{subject.name} does not say that its weights are random.",
            "Set random_weights = True where weights are 'random'; every record then says so.",
        )
    return type(model).__name__


def odd_inputs(subject: Subject) -> str:
    """Sizes that are not square or a pixel off, and images of one colour, work as a whole or are refused in words."""
    model = made(subject)
    refused = [name for name, images in _odd_images(model) if not _accepts(model, images)]
    for grey in GREYS:
        side = model.canvas or DEFAULT_SIDE
        models.check_coverage(model, plain((side, side), (grey,) * 3))
    if subject.registered and "native" in type(subject.settings()).model_fields:
        native = subject.create(settings=subject.settings(native=True))
        refused += [f"native {name}" for name, images in _odd_images(native) if not _accepts(native, images)]
    return f"refused with a sentence: {', '.join(refused)}" if refused else ""


def _odd_images(model: Model) -> list[tuple[str, torch.Tensor]]:
    side = model.canvas or DEFAULT_SIDE
    sizes = [(2 * side, side + 7), (side - 1, side + 1), (side + 1, side), (37, 53)]
    return [(f"{width}x{height}", scene((width, height), width)) for width, height in sizes]


def _accepts(model: Model, images: torch.Tensor) -> bool:
    """Whether a model takes images of this size; it may refuse them with a UsageError."""
    try:
        models.check_coverage(model, images)
    except UsageError as error:
        require(bool(str(error).strip()), f"{type(model).__name__} refuses an image without a word.")
        return False
    return True


def pixel_geometry(subject: Subject) -> str:
    """Features lie where their geometry says: a ramp for averages of colours, a textured blob for the rest."""
    model = made(subject)
    wide = next(geometry for name, geometry in frames(model) if name == "wide")
    square_only = not _accepts(model, scene(wide.input_size, 0))
    linear = averages_colours(model)
    for _, geometry in frames(model, square_only) if linear else ():
        check_ramp(model, geometry)
    found = check_localisation(model, square_only=square_only)
    return f"{'ramp and blob' if linear else 'blob'}: mean error ({found.shift[0]:.2f}, {found.shift[1]:.2f}) cells"


def instances(subject: Subject) -> None:
    """Two instances with one seed are equal bit for bit, whatever the global random state."""
    first = values_of(made(subject), square(made(subject), 1))
    other, _ = second(subject)
    difference = largest_difference(first, values_of(other, square(other, 1)))
    require(
        difference == 0,
        f"Two instances of {subject.name} with the same settings differ (by {difference:.1e}).",
        "Draw random weights from the settings' seed, under torch.random.fork_rng.",
    )


def seed(subject: Subject) -> None:
    """Another seed gives other features."""
    model, other = made(subject), of_other_seed(subject)
    if other is None:
        raise Skip("nothing is drawn from a seed")
    batch = square(model, 1)
    require(
        largest_difference(values_of(model, batch), values_of(other, batch)) > 0,
        f"{subject.name} ignores its seed: two seeds give the same features.",
        "Draw from settings.seed.",
    )


def of_other_seed(subject: Subject) -> Model | None:
    """An instance of another seed, None where nothing is drawn."""
    settings = subject.settings()
    drawn = subject.options.weights == "random" or getattr(subject.registration, "weights", None) is None
    if "seed" not in type(settings).model_fields or not drawn:
        return None
    other: Model = subject.shared(OTHER_SEED, lambda: subject.create(settings=subject.settings(seed=settings.seed + 1)))
    return other


def fingerprint(subject: Subject) -> str:
    """The fingerprint stays while nothing changes, and is another where the seed or a weight is."""
    model = made(subject)
    before = model.fingerprint()
    if before is None:
        return "None: its features are never cached"
    require(isinstance(before, str) and before != "", f"{subject.name}: the fingerprint is {before!r}, no text.")
    features_of(model, square(model, 1))
    require(model.fingerprint() == before, f"{subject.name}: the fingerprint changes when features are computed.")
    other, (same, _) = of_other_seed(subject), second(subject)
    require(same.fingerprint() == before, f"Two equal instances of {subject.name} have different fingerprints.")
    prints = [] if other is None else [(other.fingerprint(), "the seed is another")]
    parameters = [p for n in reachable(same) if isinstance(n, torch.nn.Module) for p in n.parameters()]
    if same is not model and parameters:
        weight = parameters[-1].detach().view(-1)[-1:]
        weight += 1.0
        prints.append((same.fingerprint(), "a weight changes"))
        weight -= 1.0
    for found, where in prints:
        require(
            found != before,
            f"{subject.name}: the fingerprint stays the same where {where}.",
            "Hash all that decides the features (bench3d.features.fingerprint): a cache would mix the two.",
        )
    subject.forget(SECOND, OTHER_SEED)
    return before[:12]


def making_state(subject: Subject) -> None:
    """Importing and making the model leave the process's shared state as it was."""
    made(subject)
    models.require_no_changes(subject.changed_first or [], f"Importing and making {subject.name}")
    models.require_no_changes(second(subject)[1], f"Making {subject.name}")


def second(subject: Subject) -> tuple[Model, list[str]]:
    """Another instance, made under another global random state, and what making it changed of the process."""

    def make() -> tuple[Model, list[str]]:
        with stirred_random(7):
            model = subject.create()
        return model, subject.changed

    pair: tuple[Model, list[str]] = subject.shared(SECOND, make)
    return pair


def facts_agree(subject: Subject) -> str:
    """What the registration says of parameters, patch, channels and input size is what the model has."""
    registration = subject.registration
    if not subject.registered or not isinstance(registration, BackboneRegistration):
        raise Skip("not registered")
    model = made(subject)
    side = model.canvas or DEFAULT_SIDE
    first = features_of(model, square(model, 1))[0].map
    ends = first.geometry[0].cell_to_original(torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64))
    found: dict[str, Any] = {"dim": first.values.shape[1], "patch": round(float(ends[1, 0] - ends[0, 0]), 3)}
    facts = model.describe()
    if "params" in facts:
        found["params"] = facts["params"]
    if set(subject.options.settings) & {"layer", "dim"}:
        found.pop("dim")
    for name, value in found.items():
        said = getattr(registration, name)
        require(
            said is None or said == value,
            f"{subject.name}: the registration says {name}={said}, the model has {value} (input of {side} pixels).",
            f"Correct {name} of the registration.",
        )
    return ", ".join(f"{k} {v}" for k, v in found.items() if getattr(registration, k) is not None)


def device(subject: Subject) -> str:
    """A batch on the CPU and one on the GPU give the same features, as does a model made on the CPU."""
    if not torch.cuda.is_available():
        raise Skip("there is no CUDA GPU here")
    cpu, gpu = subject.create(device="cpu"), subject.create(device="cuda")
    batch = square(cpu, 2)
    wanted = values_of(cpu, batch)[0]
    worst = 0.0
    for given in (batch, batch.to("cuda")):
        values = values_of(gpu, given)[0].cpu()
        worst = max(worst, largest_difference([values], [wanted]) / max(float(wanted.abs().max()), 1e-12))
    require(worst <= 1e-3, f"{subject.name}: features on the GPU differ by {worst:.1e} from those on the CPU.")
    return f"at most {worst:.0e} of the largest feature"


def _check(name: str, run: Any, *needs: str) -> Check:
    return Check(name, ("backbone",), (run.__doc__ or "").split("\n")[0], run, needs)


CHECKS: tuple[Check, ...] = (
    _check("makes", makes),
    *model_checks("backbone", made, "makes"),
    _check("making-state", making_state, "makes"),
    _check("odd-inputs", odd_inputs, "contract"),
    _check("pixel-geometry", pixel_geometry, *SOUND, "odd-inputs"),
    _check("instances", instances, *SOUND),
    _check("seed", seed, *SOUND, "instances"),
    _check("fingerprint", fingerprint, *SOUND, "instances", "seed"),
    _check("facts", facts_agree, "contract", "odd-inputs", "pixel-geometry"),
    _check("weights-file", check_weights_file, *SOUND, "instances"),
    _check("device", device, *SOUND),
)
