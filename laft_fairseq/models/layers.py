"""mBART's layers with a task adapter after the feed-forward block (the row Adapter); layers that
are computed again in the backward pass."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import torch
from fairseq.models.transformer import TransformerConfig
from fairseq.modules.transformer_layer import (
    TransformerDecoderLayerBase,
    TransformerEncoderLayerBase,
)
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from laft_fairseq.baselines.task_adapter import TaskAdapter

BACKENDS = {
    SDPBackend.MATH: torch.backends.cuda.math_sdp_enabled,
    SDPBackend.FLASH_ATTENTION: torch.backends.cuda.flash_sdp_enabled,
    SDPBackend.EFFICIENT_ATTENTION: torch.backends.cuda.mem_efficient_sdp_enabled,
    SDPBackend.CUDNN_ATTENTION: torch.backends.cuda.cudnn_sdp_enabled,
}


class AdaptedEncoderLayer(TransformerEncoderLayerBase):
    """mBART's encoder layer, then the task adapter."""

    def __init__(self, cfg: TransformerConfig, reduction: int) -> None:
        super().__init__(cfg)
        self.task_adapter = TaskAdapter(cfg.encoder.embed_dim, reduction)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(T, B, d) -> (T, B, d), laid out so: over fairseq's transposed layout, which residuals
        keep, the adapter's weights would be copied for each position."""
        return self.task_adapter(super().forward(x.contiguous(), *args, **kwargs))


class AdaptedDecoderLayer(TransformerDecoderLayerBase):
    """mBART's decoder layer, then the task adapter."""

    def __init__(self, cfg: TransformerConfig, no_encoder_attn: bool, reduction: int) -> None:
        super().__init__(cfg, no_encoder_attn)
        self.task_adapter = TaskAdapter(cfg.decoder.embed_dim, reduction)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """(T, B, d) -> (T, B, d), attention, state."""
        x, attention, state = super().forward(x, *args, **kwargs)
        return self.task_adapter(x), attention, state


def with_activation_checkpointing(layer: nn.Module, cfg: TransformerConfig) -> nn.Module:
    """The layer, recomputed in the backward pass where ``--checkpoint-activations`` asks for it.

    fairseq's own wrapper gives the trained weights of a layer no gradient where its input needs
    none, as above a frozen embedding, and recomputes without the forward pass's autocast.
    """
    if cfg.checkpoint_activations:
        layer.forward = partial(_recomputed, layer.forward, cfg.offload_activations)
    return layer


def _recomputed(forward: Any, offload: bool, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """A layer's ``forward``; until the backward pass only its inputs are kept, x perhaps away."""
    if not torch.is_grad_enabled():
        return forward(x, *args, **kwargs)
    device = x.device

    def run(kept: Tensor, _: Tensor) -> Any:
        return forward(kept.to(device), *args, **kwargs)

    kept = x.cpu() if offload else x
    here = x.new_empty(0)  # torch draws dropout again alike on the devices of its arguments alone
    return checkpoint(run, kept, here, use_reentrant=False, context_fn=_attention_alike)


def _attention_alike() -> tuple[Any, Any]:
    """Contexts of the forward pass and of the recomputation, which has to choose its kernel."""
    chosen = [backend for backend, is_on in BACKENDS.items() if is_on()]
    return contextlib.nullcontext(), sdpa_kernel(chosen)
