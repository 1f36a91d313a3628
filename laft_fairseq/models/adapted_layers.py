"""mBART's layers with a task adapter after the feed-forward block (the row Adapter)."""

from __future__ import annotations

from typing import Any

from fairseq.models.transformer import TransformerConfig
from fairseq.modules.checkpoint_activations import checkpoint_wrapper
from fairseq.modules.transformer_layer import (
    TransformerDecoderLayerBase,
    TransformerEncoderLayerBase,
)
from torch import Tensor, nn

from laft_fairseq.modules.task_adapter import TaskAdapter


class AdaptedEncoderLayer(TransformerEncoderLayerBase):
    """mBART's encoder layer, then the task adapter."""

    def __init__(self, cfg: TransformerConfig, reduction: int) -> None:
        super().__init__(cfg)
        self.task_adapter = TaskAdapter(cfg.encoder.embed_dim, reduction)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(T, B, d) -> (T, B, d)."""
        return self.task_adapter(super().forward(x, *args, **kwargs))


class AdaptedDecoderLayer(TransformerDecoderLayerBase):
    """mBART's decoder layer, then the task adapter."""

    def __init__(self, cfg: TransformerConfig, no_encoder_attn: bool, reduction: int) -> None:
        super().__init__(cfg, no_encoder_attn)
        self.task_adapter = TaskAdapter(cfg.decoder.embed_dim, reduction)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """(T, B, d) -> (T, B, d), attention, state."""
        x, attention, state = super().forward(x, *args, **kwargs)
        return self.task_adapter(x), attention, state


def wrapped(layer: nn.Module, cfg: TransformerConfig) -> nn.Module:
    """The layer, recomputed in the backward pass where ``--checkpoint-activations`` asks for it."""
    if cfg.checkpoint_activations:
        return checkpoint_wrapper(layer, offload_to_cpu=cfg.offload_activations)
    return layer
