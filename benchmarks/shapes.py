"""Model shapes that are measured."""

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
    def flags(self) -> str:
        """fairseq-train's options of the model's size."""
        return " ".join(
            f"--{side}-layers={self.layers} --{side}-embed-dim={self.d} "
            f"--{side}-ffn-embed-dim={self.ffn} --{side}-attention-heads={self.heads}"
            for side in ("encoder", "decoder")
        )

    def hugging_face(self, entries: int, dropout: float = 0.1) -> Any:
        """Returns transformers' MBart or M2M100 with random weights and that many embeddings."""
        import transformers

        family = "M2M100" if self.arch == "laft_m2m" else "MBart"
        config = getattr(transformers, f"{family}Config")(
            vocab_size=entries, d_model=self.d, encoder_layers=self.layers,
            decoder_layers=self.layers, encoder_ffn_dim=self.ffn, decoder_ffn_dim=self.ffn,
            encoder_attention_heads=self.heads, decoder_attention_heads=self.heads,
            scale_embedding=True, dropout=dropout, attention_dropout=dropout,
        )  # fmt: skip
        return getattr(transformers, f"{family}ForConditionalGeneration")(config)


BEAM = 5  # of every search
BATCHES = 32  # of each data set
LONGEST = 1024  # tokens of a source or target of real lengths
MONO = 128  # tokens of a monolingual sentence, tag included
LENGTHS = "lengths.npy"  # (2, items): tokens of the source and target of each pair of a data set

SHAPES = {
    "mini": Shape("laft_mbart_mini", 4, 256, 1024, 4, 8000, 32, 160, 24),
    "base": Shape("laft_mbart_base", 6, 768, 3072, 12, 64000, 16, 160, 24),
    "large": Shape("laft_mbart", 12, 1024, 4096, 16, 249997, 8, 160, 24),
}
