"""Measures of a text: its share of CJK characters, its shingles, a hash that never changes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

PARAGRAPH = " ⏎ "  # between the paragraphs of a text on one line
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"\w+")


def squeeze(text: str) -> str:
    """The text with each run of white space as one space."""
    return " ".join(text.split())


def split_lines(text: str) -> list[str]:
    """The lines of an engine's output; a last one without a line end counts."""
    return text.removesuffix("\n").split("\n") if text else []


def han_share(text: str) -> float:
    """The share of CJK characters among all letters and digits."""
    letters = sum(character.isalnum() for character in text)
    return len(_CJK.findall(text)) / letters if letters else 0.0


def is_cjk(text: str) -> bool:
    """Whether a text is to be compared by characters rather than by words."""
    return han_share(text) > 0.3


def shingles(text: str) -> set[str]:
    """Runs of 8 words, or of 16 characters in a CJK text; a shorter text is its own shingle."""
    text = text.lower()
    units: Sequence[str]
    if is_cjk(text):
        units, size, glue = "".join(_WORD.findall(text)), 16, ""
    else:
        units, size, glue = _WORD.findall(text), 8, " "
    if not units:
        return set()
    return {glue.join(units[i : i + size]) for i in range(max(1, len(units) - size + 1))}


def stable_hash(*parts: str) -> int:
    """A 64-bit hash that is the same on every machine and in every run."""
    sha256 = hashlib.sha256("\0".join(parts).encode("utf-8")).digest()
    return int.from_bytes(sha256[:8], "big")
