"""Frames as the model is asked for them: reduced to the protocol's size first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from bench3d.contracts import ImageRequest, VideoFrame
from bench3d.data.images import load_rgb


@dataclass(frozen=True)
class ReducedFrame:
    """A frame stretched to `size` (W, H) by Pillow's Lanczos filter on 8 bits, as mediapy and DINO-Tracker do."""

    frame: VideoFrame
    size: tuple[int, int]

    def read(self) -> np.ndarray:
        """(H, W, 3) uint8; DataError where the frame is missing or broken."""
        pixels = frame_pixels(self.frame)
        if (pixels.shape[1], pixels.shape[0]) == self.size:
            return pixels
        return np.asarray(Image.fromarray(pixels).resize(self.size, Image.Resampling.LANCZOS))


def frame_pixels(frame: VideoFrame) -> np.ndarray:
    """(H, W, 3) uint8 of a frame at its own size; DataError where it is missing or broken."""
    return load_rgb(frame.path, frame.size) if frame.pixels is None else frame.pixels.read()


def frame_request(frame: VideoFrame, size: tuple[int, int] | None) -> ImageRequest:
    """What the encoder is asked for; `size` None leaves the frame as it is."""
    if size is None or tuple(size) == frame.size:
        return ImageRequest(frame.path, size=frame.size, pixels=frame.pixels)
    return ImageRequest(frame.path, pixels=ReducedFrame(frame, (size[0], size[1])))
