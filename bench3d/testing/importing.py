"""What importing a plugin's light modules loads, takes and changes: measured in a process of its own."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench3d.contracts import Registration
from bench3d.errors import PluginError
from bench3d.plugins import load_registry
from bench3d.plugins.names import resolve
from bench3d.testing.subjects import CheckFailed, Skip, Subject, require

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
import logging
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
    __import__(name)  # as an import statement: -X importtime sees no other
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
            input=order, capture_output=True, text=True, timeout=_SECONDS, check=False, env=_first_environment(),
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


def _first_environment() -> dict[str, str] | None:
    """The environment that this process began with: a plugin that is loaded here may have changed it already."""
    try:
        raw = Path("/proc/self/environ").read_bytes()
    except OSError:
        return None
    pairs = (entry.partition("=") for entry in raw.decode("utf-8", "surrogateescape").split("\0") if "=" in entry)
    return {name: value for name, _, value in pairs}


def _slowest(text: str, loaded: set[str]) -> str:
    """The module with the largest own time of what was loaded, with that time."""
    best, name = 0, ""
    for own, _, _, module in _LINE.findall(text):
        if module.partition(".")[0] in loaded and int(own) > best:
            best, name = int(own), module
    return f"{name}, {best / 1000:.0f} ms" if name else ""


def light_import(subject: Subject) -> str:
    """Every command imports the plugin's module: it must load nothing heavy and take no time."""
    facts = subject.shared("the import of its module", lambda: import_facts(_module(subject), registered(subject)))
    heavy = ", ".join(facts.heavy)
    require(
        not facts.heavy,
        f"Importing {' and '.join(facts.modules)} loads {heavy}.",
        "Import it inside the factory's module, not in the plugin's module or that of its settings.",
    )
    slowest = f" (slowest: {facts.slowest})" if facts.slowest else ""
    require(
        facts.milliseconds <= LIMIT_MS,
        f"Importing {' and '.join(facts.modules)} takes {facts.milliseconds:.0f} ms{slowest}, not {LIMIT_MS:g}.",
        "Leave the work to the factory: this is paid by every bench3d command.",
    )
    return f"{facts.milliseconds:.0f} ms"


def quiet_import(subject: Subject) -> str | None:
    """Importing the plugin, its settings and its factory changes nothing that other code shares."""
    from bench3d.testing.state import changes, snapshot

    registration = registered(subject)
    facts = subject.shared("the import of its module", lambda: import_facts(_module(subject), registration))
    require(
        not facts.changed and not facts.threads,
        f"Importing {' and '.join(facts.modules)} changes {', '.join([*facts.changed, *facts.threads])}.",
        "A module only defines things; what a model needs it sets while it works, and puts back.",
    )
    former = snapshot()
    _load(subject)
    changed = changes(former, imports=True)
    require(not changed, f"Importing {registration.factory.partition(':')[0]} changes {', '.join(changed)}.")
    return None


def _module(subject: Subject) -> str:
    """The module that the entry point of the plugin names."""
    registry = load_registry()
    for plugin in registry.plugins:
        if subject.registration in registry.of(plugin):
            return plugin.module.__name__
    raise Skip("it belongs to no installed plugin")


def _load(subject: Subject) -> None:
    """Imports the factory's module; what is wrong with it is another check's."""
    with contextlib.suppress(PluginError):
        resolve(subject.registration.factory, f"{subject.kind} {subject.name}")


def registered(subject: Subject) -> Registration:
    """What the plugin says of itself; Skip for an object that says nothing."""
    if not subject.registered:
        raise Skip("it is an object that is not registered")
    return subject.registration
