"""Where the feature cache stands, how large it may be, and what its keys are made of. Importing this loads no torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

from bench3d.contracts.encoding import Placing
from bench3d.errors import UsageError
from bench3d.features.cache_shards import Storage
from bench3d.geometry.pixels import PixelGeometry
from bench3d.machine import user_cache

EXTRACTOR_VERSION = 1
"""Bumped when the host changes how features are computed from the same model and pixels."""

FOLDER_VARIABLE, CAP_VARIABLE = "BENCH3D_CACHE", "BENCH3D_CACHE_GB"
DEFAULT_CAP_GB = 20.0


def cache_folder() -> Path:
    """BENCH3D_CACHE, else `bench3d/features` in the user's cache folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named).expanduser() if named else user_cache() / "bench3d" / "features"


def cache_cap() -> int:
    """Bytes that the cache may take: BENCH3D_CACHE_GB (0 turns it off), else 20 GB.

    Raises:
        UsageError: the variable is no number.
    """
    named = os.environ.get(CAP_VARIABLE)
    try:
        gigabytes = float(named) if named else DEFAULT_CAP_GB
        if not 0 <= gigabytes < float("inf"):
            raise ValueError
    except ValueError:
        raise UsageError(f"{CAP_VARIABLE} is {named!r}, which is no size.", "Give gigabytes, such as 20.") from None
    return int(gigabytes * 1e9)


def feature_key(
    image_digest: str, placing: Placing, geometry: PixelGeometry, fingerprint: str, salt: str, storage: Storage
) -> str:
    """sha256 of everything that decides the features of one image.

    Args:
        image_digest: sha256 of the image file's bytes.
        placing: how it was asked for.
        geometry: original to input pixels, as that placing came out.
        fingerprint: of the model (weights, layer, preprocessing, adapters).
        salt: the host's identity of backbone and adapters.
        storage: type of the stored numbers; they are computed in float32.
    """
    parts = {
        "image": image_digest,
        "placing": dataclasses.asdict(placing),
        "geometry": dataclasses.asdict(geometry),
        "model": fingerprint,
        "salt": salt,
        "compute": "float32",
        "storage": storage,
        "extractor": EXTRACTOR_VERSION,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=lambda number: number.item())
    return hashlib.sha256(text.encode()).hexdigest()
