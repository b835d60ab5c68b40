"""The child process that tries plugins out: one answer a plugin, as a line of JSON each, whatever they do."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from typing import Any


def main(order: dict[str, Any]) -> None:
    """Loads plugins one after another and says how it went.

    Args:
        order: "points", lists of the fields of `Point`; "seconds", after which it is written to standard error where
            a plugin hangs.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a plugin prints is no answer
    from bench3d.plugins.loader import try_out
    from bench3d.plugins.points import Point

    def say(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")

    say(ready=True)
    for values in order["points"]:
        point = Point(*values)
        before = set(sys.modules)
        say(begun=point.key)
        faulthandler.dump_traceback_later(order["seconds"] * 0.9)
        begun = time.perf_counter()
        failure, count = try_out(point)
        seconds = time.perf_counter() - begun
        faulthandler.cancel_dump_traceback_later()
        heavy = sorted({"torch", "numpy", "cv2", "timm", "matplotlib"} & (set(sys.modules) - before))
        said = {} if failure is None else {"reason": failure.reason, "hint": failure.hint, "state": failure.state}
        trace = failure.trace if failure else ""
        say(done=point.key, seconds=seconds, count=count, heavy=heavy, trace=trace, **said)
    answers.close()
    os._exit(0)  # a thread that a plugin left running must not hold this process
