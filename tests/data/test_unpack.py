"""Archives are unpacked whole or not at all, and never outside their folder."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench3d.data import unpack as room
from bench3d.data.unpack import unpack
from bench3d.errors import DataError, OutputError


def zip_file(path: Path, *members: tuple[str, bytes, int]) -> Path:
    """Members are (name, content, Unix mode)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def tar_file(path: Path, *members: tuple[str, str, object]) -> Path:
    """Members are (name, kind, content or target)."""
    kinds = {
        "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE,
        "device": tarfile.CHRTYPE, "file": tarfile.REGTYPE,
    }  # fmt: skip
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, value in members:
            info = tarfile.TarInfo(name)
            info.type = kinds[kind]
            info.mode = 0o6777
            if isinstance(value, bytes):
                info.size = len(value)
                archive.addfile(info, io.BytesIO(value))
            else:
                info.linkname = str(value or "")
                archive.addfile(info)
    return path


LINK = stat.S_IFLNK | 0o777
OUTSIDE = [
    [("../a", "file", b"x")],
    [("/tmp/bench3d-outside", "file", b"x")],
    [("a/../../b", "file", b"x")],
    [("..\\a", "file", b"x")],
    [("C:/a", "file", b"x")],
    [("a", "link", "/etc"), ("a/passwd", "file", b"x")],
    [("a", "link", "b"), ("b", "dir", None), ("a/c", "file", b"x")],
    [("a/c", "file", b"x"), ("A", "link", "b")],
    [("a", "link", "../outside")],
    [("d/a", "link", "../../outside")],
    [("a", "link", "/etc/passwd")],
    [("d", "link", "."), ("x", "link", "d/../outside")],
    [("a", "hard", "/etc/passwd")],
    [("a", "hard", "../outside")],
    [("s", "link", "t"), ("t", "file", b"x"), ("a", "hard", "s")],
    [("a", "pipe", None)],
    [("a", "device", None)],
]


@pytest.mark.parametrize("members", OUTSIDE, ids=lambda m: " ".join(f"{n}:{k}" for n, k, _ in m))
def test_a_tar_that_leads_outside_is_refused_and_leaves_nothing(tmp_path, members):
    place = tmp_path / "in" / "here"
    (tmp_path / "outside").write_bytes(b"safe")
    with pytest.raises(DataError, match="not safe to unpack"):
        unpack(tar_file(tmp_path / "a.tar.gz", ("good", "file", b"g"), *members), place)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.tar.gz", "in", "outside"]
    assert (tmp_path / "outside").read_bytes() == b"safe" and os.stat(tmp_path / "outside").st_nlink == 1


@pytest.mark.parametrize(
    "members",
    [
        [("../a", b"x", 0o644)],
        [("/a", b"x", 0o644)],
        [("a", b"/etc", LINK), ("a/b", b"x", 0o644)],
        [("a", b"../../etc", LINK)],
        [("a", b"", stat.S_IFIFO | 0o644)],
    ],
)
def test_a_zip_that_leads_outside_is_refused_and_leaves_nothing(tmp_path, members):
    with pytest.raises(DataError, match="not safe to unpack"):
        unpack(zip_file(tmp_path / "a.zip", *members), tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_files_links_and_odd_names_come_out_without_modes_and_litter(tmp_path):
    archive = tar_file(
        tmp_path / "a.tar.gz",
        ("top", "dir", None),
        ("top/0001-a-b:car.json", "file", b"{}"),
        ("top/run", "file", b"#!"),
        ("top/same", "hard", "top/run"),
        ("top/deep/alias", "link", "../run"),
        ("top/alias2", "link", "deep/alias"),
        ("__MACOSX/top/._run", "file", b"litter"),
        ("top/.DS_Store", "file", b"litter"),
    )
    unpack(archive, tmp_path / "here")
    found = {p.relative_to(tmp_path / "here").as_posix() for p in (tmp_path / "here").rglob("*") if not p.is_dir()}
    assert found == {"top/0001-a-b:car.json", "top/run", "top/same", "top/deep/alias", "top/alias2"}
    assert (tmp_path / "here/top/alias2").read_bytes() == b"#!"
    assert stat.S_IMODE((tmp_path / "here/top/run").stat().st_mode) & 0o7111 == 0
    zipped = zip_file(tmp_path / "b.zip", ("a/b", b"x", 0o100755), ("a/l", b"b", LINK), ("c/", b"", 0o40755))
    unpack(zipped, tmp_path / "there")
    assert (tmp_path / "there/a/l").read_bytes() == b"x" and (tmp_path / "there/c").is_dir()


def test_bombs_are_stopped_by_what_they_announce_and_by_what_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "SMALL", 100_000)
    monkeypatch.setattr(room, "RATIO", 20)
    bomb = zip_file(tmp_path / "a.zip", *((str(n), bytes(60_000), 0o644) for n in range(4)))
    with pytest.raises(DataError, match="more than 20 times its size"):
        unpack(bomb, tmp_path / "here")
    with pytest.raises(DataError, match="more than 20 times its size"):
        unpack(tar_file(tmp_path / "a.tar.gz", ("a", "file", bytes(300_000))), tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_what_does_not_fit_on_the_disk_is_said_and_the_archive_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "KEPT_FREE", 10**18)
    with pytest.raises(OutputError, match="does not fit"):
        unpack(zip_file(tmp_path / "a.zip", ("a", b"x", 0o644)), tmp_path / "here")
    assert (tmp_path / "a.zip").exists() and not (tmp_path / "here").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_broken_archives_are_named_and_leave_nothing(tmp_path, kind, damage):
    content = os.urandom(50_000)
    if kind == "zip":
        path = zip_file(tmp_path / "a.zip", ("a", content, 0o644))
    else:
        path = tar_file(tmp_path / "a.tar.gz", ("a", "file", content))
    whole = bytearray(path.read_bytes())
    if damage == "cut":
        del whole[30_000:]
    else:
        whole[25_000] ^= 255
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"a\.(zip|tar\.gz)"):
        unpack(path, tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "page.html").write_text("<html>not found</html>")
    with pytest.raises(DataError, match=r"page\.html is neither a zip nor a tar"):
        unpack(tmp_path / "page.html", tmp_path / "here")


names = st.lists(st.sampled_from(["a", "B", "b", "..", ".", "", "é", "c d"]), min_size=1, max_size=4).map("/".join)
entry = st.one_of(
    st.tuples(names, st.just("file"), st.binary(max_size=4)),
    st.tuples(names, st.just("dir"), st.none()),
    st.tuples(names, st.sampled_from(["link", "hard"]), names.filter(bool)),
)


@given(st.lists(entry, min_size=1, max_size=6))
def test_whatever_a_tar_holds_nothing_outside_is_touched_or_reachable(tmp_path_factory, entries):
    top = tmp_path_factory.mktemp("any")
    archive = tar_file(top / "a.tar.gz", *((n or "x", k, v) for n, k, v in entries))
    place = top / "in" / "here"
    try:
        unpack(archive, place)
    except (DataError, OutputError):
        assert not place.exists()
    else:
        for path in place.rglob("*"):
            assert Path(os.path.realpath(path)).is_relative_to(os.path.realpath(place))
    assert {p.name for p in top.iterdir()} <= {"a.tar.gz", "in"}
    assert {p.name for p in (top / "in").iterdir()} <= {"here"}
