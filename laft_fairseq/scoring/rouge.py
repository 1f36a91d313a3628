"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin, 2004) as F on the scale 0 to 100, with intervals.

The counting is rouge-score's, but for the longest common subsequence of ROUGE-L, which is
rapidfuzz's. What a token is stands in `tokenizers`. A pair in which one side
has no token scores 0, and so does ROUGE-2 where a side has a single token. XNLG's own script
leaves out pairs with an empty reference; here they score 0, so that n is always the test set's.

The interval is the percentile bootstrap's over items, as ROUGE-1.5.5 does (`-c 95 -r 1000`).
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt

from laft_fairseq.languages.scripts import language_code
from laft_fairseq.scoring.tokenizers import NORMALISATION, hypothesis_tokenizer, tokenizer

Scores = npt.NDArray[np.float64]

METRICS = ("rouge1", "rouge2", "rougeL")
CONFIDENCE = 95.0
# Raised when a number computed here changes for the same outputs.
SCORING_VERSION = 2
_CHUNK = 100  # resamples held in memory at once


def rouge_items(
    hypotheses: Sequence[str],
    references: Sequence[str],
    lang: str,
    protocol: str = "unicode",
    metrics: Sequence[str] = METRICS,
    more: Sequence[Sequence[str]] = (),
) -> dict[str, Scores]:
    """Return the scores of n hypotheses, each against its best reference.

    `more` are further references, n in each list: for each metric the best counts, as in
    rouge-score's `score_multi`.

    Returns:
        By metric (n,): F of each item, 0 to 100.
    """
    outputs = list(map(hypothesis_tokenizer(protocol, lang), hypotheses))
    cut = tokenizer(protocol, lang)
    each = [
        rouge_of_tokens(outputs, list(map(cut, texts)), metrics) for texts in (references, *more)
    ]
    return {m: np.max([scores[m] for scores in each], axis=0) for m in metrics}


def rouge_of_tokens(
    hypotheses: Sequence[list[str]],
    references: Sequence[list[str]],
    metrics: Sequence[str] = METRICS,
) -> dict[str, Scores]:
    """Return the scores of n pairs that are already cut into tokens; as `rouge_items`."""
    # Imported late: rouge-score brings nltk, which takes a second.
    from rouge_score.rouge_scorer import RougeScorer

    as_they_are = SimpleNamespace(tokenize=lambda tokens: tokens)
    scorer = RougeScorer([m for m in metrics if m != "rougeL"], tokenizer=as_they_are)
    scores = np.zeros((len(metrics), len(references)))
    for item, (hypothesis, reference) in enumerate(zip(hypotheses, references, strict=True)):
        of_pair = {m: score.fmeasure for m, score in scorer.score(reference, hypothesis).items()}
        of_pair["rougeL"] = rouge_l(hypothesis, reference)
        scores[:, item] = [of_pair[metric] for metric in metrics]
    return dict(zip(metrics, 100.0 * scores, strict=True))


def rouge_l(hypothesis: list[str], reference: list[str]) -> float:
    """Return rouge-score's ROUGE-L of a pair, 0 to 1.

    rapidfuzz finds the longest common subsequence in memory linear in the lengths; rouge-score's
    own table takes gigabytes for a pair of 10,000 words.
    """
    from rapidfuzz.distance import LCSseq
    from rouge_score.scoring import fmeasure

    if not hypothesis or not reference:
        return 0.0
    common = LCSseq.similarity(hypothesis, reference)
    return float(fmeasure(common / len(hypothesis), common / len(reference)))


def bootstrap_means(items: Scores, resamples: int = 1000, seed: int = 12345) -> Scores:
    """Return the means, (m, resamples), of bootstrap resamples of (m, n) `items`.

    These are m scores of each of n items; all of them see the same draws.
    """
    draws = np.random.default_rng(seed)
    n = items.shape[1]
    means = [
        items @ draws.multinomial(n, np.full(n, 1.0 / n), size=min(_CHUNK, resamples - done)).T / n
        for done in range(0, resamples, _CHUNK)
    ]
    return np.concatenate(means, axis=1)


def summarise(
    items: Mapping[str, Scores], resamples: int = 1000, seed: int = 12345
) -> dict[str, dict[str, float]]:
    """Return the mean `f` of each metric and its 95 % bootstrap interval, `low` to `high`.

    Each array of `items` has shape (n,), as from `rouge_items`; n and `resamples` are above 0.
    """
    table = np.stack(list(items.values()))  # (metrics, n)
    tail = (100.0 - CONFIDENCE) / 2
    low, high = np.percentile(bootstrap_means(table, resamples, seed), [tail, 100 - tail], axis=1)
    return {
        metric: {"f": float(table[row].mean()), "low": float(low[row]), "high": float(high[row])}
        for row, metric in enumerate(items)
    }


def signature(
    protocol: str, lang: str | None, n: int, resamples: int | None = None,
    seed: int | None = None, references: int = 1,
) -> str:  # fmt: skip
    """Return how a score was made, in sacreBLEU's manner: `key:value` joined by bars.

    `lang` is None where the protocol does not ask for it, `resamples` where there is no interval.
    `references` is their number for an item, which is named if there are several.
    """
    code = language_code(lang) if lang is not None else "any"
    if protocol == "unicode":
        tokens, case, stem = "unicode", "folded", "no"
    elif code == "zh":
        tokens, case, stem = "characters", "mixed", "no"
    else:
        tokens, case, stem = "a-z0-9", "lower", "porter"
    parts = {"rouge": "F", "protocol": protocol, "lang": code, "tok": tokens}
    parts |= {"norm": NORMALISATION, "case": case, "stem": stem, "n": str(n)}
    parts |= {"refs": f"{references}-best"} if references > 1 else {}
    if resamples is not None:
        parts |= {"ci": f"{CONFIDENCE:g}", "bootstrap": str(resamples), "seed": str(seed)}
    parts |= {"rouge-score": version("rouge-score"), "version": str(SCORING_VERSION)}
    return "|".join(f"{key}:{value}" for key, value in parts.items())
