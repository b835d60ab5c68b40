"""`bench3d data fetch` from the outside: what it says first, what it asks, what it does, and its exit codes."""

from __future__ import annotations

import io
import json
import sys
import zipfile

import pytest
from file_server import Served, file_server

from bench3d.data import fetch
from bench3d.data.fetch_http import Patience

PLUGIN = """
from bench3d.contracts import BackboneRegistration, DatasetRegistration, Problem, TaskRegistration, Weights
from bench3d.contracts.registration import Download
from bench3d.errors import WeightsError
from bench3d.plugins import hookimpl
import pathlib

class Reader:
    def __init__(self, root, settings=None):
        self.root = root
    def check(self, categories=None):
        if not (self.root / "a").is_file():
            yield Problem("a", "is missing.")

class Nothing:
    pass

def reader(root, settings=None):
    return Reader(root)

def net(weights, settings, device):
    with open(pathlib.Path({home!r}) / "loaded", "a") as log:
        log.write(weights + "\\n")
    if not pathlib.Path({home!r}, "hub").exists():
        raise WeightsError("No weights here.")
    return Nothing()

def task(settings, protocol):
    return Nothing()

@hookimpl
def bench3d_register():
    me = "acme_plugin"
    return [
        DatasetRegistration(name="toys", summary="", factory=f"{{me}}:reader", folder="toys", licence="be good",
            registration_required={registration}, url="http://toys.example",
            downloads=(Download(url="{url}/toys.zip"), Download(url="{url}/list.csv", unpack=False, into="toys"))),
        DatasetRegistration(name="letters", summary="", factory=f"{{me}}:reader", folder="letters",
            how_to_get="Write a letter."),
        BackboneRegistration(name="net", summary="", factory=f"{{me}}:net", licence="MIT",
            weights=Weights(source="acme", id="net-1", bytes=12_000_000)),
        BackboneRegistration(name="plain", summary="", factory=f"{{me}}:net"),
        BackboneRegistration(name="inside", summary="", factory=f"{{me}}:net", licence="MIT",
            weights=Weights(source="package", id="inside.safetensors")),
        TaskRegistration(name="playing", summary="", factory=f"{{me}}:task", dataset="toys"),
        TaskRegistration(name="writing", summary="", factory=f"{{me}}:task", dataset="letters"),
    ]
"""


@pytest.fixture
def world(install, tmp_path, monkeypatch):
    """The plugin's data sets on a server of this machine, and an empty data root."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("BENCH3D_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(fetch.fetch_dataset, "__defaults__", (Patience(tries=3, first=0.01),))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("toys/a", bytes(5000))
    with file_server() as server:
        server.files = {"/toys.zip": Served(content.getvalue()), "/list.csv": Served(b"a,b\n")}
        server.home = tmp_path  # type: ignore[attr-defined]

        def make(registration: bool = False):
            install("acme", PLUGIN.format(url=server.url, registration=registration, home=str(tmp_path)))
            return server

        yield make


def terminal(monkeypatch, *answers: str) -> None:
    """Standard input as a terminal on which somebody types."""
    stream = io.StringIO("".join(f"{a}\n" for a in answers))
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", stream)


def test_what_will_be_fetched_is_said_first_and_nothing_happens_without_an_answer(cli, world, tmp_path, monkeypatch):
    server = world()
    answer = cli("data", "fetch", "toys")
    assert answer.code == 2 and "--yes" in answer.err
    for words in ("toys: 2 files to fetch, 5.1 kB", f"from {server.url}/toys.zip", "licence: be good", "are free"):
        assert words in answer.out
    terminal(monkeypatch, "n")
    assert cli("data", "fetch", "toys").code == 2
    assert not (tmp_path / "data").exists() and {method for method, *_ in server.log} == {"HEAD"}
    terminal(monkeypatch, "y")
    answer = cli("data", "fetch", "toys")
    assert answer.code == 0, answer.err
    assert (tmp_path / "data/toys/a").is_file() and (tmp_path / "data/toys/list.csv").read_text() == "a,b\n"
    assert "SHA-256" in answer.err and "bench3d data check toys" in answer.out


def test_a_second_call_finds_all_there_and_asks_nobody(cli, world):
    server = world()
    assert cli("data", "fetch", "toys", "--yes").code == 0
    server.log.clear()
    answer = cli("data", "fetch", "toys")
    assert answer.code == 0 and "Nothing to fetch" in answer.out and server.log == []
    assert cli("data", "fetch", "toys", "--offline").code == 0


def test_an_owner_s_licence_is_accepted_once(cli, world, tmp_path, monkeypatch):
    world(registration=True)
    answer = cli("data", "fetch", "toys", "--yes")
    assert answer.code == 2 and "be good" in answer.err and "--accept-licence" in answer.err
    terminal(monkeypatch, "y")  # a whole "yes" is wanted
    assert cli("data", "fetch", "toys", "--yes").code == 2
    assert not (tmp_path / "data" / "licences.json").exists()
    terminal(monkeypatch, "yes")
    assert cli("data", "fetch", "toys", "--yes").code == 0
    assert json.loads((tmp_path / "data" / "licences.json").read_text())["toys"]["licence"] == "be good"
    (tmp_path / "data" / "toys").rename(tmp_path / "gone")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert cli("data", "fetch", "toys", "--yes").code == 0


def test_json_is_json_alone(cli, world):
    server = world()
    answer = cli("data", "fetch", "toys", "--yes", "--json")
    page = json.loads(answer.out)
    assert answer.code == 0 and "toys: 2 files to fetch" in answer.err
    assert [r["url"] for r in page["fetched"]] == [f"{server.url}/toys.zip", f"{server.url}/list.csv"]
    assert not any(f["there"] for f in page["datasets"][0]["files"])


def test_a_broken_off_fetch_says_what_it_kept_and_goes_on(cli, world, tmp_path):
    server = world()
    server.files["/toys.zip"].cuts = [1000, 500]
    server.files["/toys.zip"].statuses = [200, 200, 503, 503, 503]
    answer = cli("data", "fetch", "toys", "--yes")
    assert answer.code == 3 and "1500 bytes are kept" in answer.err and "goes on where it stopped" in answer.err
    answer = cli("data", "fetch", "toys", "--yes")
    assert answer.code == 0 and "1.5 kB are here from before" in answer.out
    assert server.gets()[-2] == "bytes=1500-"


def test_offline_says_what_is_missing_and_asks_nobody(cli, world):
    server = world()
    answer = cli("data", "fetch", "toys", "--offline")
    assert answer.code == 3 and "toys is not here, and --offline fetches nothing" in answer.err
    assert server.log == []


def test_unknown_names_are_looked_for_among_data_sets_and_grids(cli, world):
    world()
    assert "toys" in cli("data", "fetch", "tois").err
    assert "demo" in cli("data", "fetch", "dmo").err
    assert cli("data", "fetch", "nowhere.yaml").code == 2


def test_a_folder_is_linked_and_linked_again(cli, world, tmp_path):
    world()
    mine = tmp_path / "mine"
    mine.mkdir()
    answer = cli("data", "fetch", "letters", "--link", str(mine))
    assert answer.code == 3 and "is no whole letters: a: is missing." in " ".join(answer.err.split())
    (mine / "a").touch()
    assert "is linked" in cli("data", "fetch", "letters", "--link", str(mine)).out
    assert "was linked already" in cli("data", "fetch", "letters", "--link", str(mine)).out
    assert "Nothing to fetch" in cli("data", "fetch", "letters").out


GRID = """
backbones: [net, plain, {name: net, weights: random, label: untrained}]
tasks: [playing, writing]
seeds: [0, 1]
"""


def test_a_grid_gets_its_data_and_each_weight_once_and_names_what_is_left(cli, world, tmp_path):
    world()
    (tmp_path / "hub").touch()
    grid = tmp_path / "play.yaml"
    grid.write_text(GRID)
    answer = cli("data", "fetch", str(grid), "--yes")
    assert answer.code == 3 and "Write a letter." in answer.err  # and the rest was fetched all the same
    assert "backbone net: weights to fetch (acme: net-1), about 12.0 MB" in answer.out
    assert "backbone plain" not in answer.out
    assert (tmp_path / "loaded").read_text() == "pretrained\n"
    assert (tmp_path / "data/toys/a").is_file()
    (tmp_path / "data/letters").mkdir()
    (tmp_path / "loaded").unlink()
    assert cli("data", "fetch", str(grid), "--offline").code == 0
    (tmp_path / "hub").unlink()
    answer = cli("data", "fetch", str(grid), "--offline")
    assert answer.code == 3 and "backbone net is not here" in answer.err


def test_weights_that_ship_are_there_and_never_fetched(cli, world, tmp_path):
    world()
    grid = tmp_path / "play.yaml"
    grid.write_text("summary: Shipped.\nbackbones: [inside]\ntasks: [playing]\n")
    (tmp_path / "data/toys").mkdir(parents=True)
    for words in ((), ("--offline",)):
        answer = cli("data", "fetch", str(grid), "--yes", *words)
        assert answer.code == 0 and not (tmp_path / "loaded").exists()
    assert "backbone inside: there (package: inside.safetensors)" in answer.out
    answer = cli("list", "backbones", "inside")
    assert "weights included" in answer.out


def test_synthetic_grids_need_nothing(cli, world):
    world()
    answer = cli("data", "fetch", "demo", "--json")
    page = json.loads(answer.out)
    assert answer.code == 0 and page["datasets"] == [] and all(w["there"] for w in page["weights"])
