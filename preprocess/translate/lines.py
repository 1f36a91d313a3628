"""What of a file is sent to an engine, a line each, and how the translations get back into place.

A file's *row* is one line of it; its *cells* are the columns to translate, or the whole row of a
plain text. A cell's paragraphs, parted by ` ⏎ `, are sent as lines of their own, so that the engine
never sees the mark; blank paragraphs are not sent.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from text_files import XZ_FILTERS, DataError, read_lines

_MARK = re.compile(r"(\s*⏎\s*)")
_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029⏎]+")


@dataclass
class Counts:
    """What came back; `first_empty` is the row, counted from 1, of the first empty translation."""

    rows: int = 0
    empty: int = 0
    unchanged: int = 0
    first_empty: int | None = None


def read_rows(path: Path, columns: list[int] | None) -> Iterator[list[str]]:
    """The rows as lists of cells; with `columns` (from 1) each row must have as many.

    Raises:
        DataError: the file is missing or unreadable, or a row is too short.
    """
    for number, line in enumerate(read_lines(path), 1):
        row = [line] if columns is None else line.split("\t")
        if columns is not None and len(row) < max(columns):
            raise DataError(f"{path}: line {number} has {len(row)} columns, not {max(columns)}")
        yield row


def wanted_cells(columns: list[int] | None) -> list[int]:
    """The indices in a row of what is to be translated."""
    return [0] if columns is None else [number - 1 for number in columns]


def sendable(text: str) -> str:
    """A paragraph as the engine gets it: on one line, without control characters around it."""
    return _UNWANTED.sub(" ", text).strip()


def lines_of(row: list[str], columns: list[int] | None) -> Iterator[str]:
    """The lines that a row sends to the engine, in order."""
    for index in wanted_cells(columns):
        yield from filter(None, map(sendable, _MARK.split(row[index])[::2]))


def put_back(
    row: list[str], columns: list[int] | None, translated: Iterator[str], counts: Counts
) -> str:
    """The row as a line of the output, its lines replaced by the next ones of `translated`."""
    row = list(row)
    counts.rows += 1
    for index in wanted_cells(columns):
        parts = _MARK.split(row[index])
        for place in range(0, len(parts), 2):
            sent = sendable(parts[place])
            if not sent:
                continue
            parts[place] = sendable(next(translated))
            counts.unchanged += parts[place] == sent
            if not parts[place]:
                counts.empty += 1
                counts.first_empty = counts.first_empty or counts.rows
        row[index] = "".join(parts)
    return "\t".join(row)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines under a temporary name, `.xz` compressed, and rename."""
    partial = path.with_name(f".{path.name}.part")
    with (
        lzma.open(partial, "wt", encoding="utf-8", newline="\n", filters=XZ_FILTERS)
        if path.suffix == ".xz"
        else partial.open("w", encoding="utf-8", newline="\n")
    ) as handle:
        handle.writelines(line + "\n" for line in lines)
    partial.replace(path)
