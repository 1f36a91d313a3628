"""Where the language tags of a folder stand: `tag-layout.txt` beside `dict.txt`."""

from __future__ import annotations

from pathlib import Path

from text_files import DataError, read_lines

NAME = "tag-layout.txt"
LAYOUTS = ("suffix", "prefix")  # after the text, as without the file, or before it


def tag_layout(folder: Path) -> str:
    """The folder's layout; DataError for a word that names none."""
    file = folder / NAME
    word = " ".join(read_lines(file)).strip() if file.is_file() else LAYOUTS[0]
    if word not in LAYOUTS:
        raise DataError(f"{file}: {word!r} is no tag layout: write {' or '.join(LAYOUTS)}")
    return word


def check(out: Path, wanted: str) -> None:
    """Refuse a data folder that texts of another layout have filled."""
    if (out / "dict.txt").is_file() and tag_layout(out) != wanted:
        raise DataError(f"{out}: its tag layout is not {wanted}: use another --out")
