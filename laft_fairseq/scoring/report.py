"""Everything that is said about one set of outputs, as numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.scripts import language_code, language_codes
from laft_fairseq.scoring import measures
from laft_fairseq.scoring import trivial_baselines as floors
from laft_fairseq.scoring.language_id import DEFAULT_LANGUAGES, right_language
from laft_fairseq.scoring.rouge import Scores, rouge_items, signature, summarise
from laft_fairseq.scoring.tokenizers import tokenizer

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
    """Compute every score of n outputs.

    Args:
        hypotheses: n outputs.
        references: n references.
        settings: language, protocol, languages to tell apart, resampling.
        sources: n source texts; without them the scores that need them are None.

    Returns:
        By name a number: percentages and scores 0 to 100, `length_ratio` a plain ratio, `empty`
        and the names with `n` counts, `rouge*` a dict of f, low, high. None is "not defined".

    Raises:
        LaftError: the language or protocol is unknown, or the sets do not belong together.
    """
    report, rouge_l = _rouge(hypotheses, references, settings)
    report |= _languages(hypotheses, references, settings, sources, rouge_l)
    report |= _copying(hypotheses, references, sources)
    bleu = measures.bleu(hypotheses, references, settings.lang)
    chrf = measures.chrf(hypotheses, references)
    return report | {
        "length_ratio": measures.length_ratio(hypotheses, references),
        "empty": measures.empty(hypotheses),
        "empty_references": measures.empty(references),
        "bleu": bleu.score,
        "chrf": chrf.score,
        "n": len(references),
        "signature": settings_signature(settings, len(references)),
        "bleu_signature": bleu.signature,
        "chrf_signature": chrf.signature,
    }


def settings_signature(settings: Settings, n: int) -> str:
    """Sign all of a report: as `rouge.signature`, with the languages told apart."""
    signed = signature(settings.protocol, settings.lang, n, settings.resamples, settings.seed)
    return f"{signed}|langs:{'+'.join(settings.languages)}"


def _languages(
    hypotheses: Sequence[str],
    references: Sequence[str],
    settings: Settings,
    sources: Sequence[str] | None,
    rouge_l: Scores,
) -> Report:
    given = right_language(hypotheses, settings.lang, settings.languages, sources)
    ceiling = right_language(references, settings.lang, settings.languages, sources)
    return {
        "right_language": given.share,
        "undecidable": given.undecidable,
        "reference_right_language": ceiling.share,
        "reference_undecidable": ceiling.undecidable,
        "rougeL_right_language": _mean(rouge_l[given.right]),
        "right_language_n": int(given.right.sum()),
    }


def _copying(
    hypotheses: Sequence[str], references: Sequence[str], sources: Sequence[str] | None
) -> Report:
    if sources is None:
        names = ("copied", "reference_copied", "novel_rougeL", "novel_n")
        return dict.fromkeys(names)
    novel = measures.novel_rouge_l(hypotheses, references, sources)
    return {
        "copied": 100.0 * float(measures.copied(hypotheses, sources).mean()),
        "reference_copied": 100.0 * float(measures.copied(references, sources).mean()),
        "novel_rougeL": _mean(novel),
        "novel_n": len(novel),
    }


def _mean(scores: Scores) -> float | None:
    return float(np.mean(scores)) if len(scores) else None


def score_floors(
    references: Sequence[str],
    settings: Settings,
    sources: Sequence[str] | None = None,
    english: Sequence[str] | None = None,
) -> dict[str, Report]:
    """Score the floors on the same items: by name the ROUGE intervals of each.

    Args:
        references: n references.
        settings: as for `score`.
        sources: n source texts, for LEAD-1, the source copy and the oracle.
        english: n English references, for what an output in the wrong language gets.

    Raises:
        LaftError: as `score`.
    """
    outputs = floors.floor_outputs(
        references, settings.lang, settings.protocol, sources=sources, english=english
    )
    return {name: _rouge(texts, references, settings)[0] for name, texts in outputs.items()}


def score_items(
    hypotheses: Sequence[str], references: Sequence[str], settings: Settings
) -> dict[str, list[float]]:
    """Score each of n outputs by itself: `rougeL`, n numbers 0 to 100 in the given order.

    They are rounded to four decimals, so that their mean is `score`'s within 0.0001.

    Raises:
        LaftError: as `score`.
    """
    items = rouge_items(
        hypotheses, references, settings.lang, settings.protocol, metrics=["rougeL"]
    )
    return {metric: [round(float(item), 4) for item in own] for metric, own in items.items()}


def _rouge(
    texts: Sequence[str], references: Sequence[str], settings: Settings
) -> tuple[Report, Scores]:
    """Give the intervals by metric, and ROUGE-L of each item, (n,)."""
    items = rouge_items(texts, references, settings.lang, settings.protocol)
    intervals = summarise(items, settings.resamples, settings.seed)
    return {metric: asdict(interval) for metric, interval in intervals.items()}, items["rougeL"]
