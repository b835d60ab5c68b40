"""What importing a plugin's light modules loads, takes and changes: measured in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass

from bench3d.contracts import Registration
from bench3d.testing.checks import CheckFailed

LIMIT_MS = 50.0
TRIES = 3
HEAVY = (
    "torch", "numpy", "scipy", "PIL", "cv2", "torchvision", "timm", "open_clip", "transformers", "peft", "numba",
    "matplotlib", "pandas", "sklearn", "skimage", "trimesh", "jax", "tensorflow", "ray", "submitit", "huggingface_hub",
)  # fmt: skip
_SECONDS = 60.0

_SCRIPT = """
import json, os, random, signal, sys, threading, time, warnings
order = json.load(sys.stdin)
sys.path[:] = order["path"]
import pydantic
import bench3d.plugins, bench3d.plugins.settings, bench3d.contracts, bench3d.errors
class Warm(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    number: int | None = pydantic.Field(default=1, ge=0)
import importlib, logging
def state():
    return {
        "the environment": dict(os.environ),
        "the working folder": os.getcwd(),
        "sys.path": list(sys.path),
        "the random module's state": random.getstate(),
        "signal handlers": [signal.getsignal(n) for n in signal.valid_signals()],
        "the warning filters": list(warnings.filters),
        "the recursion limit": sys.getrecursionlimit(),
        "sys.excepthook": sys.excepthook,
        "logging's root handlers and level": (logging.root.handlers[:], logging.root.level),
    }
before, modules, threads = state(), set(sys.modules), set(threading.enumerate())
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
begun = time.process_time()
for name in order["modules"]:
    importlib.import_module(name)
spent = time.process_time() - begun
after = state()
json.dump({
    "milliseconds": 1e3 * spent,
    "loaded": sorted({name.partition(".")[0] for name in set(sys.modules) - modules}),
    "changed": [name for name in before if before[name] != after[name]],
    "threads": [thread.name for thread in threading.enumerate() if thread not in threads],
}, answers)
answers.close()
os._exit(0)
"""
_LINE = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \|(\s*)(\S+)")


@dataclass(frozen=True)
class ImportFacts:
    """What one import does.

    Attributes:
        modules: what was imported: the plugin's module, and that of its settings.
        milliseconds: of this process's CPU, without what bench3d itself and pydantic take.
        heavy: names of `HEAVY` that were loaded.
        slowest: the module of it that takes longest, where it is too slow.
        changed: shared state that differs afterwards; threads: names of threads that it left running.
    """

    modules: tuple[str, ...]
    milliseconds: float
    heavy: tuple[str, ...]
    slowest: str
    changed: tuple[str, ...]
    threads: tuple[str, ...]


def import_facts(module: str, registration: Registration) -> ImportFacts:
    """Facts of importing a plugin's module and its settings' module, the best of a few tries.

    Raises:
        CheckFailed: it cannot be imported, or hangs.
    """
    modules = [module]
    for reference in (registration.settings, getattr(registration, "recognise", None)):
        if reference is not None:
            modules.append(reference.partition(":")[0])
    chosen = tuple(dict.fromkeys(modules))
    answers = []
    for _ in range(TRIES):  # the first may have to compile, and the machine may be busy
        answers.append(json.loads(_run(chosen)[0]))
        if answers[-1]["milliseconds"] <= LIMIT_MS:
            break
    best = min(answers, key=lambda a: a["milliseconds"])
    heavy = tuple(name for name in HEAVY if name in best["loaded"])
    slow = best["milliseconds"] > LIMIT_MS and not heavy
    return ImportFacts(
        chosen,
        best["milliseconds"],
        heavy,
        _slowest(_run(chosen, "-X", "importtime")[1], set(best["loaded"])) if slow else "",
        tuple(best["changed"]),
        tuple(f"a thread {name}" for name in best["threads"]),
    )


def _run(modules: tuple[str, ...], *options: str) -> tuple[str, str]:
    order = json.dumps({"path": sys.path, "modules": modules})
    try:
        done = subprocess.run(
            [sys.executable, *options, "-c", _SCRIPT],
            input=order, capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"Importing {' and '.join(modules)} takes more than {_SECONDS:g} s.") from None
    if done.returncode or not done.stdout:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no message")
        raise CheckFailed(
            f"{' and '.join(modules)} cannot be imported in a fresh process: {last.strip()}",
            "Does it need something that another plugin or command imports before?",
        )
    return done.stdout, done.stderr


def _slowest(text: str, loaded: set[str]) -> str:
    """The module with the largest own time of what was loaded, with that time."""
    best, name = 0, ""
    for own, _, _, module in _LINE.findall(text):
        if module.partition(".")[0] in loaded and int(own) > best:
            best, name = int(own), module
    return f"{name}, {best / 1000:.0f} ms" if name else ""
