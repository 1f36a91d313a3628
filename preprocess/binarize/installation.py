"""Where binarised text lies, how to tell that it is whole, and how it gets there."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from text_files import DataError

MAGIC = b"MMIDIDX\x00\x00"


@dataclass
class Split:
    """One split of one language; `stamp` tells what it was made from."""

    name: str
    kind: str
    folder: str
    stamp: str
    lines: int = 0
    blank: int = 0

    def stems(self) -> list[str]:
        """The file names without `.bin` and `.idx`."""
        if self.kind == "mono":
            return [self.name]
        return [f"{self.name}.src-tgt.{side}" for side in ("src", "tgt")]

    def stamp_path(self) -> Path:
        """The file that says from what the split was made."""
        return Path(self.folder) / f".{self.name}.{self.kind}.stamp"

    def is_complete(self) -> bool:
        """Whether the split lies in place and was made from the same input."""
        path = self.stamp_path()
        if not path.is_file() or path.read_text().strip() != self.stamp:
            return False
        files = (Path(self.folder) / f"{s}.{e}" for s in self.stems() for e in ("bin", "idx"))
        return all(file.is_file() for file in files)


def digest(path: Path) -> str:
    """A file's SHA-256, shortened."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def count_items(index: Path) -> int:
    """The number of items that fairseq's `.idx` file declares."""
    with index.open("rb") as handle:
        header = handle.read(len(MAGIC) + 17)
    if len(header) < len(MAGIC) + 17 or not header.startswith(MAGIC):
        raise DataError(f"{index}: not an index of fairseq's mmap format")
    return int(struct.unpack("<QBQ", header[len(MAGIC) :])[2])


def install(work: Path) -> None:
    """Check that nothing was lost, move the files into place, and stamp them last."""
    for entry in json.loads((work / "plan.json").read_text()):
        split = Split(**entry)
        for stem in split.stems():
            found = count_items(work / "bin" / f"{stem}.idx")
            if found != split.lines:
                raise DataError(f"{stem}: {found} items of {split.lines} lines")
        folder = Path(split.folder)
        folder.mkdir(parents=True, exist_ok=True)
        split.stamp_path().unlink(missing_ok=True)
        for name in (f"{stem}.{end}" for stem in split.stems() for end in ("bin", "idx")):
            shutil.move(work / "bin" / name, folder / f"{name}.part")
            (folder / f"{name}.part").replace(folder / name)
        split.stamp_path().write_text(f"{split.stamp}\n")
        blank = f" ({split.blank} empty texts kept)" if split.blank else ""
        print(f"binarize: {folder} {split.name} {split.kind}: {split.lines:,} lines{blank}")
