"""A box of 2 x 1 x 1 whose six sides have six colours, as files of several formats; z is up in obj and glb only after
the reader has turned them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

SIDES = {
    "+x": (220, 40, 40),
    "-x": (40, 200, 60),
    "+y": (50, 70, 230),
    "-y": (230, 220, 50),
    "+z": (220, 60, 210),
    "-z": (60, 210, 210),
}
EXTENT = np.array([2.0, 1.0, 1.0])


def texture(side: int = 32) -> Image.Image:
    """Six plain stripes beside each other, in the order of SIDES."""
    return Image.fromarray(np.concatenate([np.full((side, side, 3), c, np.uint8) for c in SIDES.values()], axis=1))


def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """vertices (24, 3), faces (12, 3), uv (24, 2) of the box; every side sees the middle of its stripe."""
    vertices, faces, uv = [], [], []
    for number, name in enumerate(SIDES):
        axis, sign = "xyz".index(name[1]), 1.0 if name[0] == "+" else -1.0
        first, second = [a for a in range(3) if a != axis]
        for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            corner = np.zeros(3)
            corner[axis], corner[first], corner[second] = sign, a, b
            vertices.append(corner * EXTENT / 2)
            uv.append(((number + 0.5 + 0.3 * a) / 6, 0.5 + 0.3 * b))
        faces += [(4 * number, 4 * number + 1, 4 * number + 2), (4 * number, 4 * number + 2, 4 * number + 3)]
    return np.array(vertices), np.array(faces), np.array(uv)


def write_obj(folder: Path, name: str = "cube", image: str = "paint.png", save: bool = True) -> Path:
    """obj, mtl and png; `image` is what the mtl says, `save` False leaves the png out."""
    folder.mkdir(parents=True, exist_ok=True)
    vertices, faces, uv = arrays()
    lines = [f"mtllib {name}.mtl", "usemtl paint"]
    lines += ["v {} {} {}".format(*v) for v in vertices] + ["vt {} {}".format(*t) for t in uv]
    lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in face) for face in faces]
    (folder / f"{name}.obj").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.mtl").write_text(f"newmtl paint\nKd 0.1 0.1 0.1\nmap_Kd {image}\n")
    if save:
        texture().save(folder / image)
    return folder / f"{name}.obj"


def write_glb(path: Path, **material) -> Path:
    """One file with the texture inside; `material` goes to trimesh's PBRMaterial."""
    path.parent.mkdir(parents=True, exist_ok=True)
    vertices, faces, uv = arrays()
    paint = trimesh.visual.material.PBRMaterial(name="paint", **{"baseColorTexture": texture(), **material})
    visual = trimesh.visual.TextureVisuals(uv=uv, material=paint)
    trimesh.Trimesh(vertices, faces, visual=visual, process=False).export(path)
    return path
