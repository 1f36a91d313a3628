"""Which lines are sentences of a language, as SQL: length, script, letters, web addresses."""

from __future__ import annotations

from functools import cache
from typing import Any

import regex

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.scripts import SCRIPTS

MAX_CHARS = 16_000
NOT_SPACE = r"\S"
LETTER = r"[\p{L}\p{M}]"
DAMAGED = r"[[\p{Cc}\p{Co}\p{Zl}\p{Zp}\uFEFF\uFFFD]--[\n]]"
_DENSE = ("Han", "Hangul")  # scripts of which a character says more than a letter


def scripts_of(tag: str) -> list[str]:
    """The scripts of a language such as `fr_XX`, the main one first.

    Raises:
        LaftError: none is known.
    """
    code = tag.split("_")[0]
    if code not in SCRIPTS:
        raise LaftError(f"--lang {tag}: its script is not known; name it with --script")
    names = list(SCRIPTS[code] or ("Latin",))
    return names if "Hiragana" in names else names[:1]  # not all that Korean may borrow


def default_min_chars(scripts: list[str]) -> int:
    """20 characters, 10 where a character is a syllable or a word."""
    return 10 if scripts[0] in _DENSE else 20


def in_scripts(scripts: list[str]) -> str:
    """A pattern for the letters of scripts, and for marks of no script (accents written apart)."""
    names = "".join(rf"\p{{Script_Extensions={name}}}" for name in scripts)
    return rf"[{LETTER}&&[{names}\p{{Script=Inherited}}]]"


@cache
def ranges(pattern: str) -> str:
    """The characters that a pattern of `regex` matches, as the inside of DuckDB's `[...]`.

    DuckDB's own classes lack Unicode's Script_Extensions and white space.

    Raises:
        LaftError: the pattern names an unknown script.
    """
    characters = "".join(chr(n) for n in range(0x110000) if not 0xD800 <= n < 0xE000)
    try:
        runs = list(regex.finditer(f"(?V1){pattern}+", characters))
    except regex.error as error:
        raise LaftError(f"--script: no such script ({error})") from None
    ends = ((ord(run.group()[0]), ord(run.group()[-1])) for run in runs)
    return "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in ends)


def reason_sql(settings: dict[str, Any]) -> str:
    """An SQL expression that says why `line` is left out, or `kept`.

    Args:
        settings: `script`, names joined by commas; `min_chars` and `max_chars`; `min_letters`, the
            share of letters and marks among all but white space; `min_script`, the share of
            letters in the script among the letters; `addresses`, whether lines with a web address
            are kept.
    """

    def count(pattern: str) -> str:
        return f"length(regexp_replace(line, '[^{ranges(pattern)}]+', '', 'g'))"

    letters = count(LETTER)
    script = count(in_scripts(settings["script"].split(",")))
    address = "contains(line, '://') OR contains(line, 'www.')"
    return f"""CASE
        WHEN line = '' THEN 'blank'
        WHEN length(line) > {settings["max_chars"]} THEN 'too long'
        WHEN length(line) < {settings["min_chars"]} THEN 'too short'
        WHEN regexp_matches(line, '[{ranges(DAMAGED)}]') THEN 'damaged characters'
        WHEN {not settings["addresses"]} AND ({address}) THEN 'web address'
        WHEN {letters} < {settings["min_letters"]} * {count(NOT_SPACE)} THEN 'few letters'
        WHEN {script} < {settings["min_script"]} * {letters} THEN 'other script'
        ELSE 'kept' END"""
