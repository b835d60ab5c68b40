"""Attention layers of a vision transformer: found by structure, and their fused q, k, v taken apart exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from bench3d.errors import UsageError


@dataclass(frozen=True)
class Site:
    """The attention of one block.

    Attributes:
        name: of the attention module inside the network.
        index: of its block, from 0.
        kind: `qkv`: a fused Linear of that name (timm); `in_proj`: torch's nn.MultiheadAttention (OpenCLIP).
        dim: width of its input.
        stack: what the names of all blocks begin with.
    """

    name: str
    index: int
    kind: Literal["qkv", "in_proj"]
    dim: int
    stack: str

    @property
    def fused(self) -> str:
        """Name in a state dict of the fused weight, without `weight` at its end."""
        return f"{self.name}.qkv." if self.kind == "qkv" else f"{self.name}.in_proj_"

    @property
    def projections(self) -> str:
        """Name of the module that holds q_proj, k_proj and v_proj once they are taken apart."""
        return f"{self.name}.qkv" if self.kind == "qkv" else self.name


def find_attention(net: nn.Module) -> list[Site]:
    """The attention of every block, in order.

    Raises:
        UsageError: none, or in several stages of different width (no plain vision transformer).
    """
    stacks: dict[tuple[str, str], list[Site]] = {}
    for name, module in net.named_modules():
        kind, parts = _kind(module), name.split(".")
        numbers = [i for i, part in enumerate(parts) if part.isdigit()]
        if kind is None or not numbers:
            continue
        index = int(parts[numbers[-1]])
        before, after = (".".join(p) for p in (parts[: numbers[-1]], parts[numbers[-1] + 1 :]))
        site = Site(name, index, kind, _width(module), f"{before}." if before else "")
        stacks.setdefault((before, after), []).append(site)
    if len(stacks) != 1:
        what = "no attention layers with q, k and v in one projection" if not stacks else "several stages of attention"
        raise UsageError(
            f"smoothap-lora cannot adapt this backbone: it has {what}.", "Choose a plain vision transformer of timm."
        )
    return next(iter(stacks.values()))


def _kind(module: nn.Module) -> Literal["qkv", "in_proj"] | None:
    if isinstance(module, nn.MultiheadAttention):
        plain = module.in_proj_weight is not None and module.bias_k is None and not module.add_zero_attn
        return "in_proj" if plain else None
    qkv = getattr(module, "qkv", None)
    # Some of timm's models (BEiT, EVA) hold biases of q and v beside the layer and read its weight themselves.
    apart = getattr(module, "q_bias", None) is not None
    return "qkv" if isinstance(qkv, nn.Linear) and qkv.out_features % 3 == 0 and not apart else None


def _width(module: nn.Module) -> int:
    width = module.embed_dim if isinstance(module, nn.MultiheadAttention) else module.qkv.in_features  # type: ignore[union-attr]
    return int(width)  # type: ignore[arg-type]


class SplitProjection(nn.Module):
    """Three Linear layers in place of a fused one; their answers are concatenated again."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = _three(weight, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., C) -> (..., 3 C'), as the fused layer."""
        return torch.cat([self.q_proj(x), self.k_proj(x), self.v_proj(x)], dim=-1)


class SplitAttention(nn.Module):
    """torch's nn.MultiheadAttention with three Linear layers in place of its fused parameter.

    peft's own layer for nn.MultiheadAttention always adapts q, k, v and the output together, hence this one.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        assert attention.in_proj_weight is not None
        self.q_proj, self.k_proj, self.v_proj = _three(attention.in_proj_weight, attention.in_proj_bias)
        self.out_proj = attention.out_proj
        self.num_heads, self.batch_first = attention.num_heads, attention.batch_first

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        need_weights: bool = False,
        attn_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, None]:
        """As nn.MultiheadAttention with `need_weights=False`: (B, N, C), or (N, B, C) unless `batch_first`."""
        q, k, v = self.q_proj(query), self.k_proj(key), self.v_proj(value)
        if not self.batch_first:
            q, k, v = (x.transpose(0, 1) for x in (q, k, v))
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask).transpose(1, 2).flatten(2)
        return self.out_proj(out if self.batch_first else out.transpose(0, 1)), None


def _three(weight: torch.Tensor, bias: torch.Tensor | None) -> list[nn.Linear]:
    """q, k and v of a fused (3 C', C) weight, exact slices of it."""
    layers = []
    for index, part in enumerate(weight.detach().chunk(3)):
        # On the meta device: PyTorch's initialisation would draw from the global generator.
        layer = nn.Linear(weight.shape[1], len(part), bias=bias is not None, device="meta")
        layer.weight = nn.Parameter(part.clone(), requires_grad=False)
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach().chunk(3)[index].clone(), requires_grad=False)
        layers.append(layer)
    return layers


def split(net: nn.Module, sites: Sequence[Site]) -> None:
    """Takes q, k and v of these blocks apart, in place; the network's answers stay as they are."""
    for site in sites:
        attention = net.get_submodule(site.name)
        if isinstance(attention, nn.MultiheadAttention):
            parent, _, leaf = site.name.rpartition(".")
            setattr(net.get_submodule(parent), leaf, SplitAttention(attention).train(attention.training))
        else:
            fused = attention.qkv
            assert isinstance(fused, nn.Linear)
            attention.qkv = SplitProjection(fused.weight, fused.bias).train(fused.training)
