"""A SLURM of a hundred lines: processes of this machine instead of nodes. Arrays, their throttle and afterany."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "srun")
STATE = "FAKE_SLURM"


def install(folder: Path) -> None:
    """Writes the commands into <folder>/bin; what they share is in `folder`. A file `down` there makes squeue fail."""
    (folder / "bin").mkdir(parents=True)
    for name in COMMANDS:
        script = folder / "bin" / name
        script.write_text(
            f"#!{sys.executable} -S\nimport sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            f"import fake_slurm; fake_slurm.main({name!r}, sys.argv[1:])\n"
        )
        script.chmod(0o755)


def main(name: str, arguments: list[str]) -> None:
    folder = Path(os.environ[STATE])
    if name == "element":
        element(folder, json.loads(arguments[0]))
    elif name in ("squeue", "sbatch") and (folder / "down").exists():
        sys.exit(f"{name}: error: Unable to contact slurm controller (connect failure)")
    elif name == "sbatch":
        sbatch(folder, Path(arguments[0]))
    elif name == "squeue":
        squeue(folder)
    elif name == "scancel":
        scancel(folder, arguments)


def sbatch(folder: Path, script: Path) -> None:
    options = dict(
        shlex.split(line)[1].removeprefix("--").partition("=")[::2]
        for line in script.read_text().splitlines()
        if line.startswith("#SBATCH")
    )
    if options.get("partition") == "nowhere":
        sys.exit("sbatch: error: invalid partition specified: nowhere")
    number = 1 + len(list(folder.glob("*.sh")))
    (folder / f"{number}.sh").write_text(script.read_text())
    after = [word for word in options.get("dependency", "").split(":")[1:] if word]
    last, _, throttle = options.get("array", "").partition("-")[2].partition("%")
    for index in range(int(last) + 1) if last else [None]:
        name = f"{number}" if index is None else f"{number}_{index}"
        waits = [*after, f"{number}_{index - int(throttle)}"] if index is not None and index >= int(throttle) else after
        task = {"id": name, "number": number, "index": index, "after": waits, **options}
        process = subprocess.Popen(
            [sys.executable, "-S", __file__, json.dumps(task)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        (folder / f"{name}.json").write_text(json.dumps({"pid": process.pid, "name": options["job-name"]}))
    print(f"Submitted batch job {number}")


def element(folder: Path, task: dict) -> None:
    """Waits for what it depends on, then becomes its batch script."""
    signal.pthread_sigmask(signal.SIG_SETMASK, set())  # a node does not inherit what is blocked where sbatch was called
    while any(alive(folder, name) for name in task["after"]):
        time.sleep(0.05)
    for descriptor, key in ((1, "output"), (2, "error")):
        path = task[key].replace("%A", str(task["number"])).replace("%a", str(task["index"])).replace("%j", task["id"])
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), descriptor)
    os.environ["SLURM_JOB_ID"] = task["id"]
    if task["index"] is not None:
        os.environ.update(SLURM_ARRAY_JOB_ID=str(task["number"]), SLURM_ARRAY_TASK_ID=str(task["index"]))
    (folder / f"{task['id']}.started").touch()
    os.execvp("bash", ["bash", str(folder / f"{task['number']}.sh")])


def processes(folder: Path) -> dict[str, int]:
    """Elements in the queue and their process ids."""
    return {path.stem: alive(folder, path.stem) for path in sorted(folder.glob("*.json")) if alive(folder, path.stem)}


def alive(folder: Path, name: str) -> int:
    """The process of an element, or of any of an array; 0 where it is over."""
    for path in [folder / f"{name}.json", *folder.glob(f"{name}_*.json")]:
        try:
            pid = json.loads(path.read_text())["pid"]
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                return pid
        except (OSError, ValueError):
            continue
    return 0


def state(folder: Path, name: str) -> str:
    return "RUNNING" if (folder / f"{name}.started").exists() else "PENDING"


def squeue(folder: Path) -> None:
    for name in processes(folder):
        number, _, index = name.partition("_")
        job = json.loads((folder / f"{name}.json").read_text())["name"]
        reason = (folder / "reason").read_text() if (folder / "reason").exists() else "None"
        print(f"{number}|{index or 'N/A'}|{state(folder, name)}|here|{job}|{reason}")


def scancel(folder: Path, arguments: list[str]) -> None:
    options = dict(word.removeprefix("--").partition("=")[::2] for word in arguments if word.startswith("--"))
    wanted = [word for word in arguments if not word.startswith("--")]
    for name, pid in processes(folder).items():
        if not {name, name.partition("_")[0]} & set(wanted) or options.get("state", state(folder, name)) != state(
            folder, name
        ):
            continue
        number = signal.SIGTERM if state(folder, name) == "RUNNING" else signal.SIGKILL
        os.kill(pid, getattr(signal, f"SIG{options['signal']}") if "signal" in options else number)


if __name__ == "__main__":
    main("element", sys.argv[1:])
