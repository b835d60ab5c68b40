"""Points and their trails over frames: filled where visible, an empty ring where occluded; a colour each."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

TRAIL = 12
"""Frames that a trail reaches back."""
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
SUBPIXEL = 4  # bits of fractional coordinates that OpenCV draws with


def colours(count: int) -> list[tuple[int, int, int]]:
    """Colours that neighbours in the list can be told apart by."""
    golden = 0.61803398875
    hues = [(n * golden) % 1.0 for n in range(count)]
    return [tuple(round(255 * v) for v in colorsys.hsv_to_rgb(hue, 0.85, 1.0)) for hue in hues]  # type: ignore[misc]


def draw_frame(
    pixels: np.ndarray,
    xy: np.ndarray,
    hidden: np.ndarray,
    *,
    past: np.ndarray | None = None,
    past_hidden: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    height: int | None = None,
) -> np.ndarray:
    """A copy of a frame (H, W, 3) uint8 with points.

    Args:
        xy: (N, 2) pixels of the frame. hidden: (N,) bool: drawn as an empty ring.
        past, past_hidden: (N, P, 2) and (N, P) the frames before, oldest first: drawn as a trail where visible.
        truth: (N, 2) true places, joined to the points by a line; NaN where there is none.
        height: of the picture in pixels; None keeps the frame's.
    """
    scale = 1.0 if height is None else height / pixels.shape[0]
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    picture = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    radius = max(2.5, min(size) / 90)
    for n, colour in enumerate(colours(len(xy))):
        if past is not None:
            gone = np.zeros(past.shape[1], dtype=bool) if past_hidden is None else past_hidden[n]
            _trail(picture, np.concatenate([past[n], xy[n : n + 1]]) * scale, [*gone, hidden[n]], colour, radius)
        if truth is not None and np.isfinite(truth[n]).all():
            cv2.line(picture, _at(truth[n] * scale), _at(xy[n] * scale), WHITE, 1, cv2.LINE_AA, SUBPIXEL)
    for n, colour in enumerate(colours(len(xy))):
        if np.isfinite(xy[n]).all():
            _point(picture, xy[n] * scale, bool(hidden[n]), colour, radius)
    return picture


def _trail(
    picture: np.ndarray, path: np.ndarray, hidden: list[bool], colour: tuple[int, int, int], radius: float
) -> None:
    for k in range(len(path) - 1):
        if not (hidden[k] or hidden[k + 1]):
            thick = max(1, round(radius * 0.6 * (k + 1) / len(path)))
            cv2.line(picture, _at(path[k]), _at(path[k + 1]), colour, thick, cv2.LINE_AA, SUBPIXEL)


def _point(picture: np.ndarray, xy: np.ndarray, hidden: bool, colour: tuple[int, int, int], radius: float) -> None:
    long, unit = round(radius * (1 << SUBPIXEL)), 1 << SUBPIXEL
    if hidden:
        cv2.circle(picture, _at(xy), long, BLACK, 3, cv2.LINE_AA, SUBPIXEL)
        cv2.circle(picture, _at(xy), long, colour, 1, cv2.LINE_AA, SUBPIXEL)
        return
    cv2.circle(picture, _at(xy), long + unit, BLACK, -1, cv2.LINE_AA, SUBPIXEL)
    cv2.circle(picture, _at(xy), long, colour, -1, cv2.LINE_AA, SUBPIXEL)


def _at(xy: np.ndarray) -> tuple[int, int]:
    # OpenCV counts from the centre of the first pixel.
    x, y = np.clip(np.round((xy - 0.5) * (1 << SUBPIXEL)), -(1 << 20), 1 << 20)
    return int(x), int(y)


def png(picture: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as a PNG file."""
    return bytes(cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1])
