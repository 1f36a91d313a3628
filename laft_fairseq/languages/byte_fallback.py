"""Characters that a sentencepiece model has no subword for: written in bytes, or as ``<unk>``.

A model cannot learn a language from them: on the small backbone 87 to 89 % of the subwords of
Russian and Japanese are bytes, training runs through, and what is generated is noise.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from laft_fairseq.errors import LaftError

BYTE = re.compile(r"<0x([0-9A-F]{2})>")
UNKNOWN = "<unk>"
WARNED, REFUSED = 0.3, 0.6  # shares of a text's subwords
FEWEST = 30  # subwords that a share is taken of: a line of emoji is not a language
OVERRIDE = "LAFT_ALLOW_BYTES"  # environment variable


def is_byte(subword: str) -> bool:
    """Return whether a subword is a byte, such as ``<0xE4>``."""
    return BYTE.fullmatch(subword) is not None


def uncovered(subwords: Sequence[str]) -> NDArray[np.bool_]:
    """Return (V,) bool, True at the bytes and ``<unk>`` of a vocabulary."""
    return np.array([name == UNKNOWN or is_byte(name) for name in subwords], dtype=bool)


def plain_text(subwords: Iterable[str], errors: str = "ignore") -> str:
    """Return subwords joined, bytes among them decoded; ``errors`` as in ``bytes.decode``."""
    return re.sub(
        f"(?:{BYTE.pattern})+",
        lambda run: bytes.fromhex("".join(BYTE.findall(run[0]))).decode("utf-8", errors),
        "".join(subwords),
    )


def check_input(subwords: Sequence[str], tag: str) -> str:
    """Return what :func:`check_coverage` says of raw input, of which symbols and emoji count not.

    Unlike a corpus, it may hold a line or two of them.
    """
    count = subwords.count(UNKNOWN)
    for run in re.finditer(f"(?:{BYTE.pattern})+", "".join(subwords)):
        letters = filter(str.isalpha, plain_text([run[0]]))
        count += len("".join(letters).encode())
    return check_coverage(count, len(subwords), tag, "input")


def check_coverage(count: int, subwords: int, tag: str, where: str | Path) -> str:
    """Return a warning where many of a text's subwords are bytes or ``<unk>``, else "".

    ``count`` of its ``subwords`` are (:func:`uncovered`); the ``tag`` is "" where it is not known.

    Raises:
        LaftError: most are, and the environment variable LAFT_ALLOW_BYTES is not 1.
    """
    share = count / max(subwords, 1)
    if subwords < FEWEST or share <= WARNED:
        return ""
    language = f"language {tag}: " if tag else ""
    message = (
        f"{where}: {language}{100 * share:.0f} % of {subwords:,} subwords are bytes or <unk>: the "
        "backbone has no subwords for this script and can hardly learn it; take a backbone that "
        "knows the language, such as mBART-cc25 or mBART-50"
    )
    if share > REFUSED and os.environ.get(OVERRIDE) != "1":
        raise LaftError(f"{message}, or set {OVERRIDE}=1 to go on all the same")
    return message
