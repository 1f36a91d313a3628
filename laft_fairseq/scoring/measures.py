"""The scores beside ROUGE: BLEU, chrF, copying, novel tokens, lengths, empty outputs.

`copied` is the percentage of outputs that are copied from their source: some run of at least 90 %
of the output's tokens (protocol `unicode`) stands there in one piece. Names that references share
with their source make short references count too, so the references' own percentage belongs
beside it. An empty output is not copied.

`novel_rougeL` takes every token that occurs in the source away from both sides before ROUGE-L:
what is left cannot be earned by copying. Items whose reference keeps no token are left out.
"""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from laft_fairseq.languages.scripts import language_code
from laft_fairseq.scoring.rouge import rouge_l, rouge_of_tokens
from laft_fairseq.scoring.tokenizers import (
    NORMALISATION,
    TOKEN,
    normalise,
    tokenizer,
    unicode_tokens,
)  # fmt: skip
from laft_fairseq.scoring.trivial_baselines import sentences

COPIED_SHARE = 0.9
LARGEST_TABLE = 10**7  # cells, of two sentences' tokens
# sacreBLEU's tokenizers; languages without spaces count by character. The rest is 13a.
_BLEU_TOKENIZERS = {"zh": "zh"} | dict.fromkeys(("ja", "km", "lo", "my", "th"), "char")

Signed = tuple[float, str]  # a score on the scale 0 to 100, and its signature


def bleu(
    hypotheses: Sequence[str], references: Sequence[str], lang: str,
    more: Sequence[Sequence[str]] = (),
) -> Signed:  # fmt: skip
    """Return sacreBLEU's BLEU, whose zh tokenizer serves zh; `more` are further references."""
    from sacrebleu.metrics.bleu import BLEU

    tokenize = _BLEU_TOKENIZERS.get(language_code(lang), "13a")
    return _corpus_score(BLEU(tokenize=tokenize), hypotheses, [references, *more])


def chrf(
    hypotheses: Sequence[str], references: Sequence[str], more: Sequence[Sequence[str]] = ()
) -> Signed:
    """Return sacreBLEU's chrF (order 6, beta 2); `more` are further references."""
    from sacrebleu.metrics.chrf import CHRF

    return _corpus_score(CHRF(), hypotheses, [references, *more])


def _corpus_score(
    metric: Any, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> Signed:
    """Return the score of the normalised texts by one of sacreBLEU's metrics."""
    outputs, *expected = ([normalise(text) for text in side] for side in (hypotheses, *references))
    score = float(metric.corpus_score(outputs, expected).score)
    return score, f"{metric.get_signature()}|norm:{NORMALISATION}"


def copied(outputs: Sequence[str], sources: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which of n outputs are copied from their sources, (n,)."""
    return np.array([_is_copied(*pair) for pair in zip(outputs, sources, strict=True)], dtype=bool)


def _is_copied(output: str, source: str) -> bool:
    tokens, text = unicode_tokens(output), _spaced(unicode_tokens(source))
    length = math.ceil(COPIED_SHARE * len(tokens))
    starts = range(len(tokens) - length + 1) if tokens else ()
    return any(_spaced(tokens[start : start + length]) in text for start in starts)


def _spaced(tokens: Sequence[str]) -> str:
    """Return tokens, which hold no space, as one text; a run of them is a part of it."""
    return f" {' '.join(tokens)} "


def marked_words(text: str, other: str) -> list[tuple[str, bool | None]]:
    """Return the text in parts, of which each word tells whether the other text has it.

    Returns:
        Parts that make up the text, and True or False for a word, None for what stands between.
    """
    known, end = set(unicode_tokens(other)), 0
    parts: list[tuple[str, bool | None]] = []
    for word in TOKEN.finditer(text):
        parts.append((text[end : word.start()], None))
        parts.append((word[0], set(unicode_tokens(word[0])) <= known))
        end = word.end()
    return [part for part in [*parts, (text[end:], None)] if part[0]]


def novel_rouge_l(
    hypotheses: Sequence[str], references: Sequence[str], sources: Sequence[str],
    more: Sequence[Sequence[str]] = (),
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return ROUGE-L without the source's tokens, against the best of an item's references.

    Returns:
        (m,), 0 to 100: F of each item with a reference that has a token that its source has not.
    """
    kept_hypotheses, kept_references, items = [], [], []
    for item, source in enumerate(sources):
        known = set(unicode_tokens(source))
        output = [token for token in unicode_tokens(hypotheses[item]) if token not in known]
        for texts in (references, *more):
            novel = [token for token in unicode_tokens(texts[item]) if token not in known]
            if novel:
                kept_references.append(novel)
                kept_hypotheses.append(output)
                items.append(item)
    best = np.full(len(sources), -np.inf)
    scores = rouge_of_tokens(kept_hypotheses, kept_references, ["rougeL"])["rougeL"]
    np.maximum.at(best, np.array(items, dtype=int), scores)
    return best[np.isfinite(best)]


def rouge_lsum(
    hypotheses: Sequence[str], references: Sequence[str], lang: str, protocol: str = "unicode"
) -> npt.NDArray[np.float64]:
    """Return rouge-score's ROUGE-Lsum of each pair, of the sentences that sentencex finds.

    Where both sides are one sentence, it is ROUGE-L; and so it is where two sentences are so long
    that rouge-score's table of them would take hundreds of megabytes.

    Returns:
        (n,), 0 to 100: F.
    """
    # Imported late: rouge-score brings nltk, which takes a second.
    from rouge_score.rouge_scorer import RougeScorer

    cut, at_spaces = tokenizer(protocol, lang), SimpleNamespace(tokenize=str.split)
    scorer = RougeScorer(["rougeLsum"], tokenizer=at_spaces)

    def tokens_of(text: str) -> list[list[str]]:
        return [tokens for part in sentences(normalise(text), lang) if (tokens := cut(part))]

    scores = np.zeros(len(references))
    for item, pair in enumerate(zip(hypotheses, references, strict=True)):
        output, expected = map(tokens_of, pair)
        cells = max(map(len, output), default=0) * max(map(len, expected), default=0)
        if cells > LARGEST_TABLE or len(output) <= 1 >= len(expected):
            flat = (
                [token for sentence in side for token in sentence] for side in (output, expected)
            )
            scores[item] = 100 * rouge_l(*flat)
        else:
            text, target = ("\n".join(map(" ".join, side)) for side in (output, expected))
            scores[item] = 100 * scorer.score(target, text)["rougeLsum"].fmeasure
    return scores


def length_ratio(hypotheses: Sequence[str], references: Sequence[str]) -> float | None:
    """Return tokens of all hypotheses / tokens of all references, None where that is x / 0."""
    expected = sum(len(unicode_tokens(reference)) for reference in references)
    written = sum(len(unicode_tokens(hypothesis)) for hypothesis in hypotheses)
    return written / expected if expected else None
