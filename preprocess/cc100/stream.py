"""A large text read once from its start, decompressed by `xz` or `gzip`, in blocks of lines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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


@contextmanager
def opened(source: str) -> Iterator[tuple[IO[bytes], Callable[[], int], int | None]]:
    """Open a file, or standard input for `-`, as its first bytes say: xz, gzip or plain.

    Yields:
        the text, how many bytes of the file were read so far, and the file's size where known.

    Raises:
        LaftError: no such file, not what its name says, or damaged.
    """
    if source == "-":
        yield sys.stdin.buffer, lambda: 0, None
        return
    path = Path(source)
    if not path.is_file():
        raise LaftError(f"{path}: no such file")
    with path.open("rb", buffering=0) as file:
        start = file.read(6)
        file.seek(0)
        named = [(suffix, command) for magic, (suffix, command) in PROGRAMS.items()
                 if start.startswith(magic)]  # fmt: skip
        suffix, command = named[0] if named else ("", [])
        if path.suffix in (".xz", ".gz") and path.suffix != suffix:
            raise LaftError(
                f"{path}: not an {path.suffix[1:]} file by its first bytes: get it again"
            )

        def position() -> int:
            return os.lseek(file.fileno(), 0, os.SEEK_CUR)  # the program's as well: it is shared

        size = path.stat().st_size
        if not command:
            yield file, position, size
            return
        try:
            process = subprocess.Popen(
                command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pipesize=2**20
            )
        except FileNotFoundError:
            raise LaftError(f"{path}: no program {command[0]} here to read it") from None
        with process:
            assert process.stdout is not None and process.stderr is not None
            try:
                yield process.stdout, position, size
                if not process.stdout.read(1) and process.wait():
                    message = process.stderr.read().decode("utf-8", "replace").strip()
                    raise LaftError(f"{path}: damaged or cut off ({message or 'xz was ended'})")
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


class Progress:
    """A bar on a terminal, a line every so many seconds elsewhere; both on stderr."""

    def __init__(self, name: str, size: int | None, seconds: float) -> None:
        self.name, self.size, self.seconds = name, size, seconds
        self.started = self.shown = time.monotonic()
        self.is_terminal = sys.stderr.isatty()
        self.bar = tqdm(total=size, unit="B", unit_scale=True, disable=not self.is_terminal)

    def show(self, position: int, counts: str) -> None:
        """Show how many bytes of the file were read, and what was found there."""
        if self.is_terminal:
            self.bar.set_postfix_str(counts, refresh=False)
            self.bar.update(position - self.bar.n)
        elif (now := time.monotonic()) - self.shown >= self.seconds:
            self.shown = now
            meter = tqdm.format_meter(
                position, self.size, now - self.started, ncols=0, unit="B", unit_scale=True
            )
            print(f"cc100: {self.name}: {meter.strip()}, {counts}", file=sys.stderr, flush=True)
