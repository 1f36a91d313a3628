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
4. An output with a replacement character (U+FFFD), without a letter, or of whose tokens fewer than
   half are in a script of the language found is in no language.

Of a language that py3langid does not know, such as Tibetan, the script decides alone: an output is
in it if half of its tokens or more are in the script that the tag names or the language is usually
written in. In a script that other languages share, such as Latin, this says little.

The share in the right language is one of all outputs. The undecidable ones are not right, and their
own share is given. The references' shares are the ceiling to compare with.

Letters at random may still be in the right language for the identifier. `known_words` therefore
gives the share of the words that simplemma's dictionary of the language has.
"""

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.scripts import (
    OTHERS,
    SCRIPTS,
    language_code,
    language_codes,
    usual_script,
)
from laft_fairseq.scoring.tokenizers import normalise, unicode_tokens

DEFAULT_LANGUAGES = ("de", "en", "fr", "zh")
MIN_HAN = 2
MIN_LETTERS = 8
OWN_SCRIPT = 0.5
NO_LANGUAGE = "zxx"  # ISO 639's code of what is not linguistic
_REPLACEMENT = "\ufffd"  # of bytes that are no UTF-8
# simplemma's codes where they are not ours.
_DICTIONARIES = {"no": "nb", "bs": "hbs", "hr": "hbs", "sr": "hbs"}

_LETTER = regex.compile(r"\p{L}")
_LATIN_LETTER = regex.compile(r"(?V1)[\p{Latin}&&\p{L}]")
LATIN_WORD = regex.compile(r"(?V1)[[\p{Latin}\p{N}\p{M}]--\p{Han}]+")
_NAME = regex.compile(r"\p{N}|.\p{Lu}")
_HAN = regex.compile(r"\p{Han}")
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]+")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")


@dataclass(frozen=True)
class RightLanguage:
    """How many of n outputs are in the right language; shares are percentages."""

    right: npt.NDArray[np.bool_]  # (n,) decided, and right
    share: float  # of all
    undecidable: float  # of all
    by_script: bool = False  # alone, as py3langid does not know the language


def strip_copied_names(text: str, source: str) -> str:
    """Return `text` without the names that it has from `source` (rule 1 above)."""
    words = LATIN_WORD.findall(source)
    if len(_LATIN_LETTER.findall(source)) * 2 >= len(_LETTER.findall(source)):
        words = [word for word in words if _NAME.search(word)]
    names = {word.casefold() for word in words}
    return LATIN_WORD.sub(lambda word: " " if word[0].casefold() in names else word[0], text)


@functools.cache
def _identifier(codes: tuple[str, ...] = ()) -> Any:
    """Return py3langid's identifier, restricted to these languages if any are given."""
    # Imported late: reading the identifier's model takes half a second.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    # fairseq sets the root logger to DEBUG, which would let py3langid's messages through.
    logging.getLogger("py3langid").setLevel(logging.INFO)
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    if codes:
        identifier.set_languages(list(codes))
    return identifier


def _is_identifiable(code: str) -> bool:
    """Return whether py3langid knows a language; that it knows the listed ones is known."""
    return code in SCRIPTS or code in OTHERS or code in _identifier().nb_classes


def identify(
    text: str, langs: Sequence[str], source: str | None = None, by_script: str | None = None
) -> str | None:
    """Return the code of the language of `text`, NO_LANGUAGE, or None where it is undecidable.

    `text` is an output (case matters to the identifier), `source` what it was generated from; both
    are normalised. `langs` are tags or codes of the experiment's languages, of which those that
    py3langid does not know are left out, but for `by_script`, which its script decides.

    Raises:
        LaftError: a language is unknown.
    """
    codes = tuple(filter(_is_identifiable, language_codes(langs)))
    rest = normalise(text)
    if _REPLACEMENT in text or not _LETTER.search(rest):
        return NO_LANGUAGE
    if source is not None:
        rest = strip_copied_names(rest, normalise(source))
    tokens = unicode_tokens(rest)
    if by_script is not None and _are_written_in(
        tokens, (usual_script(by_script.strip("[]")) or "Latn",)
    ):
        return language_code(by_script) if len(_LETTER.findall(rest)) >= MIN_LETTERS else None
    han = sum(1 for token in tokens if _HAN.match(token))
    kana = sum(1 for token in tokens if _KANA.match(token)) if "ja" in codes else 0
    if kana and han + kana >= OWN_SCRIPT * len(tokens):
        return "ja"
    if "zh" in codes:
        if han >= MIN_HAN and han >= OWN_SCRIPT * len(tokens):
            return "zh"
        codes = tuple(code for code in codes if code != "zh")
        rest = _HAN.sub(" ", rest)
    if len(_LETTER.findall(rest)) < MIN_LETTERS:
        return None
    if not codes:
        return NO_LANGUAGE if by_script is not None else None
    code = str(_identifier(codes).classify(rest)[0])
    sound = code not in SCRIPTS or _are_written_in(tokens, SCRIPTS[code] or ("Latin",))
    return code if sound else NO_LANGUAGE


def _are_written_in(tokens: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether half of the tokens with letters are in one of the scripts."""
    scripts = "".join(rf"\p{{Script={name}}}" for name in names)
    words = [token for token in tokens if _LETTER.search(token)]
    own = sum(1 for word in words if regex.search(f"[{scripts}]", word))
    return own >= OWN_SCRIPT * len(words)


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
    by_script = None if _is_identifiable(code) else lang
    pairs = zip(outputs, origins, strict=True)
    identified = [identify(output, langs, origin, by_script) for output, origin in pairs]
    right = np.array([language == code for language in identified], dtype=bool)
    return RightLanguage(
        right=right,
        share=_percentage(int(right.sum()), len(outputs)),
        undecidable=_percentage(identified.count(None), len(outputs)),
        by_script=by_script is not None,
    )


def _percentage(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0


def known_words(outputs: Sequence[str], lang: str) -> float | None:
    """Return how many percent of the words of n outputs simplemma's dictionary of `lang` has.

    Words are tokens of letters, two or more. None where there is no dictionary, as for languages
    without spaces, or no word.

    Raises:
        LaftError: the language is unknown.
    """
    # Imported late: only scoring needs it.
    from simplemma import is_known
    from simplemma.strategies.dictionaries.dictionary_factory import SUPPORTED_LANGUAGES

    code = language_code(lang)
    code = _DICTIONARIES.get(code, code)
    words = [word for text in outputs for word in unicode_tokens(text) if _WORD.fullmatch(word)]
    if code not in SUPPORTED_LANGUAGES or not words:
        return None
    return _percentage(sum(is_known(word, lang=code) for word in words), len(words))
