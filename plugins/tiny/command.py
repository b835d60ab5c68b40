"""`bench3d pretrain`: makes the shipped weights of an embedded backbone again."""

from __future__ import annotations

import json
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.errors import UsageError, WeightsError
from bench3d.files import make_folder, write_bytes, write_json
from bench3d_plugins.tiny.names import NAME, weights_name

if TYPE_CHECKING:
    from pydantic import ValidationError

    from bench3d.contracts import Progress
    from bench3d.fit.loop import LoopResult
    from bench3d_plugins.tiny.pictures import Pictures
    from bench3d_plugins.tiny.settings import PretrainSettings

LOG = "pretrain.json"
STATE = "state"


class Device(str, Enum):
    """Where the network is trained."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def pretrain(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="An embedded backbone: tiny.")] = NAME,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Weights, log and resumable state go here.")] = Path(
        "bench3d-pretrain"
    ),
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another recipe, e.g. steps=200.")
    ] = None,
    device: Annotated[Device, typer.Option(help="auto takes CUDA where it works.")] = Device.auto,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw the pictures.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="JSON alone on standard output.")] = False,
) -> None:
    """Pretrain an embedded backbone on pictures of the generator. Started again, it goes on where it stopped.

    Example: bench3d pretrain tiny --out tiny-weights
    """
    if name != NAME:
        raise UsageError(f"{name} is no embedded backbone.", f"There is {NAME}.")
    recipe = load_recipe(settings or [])
    with ctx.obj.progress() as progress:
        found = run(recipe, out, device.value, workers, progress)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for path in found["weights"]:
        typer.echo(f"Written: {path}")
    if found["held_out"] is not None:
        typer.echo(f"Held-out matching: {100 * found['held_out']:.1f} % of the cells come first.")
    seconds = f"{found['picture_seconds']:.0f} s for the pictures and {found['seconds']:.0f} s of training"
    typer.echo(f"It took {seconds}. Log: {out / LOG}")


def load_recipe(changes: list[str]) -> PretrainSettings:
    """The shipped recipe with the user's changes. Checkpoints behind a smaller number of steps are left out.

    Raises:
        UsageError: an unknown or impossible setting.
    """
    from importlib.resources import files

    import yaml
    from pydantic import ValidationError

    from bench3d_plugins.tiny.settings import PretrainSettings

    text = (files("bench3d.configs") / "pretrain" / f"{NAME}.yaml").read_text(encoding="utf-8")
    shipped = {key: value for key, value in yaml.safe_load(text).items() if key != "summary"}
    changed: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: a KEY=VALUE is needed.", "Write --set steps=200.")
        try:
            changed[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {change}: {value} is no value.", "Write --set steps=200.") from error
    values = shipped | changed
    if "checkpoints" not in changed and isinstance(values.get("steps"), int):
        values["checkpoints"] = [step for step in values.get("checkpoints", ()) if step <= values["steps"]]
    try:
        return PretrainSettings(**values)
    except ValidationError as error:
        raise _sentence(error) from error


def _sentence(error: ValidationError) -> UsageError:
    from bench3d.plugins.names import did_you_mean
    from bench3d_plugins.tiny.settings import PretrainSettings

    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return UsageError(f"--set {key}: there is no such setting.", did_you_mean(key, PretrainSettings.model_fields))
    if not key:
        return UsageError(f"--set: {first['msg'].removeprefix('Value error, ')}.")
    return UsageError(f"--set {key}: {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}.")


def run(settings: PretrainSettings, out: Path, device: str, workers: int, progress: Progress) -> dict[str, Any]:
    """Draws the pictures, trains, writes the weights as float16 safetensors and the log, which it returns.

    Raises:
        UsageError: `out` holds another recipe's pretraining, or no CUDA where it was asked for.
        WeightsError: the state in `out` cannot be read.
        OutputError: no space or no permission.
    """
    from safetensors.torch import save

    from bench3d.machine import choose_device
    from bench3d.records import identity_hash
    from bench3d_plugins.tiny.pictures import VERSION, Pictures, PictureSpec

    device = choose_device(device)
    values = settings.model_dump(mode="json")
    recipe = identity_hash({"pictures": VERSION, **values})
    log = _begun(make_folder(out), recipe, values)
    begun = time.monotonic()
    spec = PictureSpec(settings.pictures + settings.held_out, settings.picture_size, settings.seed)
    pictures = Pictures(spec, out, progress, workers)
    log["picture_seconds"] += time.monotonic() - begun
    log["device"] = device
    write_json(out / LOG, log)
    result, weights = _train(settings, pictures, device, recipe, out, progress)
    for step, tensors in weights.items():
        write_bytes(out / weights_name(step), save({k: v.half().contiguous() for k, v in tensors.items()}))
    scores = [entry["score"] for entry in result.history if "score" in entry]
    log |= {
        "seconds": result.seconds,
        "held_out": scores[-1] if scores else None,
        "history": result.history,
        "weights": [str(out / weights_name(step)) for step in weights],
    }
    write_json(out / LOG, log)
    return log


def _begun(out: Path, recipe: str, values: dict[str, Any]) -> dict[str, Any]:
    """The log that stands in `out`, or a new one. Asked before anything is drawn for a recipe that is then refused."""
    try:
        log = json.loads((out / LOG).read_text(encoding="utf-8"))
        there, seconds = log["settings"], float(log["picture_seconds"])
        same = log["recipe"] == recipe
    except (OSError, ValueError, KeyError, TypeError):
        return {"recipe": recipe, "settings": values, "picture_seconds": 0.0}
    if same:
        return {"recipe": recipe, "settings": values, "picture_seconds": seconds}
    differs = [key for key in values if not isinstance(there, dict) or there.get(key) != values[key]]
    raise UsageError(
        f"{out} holds a pretraining by another recipe (it differs in {', '.join(differs) or 'its pictures'}).",
        "Choose another folder with --out, or remove this one.",
    )


def _train(
    settings: PretrainSettings, pictures: Pictures, device: str, recipe: str, out: Path, progress: Progress
) -> tuple[LoopResult, dict[int | None, dict[str, Any]]]:
    """What the loop says, and the weights by step, None for the end."""
    from bench3d.fit.loop import LoopPlan, train
    from bench3d_plugins.tiny.pretrain import Pretraining

    trainable = Pretraining(settings, pictures, device)
    plan = LoopPlan(NAME, settings.steps, evaluate_every=max(1, settings.steps // 10), recipe=recipe)
    try:
        result = train(trainable, plan, out / STATE, progress)
    except (UsageError, WeightsError) as error:  # the loop's next step is an option that there is not here
        raise type(error)(error.message, f"Remove {out / STATE} to train from the beginning.") from error
    return result, {None: result.last, **trainable.kept}
