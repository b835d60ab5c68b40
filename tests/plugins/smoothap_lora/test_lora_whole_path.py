"""smoothap-lora as a user runs it: train, run, run from the checkpoint, export; what a record says of it."""

import json

import pytest

TWIN = ["--synthetic", "--set", "data.image_size=40", "--set", "data.objects=1", "--set", "data.train_objects=2"]
NET = ["--backbone", "timm:test_vit", "--weights", "random", "--set", "data.categories=car"]
FIT = [*TWIN, "--set", "adapter.iterations=3", "--set", "adapter.points=60", "--set", "adapter.grid=5"]
TASK = [
    "--task",
    "multiview-equivariance",
    "--protocol",
    "grid32",
    "--set",
    "backbone.grid=5",
    "--limit",
    "2",
    "--json",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("smoothap")


@pytest.fixture
def go(cli, place, monkeypatch):
    monkeypatch.setenv("BENCH3D_CACHE", str(place / "cache"))

    def call(*arguments):
        return cli(*arguments, "--data", str(place / "data"), "--results", str(place / "results"))

    return call


def test_train_then_run_then_the_checkpoint_alone(go, cli, place):
    trained = go("train", *NET, "--adapter", "smoothap-lora", *FIT, "--json")
    assert trained.code == 0, trained.err
    (artifact,) = json.loads(trained.out)
    assert artifact["facts"]["training_objects"] == ["car-t0000"]
    assert artifact["facts"]["held_out_objects"] == ["car-t0001"]
    # The task asks for another grid than the training had: it is the same fit.
    fitted = go("run", *NET, "--adapter", "smoothap-lora", *FIT, *TASK)
    assert fitted.code == 0, fitted.err
    record = json.loads(fitted.out)
    assert [f["recipe"] for f in record["fits"]] == [artifact["recipe"]]
    assert not any("was trained on" in note for note in record["notes"]), "test objects are others"
    given = go("run", *NET, "--adapter", f"smoothap-lora:{artifact['path']}", *TWIN, *TASK)
    assert given.code == 0, given.err
    again = json.loads(given.out)
    assert again["scores"] == record["scores"] and again["identity"]["hash"] != record["identity"]["hash"]
    raw = json.loads(go("run", *NET, *TWIN, *TASK).out)
    assert raw["scores"] != record["scores"]
    out = place / "peft"
    net = ["--backbone", "timm:test_vit", "--weights", "random", "--out", str(out)]
    exported = cli("adapter", "export", f"smoothap-lora:{artifact['path']}", *net)
    assert exported.code == 0 and (out / "adapter_config.json").is_file(), exported.err


@pytest.mark.parametrize(
    ("adapter", "code", "words"),
    [
        ("smoothap-lora:nowhere", 4, "There is no checkpoint nowhere."),
        ("smoothap-lora:", 2, "names no checkpoint."),
        ("smoothap-lorra:x", 2, "There is no adapter named smoothap-lorra:x."),
    ],
)
def test_a_wrong_checkpoint_is_a_sentence(go, adapter, code, words):
    answer = go("run", *NET, "--adapter", adapter, *TWIN, *TASK)
    assert answer.code == code and words in " ".join(answer.err.split())


def test_a_checkpoint_is_not_trained_and_a_foreign_file_is_refused(go, tmp_path):
    (tmp_path / "notes.ckpt").write_text("no checkpoint")
    foreign = f"smoothap-lora:{tmp_path / 'notes.ckpt'}"
    answer = go("train", *NET, "--adapter", foreign, *TWIN)
    assert answer.code == 2 and "nothing to train" in answer.err
    answer = go("run", *NET, "--adapter", foreign, *TWIN, *TASK)
    assert answer.code == 4 and "notes.ckpt" in answer.err


def test_a_floor_has_nothing_to_finetune(go):
    answer = go("train", "--backbone", "hog", "--adapter", "smoothap-lora", *TWIN)
    assert answer.code == 2 and "hog has no weights" in answer.err
