"""What stands for an object in an identity: equal for equal ones, another for whatever changes an answer."""

from __future__ import annotations

import functools
import threading

import pytest
import torch

from bench3d.api.digest import ONCE, object_digest

SOURCE = """
import torch
SCALE = 2.0
def helper(x):
    return x + 1
class Net(torch.nn.Module):
    def __init__(self, factor=1.0, act=torch.relu):
        super().__init__()
        self.factor, self.act = factor, act
        self.conv = torch.nn.Conv2d(3, 4, 8, 8)
        torch.nn.init.constant_(self.conv.weight, 0.5)
        torch.nn.init.zeros_(self.conv.bias)
    def forward(self, x):
        return self.act(helper(self.conv(x)) * self.factor * SCALE)
"""


def world(source: str = SOURCE) -> dict:
    """A module as a notebook has it: no file."""
    names = {"__name__": "__main__"}
    exec(source, names)
    return names


def test_equal_objects_are_one():
    assert object_digest(world()["Net"]()) == object_digest(world()["Net"]())
    assert not object_digest(world()["Net"]()).startswith(ONCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + 1", "x + 2"),  # a function that is called
        ("SCALE = 2.0", "SCALE = 3.0"),  # a number of the module
        ("* self.factor *", "+ self.factor *"),  # the forward pass
        ("Conv2d(3, 4, 8, 8)", "Conv2d(3, 4, 8, 8, padding_mode='reflect')"),
        ("constant_(self.conv.weight, 0.5)", "constant_(self.conv.weight, 0.25)"),
        ("factor=1.0", "factor=1.5"),
        ("act=torch.relu", "act=lambda v: v"),
    ],
)
def test_what_changes_an_answer_is_another_object(old, new):
    assert old in SOURCE
    assert object_digest(world()["Net"]()) != object_digest(world(SOURCE.replace(old, new))["Net"]())


def test_one_weight_counts():
    net = world()["Net"]()
    before = object_digest(net)
    with torch.no_grad():
        net.conv.weight[0, 0, 0, 0] += 1e-6
    assert object_digest(net) != before


def test_functions_count_with_what_they_hold():
    one, other = world()["Net"](), world()["Net"](2.0)

    def made(net, scale=1.0):
        return lambda x: net(x) * scale

    assert object_digest(made(one)) == object_digest(made(world()["Net"]()))
    assert len({object_digest(f) for f in (made(one), made(other), made(one, 2.0), one.forward)}) == 4
    assert object_digest(functools.partial(made, one)) != object_digest(functools.partial(made, other))


def test_what_cannot_be_told_is_never_taken_for_another():
    lock = threading.Lock()

    def locked(x):
        with lock:
            return x

    first, second = object_digest(locked), object_digest(locked)
    assert first.startswith(ONCE) and second.startswith(ONCE) and first != second
    net = world()["Net"]()
    net.register_forward_hook(lambda *_: None)
    assert object_digest(net).startswith(ONCE)
