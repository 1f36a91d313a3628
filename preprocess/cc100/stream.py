"""A big text read once from its start: through `xz` or `gzip`, as it is, or from stdin."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from text_files import DataError

BLOCK = 2**21
LONGEST_LINE = 2**26
_PIPE = 2**20
# Several threads where the file has several blocks; 65 MiB would do for the highest preset.
_PROGRAMS = {
    b"\xfd7zXZ\0": (["xz", "-dc", "-T0", "-M", "256MiB"], lzma.open),
    b"\x1f\x8b": (["gzip", "-dc"], gzip.open),
}
_SUFFIXES = {".xz": b"\xfd7zXZ\0", ".gz": b"\x1f\x8b"}


class DamagedError(DataError):
    """A file that cannot be decompressed to its end."""


class Stream:
    """The decompressed bytes of a file, by its first bytes xz, gzip or plain; `-` is stdin, plain.

    Args:
        source: a path, or `-`.
        programs: whether to decompress by the programs `xz` and `gzip`, where they are.

    Raises:
        DataError: no such file, or one that is not what its name says.
    """

    def __init__(self, source: str, programs: bool = True) -> None:
        self.name = "standard input" if source == "-" else source
        self.size: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        if source == "-":
            self._file = self._data = sys.stdin.buffer
            return
        path = Path(source)
        if not path.is_file():
            raise DataError(f"{source}: no such file")
        self.size = path.stat().st_size
        self._file = path.open("rb", buffering=0)
        magic = _magic(path, self._file.read(6))
        self._file.seek(0)
        command, reader = _PROGRAMS.get(magic, ([], None))
        if reader is None:
            self._data = self._file
        elif programs and shutil.which(command[0]):
            # The child shares our file's offset: where it stands, we can tell.
            self._process = subprocess.Popen(
                command, stdin=self._file, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                pipesize=_PIPE, start_new_session=True,
            )  # fmt: skip
            assert self._process.stdout is not None
            self._data = self._process.stdout
        else:
            self._data = reader(self._file)

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end only.

        Raises:
            DamagedError: the file is damaged, or ends too early.
        """
        parts: list[bytes] = []
        wanted = size
        try:
            while wanted and (part := self._data.read(wanted)):
                parts.append(part)
                wanted -= len(part)
        except (lzma.LZMAError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DamagedError(self._damaged(str(error))) from error
        if wanted and self._process is not None and self._process.wait():
            assert self._process.stderr is not None
            told = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
            raise DamagedError(self._damaged(told[-1] if told else "the program was ended"))
        self._read += size - wanted
        return b"".join(parts) if len(parts) != 1 else parts[0]

    def _damaged(self, told: str) -> str:
        return f"{self.name}: damaged, or cut off after {self._read:,} bytes of text ({told})"

    def position(self) -> int:
        """How many bytes of the file, as it is stored, were read."""
        return self._read if self.size is None else os.lseek(self._file.fileno(), 0, os.SEEK_CUR)

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        if self.size is not None:
            self._file.close()


def _magic(path: Path, start: bytes) -> bytes:
    """The key into `_PROGRAMS`, empty for plain text."""
    for magic in _PROGRAMS:
        if start.startswith(magic):
            return magic
    if not start:
        raise DataError(f"{path}: empty")
    if path.suffix in _SUFFIXES:
        raise DataError(f"{path}: not an {path.suffix[1:]} file, by its first bytes: get it again")
    return b""


@dataclass
class Place:
    """How far a text was read: whole lines only.

    Attributes:
        bytes: of the text.
        check: CRC-32 of these.
        head, head_check: the same of the first block.
    """

    bytes: int = 0
    check: int = 0
    head: int = 0
    head_check: int = 0

    def advance(self, block: bytes) -> None:
        """Add a block of whole lines."""
        self.bytes += len(block)
        self.check = zlib.crc32(block, self.check)
        if not self.head:
            self.head, self.head_check = self.bytes, self.check

    def as_json(self) -> dict[str, Any]:
        """For the state."""
        return asdict(self)

    def skip(self, stream: Stream) -> Iterator[int]:
        """Read up to here without looking at lines; yields after each block.

        Raises:
            DataError: the text is another one.
        """
        check = done = 0
        while done < self.bytes:
            until = self.head if done < self.head else self.bytes
            block = stream.read(min(BLOCK, until - done))
            done += len(block)
            check = zlib.crc32(block, check)
            at_head = done == self.head and check != self.head_check
            if not block or at_head or (done == self.bytes and check != self.check):
                raise DataError(
                    f"{stream.name}: not the text that was begun with: name another --work"
                )
            yield done


def blocks(stream: Stream) -> Iterator[bytes]:
    """What is left of a stream, in blocks of whole lines; a last line without its end gets one.

    Raises:
        DamagedError: the file is damaged.
        DataError: a line is longer than `LONGEST_LINE`.
    """
    rest = b""
    while chunk := stream.read(BLOCK):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest += chunk
        if len(rest) > LONGEST_LINE:
            raise DataError(f"{stream.name}: a line of over {LONGEST_LINE:,} bytes: is it a text?")
    if rest:
        yield rest + b"\n"
