"""The encoder's side of LAFT (§3.1, §3.2): removal, task module, fusion."""

from __future__ import annotations

import contextlib
import logging
from typing import Any, NamedTuple

import torch
from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerConfig, TransformerEncoderBase
from fairseq.modules.transformer_layer import TransformerEncoderLayerBase
from torch import Tensor, nn

from laft_fairseq import language_components as lc
from laft_fairseq.encoder_cache import EncoderCache, folder_of, taken_beside
from laft_fairseq.errors import LaftError
from laft_fairseq.language_tags import LanguageTags
from laft_fairseq.methods import Method
from laft_fairseq.models.adapted_layers import AdaptedEncoderLayer, wrapped
from laft_fairseq.models.cached_encoding import encode
from laft_fairseq.models.options import LAFTOptions
from laft_fairseq.modules.fusion import Fusion
from laft_fairseq.modules.gate import Gate
from laft_fairseq.modules.new_tag_rows import NewTagRows
from laft_fairseq.modules.task_module import TaskModule
from laft_fairseq.precision import undifferentiated

logger = logging.getLogger(__name__)


class Representations(NamedTuple):
    """What the encoder's side computes, in the paper's symbols."""

    e: Tensor  # (T, B, d) output of the mBART encoder
    s_l: Tensor  # (B, d) what is subtracted
    r: Tensor  # (T, B, d) language-agnostic
    h: Tensor  # (T, B, d) output of the task module
    fused: Tensor  # (T, B, d) what the decoder attends to: fused, or gated in TM + adv
    alpha: Tensor | None = None  # (T, B, 1) the gate's, in TM + adv


class ComponentsOfLanguage(nn.Module):
    """c_L (d, k) and the mean of s_L (d,) of one language: buffers, so a checkpoint has them."""

    components: Tensor
    mean_removed: Tensor

    def __init__(self, components: Tensor, mean_removed: Tensor) -> None:
        super().__init__()
        self.register_buffer("components", components)
        self.register_buffer("mean_removed", mean_removed)

    def _apply(self, fn: Any, recurse: bool = True) -> ComponentsOfLanguage:
        """Follow the model to its device, but stay in fp32 when it is halved."""
        return super()._apply(lambda t: t.to(fn(t.new_empty(0)).device), recurse)


class LAFTEncoder(TransformerEncoderBase):
    """mBART's encoder, followed by what the method adds."""

    def __init__(
        self,
        cfg: TransformerConfig,
        dictionary: Dictionary,
        embed_tokens: nn.Embedding,
        method: Method,
        options: LAFTOptions,
        tags: LanguageTags,
    ) -> None:
        self.laft_options = options  # build_encoder_layer asks for these two
        self.has_task_adapters = "task_adapter" in method.modules
        super().__init__(cfg, dictionary, embed_tokens)
        self.language_tags = tags
        self.new_tag_rows = NewTagRows(tags.beyond(embed_tokens.num_embeddings), embed_tokens)
        self.mask_source_tag = options.mask_source_tag
        self.gate = Gate(cfg.encoder.embed_dim) if "gate" in method.modules else None
        self.removal: lc.Scaling = options.removal if "fusion" in method.modules else "none"
        self.fusion_input = options.fusion_input if "fusion" in method.modules else ""
        self.frozen = False
        self.cache: EncoderCache | None = None  # of its output, in training
        d = cfg.encoder.embed_dim
        self.task_module: TaskModule | None = None
        self.fusion: Fusion | None = None
        if "task_module" in method.modules:
            self.task_module = TaskModule(cfg, options.task_module_layers)
        if "fusion" in method.modules and options.fusion_input != "none":
            self.fusion = Fusion(d, options.fusion_dim)
        self.language_components = nn.ModuleDict()  # by tag

    def build_encoder_layer(self, cfg: TransformerConfig) -> nn.Module:
        """One layer, with a task adapter where the method has them."""
        if not self.has_task_adapters:
            return wrapped(TransformerEncoderLayerBase(cfg), cfg)
        return wrapped(AdaptedEncoderLayer(cfg, self.laft_options.task_adapter_reduction), cfg)

    @property
    def needs_components(self) -> bool:
        """Whether this encoder removes or fuses anything."""
        return self.task_module is not None and self.removal != "none"

    def reads_components(self, path: str | None) -> bool:
        """Whether training begins with the components of this file; where not, the log says why."""
        if self.needs_components and not path:
            logger.info("no --language-components: the checkpoint to start from must hold them")
        if path and not self.needs_components:
            logger.warning("--language-components %s: not read, as nothing is removed", path)
        return bool(path) and self.needs_components

    def set_components(self, tag: str, components: Tensor, mean_removed: Tensor) -> None:
        """Hold c_L (d, k) and the mean s_L (d,) of a language."""
        reference = self.embed_tokens.weight
        entry = ComponentsOfLanguage(components.float(), mean_removed.float())
        self.language_components[tag] = entry.to(reference.device)

    def train(self, mode: bool = True) -> LAFTEncoder:
        """A frozen encoder stays in eval: its dropout must not come back on."""
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
    ) -> dict[str, list[Tensor]]:
        """(B, T) tokens -> fairseq's encoder output, ``encoder_out`` being (T, B, d).

        ``output_language``: (B,) index of the language to be written, where it is not the
        source's own; its mean s_L is then fused in. With a gate, ``h`` and ``alpha`` of all rows
        stand beside, and ``decoded_rows`` (R,) are the only ones handed to the decoder.
        """
        out = self.forward_backbone(src_tokens, src_lengths, return_all_hiddens, token_embeddings)
        if self.task_module is None:
            return out
        found = self.represent(src_tokens, out, output_language)
        out = {**out, "encoder_out": [found.fused]}
        if found.alpha is None:
            return out
        if decoded_rows is not None:
            # the class's own: fairseq's set_beam_size puts one that does nothing on the instance
            out = super().reorder_encoder_out(out, decoded_rows)
        return {**out, "h": [found.h], "alpha": [found.alpha]}

    def forward_backbone(self, src_tokens: Tensor, *args: Any) -> dict[str, list[Tensor]]:
        """mBART's own encoder, without a graph where it is frozen.

        With ``--mask-source-tag`` it sees `<mask>` where the tag stands.
        """
        seen = self.language_tags.without_tags(src_tokens) if self.mask_source_tag else src_tokens
        with undifferentiated() if self.frozen else contextlib.nullcontext():
            if self.cache is None or not self.training:
                return super().forward(seen, *args)
            stock = super().forward

            def encoder(rows: Tensor | None) -> dict[str, list[Tensor]]:
                return stock(seen) if rows is None else stock(seen[rows])

            dtype = self.embed_tokens.weight.dtype
            return encode(src_tokens, self.padding_idx, self.cache, encoder, dtype)

    def use_cache(self, root: str, limit: int, fingerprint: str, precision: str) -> None:
        """Keep the output of training texts below ``root``, which takes at most ``limit`` bytes.

        Args:
            root: of all backbones and uses, a folder each.
            limit: of all of them together.
            fingerprint: the backbone's.
            precision: in which the encoder computes.

        Raises:
            LaftError: the output changes in training, or ``fingerprint`` is empty: it is not
                known to be the backbone's.
        """
        if not self.frozen:
            raise LaftError(
                "--encoder-cache: this row trains the encoder, so that its output changes at every "
                "step; leave the option out"
            )
        if not fingerprint:
            raise LaftError(
                "--encoder-cache: needs --backbone, whose fingerprint names the cache, and no "
                "checkpoint with an encoder of its own (a whole one, or of a row that trains the "
                "encoder); give the slim one, or leave the option out"
            )
        d = int(self.embed_tokens.embedding_dim)
        settings = {
            "d": d,
            "mask_source_tag": self.mask_source_tag,
            "heads": self.cfg.encoder.attention_heads,  # no tensor shows these
            "activation": self.cfg.activation_fn,
            "unscaled": self.cfg.no_scale_embedding,
            "precision": precision,
        }
        folder = folder_of(root, fingerprint, **settings)
        self.cache = EncoderCache(folder, d, limit - taken_beside(folder))

    def forward_embedding(
        self, src_tokens: Tensor, token_embedding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(B, T) -> embedded with positions, and without: (B, T, d) each."""
        if token_embedding is None:
            token_embedding = self.new_tag_rows.embed(src_tokens, self.embed_tokens)
        x, embedded = super().forward_embedding(src_tokens, token_embedding)
        return x, embedded

    def represent(
        self,
        src_tokens: Tensor,
        out: dict[str, list[Tensor]],
        output_language: Tensor | None = None,
    ) -> Representations:
        """The paper's representations of a batch, from the output of the mBART encoder."""
        assert self.task_module is not None
        e = out["encoder_out"][0]  # (T, B, d)
        padding = out["encoder_padding_mask"][0]  # (B, T), True at padding
        languages = self.language_tags.of_source(src_tokens)  # (B,)
        s_l = self.removed(src_tokens, e, languages)  # (B, d), fp32
        r = lc.remove(e, s_l) if self.needs_components else e  # (T, B, d)
        h = self.task_module(r, padding if padding.any() else None)  # (T, B, d)
        if self.gate is not None:
            return Representations(e, s_l, r, h, *self.gate(h, e))
        if self.fusion is None:
            return Representations(e, s_l, r, h, h)
        fused = self.fusion(h, self.fusion_vector(s_l, languages, output_language))  # (T, B, d)
        return Representations(e, s_l, r, h, fused)

    def removed(self, src_tokens: Tensor, e: Tensor, languages: Tensor) -> Tensor:
        """s_L, (B, d) in fp32; zeros where nothing is removed."""
        if not self.needs_components:
            return e.new_zeros(e.shape[1:], dtype=torch.float32)
        with torch.autocast(e.device.type, enabled=False):
            e_l = lc.sentence_mean(e, self.language_tags.text_mask(src_tokens))  # (B, d)
            if self.removal == "mean":
                return lc.removed_mean(e_l, self._of_rows("mean_removed", languages))
            c_l = self._of_rows("components", languages)  # (B, d, k)
            return lc.removed_part(e_l, c_l, self.removal)

    def fusion_vector(self, s_l: Tensor, languages: Tensor, output: Tensor | None) -> Tensor:
        """(B, d): what the fusion sees: s_L itself, or the mean s_L of the output language."""
        if not self.needs_components:
            return s_l
        target = languages if output is None else output
        if self.fusion_input == "subtracted" and torch.equal(target, languages):
            return s_l
        mean = self._of_rows("mean_removed", target)  # (B, d)
        if self.fusion_input == "mean":
            return mean
        return torch.where(target.eq(languages).unsqueeze(1), s_l, mean)

    def _of_rows(self, buffer: str, languages: Tensor) -> Tensor:
        """Stack a buffer of each row's language: (B, ...)."""
        present, inverse = torch.unique(languages, return_inverse=True)
        tags = [self.language_tags.tags[index] for index in present.tolist()]
        for tag in tags:
            if tag not in self.language_components:
                raise LaftError(
                    f"no language components for {tag} "
                    f"(there are: {', '.join(self.language_components) or 'none'}); add {tag} with "
                    "`laft components` and pass --language-components"
                )
        stack = torch.stack([getattr(self.language_components[tag], buffer) for tag in tags])
        return stack[inverse]
