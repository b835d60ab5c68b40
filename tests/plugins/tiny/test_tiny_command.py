import errno
import json
import resource
import subprocess
import sys

import pytest
import torch

from bench3d.plugins import load_registry, load_settings
from bench3d_plugins.tiny.command import load_recipe
from bench3d_plugins.tiny.names import STEPS
from bench3d_plugins.tiny.settings import PretrainSettings

SHORT = [
    word
    for change in ("pictures=8", "held_out=4", "picture_size=32", "sides=[24, 32]", "steps=4", "batch=4")
    for word in ("--set", change)
]


def test_a_short_pretraining_with_json_alone(cli, tmp_path):
    answer = cli("pretrain", "tiny", *SHORT, "--set", "checkpoints=[2]", "--out", str(tmp_path / "w"), "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["settings"]["steps"] == 4 and found["settings"]["sides"] == [24, 32]
    assert found["weights"] == [str(tmp_path / "w" / name) for name in ("tiny.safetensors", "tiny-step-2.safetensors")]
    assert "tiny" in answer.err and "pictures" in answer.err  # progress, on the other stream
    # Again, and the other way round: what is there is told in words.
    answer = cli("pretrain", *SHORT, "--set", "checkpoints=[2]", "--out", str(tmp_path / "w"))
    assert answer.code == 0, answer.err
    assert f"Written: {tmp_path / 'w' / 'tiny.safetensors'}" in answer.out and "Held-out matching: " in answer.out
    answer = cli("pretrain", *SHORT, "--set", "checkpoints=[3]", "--out", str(tmp_path / "w"))
    assert answer.code == 2 and "checkpoints" in answer.err and "--out" in answer.err


def test_what_it_writes_are_weights_of_the_backbone(cli, tmp_path):
    assert cli("pretrain", *SHORT, "--out", str(tmp_path)).code == 0
    registry = load_registry()
    settings = load_settings(registry.get("backbone", "tiny"), overrides={"grid": 2})
    models = [
        registry.create("backbone", "tiny", weights=weights, settings=settings, device="cpu")
        for weights in (str(tmp_path / "tiny.safetensors"), "random")
    ]
    own, random = (list(model.net.parameters()) for model in models)
    assert models[0].describe()["weights"]["file"] == "tiny.safetensors" and not models[0].random_weights
    assert any(not torch.equal(a, b) for a, b in zip(own, random, strict=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["small"], "small is no embedded backbone. There is tiny."),
        (["--set", "steps"], "--set steps: a KEY=VALUE is needed."),
        (["--set", "step=3"], "--set step: there is no such setting. Did you mean steps"),
        (["--set", "steps=few"], "--set steps: 'few': input should be a valid integer"),
        (["--set", "steps=["], "--set steps=[: [ is no value."),
        (["--set", "steps=0"], "--set steps: 0: "),
        (["--set", "sides=[20]"], "--set sides: 20: input should be a multiple of 8"),
        (["--set", "sides=[8]"], "--set sides: 8: "),
        (["--set", "sides=[]"], "--set sides: "),
        (["--set", "sides=[512]"], "512 pixels shows more than a picture of 160"),
        (["--set", "zoom=[1.5, 0.5]"], "zoom goes from 1.5 down to 0.5"),
        (["--set", "zoom=[0, 1]"], "--set zoom: 0: "),
        (["--set", "steps=50", "--set", "checkpoints=[60]"], "the checkpoint after step 60 lies behind the last step"),
        (["--set", "checkpoints=[0]"], "--set checkpoints: 0: "),
        (["--set", "precision=float64"], "--set precision: 'float64': input should be 'float32' or 'bfloat16'"),
        (["--set", "warmup=2"], "--set warmup: 2: "),
        (["--device", "cuda"], "--device cuda: PyTorch finds no CUDA GPU here."),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(cli, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    answer = cli("pretrain", *arguments)
    said = " ".join(answer.err.split())
    assert answer.code == 2 and words in said, said
    assert "Traceback" not in said and "pydantic" not in said and answer.out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_recipe_and_shorter_ones():
    shipped = load_recipe([])
    assert shipped.checkpoints == STEPS  # the registered backbones are what it makes
    assert load_recipe(["steps=200"]).checkpoints == tuple(step for step in STEPS if step <= 200)
    assert load_recipe(["steps=200"]).model_copy(update={"steps": shipped.steps, "checkpoints": STEPS}) == shipped
    assert all(field.description for field in PretrainSettings.model_fields.values())


def test_help_shows_the_example_and_loads_no_torch():
    code = (
        "import sys; from bench3d.cli.main import main; code = main(['pretrain', '--help']); "
        "sys.exit(code or bool({'torch', 'numpy', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Example: bench3d pretrain tiny --out" in " ".join(done.stdout.split())


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "The disk is full"), (errno.EACCES, "No permission")])
def test_a_folder_that_cannot_be_written_is_a_sentence(cli, tmp_path, monkeypatch, code, words):
    def refuse(*_):
        raise OSError(code, "no")

    monkeypatch.setattr("bench3d.files.os.replace", refuse)
    answer = cli("pretrain", *SHORT, "--out", str(tmp_path / "w"))
    assert answer.code == 6 and words in answer.err and "Traceback" not in answer.err
    assert [p for p in (tmp_path / "w").rglob("*") if p.is_file()] == []
    (tmp_path / "file").touch()
    answer = cli("pretrain", *SHORT, "--out", str(tmp_path / "file"))
    assert answer.code == 6 and "a file stands where a folder is needed" in " ".join(answer.err.split())


def test_a_disk_that_is_full_in_the_middle_is_a_sentence_and_it_goes_on(cli, tmp_path):
    """Files may not grow beyond what the pictures need: the state is refused by the system itself."""
    out = tmp_path / "w"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        answer = cli("pretrain", *SHORT, "--out", str(out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer.code == 6 and "cannot be written: File too large" in " ".join(answer.err.split()), answer.err
    left = sorted(p.name for p in out.rglob("*") if p.is_file())
    assert left == ["00000.npy", "pretrain.json"]  # nothing half-written
    assert cli("pretrain", *SHORT, "--out", str(out)).code == 0
