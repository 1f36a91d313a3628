"""Binarised splits: where they lie, whether they are complete, and how they get there."""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from laft_fairseq.errors import LaftError

MAGIC = b"MMIDIDX\x00\x00"


@dataclass
class Split:
    """One split of one language; `stamp` tells what it was made from."""

    name: str
    kind: str  # pairs or mono
    folder: Path
    stamp: str
    lines: int = 0
    empty: int = 0

    def suffixes(self) -> tuple[str, ...]:
        """Of its sides' files."""
        return (".src", ".tgt") if self.kind == "pairs" else ("",)

    def files(self) -> list[str]:
        """The names of its binary files."""
        stem = f"{self.name}.src-tgt" if self.kind == "pairs" else self.name
        return [f"{stem}{suffix}.{end}" for suffix in self.suffixes() for end in ("bin", "idx")]

    def stamp_path(self) -> Path:
        """The file that says from what the split was made."""
        return self.folder / f".{self.name}.{self.kind}.stamp"

    def is_complete(self) -> bool:
        """Whether the split lies in place and was made from the same input."""
        path = self.stamp_path()
        if not path.is_file() or path.read_text().strip() != self.stamp:
            return False
        return all((self.folder / name).is_file() for name in self.files())


def count_items(index: Path) -> int:
    """The number of items that fairseq's `.idx` file declares."""
    with index.open("rb") as handle:
        header = handle.read(len(MAGIC) + 17)
    if len(header) < len(MAGIC) + 17 or not header.startswith(MAGIC):
        raise LaftError(f"{index}: not an index of fairseq's mmap format")
    return int(struct.unpack("<QBQ", header[len(MAGIC) :])[2])


def install(split: Split, folder: Path) -> None:
    """Check that nothing was lost, move a split's files into place, and stamp it last.

    Args:
        split: encoded, so that its lines are counted.
        folder: where `fairseq-preprocess` wrote.

    Raises:
        LaftError: a file has another number of items than the split has lines.
    """
    for name in split.files()[1::2]:
        if (items := count_items(folder / name)) != split.lines:
            raise LaftError(f"{name}: {items} items of {split.lines} lines")
    split.folder.mkdir(parents=True, exist_ok=True)
    split.stamp_path().unlink(missing_ok=True)
    for name in split.files():
        shutil.move(folder / name, split.folder / f"{name}.part")
        (split.folder / f"{name}.part").replace(split.folder / name)
    split.stamp_path().write_text(f"{split.stamp}\n")
    empty = f" ({split.empty} empty texts kept)" if split.empty else ""
    print(f"binarize: {split.folder} {split.name} {split.kind}: {split.lines:,} lines{empty}")
