"""A tiny OnePose-LowTexture in the exact official format: one object, by hand."""

import json

import numpy as np
from PIL import Image

NAME = "0700-toyrobot-others"
K = [[900.0, 0.0, 31.5], [0.0, 910.0, 23.5], [0.0, 0.0, 1.0]]


def write_folder(base, name=NAME, frames=((0, 5), (0, 1, 10, 2)), size=(64, 48)):
    """`base` gets lowtexture_test_data and sfm_output; reference and test frames by number."""
    short = name.split("-")[1]
    top = base / "lowtexture_test_data" / name
    for number, stems in zip((1, 2), frames, strict=True):
        folder = top / f"{short}-{number}"
        for part in ("color", "intrin_ba", "poses_ba", "reproj_box"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for stem in stems:
            pixels = np.random.default_rng(stem + 100 * number).integers(0, 255, (size[1], size[0], 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "color" / f"{stem}.png")
            np.savetxt(folder / "intrin_ba" / f"{stem}.txt", np.array(K))
            pose = np.eye(4)
            pose[:3, 3] = (0.01 * stem, 0.0, 0.5)
            np.savetxt(folder / "poses_ba" / f"{stem}.txt", pose)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.05
    np.savetxt(top / "box3d_corners.txt", corners)
    annotations = top / f"{short}-1" / "anno_loftr"
    annotations.mkdir()
    for stem in frames[0]:
        content = {
            "keypoints2d": [[8.0, 16.0], [24.25, 32.0], [40.0, 8.0]],
            "scores2d": [[0.9], [0.8], [0.7]],
            "assign_matrix": [[2, 0, 1], [3, 1, 1]],
        }
        (annotations / f"{stem}.json").write_text(json.dumps(content))
    made = base / "sfm_output" / "outputs_softmax_loftr_loftr" / name / "anno"
    made.mkdir(parents=True)
    points = np.arange(15, dtype=np.float64).reshape(5, 3) / 100
    np.savez(
        made / "anno_3d_average.npz", keypoints3d=points, descriptors3d=np.zeros((256, 5)), scores3d=np.ones((5, 1))
    )
    return base


def points_path(base, name=NAME):
    return base / "sfm_output" / "outputs_softmax_loftr_loftr" / name / "anno" / "anno_3d_average.npz"


def annotation_path(base, stem, name=NAME):
    return base / "lowtexture_test_data" / name / f"{name.split('-')[1]}-1" / "anno_loftr" / f"{stem}.json"
