"""What is no plain text, and what is too little of it, though every line of it can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from laft_fairseq.errors import LaftError
from preprocess.common.files import read_lines

HEAD = 1000  # lines that are looked at
QUOTED_LINES = 5  # from so many on, half of them in quotation marks are CSV's
FEW_TEXTS = 1000
# What columns of such data are called.
HEADER = frozenset(
    "abstract abstracts answer answers article articles author body category claim clean column "
    "completion content context contexts date description dialog dialogue document documents "
    "english evidence french german gold headline headlines highlight highlights hypothesis id "
    "index input inputs instruction keyphrases keywords label lang language name news output "
    "outputs paragraph paragraphs passage prediction prompt query question questions raw ref "
    "reference references response review sentence sentences source sources src story summaries "
    "summary synopsis target targets text texts tgt title titles translation translations trg "
    "url".split()
)
PLAIN = "text is one a line; name a table by its format: .tsv, .csv, .jsonl, .json or .parquet"
_WORD = re.compile(r"[^\W_]+")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')  # as CSV quotes: marks inside are doubled


@dataclass(frozen=True)
class Findings:
    """What the beginning of a file shows, in words; "" for nothing."""

    header: str = ""
    quoted: str = ""


def refuse_other_formats(path: Path) -> None:
    """Refuse CSV, JSON and a header row in a plain text, which would be trained on as if text.

    Raises:
        LaftError: names the line and the remedy.
    """
    if ".xlsx" in path.suffixes:
        raise LaftError(f"{path}: XLSX, which is not read here; {PLAIN}")
    found = look_at(path, [1])
    for words in filter(None, (found.quoted, found.header)):
        raise LaftError(f"{path}: {words}; {PLAIN}")


def look_at(path: Path, columns: Sequence[int]) -> Findings:
    """Return whether a TSV, or a text, begins with a header row, or is quoted as CSV is.

    Args:
        path: a text file, or a TSV.
        columns: of a TSV, counted from 1, those that are read; of another file [1].

    Raises:
        LaftError: it is JSON.
    """
    count, first, certain = 0, 0, ""
    quoted, headers = list[int](), list[tuple[int, str]]()
    for number, line in enumerate(islice(read_lines(path), HEAD), 1):
        row = line.split("\t") if ".tsv" in path.suffixes else [line]
        read = [row[column - 1] for column in columns if column <= len(row)]
        fields = [field.strip() for field in read]
        if not any(fields):
            continue
        count += 1
        first = number if count == 1 else first
        if count == 1 and _is_json(line.strip()):
            raise LaftError(f"{path}: line {number} is JSON; {PLAIN}")
        if all(map(is_header, fields)):
            headers.append((number, ", ".join(fields)))
        marked = [field for field in fields if len(field) > 1 and _QUOTED.fullmatch(field)]
        quoted += [number] * bool(marked)
        if not certain and any('""' in field[1:-1] for field in marked):
            certain = f"line {number} is quoted as in CSV ({marked[0]})"
    if not certain and count >= QUOTED_LINES and 2 * len(quoted) > count:
        certain = f"line {quoted[0]} and most others are quoted as in CSV"
    # as a text it would hardly be the only one
    is_first = len(headers) == 1 and headers[0][0] == first
    return Findings(f"line {first} is a header row ({headers[0][1]})" if is_first else "", certain)


def is_header(field: str) -> bool:
    """Whether a field is what such data's columns are called."""
    words = [word.rstrip("0123456789") for word in _WORD.findall(field.lower())]
    return bool(words) and HEADER.issuperset(words)


def _is_json(line: str) -> bool:
    """Whether a first line is a JSON object, or an array of anything but numbers, or begins one."""
    if line in ("[", "{", "[{"):
        return True
    try:
        value = json.loads(line) if line.startswith(("{", "[")) else None
    except (ValueError, RecursionError):
        return False
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict | list | str)


def few_texts(path: Path, tag: str, count: int) -> str:
    """A warning where a language has hardly enough unlabelled text to learn from, else ""."""
    if count >= FEW_TEXTS:
        return ""
    return (
        f"{path}: language {tag}: {count:,} unlabelled texts are few; with less than "
        f"{FEW_TEXTS:,} neither components nor adapters can be relied on"
    )
