"""Texts in columns: TSV, CSV, JSON, Parquet, and folders that `datasets` has saved.

Columns are found by name, or in a TSV without a header row by number. CSV and JSON are read without
pandas, which would make numbers or missing values of texts such as `007` and `NA`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.files import MAX_LINE_BYTES, MAX_TEXT_BYTES
from preprocess.common.files import read_lines
from preprocess.common.formats import is_header, look_at, refuse_other_formats
from preprocess.common.text import squeeze

JSON = (".jsonl", ".ndjson", ".json")
BINARY = (".parquet", "folder")
FORMATS = (".tsv", ".csv", *JSON, ".parquet")
USUAL = {1: ["text"], 2: ["source", "target"]}  # names of as many columns, where none are given
DELIMITERS = ",;\t"  # of CSV: the first that the header row has
STATE = "state.json"  # of a folder that `datasets` has saved

Record = tuple[int, dict[str, Any]]  # with its number, or the number of its last line


def format_of(path: Path) -> str:
    """The ending that tells a table's format; `folder`; or "" for plain text."""
    if path.is_dir():
        return "folder"
    return next((ending for ending in path.suffixes if ending in FORMATS), "")


@dataclass
class Table:
    """Columns of a file, or the lines of a plain text as its only column.

    Attributes:
        path: of a file, plain or compressed, or of a folder.
        names: of the columns; None: the usual ones, or the only one that there is.
        numbers: of the columns of a TSV, from 1, where nothing names them.
        exact: whether a TSV without a header row has these columns alone, and may have blank lines.
        remark: what the file is besides its texts, such as a header row.
    """

    path: Path
    names: Sequence[str | None]
    numbers: Sequence[int] = (1,)
    exact: bool = False
    remark: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.format = format_of(self.path)
        self.header, self.quoted, self.may_be_blank = False, False, self.exact
        if self.format == "":
            refuse_other_formats(self.path)
        elif self.format == ".tsv":
            self._look_at_tsv()

    def _look_at_tsv(self) -> None:
        """Find the columns of a TSV, and what it is besides its texts."""
        first = next((line for line in read_lines(self.path) if line.strip()), "")
        held = [name.strip().strip('"') for name in first.split("\t")]
        usual = set(USUAL[len(self.names)])
        is_usual = usual <= set(held) and (len(usual) > 1 or all(map(is_header, held)))
        numbers = self.numbers
        if any(self.names) or is_usual:
            numbers = [held.index(name) + 1 for name in self._choose(held)]
        found = look_at(self.path, numbers)
        self.header, self.quoted = bool(found.header) or any(self.names), bool(found.quoted)
        if self.header:
            self.exact, self.numbers = numbers is self.numbers and self.exact, numbers
        remarks = [found.header and f"{found.header}, and no text",
                   found.quoted and f"{found.quoted}, and read so"]  # fmt: skip
        self.remark = "; ".join(filter(None, remarks))

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of each row, or of its line, and the texts of the columns, on one line.

        Raises:
            LaftError: the file is damaged, or lacks a column.
        """
        if self.format == "":
            for number, line in enumerate(read_lines(self.path), 1):
                yield number, [line]
        elif self.format == ".tsv":
            yield from self._tsv_rows()
        else:
            chosen: list[str] = []
            for number, record in records(self.path):
                chosen = chosen or self._choose(list(record))
                where = f"{self.path}: {'line' if self.format == '.csv' else 'record'} {number}"
                yield number, [_text(record, name, where) for name in chosen]

    def _tsv_rows(self) -> Iterator[tuple[int, list[str]]]:
        header, most = self.header, max(self.numbers)
        split = enumerate((line.split("\t") for line in read_lines(self.path)), 1)
        for number, row in _csv_rows(self.path, "\t", False) if self.quoted else split:
            is_blank = not any(map(str.strip, row))
            if header and not is_blank:
                header = False
            elif is_blank and self.may_be_blank:
                yield number, [""] * len(self.numbers)
            elif len(row) < most or (self.exact and len(row) > most):
                remedy = ": a line is source, tab, target" if self.exact else "; see --columns"
                raise LaftError(
                    f"{self.path}: line {number} has {len(row)} column{'s' * (len(row) > 1)}, not "
                    f"{most}{remedy}"
                )
            else:
                yield number, [row[column - 1] for column in self.numbers]

    def _choose(self, held: list[str]) -> list[str]:
        """The columns among those that the table has.

        Raises:
            LaftError: one is not there, or several could be meant.
        """
        usual, count = USUAL[len(self.names)], len(self.names)
        options = " and ".join(["--source-column", "--target-column"][:count])
        names = [name for name in self.names if name]
        if not names and set(usual) <= set(held):
            names = usual
        elif (
            not names and len(held) == count == 1 and (self.format != ".csv" or is_header(held[0]))
        ):
            names = held
        if len(names) < count:
            raise LaftError(
                f"{self.path}: its columns are {', '.join(held)}: name what is to be read "
                f"{' and '.join(usual)}, or give {options}"
            )
        for name in names:
            if held.count(name) != 1:
                amount = "several columns" if name in held else "no column"
                raise LaftError(f"{self.path}: {amount} {name!r}; it has {', '.join(held)}")
        return names


def _text(record: dict[str, Any], name: str, where: str) -> str:
    """The text of a column on one line; "" where there is none.

    Raises:
        LaftError: there is something else, or no text that can be written.
    """
    value = record.get(name)
    if value is None and name in record:
        return ""
    if not isinstance(value, str):
        kind = type(value).__name__ if name in record else "missing"
        raise LaftError(f"{where}: {name!r} is {kind}, not a text")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise LaftError(f"{where}: {name!r} holds half a surrogate pair, and no text") from None
    if size > MAX_TEXT_BYTES:
        raise LaftError(f"{where}: {name!r} is longer than {MAX_TEXT_BYTES >> 20} MiB")
    return squeeze(value)


def records(path: Path) -> Iterator[Record]:
    """Yield the records of a table that has names, which a TSV may lack.

    Raises:
        LaftError: it cannot be read; names the line or the record.
    """
    kind = format_of(path)
    if kind == ".csv":
        yield from _csv_records(path)
    elif kind in JSON:
        for number, value in enumerate(_json_values(path), 1):
            if not isinstance(value, dict):
                raise LaftError(f"{path}: record {number} is no JSON object")
            yield number, value
    else:
        yield from _arrow_records(path)


def _csv_rows(path: Path, delimiter: str, may_span: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file, with the number of each one's last line."""
    csv.field_size_limit(MAX_TEXT_BYTES)
    lines = (f"{line}\n" for line in read_lines(path, max_bytes=MAX_LINE_BYTES))
    reader, before = csv.reader(lines, delimiter=delimiter, strict=True), 0
    try:
        for row in reader:
            if reader.line_num - before > 1 and not may_span:
                raise csv.Error("a quoted field that goes on in the next line")
            before = reader.line_num
            yield before, row
    except csv.Error as error:
        raise LaftError(
            f"{path}: line {reader.line_num} is not quoted as CSV is ({error})"
        ) from None


def _csv_records(path: Path) -> Iterator[Record]:
    first = next(iter(read_lines(path)), "")
    delimiter = next((mark for mark in DELIMITERS if mark in first), DELIMITERS[0])
    rows = (row for row in _csv_rows(path, delimiter, True) if row[1])
    _, header = next(rows, (0, []))
    for number, row in rows:
        if len(row) != len(header):
            raise LaftError(f"{path}: line {number} has {len(row)} columns, not {len(header)}")
        yield number, dict(zip(map(str.strip, header), row, strict=True))


def _json_values(path: Path) -> Iterator[Any]:
    """Yield the values of JSON lines, or of the list in whole JSON; None for what is no JSON."""
    lines = read_lines(path, max_bytes=MAX_LINE_BYTES)
    if format_of(path) == ".json":
        text = "\n".join(lines)
        content = _parsed(text)
        if isinstance(content, dict) and isinstance(content.get("data"), list):
            content = content["data"]
        if isinstance(content, list):
            return iter(content)
        lines = iter(text.split("\n"))  # JSON lines by another name
    return map(_parsed, filter(str.strip, lines))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _arrow_records(path: Path) -> Iterator[Record]:
    """Yield the records of a Parquet file, or of a folder that `datasets` has saved."""
    try:
        from pyarrow import ArrowException, ipc, memory_map, parquet
    except ImportError:
        raise LaftError(
            f"{path}: pyarrow, which reads it, is not installed: pip install '.[data]' in the "
            "repository"
        ) from None
    number = 0
    try:
        for file in data_files(path):
            with memory_map(str(file)) as source:
                is_parquet = file.suffix == ".parquet"
                table = parquet.ParquetFile(source) if is_parquet else ipc.open_stream(source)
                for batch in table.iter_batches() if is_parquet else table:
                    for record in batch.to_pylist():
                        number += 1
                        yield number, record
    except (ArrowException, OSError) as error:
        reason = str(error).split("\n")[0]
        raise LaftError(f"{path}: damaged after record {number} ({reason})") from None


def data_files(path: Path) -> list[Path]:
    """The files that hold the records of a file or of a folder.

    Raises:
        LaftError: a folder that `datasets` has not saved, or of several splits.
    """
    if not path.is_dir():
        return [path]
    if (path / "dataset_dict.json").is_file():
        splits = sorted(folder.name for folder in path.iterdir() if folder.is_dir())
        raise LaftError(f"{path}: has the splits {', '.join(splits)}; name one of these folders")
    try:
        state = json.loads((path / STATE).read_text("utf-8"))
        files = [path / Path(entry["filename"]).name for entry in state["_data_files"]]
        if not files or state.get("_indices_data_files"):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise LaftError(
            f"{path}: no folder that `Dataset.save_to_disk` of today's datasets has written"
        ) from None
    return files
