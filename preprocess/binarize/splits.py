"""Binarised splits: where they lie, whether they are complete, and how they get there."""

from __future__ import annotations

import json
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
    folder: str
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
        return Path(self.folder) / f".{self.name}.{self.kind}.stamp"

    def is_complete(self) -> bool:
        """Whether the split lies in place and was made from the same input."""
        path = self.stamp_path()
        if not path.is_file() or path.read_text().strip() != self.stamp:
            return False
        return all((Path(self.folder) / name).is_file() for name in self.files())


def count_items(index: Path) -> int:
    """The number of items that fairseq's `.idx` file declares."""
    with index.open("rb") as handle:
        header = handle.read(len(MAGIC) + 17)
    if len(header) < len(MAGIC) + 17 or not header.startswith(MAGIC):
        raise LaftError(f"{index}: not an index of fairseq's mmap format")
    return int(struct.unpack("<QBQ", header[len(MAGIC) :])[2])


def install(work: Path) -> None:
    """Check that nothing was lost, move the files of `WORK/bin` into place, and stamp them last."""
    for entry in json.loads((work / "plan.json").read_text()):
        split = Split(**entry)
        for name in split.files()[1::2]:
            if (items := count_items(work / "bin" / name)) != split.lines:
                raise LaftError(f"{name}: {items} items of {split.lines} lines")
        folder = Path(split.folder)
        folder.mkdir(parents=True, exist_ok=True)
        split.stamp_path().unlink(missing_ok=True)
        for name in split.files():
            shutil.move(work / "bin" / name, folder / f"{name}.part")
            (folder / f"{name}.part").replace(folder / name)
        split.stamp_path().write_text(f"{split.stamp}\n")
        empty = f" ({split.empty} empty texts kept)" if split.empty else ""
        print(f"binarize: {folder} {split.name} {split.kind}: {split.lines:,} lines{empty}")
