"""Raw text as users keep it: a text a line, plain or compressed, or columns of a TSV."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.compressed import DAMAGED, OPENERS, not_utf8


def lines(path: str | Path, columns: Sequence[int] = ()) -> Iterator[str]:
    r"""The texts of a UTF-8 file, one a line; only ``\n`` ends a line.

    A carriage return inside a line becomes a space, as ``binarize.sh`` has it.

    Args:
        path: plain, ``.gz`` or ``.xz``; a TSV where ``.tsv`` is among its suffixes.
        columns: of a TSV, counted from 1: each field is a text of its own.

    Raises:
        LaftError: absent, unreadable, not UTF-8, or a row with too few columns.
    """
    path = Path(path)
    if not path.is_file():
        raise LaftError(f"{path}: no such text file")
    fields = columns if ".tsv" in path.suffixes else ()
    number, raw = 0, b""
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as handle:
            for raw in handle:
                number += 1
                if number == 1:
                    raw = raw.removeprefix(codecs.BOM_UTF8)
                line = raw.decode("utf-8").removesuffix("\n").rstrip("\r").replace("\r", " ")
                yield from _fields(line, fields, f"{path}: line {number}") if fields else (line,)
    except UnicodeDecodeError:
        raise LaftError(f"{path}: {not_utf8(number, raw)}") from None
    except DAMAGED as error:
        raise LaftError(f"{path}: damaged near line {number + 1} ({error})") from None


def _fields(line: str, columns: Sequence[int], where: str) -> Iterator[str]:
    row = line.split("\t")
    if len(row) < max(columns):
        raise LaftError(f"{where} has {len(row)} columns, not {max(columns)}; see --columns")
    for column in columns:
        yield row[column - 1]
