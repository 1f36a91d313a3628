"""All scores of one set of outputs, as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from laft_fairseq.languages.scripts import language_codes
from laft_fairseq.scoring import measures
from laft_fairseq.scoring.language_id import DEFAULT_LANGUAGES, known_words, right_language
from laft_fairseq.scoring.rouge import Scores, rouge_items, signature, summarise
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

    def rouge(
        self, outputs: Sequence[str], references: Sequence[str], more: Sequence[Sequence[str]] = (),
        lsum: bool = False,
    ) -> tuple[Report, Scores]:  # fmt: skip
        """Return ROUGE of outputs with its intervals by metric, and ROUGE-L of each item, (n,).

        `more` are further references, the best of which counts; `lsum` adds ROUGE-Lsum.
        """
        items = rouge_items(outputs, references, self.lang, self.protocol, more=more)
        if lsum:
            each = [measures.rouge_lsum(outputs, texts, self.lang, self.protocol)
                    for texts in (references, *more)]  # fmt: skip
            items["rougeLsum"] = np.max(each, axis=0)
        return summarise(items, self.resamples, self.seed), items["rougeL"]


def score(
    hypotheses: Sequence[str],
    references: Sequence[str],
    settings: Settings,
    sources: Sequence[str] | None = None,
    more: Sequence[Sequence[str]] = (),
) -> tuple[Report, Scores]:
    """Return every score of n outputs, and ROUGE-L of each of them, (n,).

    `more` are further references, n in each list: the best counts in ROUGE, all do in BLEU and
    chrF, and what is said of the references is of all of them.

    Returns:
        By name a number: percentages and scores 0 to 100, `length_ratio` a plain ratio, `empty`
        and the names with `n` counts, `rouge*` a dict of f, low, high. None is "not defined", as
        is what needs the n `sources` where there are none.

    Raises:
        LaftError: the language or protocol is unknown, or the language is none of `langs`.
    """
    lang, languages, n = settings.lang, settings.languages, len(references)
    count = 1 + len(more)
    every = [text for texts in (references, *more) for text in texts]  # (count n)
    origins = None if sources is None else [*sources] * count
    written = right_language(hypotheses, lang, languages, sources)
    ceiling = right_language(every, lang, languages, origins)
    rouge, rouge_l = settings.rouge(hypotheses, references, more, lsum=True)
    bleu, bleu_signature = measures.bleu(hypotheses, references, lang, more)
    chrf, chrf_signature = measures.chrf(hypotheses, references, more)
    signed = signature(settings.protocol, lang, n, settings.resamples, settings.seed, count)
    signed += f"|langs:{'+'.join(languages)}" + "|right-language:script" * written.by_script
    report = {
        **rouge,
        "right_language": written.share,
        "right_language_by": "script" if written.by_script else "identifier",
        "undecidable": written.undecidable,
        "reference_right_language": ceiling.share,
        "reference_undecidable": ceiling.undecidable,
        "rougeL_right_language": _mean(rouge_l[written.right]),
        "right_language_n": int(written.right.sum()),
        "known_words": known_words(hypotheses, lang),
        "reference_known_words": known_words(every, lang),
        **_copying(hypotheses, references, sources, more),
        "length_ratio": measures.length_ratio([*hypotheses] * count, every),
        "empty": sum(not text.strip() for text in hypotheses),
        "empty_references": sum(not text.strip() for text in every),
        "bleu": bleu,
        "chrf": chrf,
        "n": n,
        "references": count,
        "signature": signed,
        "bleu_signature": bleu_signature,
        "chrf_signature": chrf_signature,
    }
    return report, rouge_l


def _copying(
    hypotheses: Sequence[str], references: Sequence[str], sources: Sequence[str] | None,
    more: Sequence[Sequence[str]],
) -> Report:  # fmt: skip
    if sources is None:
        return dict.fromkeys(("copied", "reference_copied", "novel_rougeL", "novel_n"))
    novel = measures.novel_rouge_l(hypotheses, references, sources, more)
    rates = [float(measures.copied(texts, sources).mean()) for texts in (references, *more)]
    return {
        "copied": 100.0 * float(measures.copied(hypotheses, sources).mean()),
        "reference_copied": 100.0 * float(np.mean(rates)),
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
    rouge_l: Scores | None = None,
    more: Sequence[Sequence[str]] = (),
) -> dict[str, Report]:
    """Return, by name, the ROUGE intervals of each of `baseline_outputs` on the same items.

    With `rouge_l`, (n,) of a system's outputs, `difference` is the system minus the baseline in
    ROUGE-L, with the interval of a bootstrap of the items' differences.

    Raises:
        LaftError: as `score`.
    """
    reports = {}
    baselines = baseline_outputs(
        references, settings.lang, settings.protocol, sources, english, more
    )
    for name, outputs in baselines.items():
        reports[name], own = settings.rouge(outputs, references, more)
        if rouge_l is not None:
            difference = {"difference": rouge_l - own}
            reports[name] |= summarise(difference, settings.resamples, settings.seed)
    return reports
