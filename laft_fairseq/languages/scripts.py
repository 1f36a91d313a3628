"""The one list of languages: their codes, their scripts, and which are written without spaces.

Scripts are named as in Unicode's Script property.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import regex

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.tags import TAG

# mBART-50's languages, which include all of mBART-cc25. Latin is every language's: names,
# commands, units.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "zh": ("Han", "Bopomofo"),
    "ja": ("Han", "Hiragana", "Katakana"),
    "ko": ("Hangul", "Han"),
    **dict.fromkeys(("ar", "fa", "ps", "ur"), ("Arabic",)),
    **dict.fromkeys(("hi", "mr", "ne"), ("Devanagari",)),
    **dict.fromkeys(("kk", "mk", "mn", "ru", "uk"), ("Cyrillic",)),
    "bn": ("Bengali",),
    "gu": ("Gujarati",),
    "he": ("Hebrew",),
    "ka": ("Georgian",),
    "km": ("Khmer",),
    "ml": ("Malayalam",),
    "my": ("Myanmar",),
    "si": ("Sinhala",),
    "ta": ("Tamil",),
    "te": ("Telugu",),
    "th": ("Thai",),
    **dict.fromkeys(
        "af az cs de en es et fi fr gl hr id it lt lv nl pl pt ro sl sv sw tl tr vi xh".split(), ()
    ),
}
# The other languages that py3langid tells apart (scoring/language_id.py): a backbone may be taught
# them, and their outputs can be scored.
OTHERS = frozenset(
    "am an as ba be bg br bs ca cy da dz el eo eu fo fy ga gd ha ht hu hy ig is jv kn ku ky la lb "
    "lg ln lo mg ms mt nn no oc om or pa qu rw sa se sk sn so sq sr st tg tk tt ug uz vo wa yo "
    "zu".split()
)
# Written without spaces between words: sentencepiece's word starts mean nothing there.
UNSPACED = frozenset({"zh", "ja", "th", "my", "km", "lo"})
# Digits, punctuation, symbols and the word start; combining marks.
SHARED = ("Common", "Inherited", "Latin")


def scripts(tags: Iterable[str]) -> list[str]:
    """Return the scripts of the languages, with those that every language shares.

    Raises:
        LaftError: a language that is not in the table.
    """
    names = set(SHARED)
    for tag in tags:
        language = tag.split("_")[0]
        if language not in SCRIPTS:
            raise LaftError(f"language {tag}: its script is not known here; give text by --text")
        names.update(SCRIPTS[language])
    return sorted(names)


def written_in(texts: Sequence[str], tags: Iterable[str]) -> list[bool]:
    """Return whether each text has no character outside the scripts of the languages."""
    inside = "".join(rf"\p{{Script={script}}}" for script in scripts(tags))
    pattern = regex.compile(f"[{inside}]+")
    return [pattern.fullmatch(text) is not None for text in texts]


def is_unspaced(tag: str) -> bool:
    """Return whether a language is written without spaces (Chinese, Japanese, Thai ...)."""
    return tag.split("_")[0] in UNSPACED


def language_code(tag: str) -> str:
    """Return the plain code of a tag: ``fr_XX``, ``[fr_XX]`` and ``fr`` are all ``fr``.

    Raises:
        LaftError: the tag is malformed, or its language is not in the list.
    """
    plain = tag.removeprefix("[").removesuffix("]")
    code = plain.split("_")[0] if re.fullmatch(TAG, plain) else plain
    known = SCRIPTS.keys() | OTHERS
    if code not in known:
        raise LaftError(
            f"unknown language {tag!r}: give an mBART tag such as fr_XX or zh_CN, "
            f"one of {', '.join(sorted(known))}"
        )
    return code


def language_codes(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the plain codes of several tags, sorted and without repetition."""
    return tuple(sorted({language_code(tag) for tag in tags}))
