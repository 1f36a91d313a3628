"""The shapes that are measured, and the work of a training step counted by hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A model's shape and the tensors of one batch."""

    arch: str  # --arch of laft_fairseq
    layers: int
    d: int
    ffn: int
    heads: int
    pieces: int  # entries of dict.txt; tags, <mask> and four specials come on top
    batch: int
    source: int  # tokens of a source text, tag included
    target: int  # tokens of a target text, tag included


BEAM = 5  # of every search

SHAPES = {
    "mini": Shape("laft_mbart_mini", 4, 256, 1024, 4, 8000, 32, 160, 24),
    "base": Shape("laft_mbart_base", 6, 768, 3072, 12, 64000, 16, 160, 24),
    "large": Shape("laft_mbart", 12, 1024, 4096, 16, 249997, 8, 160, 24),
}


@dataclass(frozen=True)
class Work:
    """GFLOP of a forward pass for one sample, a multiply and an add counted as two."""

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
    def stage2(self) -> float:
        """Stage 2 of ``laft``: the frozen encoder forwards only, the frozen rest without weights'
        gradients, the task module in full."""
        return self.encoder + self.stage2_cached

    @property
    def stage2_cached(self) -> float:
        """The same where the encoder's output is read from disk."""
        rest = self.fusion + self.decoder + self.cross + self.vocabulary
        return 3 * self.task_module + 2 * rest

    @property
    def stage1(self) -> float:
        """Stage 1 of ``laft``: task module and fusion in full, the frozen decoder in half."""
        rest = self.decoder + self.cross + self.vocabulary
        return self.encoder + 3 * (self.task_module + self.fusion) + 2 * rest


def search_work(shape: Shape, beam: int) -> tuple[float, float]:
    """GFLOP of a beam search of a target's length for one text: ``mbart_full``, and ``laft``.

    The encoder and the products of its output once, decoder and vocabulary for each of ``beam``
    rows at each token and the end's; in ``laft`` task module and fusion once, and a language
    adapter of d x d/2 twice in each layer.
    """
    whole = work(shape, target=shape.target + 1)
    plain = whole.encoder + whole.cross + beam * (whole.decoder + whole.vocabulary)
    adapters = 2 * (shape.target + 1) * shape.layers * shape.d**2 / 1e9
    return plain, plain + whole.task_module + whole.fusion + beam * adapters


def work(shape: Shape, source: int | None = None, target: int | None = None) -> Work:
    """Count the matrix products of a forward pass.

    A layer has 4 d^2 weights in an attention and 2 d ffn in its feed-forward part; the attention
    itself adds two products of length x length x d. Causal attention is counted in full.
    """
    s, t = source or shape.source, target or shape.target
    d, ffn = shape.d, shape.ffn

    def products(tokens: int, weights: float) -> float:
        return 2 * tokens * weights / 1e9

    layer = products(s, 4 * d * d + 2 * d * ffn) + 2 * products(s, s * d)
    own = products(t, 4 * d * d + 2 * d * ffn) + 2 * products(t, t * d)
    asked = products(t, 2 * d * d) + 2 * products(t, s * d)
    return Work(
        encoder=shape.layers * layer,
        task_module=2 * layer,
        fusion=products(s, 3 * d * d),
        decoder=shape.layers * (own + asked),
        cross=shape.layers * products(s, 2 * d * d),
        vocabulary=products(t, d * (shape.pieces + 30)),
    )
