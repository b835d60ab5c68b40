from pathlib import Path

import numpy as np
import pytest

from bench3d.contracts import NullProgress, Progress
from bench3d.contracts.data import TwinSpec
from bench3d.plugins import load_registry
from bench3d.plugins.names import resolve
from bench3d_plugins.tiny import pictures as module
from bench3d_plugins.tiny.pictures import STREAM, Pictures, PictureSpec, picture

SPEC = PictureSpec(7, 32, 0)


def draw(folder, spec=SPEC, workers=1, progress=None):
    return Pictures(spec, folder, progress or NullProgress(), workers)


@pytest.fixture(scope="module")
def wanted():
    return np.stack([picture(SPEC, index) for index in range(SPEC.count)])


def test_a_picture_depends_on_seed_size_and_index_alone(tmp_path, monkeypatch, wanted):
    assert wanted.shape == (7, 32, 32, 3) and wanted.dtype == np.uint8
    assert len({image.tobytes() for image in wanted}) == 7
    assert min(image.std() for image in wanted) > 5  # none is empty
    assert (picture(SPEC, 5) == wanted[5]).all()  # alone, after others
    for changed in (PictureSpec(7, 32, 1), PictureSpec(7, 40, 0)):
        other = picture(changed, 5)
        assert other.shape != wanted[5].shape or (other != wanted[5]).mean() > 0.5
    order = np.array([6, 0, 3, 3])
    assert (draw(tmp_path / "one").take(order) == wanted[order]).all()
    monkeypatch.setattr(module, "CHUNK", 3)
    in_threes = draw(tmp_path / "threes")
    assert (in_threes.take(np.arange(7)) == wanted).all() and len(in_threes) == 7
    spawned = draw(tmp_path / "spawned", workers=2)
    assert (spawned.take(np.arange(7)) == wanted).all()
    files = [sorted((tmp_path / name).rglob("*.npy")) for name in ("threes", "spawned")]
    assert len(files[0]) == 3 and [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]]


def truncate(path: Path):
    path.write_bytes(path.read_bytes()[:-40])


def header_alone(path: Path):
    path.write_bytes(path.read_bytes()[:60])


def nothing(path: Path):
    path.write_bytes(b"")


def no_array(path: Path):
    path.write_text("no array at all")


def other_kind(path: Path):
    np.save(path, np.zeros((3, 32, 32, 3)))


def other_shape(path: Path):
    np.save(path, np.zeros((3, 16, 32, 3), dtype=np.uint8))


def number(path: Path):
    np.save(path, np.uint8(3))


def away(path: Path):
    path.unlink()


@pytest.mark.parametrize(
    "breaks",
    [truncate, header_alone, nothing, no_array, other_kind, other_shape, number, away],
    ids=lambda f: f.__name__,
)
def test_a_broken_file_is_drawn_again_and_no_other(tmp_path, monkeypatch, wanted, breaks):
    monkeypatch.setattr(module, "CHUNK", 3)
    ready = dict(enumerate(wanted))
    drawn = []
    monkeypatch.setattr(module, "picture", lambda spec, index: drawn.append(index) or ready[index])
    draw(tmp_path)
    assert drawn == list(range(7))
    drawn.clear()
    breaks(tmp_path / "pictures-v1-32px-seed0" / "00001.npy")
    assert (draw(tmp_path).take(np.arange(7)) == wanted).all()
    assert drawn == [3, 4, 5]


def test_more_pictures_are_added_and_fewer_taken_from_what_is_there(tmp_path, monkeypatch, wanted):
    monkeypatch.setattr(module, "CHUNK", 3)
    draw(tmp_path, PictureSpec(4, 32, 0))
    seen = []

    class Seen(Progress):
        def start(self, name, total):
            seen.append((name, total))

        def advance(self, steps=1, **values):
            seen.append(steps)

    assert (draw(tmp_path, progress=Seen()).take(np.arange(7)) == wanted).all()
    assert seen == [("pictures", 7), 3, 3, 1]  # those that are there count at once
    drawn = []
    monkeypatch.setattr(module, "picture", lambda spec, index: drawn.append(index))
    assert (draw(tmp_path, PictureSpec(2, 32, 0)).take(np.arange(2)) == wanted[:2]).all()
    assert not drawn


def recorded(monkeypatch):
    """Every key (category, seed) of an instance, and every seed of any generator, while the test runs."""
    import bench3d.synth.instances as instances
    from bench3d.synth import cameras, scene, seeds

    made, every = [], []
    plain = seeds.rng_of

    def of_instance(seed, *stream):
        made.append(tuple(seed))
        return plain(seed, *stream)

    def of_any(seed, *stream):
        every.append((len(tuple(seed)), len(stream), *seed, *stream))
        return plain(seed, *stream)

    monkeypatch.setattr(instances, "rng_of", of_instance)
    for room in (cameras, scene):
        monkeypatch.setattr(room, "rng_of", of_any)
    return made, every


def test_no_instance_of_a_twin_is_among_the_pictures(tmp_path, monkeypatch):
    """Of every twin that there is, with the seed that is nearest to the pictures' own: their first number."""
    made, every = recorded(monkeypatch)
    spec = TwinSpec(
        categories=("bus", "car"), seed=STREAM, train_instances=1, views=2, test_images=1, image_size=32,
        hard_images=1, objects=1, train_objects=1, pairs=1, videos=1,
    )  # fmt: skip
    for registration in load_registry().registrations("dataset"):
        # The renderings of a thousand poses add a second per object and no instance.
        if registration.synth is not None and registration.name != "objaverse-renderings":
            before = len(made)
            resolve(registration.synth, registration.name)(tmp_path / registration.name, spec, NullProgress(), 1)
            assert len(made) > before, registration.name
    twins, scenes = set(made), set(every)
    assert {len(seed) for seed in twins} == {4}
    made.clear()
    every.clear()
    wanted = 40
    monkeypatch.setattr(module, "render", lambda own, *a: type("Shown", (), {"rgb": own})())
    shown = [picture(PictureSpec(wanted, 32, 0), index) for index in range(wanted)]
    assert len(made) == sum(own.category != "abstract" for own in shown)
    assert wanted / 4 < len(made) < 3 * wanted / 4  # half show a thing of a twin category
    assert len({own.category for own in shown}) > 5
    assert len(set(made)) == len(made)  # no object twice
    assert {len(seed) for seed in made} == {5}
    assert not twins & set(made) and not scenes & set(every)
