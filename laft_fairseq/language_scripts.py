"""The scripts that languages are written in, as Unicode names them (Script property)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import regex

from laft_fairseq.errors import LaftError

# By the tag's language; mBART's languages. Latin is every language's: names, commands, units.
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
# Digits, punctuation, symbols and the word start; combining marks.
SHARED = ("Common", "Inherited", "Latin")


def scripts(tags: Iterable[str]) -> list[str]:
    """The scripts of the languages, with those that every language shares.

    Raises:
        LaftError: a language that is not in the table.
    """
    found = set(SHARED)
    for tag in tags:
        language = tag.split("_")[0]
        if language not in SCRIPTS:
            raise LaftError(f"language {tag}: its script is not known here; give text by --text")
        found.update(SCRIPTS[language])
    return sorted(found)


def written_in(texts: Sequence[str], tags: Iterable[str]) -> list[bool]:
    """Whether each text has no character outside the scripts of the languages."""
    inside = "".join(rf"\p{{Script={script}}}" for script in scripts(tags))
    pattern = regex.compile(f"[{inside}]+")
    return [pattern.fullmatch(text) is not None for text in texts]
