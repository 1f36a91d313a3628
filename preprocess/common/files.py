"""Files of the data tools: text and TSV, plain or compressed, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.files import MAX_TEXT_BYTES, lines, replacing


def read_lines(
    path: Path, columns: Sequence[int] = (), max_bytes: int = MAX_TEXT_BYTES
) -> Iterator[str]:
    """Yield the lines of a text file (laft_fairseq/files.py), none longer than a text may be."""
    return lines(path, columns, max_bytes)


def read_tsv(path: Path, columns: int) -> Iterator[list[str]]:
    """Yield rows of exactly `columns` tab-separated fields."""
    for number, line in enumerate(read_lines(path), 1):
        row = line.split("\t")
        if len(row) != columns:
            raise LaftError(f"{path}: line {number} has {len(row)} columns, not {columns}")
        yield row


def write_lines(path: Path, lines: Iterable[str], preset: int = 9 | lzma.PRESET_EXTREME) -> int:
    """Write lines to a file, compressed if its name ends in `.xz`; return their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with (
        replacing(path) as temporary,
        lzma.open(temporary, "wt", encoding="utf-8", newline="\n", preset=preset)
        if path.suffix == ".xz"
        else temporary.open("w", encoding="utf-8", newline="\n") as handle,
    ):
        for line in lines:
            handle.write(f"{line}\n")
            count += 1
    return count


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file that these tools wrote."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise LaftError(f"{path}: not readable as JSON ({error}): delete it") from error


def others_of_its_name(path: Path) -> str:
    """Words that name the files beside a missing one with its name and another ending, if any."""
    stem = re.split(r"\.(?:tsv|txt)\b", path.name)[0]
    folder = path.parent.iterdir() if path.parent.is_dir() else ()
    names = sorted(other.name for other in folder if other.name.startswith(f"{stem}."))
    return f" ({', '.join(names)} is there, and not read in its place)" if names else ""


def sha256(path: Path) -> str:
    """A file's SHA-256, in hexadecimal; a folder's is that of its files' names and hashes."""
    if path.is_dir():
        entries = "".join(f"{file.name} {sha256(file)}\n" for file in sorted(path.iterdir()))
        return hashlib.sha256(entries.encode()).hexdigest()
    if not path.is_file():
        raise LaftError(f"{path}: no such file{others_of_its_name(path)}")
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(path: Path) -> str:
    """The first 16 hexadecimal digits of a file's SHA-256."""
    return sha256(path)[:16]


def provenance_path(out: Path) -> Path:
    """The JSON file beside an output that records what made it."""
    return out.with_name(f"{out.name}.provenance.json")


def difference(now: dict[str, Any], before: dict[str, Any]) -> str:
    """The first setting in which two runs differ, as words; empty if there is none."""
    for key, value in now.items():
        if before.get(key) != value:
            return f"{key.replace('_', ' ')} was {before.get(key)!r}, now is {value!r}"
    return ""


def is_up_to_date(out: Path, settings: dict[str, Any], resuming: bool = False) -> bool:
    """Whether an output exists, was made with these settings and is unchanged since.

    Its provenance holds the settings and `output_sha256`; a run that is resumed may lack it.

    Raises:
        LaftError: it exists, but was made otherwise or changed, or is to be `.gz`.
    """
    path = provenance_path(out)
    if out.suffix == ".gz":
        raise LaftError(f"{out}: output is plain or .xz; give it another name")
    if not out.exists() or (resuming and not path.is_file()):
        return False
    if not path.is_file():
        raise LaftError(f"{out} is there, without {path.name}: name another --out")
    provenance = read_json(path)
    if changed := difference(settings, provenance):
        raise LaftError(f"{out} is there already: {changed}; name another --out")
    if provenance["output_sha256"] != sha256(out):
        raise LaftError(f"{out} is not what {path.name} records: delete both")
    return True
