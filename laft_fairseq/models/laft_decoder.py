"""The decoder's side of LAFT (§3.2): an adapter a language at the end of each layer."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerConfig, TransformerDecoderBase
from fairseq.modules.transformer_layer import TransformerDecoderLayerBase
from torch import Tensor, nn

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.language_ids import LanguageTags
from laft_fairseq.languages.new_tag_embeddings import NewTagEmbeddings
from laft_fairseq.method.language_adapter import LanguageAdapters, RowGroup, group_rows
from laft_fairseq.method.systems import Method
from laft_fairseq.models.layers import AdaptedDecoderLayer, with_activation_checkpointing
from laft_fairseq.models.options import LAFTOptions


class LAFTDecoderLayer(TransformerDecoderLayerBase):
    """mBART's decoder layer, then the adapter of each row's language."""

    def __init__(self, cfg: TransformerConfig, no_encoder_attn: bool, norm: str, dim: int) -> None:
        super().__init__(cfg, no_encoder_attn)
        self.language_adapter = LanguageAdapters(cfg.decoder.embed_dim, dim, norm, ())

    def forward(self, x: Tensor, *args: Any, groups: list[RowGroup], **kwargs: Any) -> Any:
        """(T, B, d) -> (T, B, d), attention, None."""
        x, attention, state = super().forward(x, *args, **kwargs)
        return self.language_adapter(x, groups), attention, state


class LAFTDecoder(TransformerDecoderBase):
    """mBART's decoder. Each row's language is read from its tag, wherever the layout has it."""

    def __init__(
        self,
        cfg: TransformerConfig,
        dictionary: Dictionary,
        embed_tokens: nn.Embedding,
        method: Method,
        options: LAFTOptions,
        tags: LanguageTags,
    ) -> None:
        if options.language_adapter_dim < 0:
            raise LaftError(
                f"--language-adapter-dim {options.language_adapter_dim}: must be positive, or 0 "
                "for no language adapters"
            )
        self.laft_options = options  # build_decoder_layer asks for these three
        self.has_adapters = (
            "language_adapter" in method.modules and options.language_adapter_dim > 0
        )
        self.has_task_adapters = "task_adapter" in method.modules
        super().__init__(cfg, dictionary, embed_tokens)
        self.language_tags = tags
        self.new_tag_rows = NewTagEmbeddings(
            tags.tags_without_embedding(embed_tokens.num_embeddings), embed_tokens
        )

    def build_decoder_layer(
        self, cfg: TransformerConfig, no_encoder_attn: bool = False
    ) -> nn.Module:
        """One layer, with adapters where the method has them."""
        options = self.laft_options
        if self.has_task_adapters:
            adapted = AdaptedDecoderLayer(cfg, no_encoder_attn, options.task_adapter_reduction)
            return with_activation_checkpointing(adapted, cfg)
        if not self.has_adapters:
            return with_activation_checkpointing(
                TransformerDecoderLayerBase(cfg, no_encoder_attn), cfg
            )
        layer = LAFTDecoderLayer(
            cfg, no_encoder_attn, options.adapter_norm, options.language_adapter_dim
        )
        return with_activation_checkpointing(layer, cfg)

    def adapter_tags(self) -> list[str]:
        """The languages that have an adapter."""
        return list(self.layers[0].language_adapter) if self.has_adapters else []

    def add_adapters(self, tag: str) -> None:
        """A fresh adapter for ``tag`` in every layer, where there is none yet."""
        for layer in self.layers:
            layer.language_adapter.add(tag)
            layer.language_adapter[tag].to(self.embed_tokens.weight)

    def extract_features_scriptable(
        self,
        prev_output_tokens: Tensor,
        encoder_out: dict[str, list[Tensor]] | None,
        incremental_state: dict[str, Any] | None = None,
        full_context_alignment: bool = False,
        alignment_layer: int | None = None,
        alignment_heads: int | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """(B, T) tokens -> (B, T, d) features: fairseq's loop, with the rows' languages passed on.

        In incremental decoding ``prev_output_tokens`` (B, t) is the tag and all that was written
        after it, in either layout; what the layout has before the tag is put there here, and
        taken in together with the tag at the first step. So the language is known from the first
        position on, and the features (B, 1, d) are those of the last token. Attention weights,
        which nothing here asks for, are not formed.
        """
        extra: dict[str, Any] = {}
        if incremental_state is not None:
            prev_output_tokens = self.language_tags.decoder_input(prev_output_tokens)
        if self.has_adapters:
            languages = self.language_tags.of_decoder_input(prev_output_tokens)  # (B,)
            extra["groups"] = group_rows(languages, self.language_tags.tags)
        x, self_padding = self._embed(prev_output_tokens, incremental_state)  # (T, B, d)
        encoded, encoder_padding = None, None
        if encoder_out is not None:
            encoded = encoder_out["encoder_out"][0]  # (T', B, d)
            padding = encoder_out["encoder_padding_mask"][0]  # (B, T'), True at padding
            encoder_padding = padding if padding.any() else None
        whole = incremental_state is None or x.size(0) > 1
        causal = whole and not full_context_alignment
        for layer in self.layers:
            x, _, _ = layer(
                x,
                encoded,
                encoder_padding,
                incremental_state,
                self_attn_mask=self.buffered_future_mask(x) if causal else None,
                self_attn_padding_mask=self_padding,
                **extra,
            )  # (T, B, d)
        if incremental_state is not None:
            x = x[-1:]  # (1, B, d)
        if self.layer_norm is not None:
            x = self.layer_norm(x)
        return x.transpose(0, 1), {"attn": [None], "inner_states": [], "encoder": encoder_out}

    def _embed(
        self, tokens: Tensor, incremental_state: dict[str, Any] | None
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T) -> embedded (T, B, d), (B, T) mask True at padding or None.

        In incremental decoding only the last token, but at the first step all: T = lead + 1.
        """
        if incremental_state is not None and tokens.size(1) == 1 + self.language_tags.layout.lead:
            incremental_state = None
        positions = self.embed_positions(tokens, incremental_state=incremental_state)  # (B, T, d)
        if incremental_state is not None:
            tokens, positions = tokens[:, -1:], positions[:, -1:]
        x = self.embed_scale * self.new_tag_rows.embed(tokens, self.embed_tokens)  # (B, T, d)
        x = x + positions
        if self.layernorm_embedding is not None:
            x = self.layernorm_embedding(x)
        padding = tokens.eq(self.padding_idx)
        # laid out as it is indexed: residuals keep a layout, and a product over a transposed one
        # copies the adapter's weights for each position
        x = self.dropout_module(x).transpose(0, 1).contiguous()
        return x, padding if padding.any() else None

    def output_layer(self, features: Tensor) -> Tensor:
        """(B, T, d) -> (B, T, V), as one matrix product; V with the tags of new languages.

        Features come out of the layers transposed; fairseq's batched product over them takes
        about three times as long at mBART's vocabulary.
        """
        flat = features.reshape(-1, features.size(-1))  # (B T, d)
        logits = F.linear(flat, self.output_projection.weight)
        logits = self.new_tag_rows.extend(logits, flat)  # (B T, V)
        return logits.view(*features.shape[:-1], -1)
