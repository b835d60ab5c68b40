"""A committed record of a real, tiny run on fake plugins, and the ways to tamper with it."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench3d.contracts import NullProgress
from bench3d.plugins import load_registry
from bench3d.records import identity_hash
from bench3d.runner import RunSpec, execute, plan_run

FAKES = Path(__file__).parents[1] / "runner" / "fake_plugin.py"


@dataclass
class Desk:
    """A leaderboard folder in the current directory with one submitted record at `folder`."""

    cli: object
    spec: RunSpec
    root: Path
    folder: Path = Path()

    def run(self, **changes):
        """A further run; its folder in the results."""
        plan = plan_run(replace(self.spec, **changes))
        execute(plan, NullProgress())
        return plan.record_path.parent

    def another(self, monkeypatch, layer, milliseconds, error=None):
        """Submits a further run, of another layer, whose times (and, where given, errors) are others."""
        import fakes_plugin

        changed = {"features_ms": milliseconds} | ({} if error is None else {"error": error})
        monkeypatch.setitem(fakes_plugin.FAULTS, "values", lambda values: [v | changed for v in values])
        return self.submit(self.run(settings={"backbone": {"layer": layer}}))

    def submit(self, run):
        """Submits a run and gives its committed folder."""
        answer = self.cli("leaderboard", "submit", str(run), "--json")
        assert answer.code == 0, answer.out + answer.err
        return self.root / json.loads(answer.out)["records"][0]

    def record(self):
        return json.loads((self.folder / "record.json").read_text())

    def write(self, value):
        (self.folder / "record.json").write_text(json.dumps(value))

    def samples(self):
        return gzip.decompress((self.folder / "samples.jsonl.gz").read_bytes()).decode().splitlines(keepends=True)

    def write_samples(self, lines, agree=True):
        """Writes another sidecar; with `agree` the record names its digest and number of lines."""
        content = "".join(lines).encode()
        (self.folder / "samples.jsonl.gz").write_bytes(gzip.compress(content, mtime=0))
        if agree:
            digest = hashlib.sha256(content).hexdigest()
            self.write(self.record() | {"samples_sha256": digest, "samples": len(lines)})

    def rehash(self, value, label=None):
        """Writes a record whose identity was edited, hash and folder's name made to agree."""
        value["label"] = label or value["label"]
        value["identity"]["hash"] = identity_hash(value["identity"]["measurement"])
        place = self.folder.with_name(f"{value['label']}-{value['identity']['hash'][:12]}")
        self.folder = self.folder.rename(place)
        self.write(value)

    def twin(self):
        """A copy of the record beside it, which `folder` is then; give it an identity of its own by `rehash`."""
        self.folder = Path(shutil.copytree(self.folder, self.folder.with_name("copy")))

    def validate(self, *options):
        """Exit code and findings as (level, check, sentence, file, field)."""
        answer = self.cli("leaderboard", "validate", "--all", "--json", *options)
        found = json.loads(answer.out)["findings"]
        return answer.code, [(f["level"], f["check"], f["sentence"], Path(f["file"]).name, f["field"]) for f in found]


@contextmanager
def installed(site):
    """The fake plugin, for all tests of a module: every installation costs the registry."""
    module = "fakes_plugin"
    (site / f"{module}.py").write_text(FAKES.read_text())
    info = site / "fakes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fakes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[bench3d]\nfakes = {module}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        load_registry.cache_clear()
        yield
    load_registry.cache_clear()
    sys.modules.pop(module, None)


def make_desk(cli, tmp_path, monkeypatch, made={}):  # noqa: B006 - the run is made once for all tests
    """See `Desk`: errors car 5, 15, 40, 100 and chair 5, 100; a commit that is clean."""
    monkeypatch.setattr("bench3d.records.provenance.source_commit", lambda: "c" * 40)
    root = tmp_path / "desk"
    spec = RunSpec(
        backbone="fake-net", task="fake-task", shape_model="fake-shape", data=root / "data", results=root / "results",
        device="cpu",
    )  # fmt: skip
    desk = Desk(cli, spec, root)
    if made:
        shutil.copytree(made["root"], root)
        monkeypatch.chdir(root)
        desk.folder = root / made["folder"]
        return desk
    (root / "data" / "fake").mkdir(parents=True)
    (root / "data" / "fake" / "car.json").write_text(json.dumps([5.0, 15.0, 40.0, 100.0]))
    (root / "data" / "fake" / "chair.json").write_text(json.dumps([5.0, 100.0]))
    monkeypatch.chdir(root)
    desk.folder = desk.submit(desk.run())
    kept = Path(tempfile.mkdtemp(dir=tmp_path.parent)) / "desk"  # beside the tests' own folders, cleared with them
    made.update(root=shutil.copytree(root, kept), folder=desk.folder.relative_to(root))
    return desk
