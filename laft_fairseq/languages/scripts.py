"""The one list of languages: their codes, their scripts, and which are written without spaces.

Scripts are named as in Unicode's Script property, or by their ISO 15924 codes.
"""

import re
from collections.abc import Iterable, Sequence

import langcodes
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
# Scripts written without spaces between words: sentencepiece's word starts mean nothing there. They
# are named as in tags (ISO 15924).
_UNSPACED = tuple(
    "Hani Hira Kana Bopo Thai Laoo Khmr Mymr Tibt Lana Talu Tavt Java Bali Yiii".split()
)
_UNSPACED_MIXTURES = ("Hans", "Hant", "Hanb", "Jpan", "Hrkt")
_HAN_CODES = ("Hani", "Hans", "Hant")
_ALIASES = {"fil": "tl", "nb": "no"}  # langcodes' name of a language -> the list's
_LETTER = regex.compile(r"\p{L}")
# A character class for `(?V1)` patterns. Of Kana script extensions too: its sound mark, U+30FC, is
# of script Common.
_PROPERTIES = [*(f"Script={name}" for name in _UNSPACED), "scx=Han", "scx=Hiragana", "scx=Katakana"]
UNSPACED_LETTER = "[[" + "".join(rf"\p{{{name}}}" for name in _PROPERTIES) + r"]&&[\p{L}\p{N}]]"
_UNSPACED_LETTER = regex.compile(f"(?V1){UNSPACED_LETTER}")
# Digits, punctuation, symbols and the word start; combining marks.
SHARED = ("Common", "Inherited", "Latin")


def scripts(tags: Iterable[str]) -> list[str]:
    """Return the scripts of the languages, with those that every language shares.

    Raises:
        LaftError: a language that is not in the table.
    """
    names = set(SHARED)
    for tag in tags:
        language = _find_code(tag)
        if language not in SCRIPTS:
            raise LaftError(f"language {tag}: its script is not known here; give text by --text")
        names.update(SCRIPTS[language])
    return sorted(names)


def written_in(texts: Sequence[str], tags: Iterable[str]) -> list[bool]:
    """Return whether each text has no character outside the scripts of the languages."""
    inside = "".join(rf"\p{{Script={script}}}" for script in scripts(tags))
    pattern = regex.compile(f"[{inside}]+")
    return [pattern.fullmatch(text) is not None for text in texts]


def is_unspaced(tag: str, text: str = "") -> bool:
    """Return whether a language is written without spaces (Chinese, Japanese, Thai ...).

    The script that the tag names decides (``zho_Hans``, ``zh_Latn``), or that its language is
    usually written in (``yue_HK``); and so does that of most letters of ``text``, whatever its tag.
    """
    letters = len(_LETTER.findall(text))
    return usual_script(tag) in (*_UNSPACED, *_UNSPACED_MIXTURES) or (
        letters > 0 and 2 * len(_UNSPACED_LETTER.findall(text)) > letters
    )


def usual_script(tag: str) -> str:
    """Return the ISO 15924 code of a tag's script, empty where it is not known."""
    try:
        # XX, "any region", is none that a script could depend on.
        language = langcodes.get(tag.removesuffix("_XX"))
    except langcodes.LanguageTagError:
        return ""
    return language.maximize().script or ""


def language_code(tag: str) -> str:
    """Return the plain code of a tag: ``fr_XX``, ``[fr_XX]``, ``fr`` and ``fra_Latn`` are ``fr``.

    A language without a code of its own in the list has that of the macrolanguage that it belongs
    to (``arb_Arab`` is ``ar``), and one written in Han characters ``zh`` (``yue_HK``).

    Raises:
        LaftError: the tag is malformed, or there is no such language.
    """
    code = _find_code(tag)
    if code is None:
        raise LaftError(
            f"unknown language {tag!r}: give an mBART tag such as fr_XX or zh_CN, "
            f"one of {', '.join(sorted(SCRIPTS.keys() | OTHERS))}"
        )
    return code


def _find_code(tag: str) -> str | None:
    """Return the code of :func:`language_code`, None where there is no such language."""
    plain = tag.removeprefix("[").removesuffix("]")
    code = plain.split("_")[0] if re.fullmatch(TAG, plain) else plain
    known = SCRIPTS.keys() | OTHERS
    if code in known:
        return code
    if not re.fullmatch("[a-z]{2,3}", code):
        return None
    language = langcodes.get(code)
    name = str(language.language)
    written_in_han = usual_script(code) in _HAN_CODES
    macro = "zh" if written_in_han else str(language.prefer_macrolanguage().language)
    names = [candidate for candidate in (_ALIASES.get(name, name), macro) if candidate in known]
    return names[0] if names else name if language.is_valid() else None


def language_codes(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the plain codes of several tags, sorted and without repetition."""
    return tuple(sorted({language_code(tag) for tag in tags}))
