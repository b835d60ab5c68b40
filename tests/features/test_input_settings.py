import pytest
from pydantic import ValidationError

from bench3d.features.settings import BackboneSettings, InputSettings


def test_equal_grid_is_the_default():
    settings = InputSettings()
    assert settings.policy == "equal-grid"
    assert settings.canvas(14) == 448
    assert settings.canvas(16) == 512
    assert settings.cells((640, 480), 14) == (32, 24)
    assert settings.cells((480, 640), 16) == (24, 32)


def test_equal_pixels_floors_to_whole_patches():
    settings = InputSettings(input_size=224)
    assert settings.policy == "equal-pixels"
    assert settings.canvas(14) == 224
    assert InputSettings(input_size=500).canvas(16) == 496
    assert InputSettings(input_size=500).cells((1000, 500), 16) == (31, 16)


def test_native_keeps_the_image_in_whole_patches():
    settings = InputSettings(native=True)
    assert settings.policy == "native"
    assert settings.canvas(14) is None
    assert settings.cells((641, 480), 14) == (45, 34)
    assert settings.cells((5, 1000), 14) == (1, 71)


def test_a_thin_image_keeps_a_row():
    assert InputSettings(grid=8).cells((4000, 10), 14) == (8, 1)


def test_contradictions_and_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="exclude each other"):
        InputSettings(native=True, input_size=224)
    with pytest.raises(ValidationError):
        BackboneSettings(gird=8)
