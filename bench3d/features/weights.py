"""Weights of networks: from the Hugging Face Hub or its cache, or from a file; never random where not asked for.

What is in the cache is taken without any request. Where it is not, the hub is asked once with a short time limit before
a download is tried, because the hub's own client repeats a failing request for most of a minute.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3d.errors import OutputError, WeightsError
from bench3d.files import output_errors
from bench3d.records import file_digest

if TYPE_CHECKING:
    import torch

HUB_DEADLINE = 6.0
"""Seconds that the hub has to answer the first request."""

WRAPPERS = ("state_dict", "model", "model_state_dict", "module")
"""Keys under which training scripts put a state dict."""


@dataclass(frozen=True)
class HubFile:
    """A file of a hub repository on this disk; `revision` is the commit, where the cache tells."""

    path: Path
    repo: str
    revision: str | None

    def facts(self) -> dict[str, Any]:
        """For the record."""
        return {"source": "hub", "id": self.repo, "revision": self.revision, "file": self.path.name}


def hub_file(
    repo: str, names: Sequence[str], owner: str, revision: str | None = None, size: int | None = None
) -> HubFile:
    """The first of `names` that a hub repository has, from the cache or by download.

    Args:
        repo: "organisation/name".
        names: file names, the preferred one first.
        owner: what the weights belong to, for the message ("backbone dinov2").
        revision: commit, branch or tag; None for main.
        size: bytes of the download, roughly, for the message.

    Raises:
        WeightsError: not in the cache and the hub is off limits (HF_HUB_OFFLINE) or does not answer, or it refuses.
    """
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        cached = try_to_load_from_cache(repo, name, revision=revision)
        if isinstance(cached, str):
            return _hub_file(Path(cached), repo)
    what = f"The weights of {owner} ({repo}{f'@{revision}' if revision else ''}{_megabytes(size)})"
    if _offline():
        raise WeightsError(f"{what} are not in the Hugging Face cache, and HF_HUB_OFFLINE is set.", _way_out(repo))
    if not _hub_answers():
        raise WeightsError(
            f"{what} are not in the Hugging Face cache, and the hub cannot be reached from here.", _way_out(repo)
        )
    return _download(repo, names, what, revision)


def is_cached(repo: str) -> bool:
    """Whether the hub's cache on this disk holds something of a repository. Asks nobody, loads no torch."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "snapshots"
    return folder.is_dir() and any(folder.iterdir())


def _download(repo: str, names: Sequence[str], what: str, revision: str | None) -> HubFile:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        with output_errors(Path(constants.HF_HUB_CACHE)):
            for name in names:
                with contextlib.suppress(EntryNotFoundError):
                    return _hub_file(Path(hf_hub_download(repo, name, revision=revision)), repo)
    except OutputError:
        raise
    except RevisionNotFoundError as error:
        raise WeightsError(f"{what}: the hub repository has no revision {revision}.") from error
    except RepositoryNotFoundError as error:
        raise WeightsError(
            f"{what}: the hub has no such repository, or it is not public.",
            "Log in with `hf auth login` if it is gated.",
        ) from error
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(
            f"{what} could not be downloaded ({type(error).__name__}: {reason}).", _way_out(repo)
        ) from error
    raise WeightsError(f"{what}: the hub repository has none of {', '.join(names)}.")


def _hub_file(path: Path, repo: str) -> HubFile:
    parts = path.parts
    revision = parts[parts.index("snapshots") + 1] if "snapshots" in parts else None
    return HubFile(path, repo, revision)


def _offline() -> bool:
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _hub_answers() -> bool:
    """Whether the hub answers one request in time. In a thread of its own: a name look-up obeys no time limit."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    answered = threading.Event()
    done = threading.Event()

    def ask() -> None:
        with contextlib.suppress(Exception):
            get_session().head(constants.ENDPOINT, timeout=HUB_DEADLINE)
            answered.set()
        done.set()

    threading.Thread(target=ask, daemon=True).start()
    done.wait(HUB_DEADLINE)
    return answered.is_set()


def _way_out(repo: str) -> str:
    return (
        f"Run `hf download {repo}` on a machine with a network and point HF_HOME to its cache, give a file with "
        "--weights FILE, or take --weights random (the record is then marked)."
    )


def _megabytes(size: int | None) -> str:
    return "" if size is None else f", about {max(1, round(size / 1e6))} MB"


def file_facts(path: Path) -> dict[str, Any]:
    """For the record: name and content of a weights file, not where it lies."""
    return {"source": "file", "file": path.name, "sha256": file_digest(path)}


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a .safetensors file or of a PyTorch checkpoint (weights only: nothing in it is executed).

    A state dict wrapped as {"state_dict": ...} or {"model": ...} is unwrapped, a leading "module." is taken off.

    Raises:
        WeightsError: no such file, unreadable or truncated, or no state dict in it.
    """
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}.", "Give pretrained, random or the path of a file.")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises UnpicklingError, RuntimeError, EOFError and more for a broken file.
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(
            f"{path} is no readable checkpoint ({type(error).__name__}: {reason}).",
            "A .safetensors or a .pth file with nothing but tensors is needed; get it again.",
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    tensors = {k: v for k, v in content.items() if isinstance(v, torch.Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise WeightsError(f"{path} holds no state dict.", "A mapping of names to tensors is needed.")
    return {str(k).removeprefix("module."): v for k, v in tensors.items()}


def load_exactly(
    net: torch.nn.Module,
    state: Mapping[str, torch.Tensor],
    origin: str,
    ignore: Callable[[str], bool] = lambda key: False,
) -> None:
    """Loads a state dict that has to fit, keys and shapes; nothing keeps a random value.

    Args:
        net: the network.
        state: tensors by name.
        origin: where they come from, for the message.
        ignore: names in `state` that may be superfluous (classifier heads).

    Raises:
        WeightsError: names the first missing, unexpected and differently shaped tensors.
    """
    own = net.state_dict()
    state = {k: v for k, v in state.items() if k in own or not ignore(k)}
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    shapes = [
        f"{k} {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    problems = [
        f"{len(keys)} {name} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for name, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if keys
    ]
    if problems:
        raise WeightsError(
            f"{origin} does not fit this network: {'; '.join(problems)}.", "Give the weights of the same architecture."
        )
    net.load_state_dict(state, strict=False)


def weights_file(weights: str) -> Path | None:
    """The file that `--weights` names; None for `pretrained` and `random`.

    Raises:
        WeightsError: a file that is not there.
    """
    if weights in ("pretrained", "random"):
        return None
    path = Path(weights).expanduser()
    if not path.is_file():
        raise WeightsError(f"There is no weights file {weights}.", "Give pretrained, random or the path of a file.")
    return path


def no_weights(weights: str, owner: str) -> None:
    """For a backbone without weights: a file that a user names would be passed over in silence.

    Raises:
        WeightsError: `weights` names a file.
    """
    if weights not in ("pretrained", "random"):
        raise WeightsError(f"{owner} has no weights to load from {weights}.", "Leave --weights out.")
