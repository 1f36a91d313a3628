"""Helpers of the data tools: text and TSV files (plain, gz or xz), shingles, a stable hash."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

PARAGRAPH = " ⏎ "
# As laft_fairseq/scoring/compressed.py has them, which a bare python3 (ddtp.sh) has not.
OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
MAGIC = {b"\x1f\x8b": ".gz", b"\xfd7zXZ\x00": ".xz"}  # first bytes
XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"\w+")


class DataError(Exception):
    """Input that cannot be used; the message is one line that names the file."""


def refuse_gzip(path: Path) -> None:
    """Output is plain or `.xz`: a name that promises gzip would not be read again.

    Raises:
        DataError: names it.
    """
    if path.suffix == ".gz":
        raise DataError(f"{path}: output is plain or .xz; give it another name")


def one_line(error: DataError | OSError) -> str:
    """What went wrong, the file first."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressing `.gz` and `.xz`."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    opener = OPENERS.get(path.suffix)
    return path.open("rb") if opener is None else io.BufferedReader(opener(path, "rb"))


def not_utf8(path: Path, number: int, line: bytes) -> DataError:
    """What a line that cannot be decoded says of its file: its encoding, or its name, is wrong."""
    kind = next((suffix for magic, suffix in MAGIC.items() if line.startswith(magic)), "")
    if number == 1 and kind:
        return DataError(f"{path}: compressed, and not text: let its name end in {kind}")
    return DataError(f"{path}: line {number} is not UTF-8; convert it with iconv")


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their line ends; a byte order mark goes.

    Only `\\n` ends a line. Each is decoded by itself, so that its number is known.

    Raises:
        DataError: the file is missing, damaged, or a line of it is not UTF-8.
    """
    number, line = 0, b""
    try:
        with open_bytes(path) as handle:
            for number, line in enumerate(handle, 1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                yield line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise not_utf8(path, number, line) from error
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise DataError(f"{path}: unreadable near line {number + 1} ({error})") from error


def read_tsv(path: Path, columns: int) -> Iterator[list[str]]:
    """Yield rows of exactly `columns` tab-separated fields."""
    for number, line in enumerate(read_lines(path), 1):
        row = line.split("\t")
        if len(row) != columns:
            raise DataError(f"{path}: line {number} has {len(row)} columns, not {columns}")
        yield row


def write_xz(path: Path, lines: Iterable[str]) -> int:
    """Write lines to an xz file under a temporary name, rename it, return the number of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    count = 0
    with lzma.open(partial, "wt", encoding="utf-8", newline="\n", filters=XZ_FILTERS) as handle:
        for line in lines:
            handle.write(line + "\n")
            count += 1
    partial.replace(path)
    return count


def han_share(text: str) -> float:
    """The share of CJK characters among all letters and digits."""
    letters = sum(character.isalnum() for character in text)
    return len(_CJK.findall(text)) / letters if letters else 0.0


def is_cjk(text: str) -> bool:
    """Whether a text is to be compared by characters rather than by words."""
    return han_share(text) > 0.3


def shingles(text: str) -> set[str]:
    """Runs of 8 words, or of 16 characters in a CJK text; a shorter text is its own shingle."""
    text = text.lower()
    units: Sequence[str]
    if is_cjk(text):
        units, size, glue = "".join(_WORD.findall(text)), 16, ""
    else:
        units, size, glue = _WORD.findall(text), 8, " "
    if not units:
        return set()
    return {glue.join(units[i : i + size]) for i in range(max(1, len(units) - size + 1))}


def stable_hash(*parts: str) -> int:
    """A 64-bit hash that is the same on every machine and in every run."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big")
