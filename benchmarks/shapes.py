"""Model shapes that are measured, and the matrix products of a step, counted by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """A model's shape and the size of one batch."""

    arch: str  # --arch of laft_fairseq
    layers: int
    d: int
    ffn: int
    heads: int
    subwords: int  # entries of dict.txt; tags, <mask> and four specials come on top
    batch: int
    source: int  # tokens of a source, tag included
    target: int  # tokens of a target, tag included

    @property
    def flags(self) -> tuple[str, ...]:
        """fairseq-train's options of the model's size."""
        sizes = {"layers": self.layers, "embed-dim": self.d, "ffn-embed-dim": self.ffn,
                 "attention-heads": self.heads}  # fmt: skip
        sides = ("encoder", "decoder")
        return tuple(f"--{side}-{name}={size}" for side in sides for name, size in sizes.items())

    def hugging_face(self, entries: int, dropout: float = 0.1) -> Any:
        """Returns transformers' MBart with random weights and that many embeddings."""
        from transformers import MBartConfig, MBartForConditionalGeneration

        config = MBartConfig(
            vocab_size=entries, d_model=self.d, encoder_layers=self.layers,
            decoder_layers=self.layers, encoder_ffn_dim=self.ffn, decoder_ffn_dim=self.ffn,
            encoder_attention_heads=self.heads, decoder_attention_heads=self.heads,
            scale_embedding=True, dropout=dropout, attention_dropout=dropout,
        )  # fmt: skip
        return MBartForConditionalGeneration(config)


BEAM = 5  # of every search
BATCHES = 32  # of each data set
MONO = 128  # tokens of a monolingual sentence, tag included

SHAPES = {
    "mini": Shape("laft_mbart_mini", 4, 256, 1024, 4, 8000, 32, 160, 24),
    "base": Shape("laft_mbart_base", 6, 768, 3072, 12, 64000, 16, 160, 24),
    "large": Shape("laft_mbart", 12, 1024, 4096, 16, 249997, 8, 160, 24),
}


@dataclass(frozen=True)
class Work:
    """GFLOP of a forward pass of one sample; a multiply and an add count as two."""

    encoder: float
    task_module: float
    fusion: float
    decoder: float  # layers without the products of the encoder's output
    cross: float  # keys and values of cross-attention
    vocabulary: float

    @property
    def full(self) -> float:
        """Full finetuning: forward, and twice as much backward."""
        return 3 * (self.encoder + self.decoder + self.cross + self.vocabulary)

    @property
    def stage1(self) -> float:
        """Stage 1 of ``laft``: task module and fusion in full; through the frozen decoder only
        gradients of activations."""
        rest = self.decoder + self.cross + self.vocabulary
        return self.encoder + 3 * (self.task_module + self.fusion) + 2 * rest

    @property
    def stage2(self) -> float:
        """Stage 2 of ``laft``: the task module in full, the frozen encoder forward only, the
        frozen rest without gradients of weights."""
        return self.encoder + self.stage2_cached

    @property
    def stage2_cached(self) -> float:
        """Stage 2 of ``laft`` where the encoder's output is read from disk."""
        rest = self.fusion + self.decoder + self.cross + self.vocabulary
        return 3 * self.task_module + 2 * rest


def work(shape: Shape, source: int | None = None, target: int | None = None) -> Work:
    """Returns the matrix products of a forward pass.

    A layer has 4 d^2 weights in an attention and 2 d ffn in its feed-forward part; the attention
    itself adds two products of length x length x d. Causal attention is counted in full.
    """
    s, t = source or shape.source, target or shape.target
    d, ffn = shape.d, shape.ffn

    def products(tokens: int, weights: float) -> float:
        return 2 * tokens * weights / 1e9

    layer = products(s, 4 * d * d + 2 * d * ffn) + 2 * products(s, s * d)
    self_attention = products(t, 4 * d * d + 2 * d * ffn) + 2 * products(t, t * d)
    cross_attention = products(t, 2 * d * d) + 2 * products(t, s * d)
    return Work(
        encoder=shape.layers * layer,
        task_module=2 * layer,
        fusion=products(s, 3 * d * d),
        decoder=shape.layers * (self_attention + cross_attention),
        cross=shape.layers * products(s, 2 * d * d),
        vocabulary=products(t, d * (shape.subwords + 30)),
    )


def search_work(shape: Shape, beam: int) -> tuple[float, float]:
    """Returns the GFLOP of a beam search for one sample: of ``mbart_full``, and of ``laft``.

    The encoder and the keys and values of its output are computed once, decoder and vocabulary for
    each of ``beam`` hypotheses at each token and the end's; in ``laft`` task module and fusion
    once, and a language adapter of d x d/2 twice in each layer.
    """
    whole = work(shape, target=shape.target + 1)
    plain = whole.encoder + whole.cross + beam * (whole.decoder + whole.vocabulary)
    adapters = 2 * (shape.target + 1) * shape.layers * shape.d**2 / 1e9
    return plain, plain + whole.task_module + whole.fusion + beam * adapters
