"""All scores of one set of outputs, as numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.scripts import language_code, language_codes
from laft_fairseq.scoring import measures
from laft_fairseq.scoring.language_id import DEFAULT_LANGUAGES, right_language
from laft_fairseq.scoring.rouge import Scores, rouge_items, signature, summarise
from laft_fairseq.scoring.tokenizers import tokenizer
from laft_fairseq.scoring.trivial_baselines import baseline_outputs

Report = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How to score: the references' language, what a token is, and the resampling."""

    lang: str
    protocol: str = "unicode"
    langs: Sequence[str] | None = None  # None: DEFAULT_LANGUAGES and lang
    resamples: int = 1000
    seed: int = 12345

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the experiment's languages."""
        if self.langs is not None:
            return language_codes(self.langs)
        return language_codes([*DEFAULT_LANGUAGES, self.lang])

    def check(self) -> None:
        """Refuse settings that cannot score, before any file is read.

        Raises:
            LaftError: an unknown language or protocol, a protocol that is not defined for the
                language, a language that is none of `langs`, or fewer than one resample.
        """
        tokenizer(self.protocol, self.lang)
        if language_code(self.lang) not in self.languages:
            raise LaftError(
                f"--lang {self.lang} is none of --langs {','.join(self.languages)}: add it there"
            )
        if self.resamples < 1 or self.seed < 0:
            raise LaftError(
                f"--bootstrap {self.resamples} --seed {self.seed}: the first must be at least 1, "
                "the second at least 0"
            )


def score(
    hypotheses: Sequence[str],
    references: Sequence[str],
    settings: Settings,
    sources: Sequence[str] | None = None,
) -> Report:
    """Return every score of n outputs.

    Returns:
        By name a number: percentages and scores 0 to 100, `length_ratio` a plain ratio, `empty`
        and the names with `n` counts, `rouge*` a dict of f, low, high. None is "not defined", as
        is what needs the n `sources` where there are none.

    Raises:
        LaftError: the language or protocol is unknown, or the sets do not belong together.
    """
    n = len(references)
    intervals, rouge_l = _rouge(hypotheses, references, settings)
    bleu, bleu_signature = measures.bleu(hypotheses, references, settings.lang)
    chrf, chrf_signature = measures.chrf(hypotheses, references)
    rouge_signature = signature(
        settings.protocol, settings.lang, n, settings.resamples, settings.seed
    )
    return {
        **intervals,
        **_languages(hypotheses, references, settings, sources, rouge_l),
        **_copying(hypotheses, references, sources),
        "length_ratio": measures.length_ratio(hypotheses, references),
        "empty": measures.empty(hypotheses),
        "empty_references": measures.empty(references),
        "bleu": bleu,
        "chrf": chrf,
        "n": n,
        "signature": f"{rouge_signature}|langs:{'+'.join(settings.languages)}",
        "bleu_signature": bleu_signature,
        "chrf_signature": chrf_signature,
    }


def _languages(
    hypotheses: Sequence[str],
    references: Sequence[str],
    settings: Settings,
    sources: Sequence[str] | None,
    rouge_l: Scores,
) -> Report:
    written = right_language(hypotheses, settings.lang, settings.languages, sources)
    ceiling = right_language(references, settings.lang, settings.languages, sources)
    return {
        "right_language": written.share,
        "undecidable": written.undecidable,
        "reference_right_language": ceiling.share,
        "reference_undecidable": ceiling.undecidable,
        "rougeL_right_language": _mean(rouge_l[written.right]),
        "right_language_n": int(written.right.sum()),
    }


def _copying(
    hypotheses: Sequence[str], references: Sequence[str], sources: Sequence[str] | None
) -> Report:
    if sources is None:
        return dict.fromkeys(("copied", "reference_copied", "novel_rougeL", "novel_n"))
    novel = measures.novel_rouge_l(hypotheses, references, sources)
    return {
        "copied": 100.0 * float(measures.copied(hypotheses, sources).mean()),
        "reference_copied": 100.0 * float(measures.copied(references, sources).mean()),
        "novel_rougeL": _mean(novel),
        "novel_n": len(novel),
    }


def _mean(scores: Scores) -> float | None:
    return float(np.mean(scores)) if len(scores) else None


def score_trivial_baselines(
    references: Sequence[str],
    settings: Settings,
    sources: Sequence[str] | None = None,
    english: Sequence[str] | None = None,
) -> dict[str, Report]:
    """Return, by name, the ROUGE intervals of each of `baseline_outputs` on the same items.

    Raises:
        LaftError: as `score`.
    """
    baselines = baseline_outputs(references, settings.lang, settings.protocol, sources, english)
    return {name: _rouge(outputs, references, settings)[0] for name, outputs in baselines.items()}


def score_items(
    hypotheses: Sequence[str], references: Sequence[str], settings: Settings
) -> dict[str, list[float]]:
    """Return the score of each of n outputs: `rougeL`, n numbers 0 to 100 in the given order.

    They are rounded to four decimals, so that their mean is `score`'s within 0.0001.

    Raises:
        LaftError: as `score`.
    """
    items = rouge_items(hypotheses, references, settings.lang, settings.protocol, ["rougeL"])
    return {"rougeL": [round(float(item), 4) for item in items["rougeL"]]}


def _rouge(
    outputs: Sequence[str], references: Sequence[str], settings: Settings
) -> tuple[Report, Scores]:
    """Return the intervals by metric, and ROUGE-L of each item, (n,)."""
    items = rouge_items(outputs, references, settings.lang, settings.protocol)
    intervals = summarise(items, settings.resamples, settings.seed)
    return {metric: asdict(interval) for metric, interval in intervals.items()}, items["rougeL"]
