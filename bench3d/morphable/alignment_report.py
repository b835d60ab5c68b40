"""What an alignment is like: a row per sequence, figures per category, and a picture from three sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench3d.geometry.similarity import apply_similarity, split_similarity
from bench3d.morphable.alignment import Aligned, CategoryAlignment, counted
from bench3d.morphable.alignment_ransac import angles

CLOSE = 30.0
"""Degrees within which an alignment counts as right."""
RIVALS = 1.1
"""A rival whose distance is at most so many times the chosen one's makes an answer doubtful."""
TILE, MOST_TILES, COLUMNS = 132, 24, 3
VIEWS = (
    np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    np.array([[0, 1.0, 0], [0, 0, -1], [-1, 0, 0]]),
    np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]),
)
"""Rotations into the camera: from the front, from the object's left, from above."""


def rows_of(one: CategoryAlignment, truth: Mapping[str, np.ndarray] | None) -> list[dict[str, Any]]:
    """A row per aligned sequence, the reference first: scores, how sharp and how doubtful, seconds, and the error.

    The error is the angle in degrees between the rotation into the reference's frame and the true one; nothing is
    removed from it first. `turn` says which turn of the object it is like.
    """
    rows = []
    for aligned in sorted(one.aligned, key=lambda a: (a.name != one.reference, a.name)):
        row: dict[str, Any] = {"sequence": aligned.name, "scale": float(split_similarity(aligned.transform)[0])}
        if aligned.fit is not None:
            fit = aligned.fit
            row |= {"score": fit.score, "geometry": fit.geometry, "appearance": fit.appearance, "spread": fit.spread}
            row |= {"rival_score": fit.rival_score, "rival_angle": fit.rival_angle, "doubtful": is_doubtful(aligned)}
        row |= {"vertices": aligned.vertices, "features": aligned.features, "frames": aligned.frames}
        row["seconds"] = {k: round(v, 3) for k, v in aligned.seconds.items()}
        if truth is not None and aligned.fit is not None and aligned.name in truth and one.reference in truth:
            turn = error_rotation(aligned.transform, truth[aligned.name], truth[one.reference])
            row["error"] = float(angles(turn, np.eye(3)))
            row["turn"] = name_of_turn(turn)
        rows.append(row)
    return rows


def summary_of(one: CategoryAlignment, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of one category and reference; shares are of the sequences without the reference."""
    own = [r for r in rows if "score" in r]
    errors = [r["error"] for r in own if "error" in r]
    seconds = [sum(r["seconds"].values()) for r in rows]
    out: dict[str, Any] = {
        "category": one.category,
        "reference": one.reference,
        "aligned": len(rows),
        "skipped": counted(one.skipped.values()),
        "score": _median([r["score"] for r in own]),
        "spread": _median([r["spread"] for r in own]),
        "doubtful": float(np.mean([r["doubtful"] for r in own])) if own else None,
        "seconds_per_sequence": float(np.mean(seconds)) if seconds else None,
    }
    if errors:
        turns = [r["turn"] for r in own if r.get("error", 0.0) >= CLOSE]
        out |= {
            "within_30_degrees": float(np.mean(np.array(errors) < CLOSE)),
            "median_error": _median(errors),
            "errors": {turn: turns.count(turn) for turn in sorted(set(turns))},
        }
    return out


def is_doubtful(aligned: Aligned) -> bool:
    """Whether a rotation more than 30 degrees away scores nearly as well."""
    fit = aligned.fit
    return fit is not None and fit.rival_score is not None and fit.rival_score > RIVALS * fit.score


def error_rotation(reference_T_raw: np.ndarray, obj_T_raw: np.ndarray, obj_T_reference_raw: np.ndarray) -> np.ndarray:
    """(3, 3) turn of the object, in its own axes, by which an alignment is wrong; the identity where it is right."""
    found, own, reference = (split_similarity(t)[1] for t in (reference_T_raw, obj_T_raw, obj_T_reference_raw))
    return reference @ found @ own.T


def name_of_turn(turn: np.ndarray) -> str:
    """Which turn of an object (x left, y back, z up) a rotation (3, 3) is within 30 degrees of."""
    named = {"none": np.eye(3)}
    for name, axis in (("vertical", 2), ("left-right", 0), ("front-back", 1)):
        named[f"half turn about the {name} axis"] = _turn(axis, 180.0)
        for angle in (90.0, -90.0):
            named[f"quarter turn about the {name} axis" + (" " if angle < 0 else "")] = _turn(axis, angle)
    apart = {name: float(angles(turn, other)) for name, other in named.items()}
    best = min(apart, key=lambda name: apart[name])
    return best.strip() if apart[best] < CLOSE else "other"


def picture(
    one: CategoryAlignment,
    meshes: Mapping[str, tuple[np.ndarray, np.ndarray]],
    axes: np.ndarray | None,
    rows: Sequence[Mapping[str, Any]],
) -> np.ndarray:
    """(H, W, 3) uint8: the proxy meshes after alignment, each from the front, from its left and from above.

    Above each its score, with a question mark where that is doubtful, and where the truth is known the error.

    Args:
        meshes: vertices and faces in each sequence's own frame.
        axes: rotation (3, 3) from the reference's frame to labelled axes; None turns by the reference's principal axes.
        rows: as `rows_of` makes them.
    """
    from bench3d.render.shade import panel

    vertices, _ = meshes[one.reference]
    turn = principal_axes(vertices) if axes is None else axes
    placed = vertices @ turn.T
    middle, half = (placed.max(axis=0) + placed.min(axis=0)) / 2, np.ptp(placed, axis=0).max() / 2
    transforms = {a.name: a.transform for a in one.aligned}
    chosen = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_TILES)).round().astype(int))]
    tiles, labels = [], []
    for row in chosen:
        name = str(row["sequence"])
        own, faces = meshes[name]
        points = (apply_similarity(transforms[name], own) @ turn.T - middle) / half
        tiles.append(_tile(points, faces, name == one.reference))
        labels.append(_label(row, name == one.reference))
    return panel(tiles, labels, COLUMNS)


def principal_axes(points: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) whose rows are the principal axes of points (N, 3): second longest, longest, shortest."""
    _, _, vt = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    turn = vt[[1, 0, 2]]
    turn[2] *= np.sign(np.linalg.det(turn))
    return turn


def _tile(points: np.ndarray, faces: np.ndarray, is_reference: bool) -> np.ndarray:
    from bench3d.render.shade import overlay, shaded

    focal, distance = 6.0, 8.5
    intrinsics = np.array([[focal * TILE / 2, 0, TILE / 2], [0, focal * TILE / 2, TILE / 2], [0, 0, 1]])
    colour = (0.55, 0.68, 0.85) if is_reference else (0.72, 0.74, 0.78)
    views = []
    for rotation in VIEWS:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, (0, 0, distance)
        white = np.full((TILE, TILE, 3), 255, dtype=np.uint8)
        views.append(overlay(white, shaded(points, faces, pose, intrinsics, (TILE, TILE), colour)))
    return np.concatenate(views, axis=1)


def _label(row: Mapping[str, Any], is_reference: bool) -> str:
    if is_reference:
        return f"{row['sequence']}  (reference)"
    error = f"  error {row['error']:.0f}°" if "error" in row else ""
    return f"{row['sequence']}  {row['score']:.3f}{'?' if row['doubtful'] else ''}{error}"


def _turn(axis: int, degrees: float) -> np.ndarray:
    from bench3d.geometry.rotations import so3_exp

    vector = np.zeros(3)
    vector[axis] = np.deg2rad(degrees)
    return np.asarray(so3_exp(vector))


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
