"""Trivial baselines: outputs without a model, which a system has to be compared with.

LEAD-1 is the first sentence of the source, the source copy all of it; the oracle is the sentence
of the source with the best ROUGE-L against the reference, the ceiling of extraction by sentence.
The English reference, given as a file of its own, is what an output in the wrong language gets.
"""

from collections.abc import Sequence

import regex

from laft_fairseq.languages.scripts import language_code
from laft_fairseq.scoring.rouge import rouge_of_tokens
from laft_fairseq.scoring.tokenizers import hypothesis_tokenizer, tokenizer

# The mark between the paragraphs of a source that stands on one line.
PARAGRAPH = "⏎"
_PARAGRAPHS = regex.compile(rf"\s*(?:{PARAGRAPH}|\n)\s*")
_SPACED_SENTENCE = regex.compile(r"(?<=[.!?…](?:\s?»|[\"'”’)\]])*)\s+(?!»)")
_CJK_SENTENCE = regex.compile(r"[^。！？]*[。！？]+[”’」』）》\"']*|[^。！？]+")
_CJK_LANGUAGES = ("ja", "zh")


def sentences(text: str, lang: str) -> list[str]:
    """Return the sentences of a source, cut by rule.

    A paragraph mark ends a sentence, and so does `.`, `!`, `?` or `…` before a space; in zh and ja
    `。`, `！` or `？`, spaces or not. Closing quotes and brackets stay with their sentence.
    Abbreviations are not looked for: `e.g. this` is cut.

    Raises:
        LaftError: the language is unknown.
    """
    if language_code(lang) in _CJK_LANGUAGES:
        cut = _CJK_SENTENCE.findall
    else:
        cut = _SPACED_SENTENCE.split
    parts = (part.strip() for paragraph in _PARAGRAPHS.split(text) for part in cut(paragraph))
    return [part for part in parts if part]


def lead(source: str, lang: str) -> str:
    """Return LEAD-1, the first sentence of the source; empty where the source is."""
    return next(iter(sentences(source, lang)), "")


def oracle(source: str, reference: str, lang: str, protocol: str = "unicode") -> str:
    """Return the source's sentence with the best ROUGE-L, the first among equals.

    Raises:
        LaftError: the language or the protocol is unknown.
    """
    candidates = sentences(source, lang)
    if not candidates:
        return ""
    cut = hypothesis_tokenizer(protocol, lang)
    expected = tokenizer(protocol, lang)(reference)
    scores = rouge_of_tokens(
        [cut(sentence) for sentence in candidates], [expected] * len(candidates), ["rougeL"]
    )["rougeL"]
    return candidates[int(scores.argmax())]


def baseline_outputs(
    references: Sequence[str],
    lang: str,
    protocol: str = "unicode",
    sources: Sequence[str] | None = None,
    english: Sequence[str] | None = None,
) -> dict[str, list[str]]:
    """Return the outputs of each trivial baseline for n items.

    Args:
        references: n references, for the oracle, which measures by `protocol`.
        lang: the language of references and sources.
        sources: n sources; without them only the English reference is a baseline.
        english: n English references, for what an output in the wrong language gets.

    Returns:
        By name (`lead1`, `source_copy`, `oracle`, `english_reference`) n outputs.

    Raises:
        LaftError: the language or the protocol is unknown.
    """
    outputs: dict[str, list[str]] = {}
    if sources is not None:
        outputs["lead1"] = [lead(source, lang) for source in sources]
        outputs["source_copy"] = [_PARAGRAPHS.sub(" ", source) for source in sources]
        outputs["oracle"] = [
            oracle(source, reference, lang, protocol)
            for source, reference in zip(sources, references, strict=True)
        ]
    if english is not None:
        outputs["english_reference"] = list(english)
    return outputs
