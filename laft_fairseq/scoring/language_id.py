"""The language that an output is in, among the languages of the experiment.

The identifier is py3langid restricted to those languages: unrestricted, it calls a fifth of
sound Chinese headlines Wu or Cantonese and a sixth of the English ones not English.

1. Names copied from the source are stripped, for they say nothing about the output. In a source
   of another script every Latin word is a name; in a source of Latin script, the words with a
   digit or a capital after their first letter (`libgtk2`, `MySQL`).
2. Chinese is decided by its script: zh where Han makes up half of the tokens or more (ja where
   ja is among the languages and there is kana beside it). Elsewhere py3langid chooses among the
   other languages.
3. What keeps fewer than two Han characters and fewer than eight letters is undecidable.

Outputs that are undecidable (empty ones among them) are left out of the share in the right
language, and their own share is given. The references' share is the ceiling to compare with.
"""

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import regex

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.scripts import language_code, language_codes
from laft_fairseq.scoring.tokenizers import normalise, unicode_tokens

DEFAULT_LANGUAGES = ("de", "en", "fr", "zh")
MIN_HAN = 2
MIN_LETTERS = 8
HAN_SHARE = 0.5

_LETTER = regex.compile(r"\p{L}")
_LATIN_LETTER = regex.compile(r"(?V1)[\p{Latin}&&\p{L}]")
LATIN_WORD = regex.compile(r"(?V1)[[\p{Latin}\p{N}\p{M}]--\p{Han}]+")
_NAME = regex.compile(r"\p{N}|.\p{Lu}")
_HAN = regex.compile(r"\p{Han}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")


@dataclass(frozen=True)
class RightLanguage:
    """How many of n outputs are in the right language; shares are percentages."""

    right: npt.NDArray[np.bool_]  # (n,) decided, and right
    share: float | None  # of the decidable ones; None where there are none
    undecidable: float


def strip_copied_names(text: str, source: str) -> str:
    """Return `text` without the names that it has from `source` (rule 1 above)."""
    words = LATIN_WORD.findall(source)
    if len(_LATIN_LETTER.findall(source)) * 2 >= len(_LETTER.findall(source)):
        words = [word for word in words if _NAME.search(word)]
    names = {word.casefold() for word in words}
    return LATIN_WORD.sub(lambda word: " " if word[0].casefold() in names else word[0], text)


@functools.cache
def _classifier(codes: tuple[str, ...]) -> Callable[[str], str]:
    # Imported late: reading the identifier's model takes half a second.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    # fairseq sets the root logger to DEBUG, which would let py3langid's messages through.
    logging.getLogger("py3langid").setLevel(logging.INFO)
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    try:
        identifier.set_languages(list(codes))
    except ValueError as error:
        raise LaftError(f"py3langid cannot tell these languages: {error}") from error
    return lambda text: str(identifier.classify(text)[0])


def identify(text: str, langs: Sequence[str], source: str | None = None) -> str | None:
    """Return the code of the language of `text`, or None where it is undecidable.

    `text` is an output (case matters to the identifier), `source` what it was generated from; both
    are normalised. `langs` are tags or codes of the experiment's languages.

    Raises:
        LaftError: a language is unknown.
    """
    codes = language_codes(langs)
    rest = normalise(text)
    if source is not None:
        rest = strip_copied_names(rest, normalise(source))
    tokens = unicode_tokens(rest)
    han = sum(1 for token in tokens if _HAN.match(token))
    kana = sum(1 for token in tokens if _KANA.match(token)) if "ja" in codes else 0
    if kana and han + kana >= HAN_SHARE * len(tokens):
        return "ja"
    if "zh" in codes:
        if han >= MIN_HAN and han >= HAN_SHARE * len(tokens):
            return "zh"
        codes = tuple(code for code in codes if code != "zh")
        rest = _HAN.sub(" ", rest)
    if not codes or len(_LETTER.findall(rest)) < MIN_LETTERS:
        return None
    return _classifier(codes)(rest)


def right_language(
    outputs: Sequence[str],
    lang: str,
    langs: Sequence[str] = DEFAULT_LANGUAGES,
    sources: Sequence[str] | None = None,
) -> RightLanguage:
    """Return how many outputs are in `lang`, among `langs`.

    Raises:
        LaftError: a language is unknown, or `lang` is none of `langs`.
    """
    code = language_code(lang)
    if code not in language_codes(langs):
        raise LaftError(f"{lang} is none of the languages {', '.join(langs)}: add it to --langs")
    origins: Sequence[str | None] = [None] * len(outputs) if sources is None else sources
    pairs = zip(outputs, origins, strict=True)
    identified = [identify(output, langs, origin) for output, origin in pairs]
    right = np.array([language == code for language in identified], dtype=bool)
    decided = sum(language is not None for language in identified)
    return RightLanguage(
        right=right,
        share=100.0 * float(right.sum()) / decided if decided else None,
        undecidable=100.0 * (len(outputs) - decided) / len(outputs) if outputs else 0.0,
    )
