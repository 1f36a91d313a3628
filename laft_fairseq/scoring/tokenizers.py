"""Normalisation of texts, and tokenisation for ROUGE by protocol.

Outputs carry the normalisation of their sentencepiece model: nmt_nfkc, for mBART as for the small
backbone. References and sources do not, so every measure normalises both sides by `normalise`
first, by any protocol: otherwise a perfect output would lose `m²`, `℃` or a Persian word with a
zero-width non-joiner.

`unicode` (the default) serves every language. Apostrophes and case are unified. Scripts written
without spaces between words (Han, Kana, Thai and the others in languages/scripts.py) count by
character; anything else by word, marks included, so that a run of Latin letters or digits is one
token even inside Chinese (`用GTK3写` is `用 gtk3 写`). Punctuation, apostrophes among it,
separates: `l'homme` is `l homme`, `don't` is `don t` (as in ROUGE-1.5.5). The tokens do not depend
on the language, so an output in the wrong language is cut the same way.

`xnlg` is how the data sets of XNLG (Chi et al., 2020) were scored: ROUGE-1.5.5 with Porter stems
for en and fr, where accented letters separate; for zh, one token a character with spaces removed.

`xnlg-literal` is the same with XNLG's extra token: its zh hypotheses kept their newline, so a
perfect output of six characters scores 2 * 6 / (6 + 7) = 92.3.
"""

import functools
import unicodedata
from collections.abc import Callable

import regex

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.scripts import UNSPACED_LETTER, language_code

Tokenizer = Callable[[str], list[str]]

PROTOCOLS = ("unicode", "xnlg", "xnlg-literal")
XNLG_LANGUAGES = ("en", "fr", "zh")

NORMALISATION = "nmt_nfkc"  # sentencepiece's name of it
# Soft hyphen and zero-width joiner stand inside words and are not seen.
_INVISIBLE = regex.compile(r"[\u00AD\u200D]")
_APOSTROPHES = regex.compile(r"[\u2018\u2019\u201B\u02B9\u02BB\u02BC\u02BD\u2032\u0060\u00B4]")
TOKEN = regex.compile(
    rf"(?V1){UNSPACED_LETTER}\p{{M}}*|(?!\p{{M}})[[\p{{L}}\p{{M}}\p{{N}}]--{UNSPACED_LETTER}]+"
)
# What XNLG's hypotheses end in: a newline, which no stripped reference can match.
_EXTRA_TOKEN = "\n"


@functools.cache
def _sentencepiece() -> Callable[[str], str]:
    # Imported late, like all libraries that only some commands need.
    from sentencepiece import SentencePieceNormalizer

    normalizer = SentencePieceNormalizer(
        rule_name=NORMALISATION,
        add_dummy_prefix=False,
        escape_whitespaces=False,
        remove_extra_whitespaces=True,
    )
    return normalizer.normalize


def normalise(text: str) -> str:
    """Return the text as a sentencepiece model with nmt_nfkc hands it back, in NFKC.

    NFKC, zero-width characters and replacement characters as spaces, control characters left out,
    one space between words. A second time it changes nothing, so that outputs, which passed their
    own model's nmt_nfkc, and raw texts agree.
    """
    return unicodedata.normalize("NFKC", _sentencepiece()(text))


def unicode_tokens(text: str) -> list[str]:
    """Return the tokens of a text of any language by the protocol `unicode`."""
    text = _APOSTROPHES.sub("'", _INVISIBLE.sub("", normalise(text))).casefold()
    return TOKEN.findall(unicodedata.normalize("NFC", text))


def characters(text: str) -> list[str]:
    """Return the characters of a text without spaces, as XNLG cuts zh."""
    return [character for character in normalise(text) if not character.isspace()]


@functools.cache
def _stemmed() -> Tokenizer:
    # Imported late: rouge-score brings nltk, which takes a second.
    from rouge_score.tokenizers import DefaultTokenizer

    tokenizer = DefaultTokenizer(use_stemmer=True).tokenize
    return lambda text: tokenizer(normalise(text))


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
