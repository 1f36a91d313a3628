"""Binarised splits: where they lie, whether they are complete, and how they get there."""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from laft_fairseq.errors import LaftError
from laft_fairseq.files import replacing

INDEX_HEADER = struct.Struct("<9sQBQ")  # magic, version, dtype, number of items


@dataclass
class Split:
    """One split of one language; `stamp` tells what it was made from."""

    name: str
    kind: str  # pairs or mono
    folder: Path
    stamp: str
    lines: int = 0
    empty: int = 0

    def __post_init__(self) -> None:
        self.stamp_path = self.folder / f".{self.name}.{self.kind}.stamp"
        self.lock_path = self.folder / f".{self.name}.{self.kind}.lock"
        self.suffixes = (".src", ".tgt") if self.kind == "pairs" else ("",)  # of its sides' texts
        stem = f"{self.name}.src-tgt" if self.kind == "pairs" else self.name
        self.files = [f"{stem}{suffix}.{end}" for suffix in self.suffixes for end in ("bin", "idx")]

    def is_complete(self) -> bool:
        """Whether the split lies in place and was made from the same input."""
        if not self.stamp_path.is_file() or self.stamp_path.read_text().strip() != self.stamp:
            return False
        return all((self.folder / name).is_file() for name in self.files)


def install(split: Split, folder: Path) -> None:
    """Check that nothing was lost, move a split's files into place, and stamp it last.

    Args:
        split: encoded, so that its lines are counted.
        folder: where `fairseq-preprocess` wrote.
    """
    for name in split.files[1::2]:
        with (folder / name).open("rb") as index:
            items = INDEX_HEADER.unpack(index.read(INDEX_HEADER.size))[3]
        if items != split.lines:
            raise LaftError(f"{name}: {items} items of {split.lines} lines")
    split.folder.mkdir(parents=True, exist_ok=True)
    split.stamp_path.unlink(missing_ok=True)
    for name in split.files:
        with replacing(split.folder / name) as temporary:  # in another file system, it may be
            shutil.move(folder / name, temporary)
    split.stamp_path.write_text(f"{split.stamp}\n")
    empty = f" ({split.empty} empty texts kept)" if split.empty else ""
    print(f"binarize: {split.folder} {split.name} {split.kind}: {split.lines:,} lines{empty}")
