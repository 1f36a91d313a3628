"""The files of XGIGA and XQG as the XNLG project ships them, and the checks before they are read.

A file holds one side of one split in one language, a text a line, tokenised: line i of all sides of
a split belongs to one item. Source: XNLG (Chi et al., AAAI 2020), the repository CZWin32768/XNLG.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from text_files import DataError, read_lines

SPLITS = {"train": "train", "dev": "valid", "test": "test"}  # XNLG's name: ours
LANGUAGES = {"en_XX": ("en", "English"), "fr_XX": ("fr", "French"), "zh_CN": ("zh", "Chinese")}
SAMPLE = 5000  # lines that are looked at for case and accents


@dataclass(frozen=True)
class Layout:
    """One data set: how its files are called and how many lines they have where that is known."""

    name: str
    languages: tuple[str, ...]  # tags
    sides: tuple[str, ...]  # of the source first, the target last
    suffix: str
    known: dict[str, int]  # XNLG's split: items a language

    def path(self, folder: Path, split: str, side: str, tag: str) -> Path:
        """The file of one side, such as `train.x.fr`."""
        return folder / f"{split}.{side}.{LANGUAGES[tag][0]}{self.suffix}"

    def items(self, folder: Path, split: str, tag: str) -> Iterator[tuple[str, ...]]:
        """The sides of each item, in the files' order."""
        sides = [read_lines(self.path(folder, split, side, tag)) for side in self.sides]
        return zip(*sides, strict=True)

    @property
    def remedy(self) -> str:
        """What to do about a file that is missing or wrong."""
        return (
            f"the {self.name} files come from the XNLG project (CZWin32768/XNLG); unpack them anew"
        )


XGIGA = Layout("xgiga", ("en_XX", "fr_XX", "zh_CN"), ("x", "y"), "",
               {"train": 500_000, "dev": 5_000, "test": 5_000})  # fmt: skip
XQG = Layout("xqg", ("en_XX", "zh_CN"), ("e", "a", "q"), ".lc", {})
LAYOUTS = {layout.name: layout for layout in (XGIGA, XQG)}

Counts = dict[str, dict[str, int]]  # tag: XNLG's split: items


def check(layout: Layout, folder: Path, tags: Iterable[str]) -> Counts:
    """Count the items of each split and language.

    Raises:
        DataError: a file is missing, unreadable or empty, or the sides of a split have different
            numbers of lines; the message names file, language and remedy.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; {layout.remedy}")
    paths = {
        (tag, split): [layout.path(folder, split, side, tag) for side in layout.sides]
        for tag in tags
        for split in SPLITS
    }
    for (tag, _), sides in paths.items():
        for path in sides:
            if not path.is_file():
                raise DataError(f"{path}: missing ({LANGUAGES[tag][1]}, {tag}); {layout.remedy}")
    counts: Counts = {}
    for (tag, split), sides in paths.items():
        lines = [sum(1 for _ in read_lines(path)) for path in sides]
        for path, count in zip(sides, lines, strict=True):
            if not count:
                raise DataError(f"{path}: empty ({LANGUAGES[tag][1]}, {tag}); {layout.remedy}")
        if len(set(lines)) > 1:
            told = ", ".join(f"{p.name} {n:,}" for p, n in zip(sides, lines, strict=True))
            raise DataError(
                f"{folder}: {split} in {LANGUAGES[tag][1]} ({tag}) is not aligned, lines: {told}; "
                f"{layout.remedy}"
            )
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
