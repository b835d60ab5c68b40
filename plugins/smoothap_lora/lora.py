"""LoRA by peft on q and v of a vision transformer's last blocks, as the published method parametrises it (tasks.md i).

A is Kaiming-uniform with a = sqrt(5), B zero; no scaling (lora_alpha = rank), no bias, no dropout; k stays untouched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from bench3d.errors import UsageError
from bench3d.features.backbone import DenseBackbone
from bench3d.features.fingerprint import digest_of
from bench3d_plugins.smoothap_lora.attention import Site, find_attention, split
from bench3d_plugins.smoothap_lora.conv import Refine, empty_refine

PROJECTIONS = ("q", "v")
ADAPTER = "default"
"""peft's name of the only adapter in the network."""


@dataclass(frozen=True)
class Weights:
    """What was trained, whatever file it comes from; all float32 on the CPU.

    Attributes:
        lora: blocks in ascending order: {"q.a", "q.b", "v.a", "v.b"}, A (rank, C) and B (C, rank).
        conv: (weight (C, C, 3, 3), bias (C,)) of each layer.
    """

    lora: tuple[Mapping[str, torch.Tensor], ...]
    conv: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    @property
    def rank(self) -> int:
        """Of every A and B."""
        return self.lora[0]["q.a"].shape[0]

    @property
    def dim(self) -> int:
        """Width of the network."""
        return self.lora[0]["q.a"].shape[1]

    def tensors(self) -> dict[str, torch.Tensor]:
        """By name, for a digest."""
        named = {f"lora.{i}.{k}": v for i, block in enumerate(self.lora) for k, v in block.items()}
        return named | {f"conv.{i}.{k}": v for i, pair in enumerate(self.conv) for k, v in enumerate(pair)}


@dataclass(frozen=True)
class Base:
    """The network under an adapter.

    Attributes:
        name: its library's name for it, for messages.
        dim: width of its tokens.
        blocks: how many of its blocks run, up to its layer.
        digest: of its blocks' parameters, by name.
    """

    name: str
    dim: int
    blocks: int
    digest: str


class AdaptedNet(nn.Module):
    """A network with LoRA and the refine convolution behind it: (B, 3, H, W) -> (B, C, h, w).

    Attributes:
        lora: peft's model around the network.
        conv: the refine convolution.
        sites: blocks that have LoRA, ascending.
        base: what the network is without them.
    """

    def __init__(self, lora: PeftModel, conv: Refine, sites: Sequence[Site], base: Base) -> None:
        super().__init__()
        self.lora, self.conv = lora, conv
        self.sites, self.base = tuple(sites), base

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Dense features."""
        return self.conv(self._network()(images))

    def trainable(self) -> dict[str, nn.Parameter]:
        """The LoRA and convolution parameters by name; everything else is frozen."""
        return {name: p for name, p in self.named_parameters() if "lora_" in name or name.startswith("conv.")}

    def unfreeze(self) -> None:
        """Lets gradients reach `trainable()`."""
        for parameter in self.trainable().values():
            parameter.requires_grad_(True)

    def weights(self) -> Weights:
        """A copy of what is trained."""
        blocks = []
        for site in self.sites:
            block = {}
            for projection in PROJECTIONS:
                a, b = self._pair(site, projection)
                block[f"{projection}.a"], block[f"{projection}.b"] = _copy(a), _copy(b)
            blocks.append(block)
        conv = tuple((_copy(layer.weight), _copy(layer.bias)) for layer in self.conv)  # type: ignore[arg-type]
        return Weights(tuple(blocks), conv)

    @torch.no_grad()
    def put(self, weights: Weights) -> None:
        """Takes over `weights`, whose shapes have to fit."""
        for site, block in zip(self.sites, weights.lora, strict=True):
            for projection in PROJECTIONS:
                a, b = self._pair(site, projection)
                a.copy_(block[f"{projection}.a"])
                b.copy_(block[f"{projection}.b"])
        for layer, (weight, bias) in zip(self.conv, weights.conv, strict=True):
            layer.weight.copy_(weight)  # type: ignore[operator, union-attr]
            layer.bias.copy_(bias)  # type: ignore[operator, union-attr]

    def _network(self) -> nn.Module:
        network = self.lora.base_model.model
        assert isinstance(network, nn.Module)
        return network

    def _pair(self, site: Site, projection: str) -> tuple[torch.Tensor, torch.Tensor]:
        layer: Any = self._network().get_submodule(f"{site.projections}.{projection}_proj")
        return layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight


def inject(net: nn.Module, sites: Sequence[Site], rank: int) -> PeftModel:
    """Takes q, k, v apart and puts stock LoRA on q and v, in place; A and B are still to be set."""
    split(net, sites)
    names = "|".join(f"{re.escape(site.projections)}\\.({'|'.join(PROJECTIONS)})_proj" for site in sites)
    config = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, bias="none", target_modules=names)
    # peft draws A from the global generator, whose state comes back after.
    with torch.random.fork_rng(devices=[]):
        model = get_peft_model(net, config, adapter_name=ADAPTER)
    assert isinstance(model, PeftModel)
    return model


@torch.no_grad()
def initialise(net: AdaptedNet, generator: torch.Generator) -> None:
    """Draws every A on the CPU, so that devices agree, and sets every B to zero."""
    for site in net.sites:
        for projection in PROJECTIONS:
            a, b = net._pair(site, projection)
            bound = 1 / math.sqrt(a.shape[1])  # Kaiming-uniform with a = sqrt(5)
            a.copy_(torch.empty(a.shape).uniform_(-bound, bound, generator=generator))
            b.zero_()


def sites_of(model: DenseBackbone) -> list[Site]:
    """The attention of the blocks that a backbone runs: those after its layer never see an image.

    Raises:
        UsageError: not a network, or one without plain attention blocks.
    """
    if not isinstance(model, DenseBackbone) or not isinstance(model.net, nn.Module):
        raise UsageError(
            f"smoothap-lora adapts networks with attention; {type(model).__name__} is none.",
            "Choose a vision transformer such as dinov2.",
        )
    if isinstance(model.net, AdaptedNet):
        raise UsageError("This model has a smoothap-lora adapter already.", "Give the plain backbone.")
    sites = find_attention(model.net)
    facts = model.describe()
    layer = facts.get("layer")
    return sites[: int(layer) + 1] if layer is not None and facts.get("layers") == len(sites) else sites


def last_sites(model: DenseBackbone, blocks: int) -> list[Site]:
    """The last `blocks` of them. UsageError where there are fewer."""
    sites = sites_of(model)
    if len(sites) < blocks:
        raise UsageError(f"LoRA on {blocks} blocks: the backbone runs only {len(sites)}.", "Set adapter.blocks.")
    return sites[len(sites) - blocks :]


def base_of(model: DenseBackbone) -> Base:
    """What the network of a backbone is. UsageError where it cannot be adapted."""
    sites = sites_of(model)
    facts = model.describe()
    name = str(facts.get("timm") or facts.get("open_clip") or type(model.net).__name__)
    assert isinstance(model.net, nn.Module)
    # Blocks only: some networks keep their position embeddings at the size of the input they were built for.
    stack = sites[0].stack
    blocks = {key: value for key, value in model.net.named_parameters() if key.startswith(stack)}
    digest = digest_of("smoothap-lora base", blocks)
    return Base(name, int(facts.get("dim") or sites[-1].dim), len(sites), digest)


def adapted(
    model: DenseBackbone, base: Base, sites: Sequence[Site], rank: int, conv_layers: int, facts: Mapping[str, Any]
) -> tuple[DenseBackbone, AdaptedNet]:
    """A copy of a backbone with LoRA and convolution, frozen, their values still to be set; and its network."""

    def change(net: nn.Module) -> nn.Module:
        new = AdaptedNet(inject(net, sites, rank), empty_refine(base.dim, conv_layers), sites, base)
        return new.to(device=model.device).eval().requires_grad_(False)

    other = model.with_net(change, {"adapter": dict(facts)})
    assert isinstance(other.net, AdaptedNet)
    return other, other.net


def merged_state(model: DenseBackbone, sites: Sequence[Site], weights: Weights) -> dict[str, torch.Tensor]:
    """State dict of the plain network with LoRA added to its fused weights; names as the network's library has them.

    Args:
        model: the backbone without adapter.
        sites: as many as `weights` has blocks.
        weights: LoRA; the convolution is no part of it.
    """
    assert isinstance(model.net, nn.Module)
    state = {name: value.detach().cpu().clone() for name, value in model.net.state_dict().items()}
    for site, block in zip(sites, weights.lora, strict=True):
        q, _, v = state[f"{site.fused}weight"].chunk(3)  # views
        q += block["q.b"] @ block["q.a"]
        v += block["v.b"] @ block["v.a"]
    prefix = _wrapper(list(state))
    return {name.removeprefix(prefix): value for name, value in state.items()}


def _wrapper(names: Sequence[str]) -> str:
    """The part that all names begin with, up to a dot: modules of ours around the library's."""
    first, last = min(names).split("."), max(names).split(".")
    same = 0
    while same < min(len(first), len(last)) - 1 and first[same] == last[same]:
        same += 1
    return "".join(f"{part}." for part in first[:same])


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float32, copy=True)
