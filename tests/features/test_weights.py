"""Weights files and the hub: no request where it is not needed, no waiting, no executed pickles."""

import pickle
import socket
import time

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from bench3d.errors import WeightsError
from bench3d.features import weights
from bench3d.features.weights import hub_file, is_cached, load_exactly, read_state_dict, weights_file
from bench3d.records import file_digest

REPO = "timm/example.tag"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, and a hub that must not be asked."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "hub"


def fill(cache, name, commit="a" * 40):
    folder = cache / "models--timm--example.tag"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / name).write_bytes(b"tensors")


def test_the_cache_is_taken_without_a_request(cache, monkeypatch):
    assert not is_cached(REPO)
    fill(cache, "pytorch_model.bin")
    assert is_cached(REPO)
    monkeypatch.setattr(weights, "_hub_answers", lambda: pytest.fail("the hub was asked"))
    found = hub_file(REPO, ("model.safetensors", "pytorch_model.bin"), "example")
    assert found.path.read_bytes() == b"tensors"
    assert found.facts() == {"source": "hub", "id": REPO, "revision": "a" * 40, "file": "pytorch_model.bin"}
    monkeypatch.setattr(weights, "_hub_answers", lambda: False)
    with pytest.raises(WeightsError, match="tag@other"):
        hub_file(REPO, ("model.safetensors",), "example", revision="other")


def test_no_network_says_what_to_do(cache, monkeypatch):
    monkeypatch.setattr(weights, "_hub_answers", lambda: False)
    with pytest.raises(WeightsError) as caught:
        hub_file(REPO, ("model.safetensors",), "backbone example", size=88_000_000)
    text = str(caught.value)
    for part in (
        "backbone example",
        REPO,
        "88 MB",
        "cannot be reached",
        "HF_HOME",
        "--weights random",
        "--weights FILE",
    ):
        assert part in text


def test_offline_does_not_even_ask(cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(weights, "_hub_answers", lambda: pytest.fail("the hub was asked"))
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        hub_file(REPO, ("model.safetensors",), "example")


def test_a_hub_that_never_answers_is_given_up(cache, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(weights, "HUB_DEADLINE", 0.5)
        started = time.monotonic()
        with pytest.raises(WeightsError, match="cannot be reached"):
            hub_file(REPO, ("model.safetensors",), "example")
        assert time.monotonic() - started < 5


def net():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


def test_state_dicts_are_unwrapped(tmp_path):
    state = net().state_dict()
    torch.save({"epoch": 3, "model": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "a.pth")
    save_file(state, tmp_path / "b.safetensors")
    for name in ("a.pth", "b.safetensors"):
        read = read_state_dict(tmp_path / name)
        assert read.keys() == state.keys()
        assert all(torch.equal(read[k], state[k]) for k in state)


def test_broken_and_foreign_files_are_refused(tmp_path):
    whole = tmp_path / "w.safetensors"
    save_file(net().state_dict(), whole)
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:-20])
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 and no more")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    for name in ("cut.safetensors", "cut.pth", "empty.pth", "missing.pth"):
        with pytest.raises(WeightsError, match=name.split(".", maxsplit=1)[0]):
            read_state_dict(tmp_path / name)


class Bomb:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_pickle_is_not_executed(tmp_path, capsys):
    (tmp_path / "bomb.pth").write_bytes(pickle.dumps({"model": Bomb()}))
    torch.save({"model": Bomb()}, tmp_path / "bomb2.pth")
    for name in ("bomb.pth", "bomb2.pth"):
        with pytest.raises(WeightsError, match="no readable checkpoint"):
            read_state_dict(tmp_path / name)
    assert "executed" not in capsys.readouterr().out


def test_what_does_not_fit_is_named():
    target, state = net(), net().state_dict()
    del state["0.bias"]
    state["0.weight"] = torch.zeros(5, 2)
    state["extra.weight"] = torch.zeros(1)
    state["head.weight"] = torch.zeros(1)
    before = target.state_dict()["0.weight"].clone()
    with pytest.raises(WeightsError) as caught:
        load_exactly(target, state, "mine.pth", ignore=lambda key: key.startswith("head."))
    text = str(caught.value)
    assert "mine.pth" in text
    assert "1 missing (0.bias)" in text
    assert "1 unexpected (extra.weight)" in text
    assert "0.weight (5, 2) instead of (3, 2)" in text
    assert torch.equal(target.state_dict()["0.weight"], before)


def test_what_fits_is_loaded_without_a_batch_count():
    target, other = net(), net()
    state = {k: v for k, v in other.state_dict().items() if not k.endswith("num_batches_tracked")}
    load_exactly(target, state, "mine.pth")
    assert torch.equal(target[0].weight, other[0].weight)


def test_the_three_kinds_of_weights(tmp_path):
    assert weights_file("pretrained") is None
    assert weights_file("random") is None
    path = tmp_path / "x.pth"
    path.write_bytes(b"abc")
    assert weights_file(str(path)) == path
    assert file_digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(WeightsError, match="pretraned"):
        weights_file("pretraned")
