"""The files of XGIGA and XQG as the XNLG project ships them, and the checks before they are read.

A file holds one side of one split in one language, tokenised: line i of all sides of a split
belongs to one item. Source: XNLG (Chi et al., AAAI 2020), the repository CZWin32768/XNLG.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from laft_fairseq.errors import LaftError
from preprocess.common.files import read_lines
from preprocess.qg.evidence import Item
from preprocess.xnlg.detokenize import detokenizer

SPLITS = {"train": "train", "dev": "valid", "test": "test"}  # XNLG's name: ours
LANGUAGES = {"en_XX": "English", "fr_XX": "French", "zh_CN": "Chinese"}
SAMPLE = 5000  # lines that are looked at for case and accents


@dataclass(frozen=True)
class Layout:
    """One data set: its description, its files, and how many items it has where that is known."""

    name: str
    about: str
    languages: tuple[str, ...]  # tags
    sides: tuple[str, ...]  # of the source first, the target last
    suffix: str
    known: dict[str, int]  # XNLG's split: items a language
    limits: tuple[int, int | None, int]  # XNLG's, in tokens: evidence, answer, target

    @property
    def has_answers(self) -> bool:
        """Whether a source is evidence and answer."""
        return len(self.sides) > 2

    def path(self, folder: Path, split: str, side: str, tag: str) -> Path:
        """The file of one side, such as `train.x.fr`."""
        return folder / f"{split}.{side}.{tag[:2]}{self.suffix}"

    def paths(self, folder: Path, split: str, tag: str) -> list[Path]:
        """The files of all sides."""
        return [self.path(folder, split, side, tag) for side in self.sides]

    def items(self, folder: Path, split: str, tag: str) -> Iterator[Item]:
        """The items of a split, detokenised; where there is no answer side, the answer is empty."""
        join = detokenizer(tag)
        sides = map(read_lines, self.paths(folder, split, tag))
        for number, lines in enumerate(zip(*sides, strict=True), 1):
            texts = [join(line) for line in lines]
            answer = texts[1] if self.has_answers else ""
            yield Item(f"{split}-{number}", texts[0], answer, texts[-1])

    def wrong(self, problem: str) -> LaftError:
        """The error for a file that is missing or wrong, with what to do about it."""
        return LaftError(f"{problem}; the {self.name} files come from the XNLG project "
                         "(CZWin32768/XNLG); unpack them anew")  # fmt: skip


XGIGA = Layout(
    "xgiga", "XGIGA, as the XNLG project ships it -> text and data-bin for headlines.",
    ("en_XX", "fr_XX", "zh_CN"), ("x", "y"), "",
    {"train": 500_000, "dev": 5_000, "test": 5_000}, (120, None, 120),
)  # fmt: skip
XQG = Layout(
    "xqg", "XQG, as the XNLG project ships it -> text and data-bin for questions.",
    ("en_XX", "zh_CN"), ("e", "a", "q"), ".lc", {}, (230, 20, 256),
)  # fmt: skip
LAYOUTS = {layout.name: layout for layout in (XGIGA, XQG)}

Counts = dict[str, dict[str, int]]  # tag: XNLG's split: items


def language(tag: str) -> str:
    """A language as messages name it, such as `French, fr_XX`."""
    return f"{LANGUAGES[tag]}, {tag}"


def check(layout: Layout, folder: Path, tags: Iterable[str]) -> Counts:
    """Count the items of each split and language.

    Raises:
        LaftError: a file is missing, unreadable or empty, or the sides of a split have different
            numbers of lines; the message names file, language and remedy.
    """
    if not folder.is_dir():
        raise layout.wrong(f"{folder}: no such folder")
    splits = [(tag, split, layout.paths(folder, split, tag)) for tag in tags for split in SPLITS]
    for tag, _, paths in splits:
        for path in paths:
            if not path.is_file():
                raise layout.wrong(f"{path}: missing ({language(tag)})")
    counts: Counts = {}
    for tag, split, paths in splits:
        lines = [sum(1 for _ in read_lines(path)) for path in paths]
        if 0 in lines:
            raise layout.wrong(f"{paths[lines.index(0)]}: empty ({language(tag)})")
        if len(set(lines)) > 1:
            numbers = ", ".join(f"{p.name} {n:,}" for p, n in zip(paths, lines, strict=True))
            raise layout.wrong(f"{folder}: {split} in {LANGUAGES[tag]} ({tag}) is not aligned, "
                               f"lines: {numbers}")  # fmt: skip
        counts.setdefault(tag, {})[split] = lines[0]
    return counts


def notes(layout: Layout, folder: Path, counts: Counts) -> Iterator[str]:
    """What a person should know of files that can be read, a line each."""
    for tag, splits in counts.items():
        if layout.known and splits != layout.known:
            known = ", ".join(f"{split} {count:,}" for split, count in layout.known.items())
            yield f"{tag}: not {layout.name}'s own counts: {known}"
        path = layout.path(folder, "dev", layout.sides[0], tag)
        lines = list(islice(read_lines(path), SAMPLE))
        cased = sum(line != line.lower() for line in lines)
        if cased:
            yield f"{tag}: {path.name} is not lower-cased: {cased:,} of {len(lines):,} lines"
        if tag == "fr_XX" and not any(re.search("[à-ÿœ]", line) for line in lines):
            yield f"{tag}: {path.name} has no accents, unlike the text that mBART has read"
