"""Trivial baselines: outputs without a model, which a system has to be compared with.

LEAD-1 is the first sentence of the source, the source copy all of it; the oracle is the sentence
of the source with the best ROUGE-L against the reference, the ceiling of extraction by sentence.
The English reference, given as a file of its own, is what an output in the wrong language gets.
"""

from collections.abc import Sequence

import regex
from sentencex import segment

from laft_fairseq.languages.scripts import language_code
from laft_fairseq.scoring.rouge import rouge_items
from laft_fairseq.scoring.tokenizers import normalise

# The mark between the paragraphs of a source that stands on one line.
PARAGRAPH = "⏎"
_PARAGRAPHS = regex.compile(rf"\s*(?:{PARAGRAPH}|\n)\s*")
# After terminators that serve for nothing else, spaces or not: all of Unicode's Sentence_Terminal
# but the three of ASCII and the full stop's other forms, the Tibetan shads, and closing marks.
# sentencex cuts there too, except after Khmer's and before a small Latin letter.
_TERMINATED = regex.compile(
    r"(?V1)(?<=[[\p{Sentence_Terminal}--[.!?．․﹒]]\u0F0D-\u0F12][\p{Pe}\p{Pf}\"']{0,3})"
    r"(?![\p{Sentence_Terminal}\u0F0D-\u0F12\p{Pe}\p{Pf}\"'])"
)
# The two characters before an end and the one after it where there is none, although sentencex
# says so: a full stop inside a name (`ASP.NET`), a comma after the mark.
_NO_END = regex.compile(r"[\p{Latin}\p{N}]\.[\p{Latin}\p{N}]|\S\S[,;:)\]}]")


def sentences(text: str, lang: str) -> list[str]:
    """Return the sentences of a source, by sentencex and Unicode's sentence terminators.

    A paragraph mark ends a sentence too. Closing quotes and brackets stay with their sentence. A
    text without a terminator is one sentence, as Thai and Lao often are.

    Raises:
        LaftError: the language is unknown.
    """
    code = language_code(lang)
    parts: list[str] = []
    for paragraph in _PARAGRAPHS.split(text):
        for piece in _TERMINATED.split(paragraph):
            parts.append("")
            for part in segment(code, piece):
                if _NO_END.fullmatch(parts[-1][-2:] + part[:1]):
                    parts[-1] += part
                else:
                    parts.append(part)
    return [part.strip() for part in parts if part.strip()]


def oracle(
    source: str, reference: str, lang: str, protocol: str = "unicode", more: Sequence[str] = ()
) -> str:
    """Return the source's sentence with the best ROUGE-L, the first among equals.

    `more` are further references of the item, the best of which counts.

    Raises:
        LaftError: the language or the protocol is unknown.
    """
    candidates = sentences(source, lang)
    if not candidates:
        return ""
    scores = rouge_items(
        candidates, [reference] * len(candidates), lang, protocol, ["rougeL"],
        [[text] * len(candidates) for text in more],
    )["rougeL"]  # fmt: skip
    return candidates[int(scores.argmax())]


def baseline_outputs(
    references: Sequence[str],
    lang: str,
    protocol: str = "unicode",
    sources: Sequence[str] | None = None,
    english: Sequence[str] | None = None,
    more: Sequence[Sequence[str]] = (),
) -> dict[str, list[str]]:
    """Return the outputs of each trivial baseline for n items.

    The oracle measures by `protocol` against n references and further ones, n in each list of
    `more`. Without the n sources, the n English references are the only baseline.

    Returns:
        By name (`lead1`, `source_copy`, `oracle`, `english_reference`) n outputs.

    Raises:
        LaftError: the language or the protocol is unknown.
    """
    outputs: dict[str, list[str]] = {}
    if sources is not None:
        # As a log's S- lines are already: both have the same sentences.
        sources = list(map(normalise, sources))
        outputs["lead1"] = [next(iter(sentences(source, lang)), "") for source in sources]
        outputs["source_copy"] = [_PARAGRAPHS.sub(" ", source) for source in sources]
        outputs["oracle"] = [
            oracle(source, reference, lang, protocol, others)
            for source, reference, *others in zip(sources, references, *more, strict=True)
        ]
    if english is not None:
        outputs["english_reference"] = list(english)
    return outputs
