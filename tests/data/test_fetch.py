"""Downloads that survive cuts, kills and servers of every kind; what is wrong is never unpacked. Only this machine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
from file_server import FileServer, Served, file_server

from bench3d.contracts import DatasetRegistration, NullProgress
from bench3d.contracts.registration import Download
from bench3d.data import fetch_parts
from bench3d.data.fetch import fetch_dataset, fetch_file, link_dataset
from bench3d.data.fetch_http import Patience
from bench3d.data.fetch_parts import Parts, Remote
from bench3d.data.fetch_plan import plan_dataset
from bench3d.data.fetch_records import WORK, Records
from bench3d.data.licences import accept, accepted
from bench3d.errors import DataError, OutputError, UnknownNameError, UsageError

QUICK = Patience(tries=3, first=0.01, longest=0.02, timeout=5.0)


class Said(NullProgress):
    """Keeps what is said, and the stages."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stages: list[list] = []

    def say(self, message: str) -> None:
        self.lines.append(message)

    def start(self, name: str, total: int | None) -> None:
        self.stages.append([name, total, 0])

    def advance(self, steps: int = 1, **values: float) -> None:
        self.stages[-1][2] += steps


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with file_server() as running:
        yield running


def noise(count: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(count)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def dataset(*downloads: Download, **fields) -> DatasetRegistration:
    values = {"name": "toys", "summary": "", "factory": "json:dumps", "folder": "toys", "licence": "free"} | fields
    return DatasetRegistration(downloads=downloads, **values)


def get(server: FileServer, served: Served, root: Path, progress=None, patience=QUICK, **fields):
    """Fetches one file that is served as /a.bin; its place, which holds it when all went well."""
    server.files["/a.bin"] = served
    what = Download(url=f"{server.url}/a.bin", unpack=False, into="toys", **fields)
    record = fetch_file(dataset(what), what, root, progress or NullProgress(), patience)
    return record, root / "toys" / "a.bin"


def leftovers(root: Path) -> list[str]:
    return [p.name for p in (root / WORK).iterdir() if not p.name.endswith(".record.json")]


def test_a_file_arrives_whole_with_its_progress_and_nothing_is_left_behind(server, tmp_path):
    content, progress = noise(300_000), Said()
    record, place = get(server, Served(content), tmp_path, progress, sha256=hashlib.sha256(content).hexdigest())
    assert place.read_bytes() == content
    assert progress.stages[0] == ["a.bin (kB)", 300, 300]
    assert record.published and record.bytes == 300_000
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("etag", ['"one"', None])
def test_cuts_are_gone_on_with_where_that_can_be_trusted(server, tmp_path, etag):
    content = noise(200_000)
    served = Served(content, etag=etag, cuts=[70_000, 60_000])
    digest = hashlib.sha256(content).hexdigest()
    _, place = get(server, served, tmp_path, sha256=digest)
    assert place.read_bytes() == content
    assert server.gets() == [None, "bytes=70000-", "bytes=130000-"]
    assert server.log[1][3] == etag  # If-Range


def test_without_a_validator_or_a_checksum_nothing_is_gone_on_with(server, tmp_path):
    content = noise(100_000)
    _, place = get(server, Served(content, etag=None, cuts=[50_000]), tmp_path)
    assert place.read_bytes() == content and server.gets() == [None, None]


def test_a_file_that_changed_on_the_server_is_begun_again(server, tmp_path):
    old, new = noise(100_000, 1), noise(90_000, 2)
    with pytest.raises(DataError, match=r"50000 bytes are kept") as caught:
        get(server, Served(old, cuts=[50_000], statuses=[200, 503, 503, 503]), tmp_path)
    assert "goes on where it stopped" in str(caught.value)
    progress = Said()
    _, place = get(server, Served(new, etag='"two"'), tmp_path, progress)
    assert place.read_bytes() == new and leftovers(tmp_path) == []
    assert any("from its beginning" in line for line in progress.lines)


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    content = noise(100_000)
    _, place = get(server, Served(content, ranges=False, cuts=[60_000]), tmp_path)
    assert place.read_bytes() == content and server.gets() == [None, "bytes=60000-"]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, tmp_path):
    content = noise(10_000)
    url = f"{server.url}/a.bin"
    part = Parts(tmp_path / WORK, url).create(Remote(total=30_000, etag='"one"'))
    part.path.write_bytes(noise(20_000))
    part.release()
    _, place = get(server, Served(content), tmp_path)
    assert place.read_bytes() == content and server.gets() == ["bytes=20000-", None]


def test_busy_servers_are_asked_again_and_refusals_are_not(server, tmp_path):
    content = noise(1000)
    _, place = get(server, Served(content, statuses=[503, 429]), tmp_path)
    assert place.read_bytes() == content and len(server.log) == 3
    server.log.clear()
    with pytest.raises(DataError, match="answers 403"):
        get(server, Served(content, statuses=[403]), tmp_path / "other")
    assert len(server.log) == 1


def test_wrong_bytes_are_deleted_and_never_unpacked(server, tmp_path):
    content = zipped({"toys/a": b"evil"})
    server.files["/a.zip"] = Served(content)
    what = Download(url=f"{server.url}/a.zip", sha256="0" * 64)
    with pytest.raises(DataError, match="It was deleted") as caught:
        fetch_file(dataset(what), what, tmp_path, NullProgress(), QUICK)
    assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert leftovers(tmp_path) == [] and not (tmp_path / "toys").exists()


def test_another_length_than_published_is_refused_before_anything_is_read(server, tmp_path):
    with pytest.raises(DataError, match="has 1000 bytes, and 999 were published"):
        get(server, Served(noise(1000)), tmp_path, bytes=999)


def test_the_digest_of_a_first_download_is_said_kept_and_compared(server, tmp_path):
    progress, first = Said(), noise(1000, 1)
    _, place = get(server, Served(first), tmp_path, progress)
    digest = hashlib.sha256(first).hexdigest()
    assert any(digest in line and "no checksum is published" in line for line in progress.lines)
    kept = json.loads((tmp_path / "downloads.json").read_text())
    assert kept[f"{server.url}/a.bin"]["sha256"] == digest
    place.unlink()
    with pytest.raises(DataError, match="is not the file that was fetched from"):
        get(server, Served(noise(1000, 2), etag='"two"'), tmp_path)
    assert not place.exists()


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/a.bin", "file:///etc/hostname"])
def test_only_redirects_to_the_web_are_followed(server, tmp_path, target):
    content = noise(1000)
    server.files["/there"] = Served(content)
    _, place = get(server, Served(b"", location=f"{server.url}/there"), tmp_path)
    assert place.read_bytes() == content
    with pytest.raises(DataError):
        get(server, Served(b"", location=target), tmp_path / "other")


CHILD = """
import sys
from pathlib import Path
from bench3d.contracts import DatasetRegistration, NullProgress
from bench3d.contracts.registration import Download
from bench3d.data.fetch import fetch_file
what = Download(url=sys.argv[1], into="toys", unpack=False)
toys = DatasetRegistration(name="toys", summary="", factory="json:dumps", folder="toys", downloads=(what,))
fetch_file(toys, what, Path(sys.argv[2]), NullProgress())
"""


def start_child(server: FileServer, root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD, f"{server.url}/a.bin", str(root)])


def wait_for(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_a_killed_process_had_is_gone_on_with(server, tmp_path):
    content = noise(2_000_000)
    server.files["/a.bin"] = Served(content, pause=0.02)
    child = start_child(server, tmp_path)
    parts = Parts(tmp_path / WORK, f"{server.url}/a.bin")
    wait_for(lambda: any(p.stat().st_size > 500_000 for p in (tmp_path / WORK).glob("*.part")))
    assert parts.others() and parts.adopt() is None  # it lives: hands off
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not parts.others() and parts.longest() > 500_000
    _, place = get(server, Served(content), tmp_path)
    assert place.read_bytes() == content
    assert int(server.gets()[-1].removeprefix("bytes=").rstrip("-")) > 500_000
    assert leftovers(tmp_path) == []


def test_a_second_process_waits_for_the_first_and_fetches_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr("bench3d.data.fetch.LOOK_SECONDS", 0.02)
    content = noise(600_000)
    server.files["/a.bin"] = Served(content, pause=0.02)
    child = start_child(server, tmp_path)
    wait_for(lambda: list((tmp_path / WORK).glob("*.part")))
    progress = Said()
    _, place = get(server, server.files["/a.bin"], tmp_path, progress)
    assert child.wait() == 0 and place.read_bytes() == content
    assert server.gets() == [None] and "waiting for it" in progress.lines[0]


def test_two_at_the_very_same_moment_leave_one_whole_file(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Parts, "others", lambda self: False)  # neither sees the other
    content = zipped({f"toys/{n}": noise(1000, n) for n in range(100)})
    server.files["/a.zip"] = Served(content, pause=0.005)
    what = Download(url=f"{server.url}/a.zip")
    errors: list[BaseException] = []

    def fetch() -> None:
        try:
            fetch_file(dataset(what), what, tmp_path, NullProgress(), QUICK)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and leftovers(tmp_path) == []
    assert {p.name: p.read_bytes() for p in (tmp_path / "toys").iterdir()} == {
        str(n): noise(1000, n) for n in range(100)
    }


def test_a_part_of_another_machine_is_left_alone_until_it_is_stale(tmp_path, monkeypatch):
    parts = Parts(tmp_path, "http://x/a")
    mine = parts.create(Remote(total=5, etag='"e"'))
    foreign = mine.path.with_name(mine.path.name.replace(fetch_parts._host(), "elsewhere"))
    os.rename(mine.path, foreign)
    assert parts.others() and parts.adopt() is None
    os.utime(foreign, (1, 1))
    assert not parts.others() and parts.adopt() is not None


def test_what_was_killed_while_it_unpacked_is_unpacked_again_without_the_network(server, tmp_path, monkeypatch):
    content = zipped({"toys/a": b"a", "toys/b": b"b"})
    server.files["/a.zip"] = Served(content)
    what = Download(url=f"{server.url}/a.zip")

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bench3d.data.fetch._merge", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch_file(dataset(what), what, tmp_path, NullProgress(), QUICK)
    assert not (tmp_path / "toys").exists() and not plan_dataset(dataset(what), tmp_path).items[0].there
    server.log.clear()
    record = fetch_file(dataset(what), what, tmp_path, NullProgress(), QUICK)
    assert record.paths == ("toys",) and (tmp_path / "toys" / "b").read_bytes() == b"b"
    assert server.log == [] and leftovers(tmp_path) == []


def test_archives_of_one_folder_come_together_and_categories_are_told_apart(install, server, tmp_path):
    server.files = {f"/car_{n}.zip": Served(zipped({f"car/{n}": b"x", "car/list": b"same"})) for n in range(2)}
    server.files["/bus.zip"] = Served(zipped({"bus/0": b"x"}))
    cars = [Download(url=f"{server.url}/car_{n}.zip", into="toys", categories=("car",)) for n in range(2)]
    buses = Download(url=f"{server.url}/bus.zip", into="toys", categories=("bus",))
    install("acme", READER)
    toys = with_reader(*cars, buses)
    plan = plan_dataset(toys, tmp_path, ["car"])
    assert [i.download for i in plan.todo] == cars and plan.bytes == sum(i.size for i in plan.items)
    fetch_dataset(plan, tmp_path, NullProgress(), QUICK)
    assert sorted(p.name for p in (tmp_path / "toys" / "car").iterdir()) == ["0", "1", "list"]
    assert [i.there for i in plan_dataset(toys, tmp_path).items] == [True, True, False]
    (tmp_path / "toys" / "car" / "0").rename(tmp_path / "moved")
    (tmp_path / "toys" / "car").rename(tmp_path / "gone")
    assert [i.there for i in plan_dataset(toys, tmp_path, ["car"]).items] == [False, False]
    with pytest.raises(UnknownNameError, match="no category cat"):
        plan_dataset(toys, tmp_path, ["cat"])


def test_an_archive_beside_other_data_sets_may_only_bring_its_own_folder(server, tmp_path):
    (tmp_path / "others").mkdir()
    server.files["/a.zip"] = Served(zipped({"toys/a": b"a", "others/a": b"b", "licences.json": b"{}"}))
    what = Download(url=f"{server.url}/a.zip")
    fetch_file(dataset(what), what, tmp_path, NullProgress(), QUICK)
    assert (tmp_path / "toys" / "a").exists()
    assert not list((tmp_path / "others").iterdir()) and not (tmp_path / "licences.json").exists()
    other = dataset(what, folder="trains")
    Records(tmp_path).forget(what.url)
    with pytest.raises(DataError, match="holds no folder trains"):
        fetch_file(other, what, tmp_path, NullProgress(), QUICK)


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(server, tmp_path):
    what = Download(url=f"{server.url}/a.zip", bytes=10**18)
    with pytest.raises(OutputError, match="too small"):
        fetch_dataset(plan_dataset(dataset(what), tmp_path), tmp_path, NullProgress(), QUICK)
    assert server.log == []


def test_an_owner_s_licence_has_to_be_accepted_and_another_text_again(server, tmp_path):
    server.files["/a.zip"] = Served(zipped({"toys/a": b"a"}))
    what = Download(url=f"{server.url}/a.zip")
    toys = dataset(what, registration_required=True, licence="be good")
    with pytest.raises(UsageError, match="has not been accepted"):
        fetch_dataset(plan_dataset(toys, tmp_path), tmp_path, NullProgress(), QUICK)
    accept(tmp_path, "toys", "be good")
    assert accepted(tmp_path, "toys") and accepted(tmp_path, "toys", "be  good")
    assert not accepted(tmp_path, "toys", "be better") and not accepted(tmp_path, "trains")
    (record,) = fetch_dataset(plan_dataset(toys, tmp_path), tmp_path, NullProgress(), QUICK)
    assert record.paths == ("toys",)
    assert plan_dataset(toys, tmp_path).todo == ()
    (tmp_path / "licences.json").write_text("[")
    with pytest.raises(DataError, match="licences"):
        accepted(tmp_path, "toys")


def test_what_only_its_owner_gives_out_says_how(tmp_path):
    with pytest.raises(DataError, match="cannot be fetched") as caught:
        plan_dataset(dataset(how_to_get="Write a letter."), tmp_path)
    assert "Write a letter." in str(caught.value) and "--link" in str(caught.value)


READER = """
import dataclasses
from bench3d.contracts import DatasetRegistration, Problem
from bench3d.plugins import hookimpl

class Reader:
    def __init__(self, root, settings=None):
        self.root = root
    def check(self, categories=None):
        for name in categories or ("car", "bus"):
            if not (self.root / name / "list").is_file():
                yield Problem(f"{name}/list", "is missing.", hint="Get it.")

def create(root, settings=None):
    return Reader(root)

@hookimpl
def bench3d_register():
    return [DatasetRegistration(name="toys", summary="", factory="acme_plugin:create", folder="toys", licence="free",
                                categories=("car", "bus"))]
"""


def with_reader(*downloads: Download) -> DatasetRegistration:
    return dataset(*downloads, factory="acme_plugin:create", categories=("car", "bus"))


def test_a_folder_is_linked_once_its_reader_accepts_it(install, tmp_path):
    install("acme", READER)
    root, mine = tmp_path / "root", tmp_path / "mine"
    (mine / "car").mkdir(parents=True)
    (mine / "car" / "list").touch()
    toys = with_reader()
    with pytest.raises(DataError, match=r"is no whole toys: bus/list: is missing\.") as caught:
        link_dataset(toys, mine, root)
    assert caught.value.hint == "Get it." and not root.exists()
    assert link_dataset(toys, mine, root, ("car",)) == (mine, True)
    assert link_dataset(toys, mine, root, ("car",)) == (mine, False)
    assert (root / "toys" / "car" / "list").exists()
    with pytest.raises(UsageError, match="There is no folder"):
        link_dataset(toys, tmp_path / "nowhere", root)
    (tmp_path / "other" / "toys").mkdir(parents=True)
    with pytest.raises(UsageError, match="is there already: a link to"):
        link_dataset(toys, tmp_path / "other", root)
    mine.rename(tmp_path / "moved")  # the link leads nowhere now
    with pytest.raises(DataError, match="a link to nothing"):
        plan_dataset(toys, root)
    assert link_dataset(toys, tmp_path / "moved", root, ("car",)) == (tmp_path / "moved", True)


def test_what_a_user_put_there_is_not_fetched_again_and_a_linked_folder_is_not_written_into(install, server, tmp_path):
    install("acme", READER)
    (tmp_path / "toys" / "car").mkdir(parents=True)
    (tmp_path / "toys" / "car" / "list").touch()
    for name in ("car", "bus"):
        server.files[f"/{name}.zip"] = Served(zipped({f"{name}/list": b"x"}))
    downloads = [Download(url=f"{server.url}/{n}.zip", into="toys", categories=(n,)) for n in ("car", "bus")]
    toys = with_reader(*downloads)
    plan = plan_dataset(toys, tmp_path)
    assert [i.there for i in plan.items] == [True, False]
    fetch_dataset(plan, tmp_path, NullProgress(), QUICK)
    assert [i.there for i in plan_dataset(toys, tmp_path).items] == [True, True]
    assert {path for _, path, *_ in server.log} == {"/bus.zip"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "toys").symlink_to(tmp_path / "toys")
    (tmp_path / "toys" / "bus" / "list").unlink()
    with pytest.raises(DataError, match="does not hold bus, and nothing is fetched into a linked folder"):
        plan_dataset(toys, elsewhere)


def test_what_ships_names_https_addresses_known_categories_and_its_own_folder():
    from bench3d.plugins import load_registry

    fetched = [r for r in load_registry().registrations("dataset") if r.downloads]
    assert {r.name for r in fetched} >= {"co3d", "spair71k", "pf-pascal", "pf-willow"}
    for registration in fetched:
        for what in registration.downloads:
            assert what.url.startswith("https://") and set(what.categories) <= set(registration.categories)
            assert what.into in ("", registration.folder) and (what.unpack or what.into)
            assert what.sha256 is None or re.fullmatch("[0-9a-f]{64}", what.sha256)
    (co3d,) = (r for r in fetched if r.name == "co3d")
    assert {c for d in co3d.downloads for c in d.categories} == set(co3d.categories)
    assert len({d.sha256 for d in co3d.downloads}) == len(co3d.downloads)


def test_a_tar_is_unpacked_too(server, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("toys/000001-a-b:car.json")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"{}"))
    server.files["/a.tar.gz"] = Served(buffer.getvalue())
    what = Download(url=f"{server.url}/a.tar.gz")
    fetch_file(dataset(what), what, tmp_path, NullProgress(), QUICK)
    assert (tmp_path / "toys" / "000001-a-b:car.json").read_bytes() == b"{}"
