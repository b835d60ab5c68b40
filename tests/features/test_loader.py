"""The loader: threads that run ahead, but never farther than their window."""

import threading
import time
from pathlib import Path

import pytest

from bench3d.contracts import ImageRequest
from bench3d.errors import DataError
from bench3d.features.loader import Loaded, Loader
from bench3d.geometry.pixels import PixelGeometry


class Loading:
    """Counts what is loaded, and fails for the names in `broken`."""

    def __init__(self, broken=()):
        self.names, self.broken, self.lock = [], broken, threading.Lock()

    def __call__(self, request):
        with self.lock:
            self.names.append(request.path.name)
        if request.path.name in self.broken:
            raise DataError(f"{request.path} is broken.")
        return Loaded(request, PixelGeometry.identity((8, 8)))


def requests(count):
    return [ImageRequest(Path(str(i))) for i in range(count)]


@pytest.fixture
def make():
    made = []

    def build(load, window=4, workers=2, wanted=lambda request: True):
        loader = Loader(load, workers, window, wanted)
        made.append(loader)
        return loader

    yield build
    for loader in made:
        loader.close()


def settle(load, count):
    for _ in range(200):
        if len(load.names) >= count:
            break
        time.sleep(0.01)
    time.sleep(0.02)
    return len(load.names)


def test_it_loads_ahead_in_order_and_no_farther_than_the_window(make):
    load = Loading()
    loader = make(load, window=4, workers=1)
    wanted = requests(20)
    loader.expect(iter(wanted))
    assert settle(load, 4) == 4
    first = loader.take(wanted[0])
    loader.fill()
    assert settle(load, 5) == 5
    assert [c.request for c in loader.companions(first, 2)] == wanted[1:3]
    loader.fill()
    assert settle(load, 7) == 7
    assert load.names == [str(i) for i in range(7)]


def test_what_is_at_hand_or_named_twice_is_not_loaded(make):
    load = Loading()
    wanted = requests(6)
    loader = make(load, window=4, wanted=lambda r: r != wanted[1])
    loader.expect([wanted[0], wanted[1], wanted[0], wanted[2]])
    settle(load, 2)
    assert sorted(load.names) == ["0", "2"]


def test_an_error_waits_for_who_asks(make):
    load = Loading(broken={"1"})
    loader = make(load)
    wanted = requests(4)
    loader.expect(wanted)
    first = loader.take(wanted[0])
    assert [c.request for c in loader.companions(first, 9)] == wanted[2:4]
    for _ in range(2):
        with pytest.raises(DataError, match="1 is broken"):
            loader.take(wanted[1])


def test_images_that_nobody_asks_for_do_not_block_the_window_for_ever(make):
    load = Loading(broken={str(i) for i in range(4)})
    loader = make(load, window=4)
    wanted = requests(60)
    loader.expect(wanted)
    for request in wanted[4:]:
        loader.take(request)
        loader.fill()
    # The first four held the window; after a while they were given up and loading ran ahead again.
    assert len(loader._queue) == 0 or loader._queue[0].request not in wanted[:4]


def test_a_new_order_replaces_the_old_one(make):
    load = Loading()
    loader = make(load, window=2)
    loader.expect(requests(50)[40:])
    wanted = requests(3)
    loader.expect(wanted)
    first = loader.take(wanted[0])
    assert [c.request for c in loader.companions(first, 9)] == [wanted[1]]
