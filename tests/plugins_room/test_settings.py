"""Settings and presets: resolution order, and a sentence for every mistake."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from bench3d.contracts import ShapeModelRegistration
from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins import load_preset, load_settings, parse_set, preset_names


class Losses(BaseModel):
    model_config = ConfigDict(extra="forbid")
    mask: float = 1.0
    depth: float = 0.5


class Demo(BaseModel):
    model_config = ConfigDict(extra="forbid")
    iterations: int = Field(100, ge=1)
    rate: float = 1e-3
    grid: int | None = 32
    mode: Literal["on", "off"] = "on"
    title: str = ""
    losses: Losses = Losses(depth=0.25)

    @field_validator("title")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > 9:
            raise ValueError("at most nine letters")
        return value


@pytest.fixture
def shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShapeModelRegistration:
    package = tmp_path / "preset_package"
    (package / "presets").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    module = types.ModuleType("demo_settings_module")
    module.Demo = Demo  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "demo_settings_module", module)
    yield ShapeModelRegistration(
        name="demo", summary="", factory="a:b", settings="demo_settings_module:Demo", presets="preset_package:presets"
    )
    sys.modules.pop("preset_package", None)


def write(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "preset_package" / "presets" / f"{name}.yaml").write_text(text)


def test_set_sorts_keys_into_scopes_and_the_last_wins():
    assert parse_set(["shape.iterations=50", "task.split=a=b", "shape.iterations=60"]) == {
        "shape": {"iterations": "60"},
        "task": {"split": "a=b"},
    }


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ("shap.iterations=1", "no scope shap. Did you mean shape?"),
        ("iterations=1", "not of the form scope.key=value"),
        ("shape.iterations", "not of the form scope.key=value"),
        ("shape.=3", "not of the form scope.key=value"),
    ],
)
def test_a_malformed_set_is_one_sentence(item, sentence):
    with pytest.raises(UsageError) as caught:
        parse_set([item])
    assert sentence in str(caught.value)


def test_defaults_then_wishes_then_preset_then_overrides(shape, tmp_path):
    write(tmp_path, "quick", "settings: {iterations: 10, rate: 0.1, losses: {mask: 3}}")
    settings = load_settings(shape, "quick", {"rate": "0.2"}, wanted={"grid": 8, "iterations": 7, "unheard_of": 1})
    assert (settings.iterations, settings.rate, settings.grid) == (10, 0.2, 8)
    # a nested mapping changes what it names; the rest stays as this model has it, not as Losses alone would
    assert (settings.losses.mask, settings.losses.depth) == (3.0, 0.25)
    assert load_settings(shape, "quick", {"losses.depth": "2"}).losses == Losses(mask=3, depth=2)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("iterations", "50", 50),
        ("rate", "1e-4", 1e-4),
        ("grid", "null", None),
        ("mode", "off", "off"),  # YAML 1.1 reads it as False
        ("title", "007", "007"),
        ("title", "a: b", "a: b"),
    ],
)
def test_text_is_read_as_the_type_of_the_setting(shape, key, text, value):
    assert getattr(load_settings(shape, None, {key: text}), key) == value


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"iteration": "5"}, "There is no setting shape.iteration. Did you mean shape.iterations?"),
        ({"losses.dept": "5"}, "There is no setting shape.losses.dept. Did you mean shape.losses.depth?"),
        ({"iterations": "many"}, "shape.iterations = 'many' should be a valid integer"),
        ({"iterations": "0"}, "shape.iterations = 0 should be greater than or equal to 1."),
        ({"title": "much too long"}, "shape.title: at most nine letters."),
        ({"losses": "3"}, "shape.losses = 3 should be a valid"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(shape, overrides, sentence):
    with pytest.raises(UsageError) as caught:
        load_settings(shape, None, overrides)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_what_has_no_settings_takes_none():
    bare = ShapeModelRegistration(name="bare", summary="", factory="a:b")
    assert load_settings(bare).model_dump() == {}
    with pytest.raises(UsageError, match=r"setting shape.x: there are none"):
        load_settings(bare, None, {"x": 1})


def test_a_preset_extends_another(shape, tmp_path):
    write(tmp_path, "paper", "summary: Table 7\nsettings: {iterations: 9, losses: {mask: 2}}\nbackbone: {grid: 32}")
    write(tmp_path, "quick", "extends: paper\nsettings: {losses: {depth: 4}}\nbackbone: {layer: 2}")
    assert preset_names(shape) == ["paper", "quick"]
    preset = load_preset(shape, "quick")
    assert (preset.summary, dict(preset.backbone)) == ("Table 7", {"grid": 32, "layer": 2})
    settings = load_settings(shape, preset)
    assert (settings.iterations, settings.losses) == (9, Losses(mask=2, depth=4))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("setings: {}", "(bad.yaml): There is no setting setings. Did you mean settings?"),
        ("settings: 3", "settings = 3"),
        ("- a\n- b", "must be a mapping"),
        ("settings: [", "no valid YAML"),
        ("extends: bad", "extends itself (bad > bad)"),
        ("extends: god", "has no preset god"),
        ("settings: {rat: 1}", "In the preset bad of demo: There is no setting rat. Did you mean rate?"),
        ("settings: !!python/object/apply:os.getcwd []", "no valid YAML"),
    ],
)
def test_a_broken_preset_is_one_sentence_that_names_it(shape, tmp_path, text, sentence):
    write(tmp_path, "bad", text)
    with pytest.raises(UsageError) as caught:
        load_settings(shape, "bad")
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_preset_answers_with_the_nearest(shape, tmp_path):
    write(tmp_path, "released", "settings: {}")
    with pytest.raises(UnknownNameError, match=r"no preset release. Did you mean released"):
        load_preset(shape, "release")
