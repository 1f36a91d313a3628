"""Which lines are sentences of a language: length, script, letters, addresses, damaged text.

Many lines are judged at once: their characters are looked up in a table of classes, and the
classes are counted by line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import regex
from text_files import DataError

REASONS = (
    "kept",
    "duplicate",
    "too long",
    "too short",
    "not UTF-8",
    "control characters",
    "web address",
    "few letters",
    "other script",
)
KEPT, DUPLICATE, LONG, SHORT, DAMAGED, CONTROL, ADDRESS, FEW_LETTERS, SCRIPT = range(len(REASONS))
MOST_CHARS = 16_000  # four bytes each still fit a key's MAX_BYTES, and 16 bits count them

_LATIN = "af az cs de en es et fi fr gl hr id it lt lv nl pl pt ro sl sv sw tl tr vi xh"
_BY_SCRIPT = {
    "Latin": _LATIN,
    "Arabic": "ar fa ps ur",
    "Cyrillic": "kk mk mn ru uk",
    "Devanagari": "hi mr ne",
    "Bengali": "bn",
    "Georgian": "ka",
    "Gujarati": "gu",
    "Han": "zh",
    "Han,Hiragana,Katakana": "ja",
    "Hangul": "ko",
    "Hebrew": "he",
    "Khmer": "km",
    "Malayalam": "ml",
    "Myanmar": "my",
    "Sinhala": "si",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
}
SCRIPTS = {code: script for script, codes in _BY_SCRIPT.items() for code in codes.split()}
_DENSE = {"Han", "Han,Hiragana,Katakana", "Hangul"}  # a character says more than a letter

# A character's class is a one in one of four fields of 16 bits: sums by line count them all.
_IN_SCRIPT, _OTHER_LETTER, _BLANK, _BROKEN = range(4)
_FIELD = np.uint64(0xFFFF)


def script_of(tag: str) -> str:
    """The script or scripts, joined by commas, of a language such as `fr_XX`.

    Raises:
        DataError: none is known.
    """
    code = tag.split("_")[0]
    if code not in SCRIPTS:
        raise DataError(f"--lang {tag}: its script is not known; name it with --script")
    return SCRIPTS[code]


def default_min_chars(script: str) -> int:
    """20 characters, 10 where a character is a syllable or a word."""
    return 10 if script in _DENSE else 20


@dataclass(frozen=True)
class Filters:
    """What a line must be to be kept.

    Attributes:
        script: names of scripts, joined by commas.
        min_chars, max_chars: length in characters.
        min_letters: share of letters and marks among the characters that are no white space.
        min_script: share of letters in the script among the letters.
        addresses: whether lines with a web address are kept.
    """

    script: str
    min_chars: int
    max_chars: int
    min_letters: float
    min_script: float
    addresses: bool

    @cached_property
    def table(self) -> npt.NDArray[np.uint64]:
        """(0x110000,) the class of each character."""
        every = "".join(map(chr, range(0x110000)))
        own = "".join(rf"\p{{Script_Extensions={name}}}" for name in self.script.split(","))
        letter = r"[\p{L}\p{M}]"
        # Marks of no script of their own (accents written apart) count as the script's.
        classes = {
            _OTHER_LETTER: letter,
            _IN_SCRIPT: rf"[{letter}&&[{own}\p{{Script=Inherited}}]]",
            _BLANK: r"\s",
            _BROKEN: r"[[\p{Cc}\p{Co}\p{Cs}\p{Zl}\p{Zp}\uFEFF\uFFFD]--[\n]]",
        }
        table = np.zeros(0x110000, np.uint64)
        for place, pattern in classes.items():
            try:
                runs = regex.finditer(f"(?V1){pattern}+", every)
            except regex.error as error:
                raise DataError(f"--script {self.script}: no such script ({error})") from None
            for run in runs:
                table[run.start() : run.end()] = np.uint64(1 << 16 * place)
        table[10] = 0
        return table

    def judge(self, lines: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """The place in `REASONS` for each of n lines without line ends: (n,); 0 is kept."""
        reasons = np.zeros(len(lines), np.int64)
        if lines:
            self._judge_text(_decoded(lines, reasons, self.max_chars), reasons)
        return reasons

    def _judge_text(self, text: str, reasons: npt.NDArray[np.int64]) -> None:
        """Fill in the reasons that are not there yet; `text` has a line for each of them."""
        characters = np.frombuffer(text.encode("utf-32-le"), "<u4")
        ends = np.flatnonzero(characters == 10)
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
        length = ends - starts
        sums = np.add.reduceat(self.table[characters], starts)
        inside, outside, blank, broken = (
            (sums >> np.uint64(16 * place) & _FIELD).astype(np.int64) for place in range(4)
        )
        letters = inside + outside
        found = (
            (LONG, length > self.max_chars),
            (SHORT, length < self.min_chars),
            (CONTROL, broken > 0),
            (ADDRESS, _with_address(text, ends) & (not self.addresses)),
            (FEW_LETTERS, letters < self.min_letters * (length - blank)),
            (SCRIPT, inside < self.min_script * letters),
        )
        for reason, which in found:
            reasons[which & (reasons == KEPT)] = reason


def _with_address(text: str, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(n,) whether each line of a text has a web address, given the places of its n line ends."""
    found = np.zeros(len(ends), bool)
    places = [match.start() for match in re.finditer(r"://|www\.", text)]
    found[np.searchsorted(ends, np.array(places, np.int64))] = True
    return found


def _decoded(lines: Sequence[bytes], reasons: npt.NDArray[np.int64], max_chars: int) -> str:
    """The lines as one text, an `x` for each that is far too long or not UTF-8."""
    fit = list(lines)
    sizes = np.fromiter(map(len, lines), np.int64, len(lines))
    for number in np.flatnonzero(sizes > 4 * max_chars).tolist():
        fit[number] = b"x"
        reasons[number] = LONG
    try:
        return b"\n".join([*fit, b""]).decode("utf-8")
    except UnicodeDecodeError:
        for number, line in enumerate(fit):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                fit[number] = b"x"
                reasons[number] = DAMAGED
    return b"\n".join([*fit, b""]).decode("utf-8")
