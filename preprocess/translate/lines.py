"""What of a file is sent to an engine, a line each, and how the translations get back into place.

A file's *row* is one line of it; its *cells* are the columns to translate, or the whole row of a
plain text. A cell's paragraphs, parted by ` ⏎ `, are sent as lines of their own, so that the engine
never sees the mark; blank paragraphs are not sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from laft_fairseq.errors import LaftError
from preprocess.common.files import read_lines

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
    """The rows as lists of cells.

    Args:
        path: of the file.
        columns: to translate, counted from 1; None: the file is plain text.
    """
    for number, line in enumerate(read_lines(path), 1):
        row = line.split("\t") if columns else [line]
        if columns and len(row) < max(columns):
            raise LaftError(f"{path}: line {number} has {len(row)} columns, not {max(columns)}")
        yield row


def lines_to_send(path: Path, columns: list[int] | None) -> Iterator[str]:
    """The lines that are sent to the engine."""
    for row in read_rows(path, columns):
        for column in columns or [1]:
            yield from filter(None, map(sendable, _MARK.split(row[column - 1])[::2]))


def translated_rows(
    path: Path, columns: list[int] | None, translations: Iterator[str], counts: Counts
) -> Iterator[str]:
    """The rows as lines of the output, each line that was sent replaced by the next translation."""
    for row in read_rows(path, columns):
        counts.rows += 1
        for column in columns or [1]:
            parts = _MARK.split(row[column - 1])
            for place in range(0, len(parts), 2):
                if sent := sendable(parts[place]):
                    parts[place] = sendable(next(translations))
                    counts.unchanged += parts[place] == sent
                    if not parts[place]:
                        counts.empty += 1
                        counts.first_empty = counts.first_empty or counts.rows
            row[column - 1] = "".join(parts)
        yield "\t".join(row)


def sendable(text: str) -> str:
    """A paragraph as the engine gets it: on one line, without control characters around it."""
    return _UNWANTED.sub(" ", text).strip()
