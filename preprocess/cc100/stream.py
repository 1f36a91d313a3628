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

# By first bytes. Several threads where the file has several blocks.
PROGRAMS = {
    b"\xfd7zXZ\0": (".xz", ["xz", "-dc", "-T0", "-M", "256MiB"]),
    b"\x1f\x8b": (".gz", ["gzip", "-dc"]),
}
LINE = "cc100: {desc}: {n_fmt} of {total_fmt}, {rate_fmt}, {remaining} left{postfix}\n"


@contextmanager
def open_text(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a file as its first bytes say: xz, gzip or plain.

    Yields:
        the text, and the file as it is stored: its position tells how much was read.

    Raises:
        LaftError: no such file, not what its name says, or damaged.
    """
    if not path.is_file():
        raise LaftError(f"{path}: no such file")
    with path.open("rb", buffering=0) as file:
        start = file.read(6)
        file.seek(0)
        formats = [entry for magic, entry in PROGRAMS.items() if start.startswith(magic)]
        suffix, command = formats[0] if formats else ("", [])
        if path.suffix in (".xz", ".gz") and path.suffix != suffix:
            raise LaftError(f"{path}: not {path.suffix} by its first bytes: get it again")
        if not command:
            yield file, file
            return
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=file, stdout=pipe, stderr=pipe) as process:
            assert process.stdout is not None and process.stderr is not None
            try:
                yield process.stdout, file
                if not process.stdout.read(1) and process.wait():
                    message = process.stderr.read().decode("utf-8", "replace").strip()
                    raise LaftError(f"{path}: damaged or cut off ({message})")
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


def read_blocks(source: str, size: int, longest: int, log_seconds: float) -> Iterator[bytes]:
    """The blocks of a file, or of standard input for `-`, with a progress bar on stderr.

    Without a terminal the progress is a line every `log_seconds`.
    """
    seconds, line = (0.1, None) if sys.stderr.isatty() else (log_seconds, LINE)
    with tqdm(
        desc=source, unit="B", unit_scale=True, bar_format=line, miniters=1, delay=seconds,
        mininterval=seconds, maxinterval=max(10, seconds),
    ) as progress:  # fmt: skip
        if source == "-":
            for block in blocks(sys.stdin.buffer, size, longest):
                progress.update(len(block))
                yield block
            return
        with open_text(Path(source)) as (text, stored):
            progress.total = Path(source).stat().st_size
            for block in blocks(text, size, longest):
                # A program shares the file's position with us.
                progress.update(os.lseek(stored.fileno(), 0, os.SEEK_CUR) - progress.n)
                yield block
