"""Which lines are sentences of a language, as SQL: length, letters, script, web addresses."""

from __future__ import annotations

from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.scripts import SCRIPTS, language_code
from laft_fairseq.languages.tags import check_tag

MAX_CHARS = 16_000
DENSE = ("Han", "Hangul")  # scripts of which a character says more than a letter


def scripts_of(tag: str) -> list[str]:
    """The scripts of a language such as `fr_XX`, the main one first."""
    check_tag(tag, "--lang")
    code = language_code(tag)
    if code not in SCRIPTS:
        raise LaftError(f"--lang {tag}: its script is not known; name it with --script")
    names = list(SCRIPTS[code] or ("Latin",))
    return names if "Hiragana" in names else names[:1]  # not all that Korean may borrow


def reason_sql(settings: dict[str, Any]) -> str:
    """An SQL expression that says why `line` is left out, or `kept`.

    Args:
        settings: `script`, names joined by commas; `min_chars` and `max_chars`; `min_letters`, the
            share of letters and marks among all but white space; `min_script`, the share of
            letters in the script among the letters; `addresses`, whether lines with a web address
            are kept.
    """
    scripts = "".join(rf"\p{{{name}}}" for name in settings["script"].split(","))
    letters = r"regexp_replace(line, '[^\p{L}\p{M}]+', '', 'g')"
    # Accents that are written apart are of no script of their own.
    in_script = rf"regexp_replace({letters}, '[^{scripts}\p{{Inherited}}]+', '', 'g')"
    without_space = r"regexp_replace(line, '\p{Z}+', '', 'g')"
    damaged = r"regexp_matches(line, '[\p{Cc}\p{Co}\p{Zl}\p{Zp}\x{FEFF}\x{FFFD}]')"
    address = "contains(line, '://') OR contains(line, 'www.')"
    return f"""CASE
        WHEN line = '' THEN 'blank'
        WHEN length(line) > {settings["max_chars"]} THEN 'too long'
        WHEN length(line) < {settings["min_chars"]} THEN 'too short'
        WHEN {damaged} THEN 'damaged characters'
        WHEN {not settings["addresses"]} AND ({address}) THEN 'web address'
        WHEN length({letters}) < {settings["min_letters"]} * length({without_space})
            THEN 'few letters'
        WHEN length({in_script}) < {settings["min_script"]} * length({letters})
            THEN 'other script'
        ELSE 'kept' END"""
