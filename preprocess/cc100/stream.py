"""A large text read once from its start, decompressed by `xz` or `gzip`, in blocks of lines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tqdm import tqdm

from laft_fairseq.errors import LaftError

BLOCK_BYTES = 2**22
MAX_BYTES = 4 * 16_001  # a longer line is cut; it has too many characters in any case
LOG_SECONDS = 60  # between lines of progress, where there is no terminal
LINE = "cc100: {desc}: {n_fmt} of {total_fmt}, {rate_fmt}, {remaining} left{postfix}\n"
# Several threads where the file has several blocks.
PROGRAMS = {".xz": ["xz", "-dc", "-T0", "-M", "256MiB"], ".gz": ["gzip", "-dc"]}


@contextmanager
def decompressed(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Give the text of an open file, as its name says: `.xz`, `.gz` or plain."""
    command = PROGRAMS.get(path.suffix)
    if command is None:
        yield file
        return
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=file, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            yield process.stdout
            if not process.stdout.read(1) and process.wait():
                message = process.stderr.read().decode("utf-8", "replace").strip()
                raise LaftError(f"{path}: damaged or cut off ({message}): get it again")
        finally:
            process.kill()


def blocks(file: IO[bytes], size: int, longest: int) -> Iterator[bytes]:
    """Blocks of whole lines, each without the last one's line end, of about `size` bytes.

    What a line of more than `longest` bytes has beyond them may be dropped.
    """
    rest = b""
    while chunk := file.read(size):
        lines, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield lines
        rest = rest[:longest]
    if rest:
        yield rest


def read_blocks(source: str) -> Iterator[bytes]:
    """The blocks of a file, or of standard input for `-`, with progress on stderr."""
    path = Path(source)
    if source != "-" and not path.is_file():
        raise LaftError(f"{path}: no such file")
    seconds, line = (0.1, None) if sys.stderr.isatty() else (LOG_SECONDS, LINE)
    with (
        tqdm(
            desc=source, unit="B", unit_scale=True, bar_format=line, miniters=1, delay=seconds,
            mininterval=seconds, maxinterval=max(10, seconds),
        ) as progress,
        open(0 if source == "-" else path, "rb", buffering=0) as file,
        decompressed(path, file) as text,
    ):  # fmt: skip
        progress.total = os.fstat(file.fileno()).st_size or None  # none of a pipe
        for block in blocks(text, BLOCK_BYTES, MAX_BYTES):
            # A program shares the file's position with us: it tells how much was read.
            at = os.lseek(file.fileno(), 0, os.SEEK_CUR) if progress.total else 0
            progress.update(at - progress.n if progress.total else len(block))
            yield block
