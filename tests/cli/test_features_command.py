"""`bench3d features`: numbers, picture and file of the features of a few small photographs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench3d.geometry.pixels import PixelGeometry


def photograph(seed, size=(96, 64)):
    """Soft coloured blobs, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    photograph(0).save(folder / "b.png")
    photograph(1, (64, 96)).save(folder / "a.jpg")
    (folder / "notes.txt").write_text("no image")
    photograph(2).save(folder / ".hidden.png")
    return folder


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_folder_gives_a_line_an_image_and_json_has_the_same_numbers(cli, photos):
    answer = cli("features", str(photos), "--backbone", "rgb", "--set", "backbone.grid=12", "--json")
    found = json.loads(answer.out)
    assert answer.code == 0 and (found["backbone"], found["random_weights"]) == ("rgb", False)
    assert found["settings"]["grid"] == 12 and found["model"]["patch"] == 8
    one, two = found["images"]
    assert [one["path"], two["path"]] == [str(photos / "a.jpg"), str(photos / "b.png")]
    assert (two["size"], two["input_size"], two["grid"], two["channels"]) == ([96, 64], [96, 64], [12, 8], 3)
    pixels = read(photos / "b.png").astype(np.float64) / 255
    cells = pixels.reshape(8, 8, 12, 8, 3).mean(axis=(1, 3))
    assert two["norm_mean"] == pytest.approx(np.linalg.norm(cells, axis=-1).mean(), rel=1e-5)
    shown = cli("features", str(photos), "--backbone", "rgb", "--set", "backbone.grid=12").out
    assert "rgb: 3 channels" in shown and "RANDOM" not in shown
    (line,) = [text for text in shown.splitlines() if text.startswith("b.png")]
    assert f"{two['norm_mean']:#.3g}" in line and "12x8" in line and f"{two['cosine_all']:.3f}" in line
    assert max(map(len, shown.splitlines())) <= 100


def test_noise_has_the_statistics_of_noise(cli, photos):
    (found,) = json.loads(cli("features", str(photos / "b.png"), "--backbone", "noise", "--json").out)["images"]
    assert abs(found["cosine_neighbours"]) < 0.02 and abs(found["cosine_all"]) < 0.005
    assert found["norm_mean"] == pytest.approx(64**0.5, rel=0.02)
    assert 50 < found["dimensions"] < 64


def test_exif_orientation_is_applied(cli, tmp_path):
    upright = photograph(0)
    exif = Image.Exif()
    exif[0x0112] = 6  # as a camera held upright stores it: turn by 90 degrees clockwise to see it
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    upright.save(tmp_path / "upright.png")
    names = [str(tmp_path / n) for n in ("upright.png", "turned.png")]
    one, two = json.loads(cli("features", *names, "--backbone", "rgb", "--json").out)["images"]
    keys = set(one) - {"path", "seconds"}
    assert {k: one[k] for k in keys} == {k: two[k] for k in keys}


def test_the_picture_has_every_image_and_one_basis_for_all(cli, photos, tmp_path):
    """Two equal photographs have equal colours beside another one; and the same command writes the same picture."""
    photograph(0).save(photos / "c.png")
    out = tmp_path / "new" / "out.png"
    arguments = ["features", str(photos), "--backbone", "hog", "--set", "backbone.grid=12", "--pca", str(out)]
    answer = cli(*arguments)
    assert answer.code == 0 and f"Picture: {out}" in answer.out
    picture = read(out)
    found = json.loads(cli(*arguments, "--json").out)
    assert np.array_equal(read(out), picture)
    assert found["picture"]["foreground"] == 1.0
    assert 0 < sum(found["picture"]["explained"]) <= 1 + 1e-9
    assert [p.name for p in out.parent.iterdir()] == ["out.png"]
    # Columns 2 and 3 hold b.png and c.png, which are equal: so are their tiles, at a distance of one column.
    width = (picture.shape[1] - 8) // 3
    columns = [picture[110:-40, 8 + i * width : 8 + i * width + width - 8] for i in range(3)]
    assert np.array_equal(columns[1], columns[2])
    assert not np.array_equal(columns[0], columns[1])
    assert columns[1].std() > 20


def test_one_colour_in_two_images_is_one_colour_in_the_picture(cli, tmp_path):
    """Two images of two colours each have one colour in common; the basis is that of both together."""
    common = (90, 140, 60)
    for name, left, right in (("a.png", (30, 30, 80), common), ("b.png", common, (220, 100, 200))):
        image = np.empty((64, 64, 3), dtype=np.uint8)
        image[:, :32], image[:, 32:] = left, right
        Image.fromarray(image).save(tmp_path / name)
    names, files = [str(tmp_path / n) for n in ("a.png", "b.png")], [tmp_path / n for n in ("out.png", "out.npz")]
    outputs = ["--pca", str(files[0]), "--npz", str(files[1]), "--json"]
    found = json.loads(cli("features", *names, "--backbone", "rgb", "--set", "backbone.grid=8", *outputs).out)
    with np.load(files[1]) as features:
        rows = np.concatenate([features[f"values_{i}"].reshape(3, -1).T for i in (0, 1)]).astype(np.float64)
    variance = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(found["picture"]["explained"], variance / variance.sum(), atol=1e-6)
    line = read(files[0])[-100]  # a row of pixels through the cells of both
    quarters = [line[8 + 648 * i + 160 + 320 * j].tolist() for i in (0, 1) for j in (0, 1)]
    assert quarters[1] == quarters[2]
    assert len({tuple(q) for q in quarters}) == 3


def test_cells_are_drawn_where_they_lie():
    from bench3d.runner.look_picture import spread_cells

    cells = np.arange(6, dtype=np.uint8).reshape(2, 3)[..., None].repeat(3, axis=2)
    whole = PixelGeometry.identity((30, 20)).with_grid((3, 2), (10.0, 10.0))
    drawn = spread_cells(cells, whole, (6, 4))[..., 0]
    assert drawn.tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2
    # Ten pixels of padding on the left of the input: the image begins at the second cell.
    padded = PixelGeometry((20, 20), (30, 20), offset=(10.0, 0.0)).with_grid((3, 2), (10.0, 10.0))
    assert spread_cells(cells, padded, (4, 4))[..., 0].tolist() == [[1, 1, 2, 2]] * 2 + [[4, 4, 5, 5]] * 2


def test_the_foreground_is_kept_and_the_rest_is_dark(cli, tmp_path):
    image = np.full((64, 96, 3), 30, dtype=np.uint8)
    image[16:48, 32:64] = np.random.default_rng(0).integers(120, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "object.png")
    arguments = ["features", str(tmp_path / "object.png"), "--backbone", "rgb", "--set", "backbone.grid=12"]
    found = json.loads(cli(*arguments, "--pca", str(tmp_path / "out.png"), "--foreground", "--json").out)
    assert found["picture"]["foreground"] == pytest.approx(4 * 4 / (12 * 8))
    picture = read(tmp_path / "out.png")
    dark = (picture == 24).all(axis=2)
    assert dark.sum() == pytest.approx(640 * 427 * (1 - 1 / 6), rel=0.02)


def test_npz_holds_features_and_geometry_without_pickle(cli, photos, tmp_path):
    out = tmp_path / "out.npz"
    answer = cli("features", str(photos), "--backbone", "rgb", "--set", "backbone.grid=12", "--npz", str(out))
    assert answer.code == 0 and f"Features: {out}" in answer.out
    with np.load(out, allow_pickle=False) as found:
        assert found["paths"].tolist() == [str(photos / "a.jpg"), str(photos / "b.png")]
        values = found["values_1"]
        assert values.shape == (3, 8, 12) and values.dtype == np.float32
        assert found["values_0"].shape == (3, 12, 8)
        pixels = read(photos / "b.png").astype(np.float64) / 255
        np.testing.assert_allclose(
            values, pixels.reshape(8, 8, 12, 8, 3).mean(axis=(1, 3)).transpose(2, 0, 1), atol=1e-6
        )
        centre = (found["scale"][1] * [44, 12] + found["offset"][1] - found["origin"][1]) / found["stride"][1]
        assert centre.tolist() == [5.5, 1.5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.npz", "photos"]


def test_random_weights_are_said_everywhere(cli, photos, install, tmp_path):
    install("acme", RANDOM)
    answer = cli("features", str(photos / "b.png"), "--backbone", "acme", "--pca", str(tmp_path / "out.png"))
    assert answer.code == 0 and "RANDOM WEIGHTS" in answer.out


RANDOM = """
import torch
from bench3d.contracts import BackboneRegistration
from bench3d.plugins import hookimpl

def create(weights, settings, device):
    from bench3d.features.backbone import DenseBackbone
    def net(images):
        values = images.mean(dim=1, keepdim=True)[:, :, ::8, ::8]
        return values / 0 if settings.grid == 5 else values
    return DenseBackbone(net, patch=8, settings=settings, device=device, random_weights=True)

@hookimpl
def bench3d_register():
    return [BackboneRegistration(name="acme", summary="one channel", factory="acme_plugin:create",
                                 settings="bench3d.features.settings:InputSettings")]
"""


def test_features_that_are_not_finite_are_an_error_not_a_picture(cli, photos, install, tmp_path):
    install("acme", RANDOM)
    options = ["--backbone", "acme", "--set", "backbone.grid=5", "--pca", str(tmp_path / "out.png")]
    answer = cli("features", str(photos / "b.png"), *options)
    assert answer.code == 5 and "b.png that are not finite, in 15 cells" in " ".join(answer.err.split())
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["gone.jpg", "--backbone", "rgb"], 3, "There is no image gone.jpg."),
        (["empty", "--backbone", "rgb"], 3, "There is no image in the folder empty."),
        (["text.txt", "--backbone", "rgb"], 3, "text.txt is no readable image"),
        (["cut.png", "--backbone", "rgb"], 3, "cut.png is no readable image"),
        (["a.png", "--backbone", "rgbb"], 2, "There is no backbone named rgbb.\nDid you mean rgb?"),
        (["a.png", "--backbone", "rgb", "--set", "backbone.gird=4"], 2, "Did you mean backbone.grid?"),
        (["a.png", "--backbone", "rgb", "--set", "task.split=hard"], 2, "features has no task to set."),
        (["a.png", "--backbone", "rgb", "--foreground"], 2, "Add --pca FILE."),
        (["a.png", "--backbone", "rgb", "--pca", "out.pdf"], 2, "--pca out.pdf is no file that can be written."),
        (["a.png", "--backbone", "rgb", "--npz", "out.npy"], 2, "--npz out.npy is no file that can be written."),
        (["a.png", "--backbone", "rgb", "--weights", "gone.pth"], 4, "There is no weights file gone.pth."),
        (["a.png", "--backbone", "rgb", "--npz", "a.png/out.npz"], 6, "a file stands where a folder is needed"),
        (["a.png", "--backbone", "dinov2"], 4, "are not in the Hugging Face cache, and HF_HUB_OFFLINE is set."),
        (["--backbone", "rgb"], 2, "Missing argument 'IMAGE'."),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_a_mistake_is_one_sentence_with_the_next_step(cli, tmp_path, monkeypatch, arguments, code, sentence):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no image")
    photograph(0).save("a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    answer = cli("features", *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert sentence in answer.err or sentence in " ".join(answer.err.split())  # long ones are broken into lines
    assert "Traceback" not in answer.err and not list(tmp_path.glob("out.*"))


def test_labels_tell_files_of_one_name_apart():
    from bench3d.runner.look import labels

    assert labels([Path("/x/a.png"), Path("/y/b.png")]) == ["a.png", "b.png"]
    assert labels([Path("/x/q/a.png"), Path("/y/q/a.png")]) == ["x/q/a.png", "y/q/a.png"]


def test_help_ends_with_an_example_and_the_command_line_starts_without_torch(cli):
    answer = cli("features", "--help")
    example = "Example: bench3d features a.jpg b.jpg --backbone hog --pca out.png"
    assert answer.code == 0 and answer.out.strip().endswith(example)
    code = "import sys; from bench3d.cli.main import main; main(['features', '--help']); main(['list']); "
    code += "sys.exit(any(m in sys.modules for m in ('torch', 'scipy', 'numba', 'PIL')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
