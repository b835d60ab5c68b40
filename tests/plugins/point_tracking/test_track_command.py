import csv

import cv2
import numpy as np
import pytest

from bench3d.cli.main import main
from bench3d.errors import DataError, OutputError, UsageError
from bench3d_plugins.point_tracking.command import parse_points, parse_span
from bench3d_plugins.point_tracking.video_files import open_film, open_sink

SIZE = (96, 64)


def frames(count=5):
    """A textured square that moves 4 pixels a frame to the right over a textured ground."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(60, 120, (16, 24, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    patch = cv2.resize(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8), (24, 24), interpolation=cv2.INTER_CUBIC)
    for t in range(count):
        picture = ground.copy()
        picture[20:44, 16 + 4 * t : 40 + 4 * t] = patch
        yield picture


def write(path, count=5):
    with open_sink(path, SIZE, 10.0) as sink:
        for picture in frames(count):
            sink.add(picture)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.webm", "a.gif", "folder"])
def test_what_is_written_can_be_read(tmp_path, name):
    film = open_film(write(tmp_path / name))
    found = list(film.frames())
    assert len(found) == 5
    assert film.size == SIZE
    wanted = list(frames())
    for one, two in zip(found, wanted, strict=True):
        assert np.abs(one.astype(int) - two).mean() < 12  # lossy, and RGB stays RGB
    assert len(list(film.frames(1, 3))) == 2
    assert [p.name for p in tmp_path.iterdir()] == [name]


def run(*arguments):
    return main(["track", *map(str, arguments)])


def test_a_moving_thing_is_followed_from_the_command_line(tmp_path, capsys):
    clip, table, out = write(tmp_path / "clip"), tmp_path / "tracks.csv", tmp_path / "overlay.mp4"
    # Asked for in the middle frame: on the square, and on the ground.
    code = run(
        clip, "--points", "36,32", "80,10", "--frame", 2, "--backbone", "hog",
        "--set", "backbone.grid=48", "--set", "task.motion=0.02", "--csv", table, "--out", out,
    )  # fmt: skip
    assert code == 0, capsys.readouterr().err
    rows = list(csv.DictReader(table.open()))
    assert [(int(r["point"]), int(r["frame"])) for r in rows] == [(p, f) for p in range(2) for f in range(5)]
    moved = [float(r["x"]) for r in rows[:5]]
    np.testing.assert_allclose(moved, [28, 32, 36, 40, 44], atol=2.5)
    np.testing.assert_allclose([float(r["x"]) for r in rows[5:]], 80, atol=2.5)
    overlay = list(open_film(out).frames())
    assert len(overlay) == 5
    assert np.abs(overlay[2].astype(int) - list(frames())[2]).max() > 80  # something is drawn
    assert "2 points in 5 frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--points", "500,1"], 2, "outside the frame"),
        ([], 2, "No point"),
        (["--points", "a,b"], 2, "not a point"),
        (["--grid", "2", "--frame", "9"], 2, "frames are 0 to 4"),
        (["--grid", "2", "--frames", "7:9", "--frame", "7"], 2, "no frame 7"),
        (["--grid", "2", "--out", "x.doc"], 2, "no kind of video"),
        (["--grid", "2", "--set", "adapter.rank=1"], 2, "no adapter here"),
        (["--grid", "2", "--set", "task.cycl=1"], 2, "cycle"),
    ],
)
def test_mistakes_end_in_a_sentence(tmp_path, monkeypatch, capsys, arguments, code, words):
    clip = write(tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    assert run(clip, "--backbone", "hog", *arguments) == code
    assert words in " ".join(capsys.readouterr().err.split())
    assert [p.name for p in tmp_path.iterdir()] == ["clip"]  # nothing half-written stays


def test_unreadable_videos_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "text.gif").write_text("no picture")
    for name in ("empty", "text.mp4", "text.gif", "missing.mp4"):
        with pytest.raises(DataError, match=name.split(".")[0]):
            open_film(tmp_path / name)


def test_a_missing_codec_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("bench3d_plugins.point_tracking.video_files.CODECS", {".mp4": "zzzz"})
    with pytest.raises(OutputError, match="no codec"), open_sink(tmp_path / "a.mp4", SIZE, 10.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_points_and_ranges():
    assert parse_points(["1,2", "3,4 5,6.5"]).tolist() == [[1, 2], [3, 4], [5, 6.5]]
    assert parse_points([]).shape == (0, 2)
    assert (parse_span(None), parse_span("3:"), parse_span(":9"), parse_span("2:5")) == (
        (0, None),
        (3, None),
        (0, 9),
        (2, 5),
    )
    for wrong in ("5", "5:2", "a:b", "-1:3"):
        with pytest.raises(UsageError):
            parse_span(wrong)
