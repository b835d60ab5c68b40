"""Addresses and checksums of CO3D v2, category by category, as its repository publishes them.

`sha256.txt` holds the lines of `co3d/co3d_sha256.json` of https://github.com/facebookresearch/co3d (2122fad, February
2023) for the categories that bench3d names, addresses are those of its `links.json`. Every archive holds a part of its
category's videos and unpacks into the category's folder. Sizes are not published.
"""

from __future__ import annotations

from importlib.resources import files

from bench3d.contracts.registration import Download
from bench3d_plugins.co3d.names import category_of

ADDRESS = "https://dl.fbaipublicfiles.com/co3dv2_231130"


def downloads(folder: str) -> tuple[Download, ...]:
    """Every archive, unpacked into `folder` under the data root."""
    lines = (files(__package__) / "sha256.txt").read_text(encoding="utf-8").splitlines()
    entries = [line.split() for line in lines]
    owners = [category_of(name.rpartition("_")[0]) for _, name in entries]
    return tuple(
        Download(url=f"{ADDRESS}/{name}", sha256=digest, into=folder, categories=(owner,))
        for (digest, name), owner in zip(entries, owners, strict=True)
    )
