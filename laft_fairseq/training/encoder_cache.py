"""The frozen encoder's output of each training text, kept on disk, so that epochs share its cost.

A folder holds *parts*, one a process and run: ``part-*.bin`` with the vectors and ``part-*.idx``
with a record for each text. Vectors are written before their record, each record carries a
checksum, and nothing is ever rewritten: a torn or damaged entry is a text that is not there. The
folder may be deleted at any time, during a run too.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import socket
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from laft_fairseq.errors import LaftError

logger = logging.getLogger(__name__)

RECORD = struct.Struct("<16sQII")  # key, first byte, tokens, CRC-32
REFRESH = 5.0  # seconds between looks at what other processes have added
WIDTH = 2  # bytes of a bf16 number


def key_of(tokens: Tensor) -> bytes:
    """(t,) a text's tokens without padding, on the CPU -> its 16-byte name."""
    numbers = tokens.to(torch.int32).contiguous().numpy().tobytes()
    return hashlib.blake2b(numbers, digest_size=16).digest()


@dataclass
class _Part:
    """One file of vectors, open for reading, and how much of its index was read."""

    index: Path
    file: BinaryIO
    read: int = 0


@dataclass(frozen=True)
class _Entry:
    file: BinaryIO
    start: int
    tokens: int
    checksum: int


@dataclass
class EncoderCache:
    """bf16 vectors by text, bounded on disk.

    Args:
        folder: of one backbone and one way of using it; see :func:`folder_of`.
        d: width of a vector.
        limit: bytes that all parts together may take; beyond it nothing is added.

    Raises:
        LaftError: the folder cannot be made or written.
    """

    folder: Path
    d: int
    limit: int
    hits: int = 0
    misses: int = 0
    _entries: dict[bytes, _Entry] = field(default_factory=dict)
    _parts: dict[str, _Part] = field(default_factory=dict)
    _writer: tuple[BinaryIO, BinaryIO] | None = None
    _looked: float = float("-inf")
    _full: bool = False

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LaftError(
                f"{self.folder}: --encoder-cache cannot be made ({error.strerror})"
            ) from None

    def get(self, keys: Sequence[bytes]) -> list[Tensor | None]:
        """(t, d) bf16 vectors of each text, None for one that is not there."""
        found = [self._read(key) for key in keys]
        if any(vectors is None for vectors in found) and self._refresh():
            found = [self._read(key) for key in keys]
        missing = sum(vectors is None for vectors in found)
        self.hits, self.misses = self.hits + len(keys) - missing, self.misses + missing
        return found

    def put(self, keys: Sequence[bytes], vectors: Sequence[Tensor]) -> None:
        """Add what is not there yet; (t, d) of any dtype and device each."""
        for key, text in zip(keys, vectors, strict=True):
            if key not in self._entries and not self._full:
                self._add(key, text)

    def _add(self, key: bytes, text: Tensor) -> None:
        data = text.detach().to("cpu", torch.bfloat16).contiguous().view(torch.int16)
        content = data.numpy().tobytes()
        if self._used() + len(content) + RECORD.size > self.limit:
            self._full = True
            logger.info(
                "%s: full at %.1f GB; other texts are encoded anew", self.folder, self.limit / 1e9
            )
            return
        try:
            vectors, index = self._open_writer()
            start = vectors.tell()
            vectors.write(content)
            vectors.flush()
            index.write(RECORD.pack(key, start, len(text), zlib.crc32(content)))
            index.flush()
        except OSError as error:
            self._full = True
            logger.warning(
                "%s: not written any more (%s); training goes on", self.folder, error.strerror
            )
            return
        own = self._part(Path(index.name))
        if own is not None:
            self._entries[key] = _Entry(own.file, start, len(text), zlib.crc32(content))

    def _open_writer(self) -> tuple[BinaryIO, BinaryIO]:
        if self._writer is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"part-{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
            vectors = (self.folder / f"{name}.bin").open("xb")
            self._writer = vectors, (self.folder / f"{name}.idx").open("xb")
        return self._writer

    def _used(self) -> int:
        """Bytes of all parts that are known of, this process's own always up to date."""
        used = 0
        for part in self._parts.values():
            used += os.fstat(part.file.fileno()).st_size + part.read
        return used

    def _refresh(self) -> bool:
        """Read what was added to the folder since; False where it was looked at just now."""
        if time.monotonic() - self._looked < REFRESH:
            return False
        for index in sorted(self.folder.glob("part-*.idx")):
            part = self._part(index)
            if part is not None:
                self._read_index(part)
        self._looked = time.monotonic()
        return True

    def _part(self, index: Path) -> _Part | None:
        if index.name not in self._parts:
            try:
                file = index.with_suffix(".bin").open("rb", buffering=0)
            except OSError:
                return None  # deleted in between
            self._parts[index.name] = _Part(index, file)
        return self._parts[index.name]

    def _read_index(self, part: _Part) -> None:
        try:
            with part.index.open("rb") as file:
                file.seek(part.read)
                content = file.read()
        except OSError:
            return
        whole = len(content) - len(content) % RECORD.size
        for key, start, tokens, checksum in RECORD.iter_unpack(content[:whole]):
            self._entries.setdefault(key, _Entry(part.file, start, tokens, checksum))
        part.read += whole

    def _read(self, key: bytes) -> Tensor | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        buffer = bytearray(entry.tokens * self.d * WIDTH)
        try:
            read = os.preadv(entry.file.fileno(), [buffer], entry.start)
        except OSError:
            read = -1
        if read != len(buffer) or zlib.crc32(buffer) != entry.checksum:
            del self._entries[key]
            logger.warning("%s: a damaged entry is left out", self.folder)
            return None
        return torch.frombuffer(buffer, dtype=torch.bfloat16).view(entry.tokens, self.d)


def bytes_in_other_caches(folder: Path) -> int:
    """Bytes of the other folders beside ``folder``: of other backbones and other uses."""
    taken = 0
    for part in folder.parent.glob("*/part-*"):
        if part.parent != folder:
            with contextlib.suppress(OSError):  # deleted in between
                taken += part.stat().st_size
    return taken


def folder_of(root: str, fingerprint: str, **settings: object) -> Path:
    """The folder for a backbone and all that its output depends on beside the tokens."""
    words = "".join(f"-{name}={value}" for name, value in sorted(settings.items()))
    return Path(root) / f"{fingerprint}{words}"
