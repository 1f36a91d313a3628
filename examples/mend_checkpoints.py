"""Whole checkpoints in place of those that a kill cut short while they were copied.

    python -m examples.mend_checkpoints FOLDER

fairseq copies the newest numbered checkpoint to `checkpoint_best.pt` and `checkpoint_last.pt`; of a
zip file that was cut short the directory at its end is missing.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path


def has_optimizer_state(checkpoint: Path) -> bool:
    """Whether a run can go on from it: the best checkpoint is kept without Adam's states."""
    with zipfile.ZipFile(checkpoint) as file:
        names = [name for name in file.namelist() if name.split("/")[-1] == "data.pkl"]
        return any(b"last_optimizer_state" in file.read(name) for name in names)


def mend(folder: Path) -> None:
    """Remove what was cut short in a folder, and put the newest whole checkpoint in its place.

    A training that is started again in the folder then goes on from that checkpoint, or begins
    anew if there is none.
    """
    best, last = folder / "checkpoint_best.pt", folder / "checkpoint_last.pt"
    numbered = sorted(folder.glob("checkpoint_*_*.pt"), key=lambda path: path.stat().st_mtime)
    whole = [path for path in numbered if zipfile.is_zipfile(path)]
    for path in {*numbered} - {*whole}:
        path.unlink()
    if best.exists() and not zipfile.is_zipfile(best):  # it was the newest that was being copied
        best.unlink()
        if whole:
            partial = best.with_name(f"{best.name}.part")
            shutil.copyfile(whole[-1], partial)
            partial.replace(best)
    if last.exists() and not zipfile.is_zipfile(last):
        last.unlink()
    if last.exists():
        return
    if whole:
        whole[-1].replace(last)
    elif best.exists() and has_optimizer_state(best):
        partial = last.with_name(f"{last.name}.part")
        shutil.copyfile(best, partial)
        partial.replace(last)


if __name__ == "__main__":
    mend(Path(sys.argv[1]))
