"""Writing an adapter in formats that others read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save

from bench3d.contracts import Artifact, Model
from bench3d.errors import UsageError
from bench3d.features.backbone import DenseBackbone
from bench3d.files import make_folder, write_bytes
from bench3d_plugins.smoothap_lora import peft_format, published
from bench3d_plugins.smoothap_lora.artifact import apply, match, read
from bench3d_plugins.smoothap_lora.lora import AdaptedNet, merged_state


def export(artifact: Artifact, model: Model, out: Path, format: str) -> Path:
    """Writes an artifact in a format that others read.

    `peft`: a folder as `PeftModel.save_pretrained` writes it, with conv.safetensors; `authors`: a .ckpt file that the
    published code loads; `merged`: a folder with model.safetensors, a plain state dict of the backbone with LoRA added
    to its weights, and conv.safetensors.

    Args:
        artifact: as `load` gives it.
        model: the backbone without adapter.
        out: folder, or the file of `authors`.
        format: one of FORMATS.

    Returns:
        What was written.

    Raises:
        UsageError: an unknown format, or one that cannot hold this adapter.
        WeightsError: the artifact belongs to another backbone.
        OutputError: no space or no permission.
    """
    if format not in _WRITERS:
        raise UsageError(f"smoothap-lora cannot be exported as {format}.", f"Known: {', '.join(FORMATS)}.")
    return _WRITERS[format](artifact, model, out)


def _export_peft(artifact: Artifact, model: Model, out: Path) -> Path:
    net = apply(model, artifact).net
    assert isinstance(net, AdaptedNet)
    peft_format.write_folder(out, net)
    return out


def _export_authors(artifact: Artifact, model: Model, out: Path) -> Path:
    found = read(artifact.path)
    base, sites = match(model, found)
    blocks = base.blocks
    if len(found.weights.conv) != 1:
        raise UsageError(
            f"The authors' checkpoints hold one convolution, this adapter has {len(found.weights.conv)}.",
            "Export it as peft or merged.",
        )
    if [site.index for site in sites] != list(range(blocks - 4, blocks)):
        raise UsageError(
            "The authors' checkpoints hold LoRA of the last 4 blocks, this adapter has that of "
            f"{', '.join(str(site.index) for site in sites)} of {blocks}.",
            "Export it as peft or merged.",
        )
    path = out / "smoothap-lora.ckpt" if out.is_dir() else out
    published.write_checkpoint(path, found.weights)
    return path


def _export_merged(artifact: Artifact, model: Model, out: Path) -> Path:
    state, conv = merge(artifact, model)
    make_folder(out)
    write_bytes(out / "model.safetensors", save(state))
    write_bytes(out / peft_format.CONV, save(conv))
    return out


def merge(artifact: Artifact, model: Model) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """State dict of the plain network with LoRA added to its weights, and that of the convolution behind it."""
    found = read(artifact.path)
    _, sites = match(model, found)
    assert isinstance(model, DenseBackbone)
    return merged_state(model, sites, found.weights), peft_format.conv_tensors(found.weights)


_WRITERS: dict[str, Callable[[Artifact, Model, Path], Path]] = {
    "peft": _export_peft,
    "authors": _export_authors,
    "merged": _export_merged,
}
FORMATS = tuple(_WRITERS)
