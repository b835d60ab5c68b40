"""Where the files of OnePose-LowTexture stand. No numpy here: `recognise` is asked while a command line is read.

lowtexture_test_data/<id>-<name>-<category>/box3d_corners.txt
    <name>-1/ (reference), <name>-2/ (test):  color/<i>.png  intrin_ba/<i>.txt  poses_ba/<i>.txt
    <name>-1/anno_loftr/<i>.json
sfm_output/outputs_softmax_loftr_loftr/<id>-<name>-<category>/anno/anno_3d_average.npz
"""

from __future__ import annotations

from pathlib import Path

OBJECTS = "lowtexture_test_data"
SFM = Path("sfm_output") / "outputs_softmax_loftr_loftr"
CORNERS = "box3d_corners.txt"
POINTS = Path("anno") / "anno_3d_average.npz"
COLOR, INTRINSICS, POSES, ANNOTATIONS = "color", "intrin_ba", "poses_ba", "anno_loftr"
REFERENCE, TEST = 1, 2


def base_folder(root: Path) -> Path:
    """The folder that holds lowtexture_test_data and sfm_output; `root` may be the first of them."""
    return root.parent if root.name == OBJECTS and not (root / OBJECTS).is_dir() else root


def recognise(root: Path) -> bool:
    """Whether a folder is one of this layout."""
    try:
        return bool(object_names(base_folder(root)))
    except OSError:
        return False


def object_names(base: Path) -> list[str]:
    """Folder names of the objects, sorted: those whose name is <id>-<name>-... ."""
    folder = base / OBJECTS
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and short_name(p.name) is not None)


def short_name(name: str) -> str | None:
    """The second field of an object's folder name, None where there is none."""
    fields = name.split("-")
    return fields[1] if len(fields) >= 2 and fields[0].isdigit() and fields[1] else None


def sequence(base: Path, name: str, number: int) -> Path:
    """Folder of an object's reference or test sequence."""
    return base / OBJECTS / name / f"{short_name(name)}-{number}"


def points_file(base: Path, name: str) -> Path:
    """The file of an object's SfM points."""
    return base / SFM / name / POINTS


def stems(folder: Path, suffix: str) -> list[str]:
    """Stems of the files in a folder, in the order of Python's `sorted` over paths: "10" stands before "2"."""
    return [path.stem for path in sorted(folder.glob(f"*{suffix}"))] if folder.is_dir() else []
