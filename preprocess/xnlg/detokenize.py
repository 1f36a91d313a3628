"""Tokenised text back to text as people write it: English and French by Moses' rules, and Chinese.

Moses' detokenizer.perl is used as sacremoses has it. Case stays as it is, and so do accents.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import regex
from sacremoses import MosesDetokenizer

# What the Penn Treebank's tokeniser writes for brackets and quotation marks, in either case.
PENN = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}",
        "``": '"', "''": '"'}  # fmt: skip
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}]")


@cache
def detokenizer(tag: str) -> Callable[[str], str]:
    """The function that joins the tokens of a line in a language, such as `fr_XX`."""
    lang = tag[:2]
    moses = MosesDetokenizer(lang)

    def join(line: str) -> str:
        tokens = [PENN.get(token.lower(), token) for token in line.split()]
        if lang != "zh":
            return str(moses.detokenize(tokens))
        return _join_chinese(str(moses.unescape_xml(" ".join(tokens))).split())

    return join


def _join_chinese(tokens: list[str]) -> str:
    """Segmented Chinese without the spaces between its words; those around Latin words stay."""
    text = "".join(tokens[:1])
    for token in tokens[1:]:
        text += f" {token}" if _parted(text[-1], token[0]) else token
    return text


def _parted(left: str, right: str) -> bool:
    """Whether a space stays: at a letter of a script with spaces, and between two numbers."""
    if not (left.isalnum() and right.isalnum()):
        return False
    spaced = [side.isalpha() and not _UNSPACED.match(side) for side in (left, right)]
    return any(spaced) or (left.isdigit() and right.isdigit())
