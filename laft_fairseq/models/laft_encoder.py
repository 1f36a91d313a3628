"""LAFT's encoder: mBART's, then section 3 on its output (method/laft.py)."""

import contextlib
from typing import Any, Self

from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerConfig, TransformerEncoderBase
from fairseq.modules.transformer_layer import TransformerEncoderLayerBase
from torch import Tensor, nn

from laft_fairseq.baselines.gate import Gate
from laft_fairseq.languages.language_ids import LanguageTags
from laft_fairseq.languages.new_tag_embeddings import NewTagEmbeddings
from laft_fairseq.method.fusion import Fusion
from laft_fairseq.method.laft import LAFT, Representations
from laft_fairseq.method.systems import System
from laft_fairseq.method.task_module import TaskModule
from laft_fairseq.models.layers import AdaptedEncoderLayer, with_activation_checkpointing
from laft_fairseq.models.options import LAFTOptions
from laft_fairseq.training.encoder_cache import EncoderCache, EncoderOutput, encode
from laft_fairseq.training.precision import frozen_forward


class LAFTEncoder(LAFT, TransformerEncoderBase):
    """mBART's encoder, followed by the system's own modules."""

    def __init__(
        self,
        cfg: TransformerConfig,
        dictionary: Dictionary,
        embed_tokens: nn.Embedding,
        system: System,
        options: LAFTOptions,
        tags: LanguageTags,
    ) -> None:
        self.laft_options = options  # read in build_encoder_layer, as is the next
        self.has_task_adapters = "task_adapter" in system.modules
        super().__init__(cfg, dictionary, embed_tokens)
        self.language_tags, self.tags = tags, tags.tags
        new_tags = tags.tags_without_embedding(embed_tokens.num_embeddings)
        self.new_tag_rows = NewTagEmbeddings(new_tags, embed_tokens)
        self.mask_source_tag = options.mask_source_tag
        self.frozen = False
        self.cache: EncoderCache | None = None  # of the output, in training
        d = cfg.encoder.embed_dim
        self.gate = Gate(d) if "gate" in system.modules else None
        self.task_module = self.fusion = None
        if "task_module" in system.modules:
            self.task_module = TaskModule(cfg, options.task_module_layers)
        if "fusion" in system.modules:
            self.removal, self.fusion_input = options.removal, options.fusion_input
            if options.fusion_input != "none":
                self.fusion = Fusion(d, options.fusion_dim)
        self.language_components = nn.ModuleDict()  # by tag

    def build_encoder_layer(self, cfg: TransformerConfig) -> nn.Module:
        """Build one layer, with a task adapter where the system has them."""
        if self.has_task_adapters:
            reduction = self.laft_options.task_adapter_reduction
            return with_activation_checkpointing(AdaptedEncoderLayer(cfg, reduction), cfg)
        return with_activation_checkpointing(TransformerEncoderLayerBase(cfg), cfg)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen encoder stays in eval, without dropout."""
        super().train(mode)
        if mode and self.frozen:
            for name, child in self.named_children():
                if name not in ("task_module", "fusion", "gate"):
                    child.eval()
        return self

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor | None = None,
        return_all_hiddens: bool = False,
        token_embeddings: Tensor | None = None,
        output_language: Tensor | None = None,
        decoded_rows: Tensor | None = None,
    ) -> EncoderOutput:
        """Return fairseq's encoder output for (B, T) tokens, ``encoder_out`` being (T, B, d).

        With a gate, it has ``h``, ``alpha``, ``languages`` and ``text_mask`` of all rows too.

        Args:
            src_tokens, src_lengths, return_all_hiddens, token_embeddings: fairseq's.
            output_language: (B,) index of the language to write in, where it is not the source's
                own; its mean s_L is then fused in.
            decoded_rows: (R,) the only rows that the decoder sees.
        """
        out = self.forward_backbone(src_tokens, src_lengths, return_all_hiddens, token_embeddings)
        if self.task_module is None:
            return out
        parts, languages, text_mask = self._represent(src_tokens, out, output_language)
        out = {**out, "encoder_out": [parts.fused]}
        if parts.alpha is None:
            return out
        if decoded_rows is not None:
            # the class's, as fairseq's set_beam_size puts one that does nothing on the instance
            out = super().reorder_encoder_out(out, decoded_rows)
        return {
            **out,
            "h": [parts.h],
            "alpha": [parts.alpha],
            "languages": [languages],
            "text_mask": [text_mask],
        }

    def representations(self, src_tokens: Tensor, out: EncoderOutput) -> Representations:
        """Return the paper's representations of (B, T) tokens, from mBART's output for them."""
        return self._represent(src_tokens, out, None)[0]

    def _represent(
        self, src_tokens: Tensor, out: EncoderOutput, output_language: Tensor | None
    ) -> tuple[Representations, Tensor, Tensor]:
        """Return with them (B,) language indices and (B, T) mask, True at the text's own tokens."""
        languages = self.language_tags.of_source(src_tokens)  # (B,)
        text_mask = self.language_tags.text_mask(src_tokens)  # (B, T)
        e, padding_mask = out["encoder_out"][0], out["encoder_padding_mask"][0]
        parts = self.represent(e, padding_mask, text_mask, languages, output_language)
        return parts, languages, text_mask

    def forward_backbone(self, src_tokens: Tensor, *args: Any) -> EncoderOutput:
        """Run mBART's encoder, without a graph where it is frozen.

        With ``--mask-source-tag`` it sees `<mask>` in place of the tag.
        """
        seen = self.language_tags.without_tags(src_tokens) if self.mask_source_tag else src_tokens
        with frozen_forward() if self.frozen else contextlib.nullcontext():
            if self.cache is None or not self.training:
                return super().forward(seen, *args)
            stock = super().forward

            def encoder(rows: Tensor | None) -> EncoderOutput:
                return stock(seen) if rows is None else stock(seen[rows])

            dtype = self.embed_tokens.weight.dtype
            return encode(src_tokens, self.padding_idx, self.cache, encoder, dtype)

    def forward_embedding(
        self, src_tokens: Tensor, token_embedding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the embeddings of (B, T) tokens with positions, and without: (B, T, d) each."""
        if token_embedding is None:
            token_embedding = self.new_tag_rows.embed(src_tokens, self.embed_tokens)
        return super().forward_embedding(src_tokens, token_embedding)
