"""Claims: one holder, dead ones are taken over at once, other machines are judged by heartbeats and never by clocks."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench3d.errors import OutputError
from bench3d.records import Claim, Watch, holder

HOLDS = """
import sys, time
from pathlib import Path
from bench3d.records import Claim
claim = Claim.take(Path(sys.argv[1]), "the test")
print("yes" if claim else "no", flush=True)
sys.stdin.read()
"""


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def start():
    """Starts a process that tries to take a claim and stays: start(path) -> (process, whether it has it)."""
    children = []

    def begin(path):
        child = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def foreign(tmp_path):
    """A claim file as a process of another machine with our process id would have left it."""
    path = tmp_path / "claim.json"
    claim = Claim.take(path, "far away")
    content = json.loads(path.read_text())
    claim.release()
    path.write_text(json.dumps({**content, "token": "there", "boot": "another", "host": "elsewhere"}))
    return path


def test_a_claim_keeps_others_out_until_it_is_released(tmp_path):
    path = tmp_path / "deep" / "claim.json"
    with Claim.take(path, "run 7") as claim:
        assert Claim.take(path) is None and Claim.take(path, watch=Watch()) is None
        found = holder(path)
        assert (found.pid, found.about, found.token, found.here) == (os.getpid(), "run 7", claim.token, True)
        assert found == Watch().holder(path)
    assert holder(path) is None and list(path.parent.iterdir()) == []
    claim.release()
    with Claim.take(path) as later:
        claim.release()
        assert holder(path).token == later.token, "a claim that was given back takes nobody else's away"


def test_of_several_processes_one_has_it_and_after_its_death_one_of_the_rest(tmp_path, start):
    path = tmp_path / "claim.json"
    children = [start(path) for _ in range(3)]
    answers = [child.stdout.readline().strip() for child in children]
    assert sorted(answers) == ["no", "no", "yes"]
    assert Claim.take(path) is None
    first = children[answers.index("yes")]
    assert holder(path).pid == first.pid
    first.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)  # a zombie: nobody has waited for it
    assert holder(path) is None and Watch().holder(path) is None
    children = [start(path) for _ in range(3)]
    assert sorted(child.stdout.readline().strip() for child in children) == ["no", "no", "yes"]
    assert [p.name for p in tmp_path.iterdir()] == ["claim.json"]


def test_a_dead_claim_has_one_heir(tmp_path):
    """Many times over, as it is a race: the same dead claim, eight who want it."""
    path = tmp_path / "claim.json"
    Claim.take(path).release()
    for turn in range(60):
        with Claim.take(path):
            dead = json.loads(path.read_text())
        path.write_text(json.dumps({**dead, "token": f"dead {turn}", "started": -1.0}))
        gate = threading.Barrier(8)

        def want(gate=gate):
            gate.wait()
            return Claim.take(path)

        with ThreadPoolExecutor(8) as pool:
            taken = [claim for claim in pool.map(lambda _: want(), range(8)) if claim is not None]
        assert len(taken) == 1 and holder(path).token == taken[0].token
        taken[0].release()
        assert list(tmp_path.iterdir()) == []


def test_an_heir_that_died_leaves_the_right_to_the_next(tmp_path):
    path = tmp_path / "claim.json"
    with Claim.take(path):
        content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "token": "a", "started": -1.0}))
    (tmp_path / "claim.json.a.heir").write_text(json.dumps({**content, "token": "b", "started": -1.0}))
    with Claim.take(path) as claim:
        assert holder(path).token == claim.token
        assert [p.name for p in tmp_path.iterdir()] == ["claim.json"]


def test_another_process_with_the_same_id_is_not_the_holder(tmp_path):
    path = tmp_path / "claim.json"
    with Claim.take(path, every=60):
        edit(path, started=1.0, token="earlier")
        assert holder(path) is None
        second = Claim.take(path)
        assert second is not None
        second.release()


def test_another_machine_is_judged_by_its_heartbeat_alone(foreign):
    clock = Clock()
    watch = Watch(patience=60, clock=clock)
    found = watch.holder(foreign)
    assert (found.host, found.about, found.here) == ("elsewhere", "far away", False)
    for beat in range(1, 5):
        clock.seconds += 50
        edit(foreign, beat=beat)
        assert watch.holder(foreign) is not None
    clock.seconds += 59
    assert watch.holder(foreign) is not None and Claim.take(foreign, watch=watch) is None
    clock.seconds += 2
    assert Claim.take(foreign) is None, "who did not watch knows nothing"
    assert watch.holder(foreign) is None
    with Claim.take(foreign, watch=watch) as claim:
        assert watch.holder(foreign).token == claim.token


@pytest.mark.parametrize("hours", [-1, 1])
def test_an_hour_of_clock_skew_changes_nothing(foreign, hours):
    clock = Clock()
    watch = Watch(patience=60, clock=clock)
    for beat in range(4):
        edit(foreign, beat=beat, since="1970-01-01T00:00:00+00:00")
        os.utime(foreign, times=(time.time() + hours * 3600,) * 2)
        assert watch.holder(foreign) is not None
        clock.seconds += 59
    clock.seconds += 60
    os.utime(foreign)
    assert watch.holder(foreign) is None, "a new file time without a new heartbeat is no sign of life"


def test_setting_the_clock_does_not_kill_a_holder(tmp_path, monkeypatch):
    """The start of a process is not told by the time of day."""
    with Claim.take(tmp_path / "claim.json"):
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 3600)
        assert holder(tmp_path / "claim.json") is not None


def test_the_heart_beats_and_stops_when_the_claim_is_lost(tmp_path):
    path = tmp_path / "claim.json"
    claim = Claim.take(path, every=0.02)
    until = time.monotonic() + 5
    while json.loads(path.read_text())["beat"] < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert json.loads(path.read_text())["beat"] >= 2 and holder(path).token == claim.token
    edit_later = {**json.loads(path.read_text()), "token": "somebody"}
    other = tmp_path / "other"
    other.write_text(json.dumps(edit_later))
    os.replace(other, path)
    claim._thread.join(5)
    assert not claim._thread.is_alive()
    claim.release()
    assert json.loads(path.read_text())["token"] == "somebody"


def test_a_full_disk_stops_no_work_and_the_heart_goes_on_later(tmp_path, monkeypatch):
    path = tmp_path / "claim.json"
    with Claim.take(path, every=0.02) as claim:
        real = os.replace

        def full(*_):
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(os, "replace", full)
        time.sleep(0.1)
        monkeypatch.setattr(os, "replace", real)
        beat = json.loads(path.read_text())["beat"]
        until = time.monotonic() + 5
        while json.loads(path.read_text())["beat"] <= beat and time.monotonic() < until:
            time.sleep(0.01)
        assert json.loads(path.read_text())["beat"] > beat and claim._thread.is_alive()
    assert list(tmp_path.iterdir()) == []


def test_without_links_the_first_wins_too(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    with Claim.take(tmp_path / "claim.json"):
        assert Claim.take(tmp_path / "claim.json") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "full"), (errno.EROFS, "permission")])
def test_a_claim_that_cannot_be_written_is_a_sentence(tmp_path, monkeypatch, code, words):
    def refuse(*_):
        raise OSError(code, "refused")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OutputError, match=words):
        Claim.take(tmp_path / "claim.json")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_claim_is_waited_out(tmp_path):
    path, clock = tmp_path / "claim.json", Clock()
    path.write_text('{"token": ')
    watch = Watch(patience=60, clock=clock)
    assert watch.holder(path) is not None and Claim.take(path, watch=watch) is None
    clock.seconds = 61
    with Claim.take(path, watch=watch) as claim:
        assert holder(path).token == claim.token
