"""Languages that the backbone never saw: their list in the data-bin, their share of `<unk>`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from text_files import DataError, read_lines
from vocabulary import known_languages

FILE = "new-langs.txt"
WARNED, REFUSED = 0.1, 0.5  # shares of the characters that are <unk>
LINES = 100_000  # of a text are looked at
WORD_START = "\u2581"  # sentencepiece's mark


def agreed(option: str | None, langs: Path | None, out: Path) -> list[str]:
    """The new languages of the folder: those in `OUT/new-langs.txt`, to which more may be added.

    Raises:
        DataError: one is the backbone's or listed twice, or they differ from the folder's.
    """
    given = [tag.strip() for tag in (option or "").split(",") if tag.strip()]
    known, where = known_languages(langs)
    for place, tag in enumerate(given):
        if tag in known:
            raise DataError(f"--new-langs: {tag} is a language of {where}; leave it out")
        if tag in given[:place]:
            raise DataError(f"--new-langs: {tag} is listed twice")
    path = out / FILE
    held = [line for line in read_lines(path) if line] if path.is_file() else []
    shared = min(len(given), len(held))
    if given[:shared] != held[:shared]:
        raise DataError(
            f"{path} says {','.join(held)}, --new-langs {','.join(given)}: keep its order and add "
            "at the end, or use another --out"
        )
    return max(given, held, key=len)


def write(tags: list[str], out: Path) -> None:
    """Write `OUT/new-langs.txt`, where there are any."""
    if tags:
        partial = out / f"{FILE}.part"
        partial.write_text("".join(f"{tag}\n" for tag in tags), encoding="utf-8")
        partial.replace(out / FILE)


def report_unknown(model: Any, encoded: Path, lang: str, what: str) -> str:
    """A line on what of a new language's text became `<unk>`, or bytes; its first lines are read.

    Counted in characters, as sentencepiece makes one `<unk>` of a run of foreign letters, and
    writes a word's beginning as a piece of its own before it.

    Raises:
        DataError: most is unknown: the backbone has no pieces for this script.
    """
    characters = unknown = pieces = written_as_bytes = 0
    for line in islice(read_lines(encoded), LINES):
        for piece, piece_id in zip(words := line.split(), model.piece_to_id(words), strict=True):
            is_byte = model.is_byte(piece_id)
            length = 1 if is_byte else len(piece.replace(WORD_START, ""))
            characters += length
            unknown += length * (piece_id == model.unk_id())
            written_as_bytes += is_byte
        pieces += len(words)
    share = unknown / max(characters, 1)
    said = f"{lang} {what}: {100 * share:.1f} % of {characters:,} characters are <unk>"
    if share > REFUSED:
        raise DataError(f"{said}; the sentencepiece model lacks this script")
    said += f", {100 * written_as_bytes / max(pieces, 1):.1f} % of {pieces:,} pieces are bytes"
    if share > WARNED:
        return f"binarize: warning: {said}; text with <unk> cannot be learned"
    return f"binarize: {said}"
