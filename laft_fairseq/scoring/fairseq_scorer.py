"""`fairseq-generate --scoring rouge`: ROUGE-L of a run, printed with its signature.

The references are fairseq's own (cut to its length limit, `<<unk>>` where a subword is unknown),
so this is for watching a run; reported scores are those of `laft score --ref`.
"""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.scoring import BaseScorer, register_scorer

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.rouge import rouge_items, signature
from laft_fairseq.scoring.tokenizers import PROTOCOLS, tokenizer


@dataclass
class RougeConfig(FairseqDataclass):
    """Options of the scorer."""

    rouge_lang: Optional[str] = field(
        default=None,
        metadata={
            "help": "language of the references, such as zh_CN; the protocol unicode cuts "
            "every language alike and does not need it"
        },
    )
    rouge_protocol: ChoiceEnum(PROTOCOLS) = field(  # type: ignore[valid-type]
        default="unicode", metadata={"help": "what a token is"}
    )


@register_scorer("rouge", dataclass=RougeConfig)
class RougeScorer(BaseScorer):
    """Collects references and hypotheses, and scores them at the end.

    Raises:
        LaftError: an xnlg protocol without a language or not defined for it, or an
            unknown language.
    """

    def __init__(self, cfg: RougeConfig) -> None:
        super().__init__(cfg)
        if cfg.rouge_lang is None and cfg.rouge_protocol != "unicode":
            raise LaftError(
                f"--rouge-protocol {cfg.rouge_protocol} needs --rouge-lang, such as fr_XX"
            )
        if cfg.rouge_lang is not None:
            tokenizer(str(cfg.rouge_protocol), cfg.rouge_lang)

    def score(self) -> float:
        """ROUGE-L F, 0 to 100; 0 where nothing was generated."""
        if not self.ref:
            return 0.0
        # Without a language the protocol is unicode, which cuts every language alike.
        lang = self.cfg.rouge_lang or "en"
        items = rouge_items(self.pred, self.ref, lang, str(self.cfg.rouge_protocol), ["rougeL"])
        return float(items["rougeL"].mean())

    def result_string(self) -> str:
        """Return the line that fairseq-generate prints last."""
        signed = signature(str(self.cfg.rouge_protocol), self.cfg.rouge_lang, len(self.ref))
        return f"ROUGE-L: {self.score():.2f} {signed}"
