"""The conformance kit of shape models: that of every fit (`fit_checks`), and what they add: pose, mask, shape."""

from __future__ import annotations

import dataclasses

import torch

from bench3d.contracts import Given, ImageBatch, Model, PoseEstimate
from bench3d.errors import CapabilityError
from bench3d.testing.checks import Check
from bench3d.testing.fit_checks import fit_checks
from bench3d.testing.fits import applied, category_of
from bench3d.testing.images import square
from bench3d.testing.models import check_state
from bench3d.testing.state import restored_state, stirred_random
from bench3d.testing.subjects import CheckFailed, Skip, Subject, require

DISTANCE = 3.5
"""Of the object from the camera, in canonical units."""
FARTHEST = 10.0
"""No vertex of a canonical object lies as far out, however badly it is fitted."""
NO_CATEGORY = "no-such-category"


def given_of(subject: Subject, batch: ImageBatch) -> Given:
    """All the oracles that a protocol may give, and those that the registration asks for, of a ball in the middle."""
    count, side = len(batch), float(batch.images.shape[-1])
    camera = torch.tensor([[1.2 * side, 0.0, side / 2], [0.0, 1.2 * side, side / 2], [0.0, 0.0, 1.0]])
    return Given(
        category=category_of(subject),
        intrinsics=camera.expand(count, 3, 3).clone(),
        translation=torch.tensor([[0.0, 0.0, DISTANCE]]).expand(count, 3).clone(),
        box=torch.tensor([[0.2, 0.2, 0.8, 0.8]]).mul(side).expand(count, 4).clone(),
        depth=_depth(batch) if "depth" in getattr(subject.registration, "oracles", ()) else None,
    )


def _depth(batch: ImageBatch) -> torch.Tensor:
    """(B, H, W) of a ball of radius 1 at `DISTANCE`, seen from afar: 0.3 sides on the image."""
    height, width = batch.images.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    squared = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (0.3 * width) ** 2
    depth = torch.where(squared < 1, DISTANCE - (1 - squared).clamp_min(0).sqrt(), 0.0)
    return depth.expand(len(batch), height, width).clone()


def _ready(subject: Subject, capability: str) -> tuple[Model, ImageBatch, Given]:
    if capability not in getattr(subject.registration, "adds", ()):
        raise Skip(f"it adds no {capability}")
    model = applied(subject)
    batch = square(model, 2, category_of(subject))
    return model, batch, given_of(subject, batch)


def pose_of(model: Model, batch: ImageBatch, given: Given) -> PoseEstimate:
    """The model's pose; the state of the process is put back."""
    with restored_state():
        estimate = model.pose(batch, given)
    if not isinstance(estimate, PoseEstimate):
        raise CheckFailed(f"{type(model).__name__}.pose gives a {type(estimate).__name__}, not a PoseEstimate.")
    return estimate


def check_pose(subject: Subject) -> str:
    """Rotations are orthonormal with determinant 1; translations, in front of the camera, and scores are finite."""
    model, batch, given = _ready(subject, "pose")
    estimate = pose_of(model, batch, given)
    name, count = type(model).__name__, len(batch)
    for field, shape in (("rotation", (count, 3, 3)), ("translation", (count, 3)), ("score", (count,))):
        value = getattr(estimate, field)
        require(tuple(value.shape) == shape, f"{name}.pose: {field} is {tuple(value.shape)}, not {shape}.")
        require(bool(torch.isfinite(value).all()), f"{name}.pose: {field} is not finite.")
    for field in ("rotation", "start_rotation"):
        value = getattr(estimate, field)
        if value is not None:
            _require_rotations(value, f"{name}.pose: {field}")
    for key, value in estimate.extra.items():
        require(tuple(value.shape) == (count,), f"{name}.pose: extra {key} is {tuple(value.shape)}, not ({count},).")
    require(bool((estimate.translation[:, 2] > 0).all()), f"{name}.pose: the object stands behind the camera.")
    return f"scores {estimate.score.min():.2f} to {estimate.score.max():.2f}"


def _require_rotations(value: torch.Tensor, what: str) -> None:
    matrix = value.detach().cpu().double()
    off = float((matrix @ matrix.transpose(1, 2) - torch.eye(3, dtype=torch.float64)).abs().max())
    require(off < 1e-4, f"{what} is not orthonormal (by {off:.1e}).", "Project it back onto SO(3).")
    require(bool((torch.linalg.det(matrix) > 0).all()), f"{what} mirrors: its determinant is -1.")


def check_pose_repeats(subject: Subject) -> None:
    """The same batch twice gives the same poses, whatever the global random state; the given oracles stay."""
    model, batch, given = _ready(subject, "pose")
    kept = {f.name: _copied(getattr(given, f.name)) for f in dataclasses.fields(given)}
    first = pose_of(model, batch, given)
    for name, value in kept.items():
        now = getattr(given, name)
        same = torch.equal(value, now) if isinstance(value, torch.Tensor) else value == now
        require(same, f"{type(model).__name__}.pose changes the given {name} in place.", "Work on a copy.")
    with stirred_random(11):
        second = pose_of(model, batch, given)
    for field in ("rotation", "translation", "score"):
        require(
            torch.equal(getattr(first, field), getattr(second, field)),
            f"{type(model).__name__}.pose gives another {field} the second time.",
            "Draw starts from a generator of your own with a fixed seed.",
        )
    check_state(lambda: model.pose(batch, given), f"{subject.name}: pose")


def check_oracles(subject: Subject) -> str:
    """The model asks for the oracles of its registration, and refuses with a CapabilityError where one is not given."""
    wanted = frozenset(getattr(subject.registration, "oracles", ()))
    model = applied(subject)
    require(
        model.oracles == wanted,
        f"{type(model).__name__}.oracles are {sorted(model.oracles)}, those of the registration {sorted(wanted)}.",
    )
    if not wanted or "pose" not in getattr(subject.registration, "adds", ()):
        return "none" if not wanted else ", ".join(sorted(wanted))
    batch = square(model, 1, category_of(subject))
    for name in sorted(wanted):
        given = dataclasses.replace(given_of(subject, batch), **{name: None})
        try:
            with restored_state():
                model.pose(batch, given)
        except CapabilityError:
            continue
        except Exception as error:
            raise CheckFailed(
                f"{type(model).__name__}.pose falls over without the {name} that its registration asks for, with an "
                f"{type(error).__name__}.",
                "Raise CapabilityError.",
            ) from error
        raise CheckFailed(
            f"{type(model).__name__}.pose answers without the {name} that its registration asks for.",
            "Raise CapabilityError, or take it off the registration's oracles.",
        )
    return ", ".join(sorted(wanted))


def _copied(value: object) -> object:
    return value.clone() if isinstance(value, torch.Tensor) else value


def check_shape(subject: Subject) -> str:
    """Instance meshes: finite vertices (B, V, 3) in canonical units, faces (F, 3) of them; alone as in a batch."""
    model, batch, given = _ready(subject, "shape")
    with restored_state():
        vertices, faces = model.shape(batch, given)
        one = square(model, 1, category_of(subject))
        alone, _ = model.shape(one, given_of(subject, one))
    name = type(model).__name__
    require(
        vertices.ndim == 3 and vertices.shape[0] == len(batch) and vertices.shape[2] == 3,
        f"{name}.shape: vertices are {tuple(vertices.shape)}, not ({len(batch)}, V, 3).",
    )
    require(bool(torch.isfinite(vertices).all()), f"{name}.shape: vertices are not finite.")
    farthest = float(vertices.abs().max())
    require(farthest < FARTHEST, f"{name}.shape: a vertex lies at {farthest:.0f}; canonical units end at about 1.")
    require(faces.ndim == 2 and faces.shape[1] == 3, f"{name}.shape: faces are {tuple(faces.shape)}, not (F, 3).")
    require(not faces.is_floating_point(), f"{name}.shape: faces are {faces.dtype}, not integers.")
    require(
        len(faces) > 0 and int(faces.min()) >= 0 and int(faces.max()) < vertices.shape[1],
        f"{name}.shape: faces name vertices that do not exist.",
    )
    off = float((alone[0] - vertices[0]).abs().max())
    require(off < 1e-4, f"{name}.shape: the mesh of an image depends on its batch (by {off:.1e}).")
    return f"{vertices.shape[1]} vertices, {len(faces)} faces"


def check_mask(subject: Subject) -> str:
    """Masks are (B, h, w) in [0, 1]."""
    model, batch, given = _ready(subject, "mask")
    pose = PoseEstimate(torch.eye(3).expand(len(batch), 3, 3), given_translation(given), torch.zeros(len(batch)))
    if "pose" in model.capabilities:
        pose = pose_of(model, batch, given)
    with restored_state():
        mask = model.mask(batch, given, pose)
    name = type(model).__name__
    require(mask.ndim == 3 and len(mask) == len(batch), f"{name}.mask is {tuple(mask.shape)}, not (B, h, w).")
    require(bool(torch.isfinite(mask).all()), f"{name}.mask is not finite.")
    low, high = float(mask.min()), float(mask.max())
    require(low >= -1e-6 and high <= 1 + 1e-6, f"{name}.mask has values from {low:.2f} to {high:.2f}, not in [0, 1].")
    return f"{mask.shape[2]}x{mask.shape[1]}, {float(mask.mean()):.0%} covered"


def given_translation(given: Given) -> torch.Tensor:
    """The translations (B, 3) of `given_of`."""
    assert given.translation is not None
    return given.translation


def check_other_category(subject: Subject) -> str:
    """A category without an artifact is refused with a CapabilityError that says so; features stay available."""
    adds = getattr(subject.registration, "adds", ())
    model = applied(subject)
    batch = square(model, 1, NO_CATEGORY)
    given = dataclasses.replace(given_of(subject, batch), category=NO_CATEGORY)
    calls = {"pose": lambda: model.pose(batch, given), "shape": lambda: model.shape(batch, given)}
    tried = [name for name in calls if name in adds]
    for name in tried:
        try:
            with restored_state():
                calls[name]()
        except CapabilityError:
            continue
        except Exception as error:
            raise CheckFailed(
                f"{type(model).__name__}.{name} answers to a category that was not fitted with a "
                f"{type(error).__name__}.",
                "Raise CapabilityError, naming the categories that were.",
            ) from error
        raise CheckFailed(f"{type(model).__name__}.{name} answers for a category that was not fitted.")
    return ", ".join(tried)


def _check(name: str, run: object, *needs: str) -> Check:
    return Check(name, ("shape-model",), (run.__doc__ or "").split("\n")[0], run, needs)  # type: ignore[arg-type]


CHECKS: tuple[Check, ...] = (
    *fit_checks("shape-model"),
    _check("pose", check_pose, "fit", "capabilities"),
    _check("pose-repeats", check_pose_repeats, "fit", "pose"),
    _check("shape", check_shape, "fit", "capabilities"),
    _check("mask", check_mask, "fit", "capabilities"),
    _check("oracles", check_oracles, "fit", "capabilities"),
    _check("other-category", check_other_category, "fit", "capabilities"),
)
