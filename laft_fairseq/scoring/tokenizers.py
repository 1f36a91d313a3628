"""Tokenisation for ROUGE, by protocol.

`unicode` (the default) serves every language. Full-width and half-width forms, apostrophes and
case are unified, then the text is NFC. Scripts written without spaces between words (Han, Kana,
Thai and the others in languages/scripts.py) count by character; anything else by word, marks
included, so that a run of Latin letters or digits is one token even inside Chinese (`用GTK3写` is
`用 gtk3 写`). Punctuation, apostrophes among it, separates: `l'homme` is `l homme`,
`don't` is `don t` (as in ROUGE-1.5.5). The tokens do not depend on the language, so an output
in the wrong language is cut the same way.

`xnlg` is how the data sets of XNLG (Chi et al., 2020) were scored: ROUGE-1.5.5 with Porter stems
for en and fr, where accented letters separate; for zh, one token a character with spaces removed.

`xnlg-literal` is the same with XNLG's extra token: its zh hypotheses kept their newline, so a
perfect output of six characters scores 2 * 6 / (6 + 7) = 92.3.
"""

import functools
import importlib
import unicodedata
from collections.abc import Callable

import regex

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.scripts import UNSPACED_LETTER, language_code

Tokenizer = Callable[[str], list[str]]

PROTOCOLS = ("unicode", "xnlg", "xnlg-literal")
XNLG_LANGUAGES = ("en", "fr", "zh")

_WIDTH_FORMS = regex.compile(r"[\uFF00-\uFFEF]+")
# Soft hyphen, zero-width (non-)joiner and byte-order mark stand inside words and are not seen.
_INVISIBLE = regex.compile(r"[\u00AD\u200C\u200D\uFEFF]")
_APOSTROPHES = regex.compile(r"[\u2018\u2019\u201B\u02B9\u02BB\u02BC\u02BD\u2032\u0060\u00B4]")
_TOKEN = regex.compile(
    rf"(?V1){UNSPACED_LETTER}\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--{UNSPACED_LETTER}]+"
)
# What XNLG's hypotheses end in: a newline, which no stripped reference can match.
_EXTRA_TOKEN = "\n"


def normalise(text: str) -> str:
    """Return the text with width forms, apostrophes and case unified, in NFC."""
    text = _WIDTH_FORMS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = _APOSTROPHES.sub("'", _INVISIBLE.sub("", text)).casefold()
    return unicodedata.normalize("NFC", text)


def unicode_tokens(text: str) -> list[str]:
    """Return the tokens of a text of any language by the protocol `unicode`."""
    return _TOKEN.findall(normalise(text))


def characters(text: str) -> list[str]:
    """Return the characters of a text without spaces, as XNLG cuts zh."""
    return [character for character in text if not character.isspace()]


@functools.cache
def _stemmed() -> Tokenizer:
    # Imported late: rouge-score brings nltk, which takes a second.
    library = importlib.import_module("rouge_score.tokenizers")
    tokenizer: Tokenizer = library.DefaultTokenizer(use_stemmer=True).tokenize
    return tokenizer


def tokenizer(protocol: str, lang: str) -> Tokenizer:
    """Return the function that cuts a reference or a source into tokens.

    Raises:
        LaftError: the protocol or the language is unknown, or the protocol is not defined for
            the language.
    """
    code = language_code(lang)
    if protocol == "unicode":
        return unicode_tokens
    if protocol not in PROTOCOLS:
        raise LaftError(f"unknown protocol {protocol!r}: choose {', '.join(PROTOCOLS)}")
    if code not in XNLG_LANGUAGES:
        raise LaftError(
            f"protocol {protocol} is not defined for {lang}, only for "
            f"{', '.join(XNLG_LANGUAGES)}: use --protocol unicode"
        )
    return characters if code == "zh" else _stemmed()


def hypothesis_tokenizer(protocol: str, lang: str) -> Tokenizer:
    """Return the function that cuts a hypothesis: `tokenizer`, save for XNLG's extra zh token."""
    tokens = tokenizer(protocol, lang)
    if protocol == "xnlg-literal" and language_code(lang) == "zh":
        return lambda text: [*tokens(text), _EXTRA_TOKEN]
    return tokens
