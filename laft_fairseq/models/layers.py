"""mBART's layers with adapters, and activation checkpointing."""

import contextlib
from collections.abc import Sequence
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
from laft_fairseq.method.language_adapter import LanguageAdapters, RowGroup

BACKENDS = {
    SDPBackend.MATH: torch.backends.cuda.math_sdp_enabled,
    SDPBackend.FLASH_ATTENTION: torch.backends.cuda.flash_sdp_enabled,
    SDPBackend.EFFICIENT_ATTENTION: torch.backends.cuda.mem_efficient_sdp_enabled,
    SDPBackend.CUDNN_ATTENTION: torch.backends.cuda.cudnn_sdp_enabled,
}


class AdaptedEncoderLayer(TransformerEncoderLayerBase):
    """mBART's encoder layer, followed by a task adapter."""

    def __init__(self, cfg: TransformerConfig, reduction: int) -> None:
        super().__init__(cfg)
        self.task_adapter = TaskAdapter(cfg.encoder.embed_dim, reduction)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return (T, B, d) for (T, B, d).

        The input is made contiguous: over fairseq's transposed layout, which residuals keep, the
        adapter's weights would be copied for each position.
        """
        return self.task_adapter(super().forward(x.contiguous(), *args, **kwargs))


class AdaptedDecoderLayer(TransformerDecoderLayerBase):
    """mBART's decoder layer, then, where it is given one, a task adapter or language adapters."""

    task_adapter: TaskAdapter | None
    language_adapter: LanguageAdapters | None

    def __init__(self, cfg: TransformerConfig, no_encoder_attn: bool) -> None:
        super().__init__(cfg, no_encoder_attn)
        self.task_adapter = self.language_adapter = None

    def forward(self, x: Tensor, *args: Any, groups: Sequence[RowGroup] = (), **kwargs: Any) -> Any:
        """Return (T, B, d) for (T, B, d), with fairseq's attention and state."""
        x, attention, state = super().forward(x, *args, **kwargs)
        if self.task_adapter is not None:
            x = self.task_adapter(x)
        if self.language_adapter is not None:
            x = self.language_adapter(x, groups)
        return x, attention, state


def with_activation_checkpointing(layer: nn.Module, cfg: TransformerConfig) -> nn.Module:
    """Return the layer, recomputed in the backward pass under ``--checkpoint-activations``.

    fairseq's own wrapper gives a layer's trained weights no gradient where its input needs none, as
    above a frozen embedding, and recomputes without the forward pass's autocast.
    """
    if cfg.checkpoint_activations:
        layer.forward = partial(_recomputed, layer.forward, cfg.offload_activations)
    return layer


def _recomputed(forward: Any, offload: bool, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Run a layer's ``forward``, keeping its inputs only; x on the CPU where it is offloaded."""
    if not torch.is_grad_enabled():
        return forward(x, *args, **kwargs)
    device = x.device

    def run(kept: Tensor, _: Tensor) -> Any:
        return forward(kept.to(device), *args, **kwargs)

    kept = x.cpu() if offload else x
    marker = x.new_empty(0)  # torch restores the random state of its arguments' devices only
    return checkpoint(run, kept, marker, use_reentrant=False, context_fn=_same_attention_kernels)


def _same_attention_kernels() -> tuple[Any, Any]:
    """Return contexts for the forward pass and the recomputation, which must use its kernel."""
    enabled = [backend for backend, is_enabled in BACKENDS.items() if is_enabled()]
    return contextlib.nullcontext(), sdpa_kernel(enabled)
