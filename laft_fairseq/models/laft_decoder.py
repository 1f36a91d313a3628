"""LAFT's decoder (section 3.2): mBART's, with language adapters at the end of each layer."""

from typing import Any

from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerConfig, TransformerDecoderBase
from torch import Tensor, nn

from laft_fairseq.baselines.task_adapter import TaskAdapter
from laft_fairseq.languages.language_ids import LanguageTags
from laft_fairseq.languages.new_tag_embeddings import NewTagEmbeddings
from laft_fairseq.method.language_adapter import LanguageAdapters, RowGroup, group_rows
from laft_fairseq.method.systems import System
from laft_fairseq.models.layers import AdaptedDecoderLayer, with_activation_checkpointing
from laft_fairseq.models.options import LAFTOptions
from laft_fairseq.training.precision import linear


class LAFTDecoder(TransformerDecoderBase):
    """mBART's decoder, which reads each row's language from its tag, wherever the layout has it."""

    def __init__(
        self,
        cfg: TransformerConfig,
        dictionary: Dictionary,
        embed_tokens: nn.Embedding,
        system: System,
        options: LAFTOptions,
        tags: LanguageTags,
    ) -> None:
        self.laft_options = options  # read in build_decoder_layer, as are the next two
        has_width = options.language_adapter_dim > 0
        self.has_adapters = "language_adapter" in system.modules and has_width
        self.has_task_adapters = "task_adapter" in system.modules
        super().__init__(cfg, dictionary, embed_tokens)
        self.language_tags = tags
        self.new_tag_rows = NewTagEmbeddings(
            tags.tags_without_embedding(embed_tokens.num_embeddings), embed_tokens
        )

    def build_decoder_layer(
        self, cfg: TransformerConfig, no_encoder_attn: bool = False
    ) -> nn.Module:
        """Build one layer, with adapters where the system has them."""
        options, d = self.laft_options, cfg.decoder.embed_dim
        layer = AdaptedDecoderLayer(cfg, no_encoder_attn)
        if self.has_task_adapters:
            layer.task_adapter = TaskAdapter(d, options.task_adapter_reduction)
        if self.has_adapters:
            dim, norm = options.language_adapter_dim, str(options.adapter_norm)
            layer.language_adapter = LanguageAdapters(d, dim, norm, ())
        return with_activation_checkpointing(layer, cfg)

    def adapter_tags(self) -> list[str]:
        """Return the languages that have an adapter."""
        return list(self.layers[0].language_adapter) if self.has_adapters else []

    def add_adapters(self, tag: str) -> None:
        """Add a fresh adapter for ``tag`` to every layer that has none."""
        for layer in self.layers.children():  # of which --decoder-layerdrop's iterator skips some
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
        """Return (B, T, d) features of (B, T) tokens: fairseq's loop, with the rows' languages.

        In incremental decoding ``prev_output_tokens`` (B, t) is the tag and the output so far, in
        both layouts. What the layout has before the tag is added here, and read together with the
        tag at the first step, so that the language is known from the first position on; the
        features (B, 1, d) are those of the last token. Attention weights are not computed.
        """
        groups: list[RowGroup] = []
        if incremental_state is not None:
            prev_output_tokens = self.language_tags.decoder_input(prev_output_tokens)
        if self.has_adapters:
            languages = self.language_tags.of_decoder_input(prev_output_tokens)  # (B,)
            groups = group_rows(languages, self.language_tags.tags)
        x, self_padding = self._embed(prev_output_tokens, incremental_state)  # (T, B, d)
        encoded, encoder_padding = None, None
        if encoder_out is not None:
            encoded = encoder_out["encoder_out"][0]  # (T', B, d)
            padding = encoder_out["encoder_padding_mask"][0]  # (B, T'), True at padding
            encoder_padding = padding if padding.any() else None
        whole = incremental_state is None or x.size(0) > 1
        causal = whole and not full_context_alignment
        layers = list(self.layers) or [self.layers[0]]  # --decoder-layerdrop may skip all
        for layer in layers:
            x, _, _ = layer(
                x,
                encoded,
                encoder_padding,
                incremental_state,
                self_attn_mask=self.buffered_future_mask(x) if causal else None,
                self_attn_padding_mask=self_padding,
                groups=groups,
            )  # (T, B, d)
        if incremental_state is not None:
            self._pack_encoder_states(incremental_state)
            x = x[-1:]  # (1, B, d)
        if self.layer_norm is not None:
            x = self.layer_norm(x)
        return x.transpose(0, 1), {"attn": [None], "inner_states": [], "encoder": encoder_out}

    def _pack_encoder_states(self, incremental_state: dict[str, Any]) -> None:
        """Make the keys and values of the encoder's output contiguous, which no later step changes.

        Otherwise each step copies them for a product in bf16, a tenth of the time at mBART-large's
        shape.
        """
        for layer in self.layers:
            buffer = layer.encoder_attn._get_input_buffer(incremental_state)
            for name in {"prev_key", "prev_value"} & buffer.keys():
                buffer[name] = buffer[name].contiguous()

    def _embed(
        self, tokens: Tensor, incremental_state: dict[str, Any] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return (T, B, d) embeddings and the (B, T) mask, True at padding, or None without any.

        In incremental decoding of the last token only, but at the first step of all lead + 1.
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
        # contiguous: residuals keep a memory layout, and a product over a transposed one copies the
        # adapter's weights for each position
        x = self.dropout_module(x).transpose(0, 1).contiguous()
        return x, padding if padding.any() else None

    def output_layer(self, features: Tensor) -> Tensor:
        """Return (B, T, V) logits of (B, T, d) features, by one matrix product.

        V includes the tags of new languages. The layers' output is transposed, over which
        fairseq's batched product takes about three times as long at mBART's vocabulary.
        """
        flat = features.reshape(-1, features.size(-1))  # (B T, d)
        logits = linear(flat, self.output_projection.weight)
        logits = self.new_tag_rows.extend(logits, flat)  # (B T, V)
        return logits.view(*features.shape[:-1], -1)
