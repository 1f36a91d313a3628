"""Compressed text: how it is opened, and what is said of a file whose name does not tell."""

import gzip
import lzma
import zlib
from typing import Any

OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
DAMAGED = (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)  # what they raise
MAGIC = {b"\x1f\x8b": ".gz", b"\xfd7zXZ\x00": ".xz"}  # first bytes


def not_utf8(number: int, line: bytes) -> str:
    """What is wrong with a line, counted from 1, that cannot be decoded: encoding or file name."""
    kind = next((suffix for magic, suffix in MAGIC.items() if line.startswith(magic)), "")
    if number == 1 and kind:
        return f"compressed, and not text: let its name end in {kind}"
    return f"line {number} is not UTF-8; convert it with iconv"
