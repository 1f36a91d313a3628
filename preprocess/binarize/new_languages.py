"""Languages that the backbone never saw: their list in the data-bin, their share of `<unk>`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from preprocess.common.files import read_lines, write_lines
from preprocess.common.vocabulary import known_languages

FILE = "new-langs.txt"
WARNED, REFUSED = 0.1, 0.5  # shares of the characters that are <unk>
MAX_LINES = 100_000  # of a text are looked at
WORD_START = "\u2581"  # sentencepiece's mark


def new_languages(option: str | None, langs: Path | None, out: Path) -> list[str]:
    """The new languages of a folder: those in `OUT/new-langs.txt`, to which more may be added.

    Raises:
        LaftError: one is the backbone's or listed twice, or they differ from the folder's.
    """
    given = [tag.strip() for tag in (option or "").split(",") if tag.strip()]
    known, where = known_languages(langs) if given else ([], "")
    for place, tag in enumerate(given):
        if tag in known:
            raise LaftError(f"--new-langs: {tag} is a language of {where}; leave it out")
        if tag in given[:place]:
            raise LaftError(f"--new-langs: {tag} is listed twice")
    path = out / FILE
    listed = [line for line in read_lines(path) if line] if path.is_file() else []
    shared = min(len(given), len(listed))
    if given[:shared] != listed[:shared]:
        raise LaftError(
            f"{path} says {','.join(listed)}, --new-langs {','.join(given)}: keep its order and "
            "add at the end, or use another --out"
        )
    return max(given, listed, key=len)


def write_new_languages(tags: list[str], out: Path) -> None:
    """Write `OUT/new-langs.txt`, where there are any."""
    if tags:
        write_lines(out / FILE, tags)


def report_unknown(model: Any, encoded: Path, lang: str) -> str:
    """A line on how much of a new language's text became `<unk>`, or bytes.

    Counted in characters, as sentencepiece makes one `<unk>` of a run of foreign letters, and
    writes a word's beginning as a subword before it.

    Raises:
        LaftError: most is unknown: the backbone has no subwords for this script.
    """
    characters = unknown = count = in_bytes = 0
    for line in islice(read_lines(encoded), MAX_LINES):
        subwords = line.split()
        for subword, number in zip(subwords, model.piece_to_id(subwords), strict=True):
            is_byte = model.is_byte(number)
            length = 1 if is_byte else len(subword.replace(WORD_START, ""))
            characters += length
            unknown += length * (number == model.unk_id())
            in_bytes += is_byte
        count += len(subwords)
    share = unknown / max(characters, 1)
    text = f"{lang} {encoded.name}: {100 * share:.1f} % of {characters:,} characters are <unk>"
    if share > REFUSED:
        raise LaftError(f"{text}; the sentencepiece model lacks this script")
    text += f", {100 * in_bytes / max(count, 1):.1f} % of {count:,} subwords are bytes"
    if share > WARNED:
        return f"binarize: warning: {text}; text with <unk> cannot be learned"
    return f"binarize: {text}"
