"""Text files in, whole files out: the one reader and the one atomic writer of the package."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import lzma
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from laft_fairseq.errors import LaftError

OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
DAMAGED = (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)  # what these raise
MAGIC = {b"\x1f\x8b": ".gz", b"\xfd7zXZ\x00": ".xz"}  # first bytes


LONGEST = 2**22  # bytes of a line of text; 3 MB of gzip may hold one of 3 GB


def lines(path: str | Path, columns: Sequence[int] = (), longest: int = LONGEST) -> Iterator[str]:
    """Yield the lines of a UTF-8 file as :func:`decoded_lines` does.

    Args:
        path: plain, ``.gz`` or ``.xz``.
        columns: counted from 1; where the path is a TSV, each of these fields is yielded instead.
        longest: the most bytes of a line.

    Raises:
        LaftError: absent, unreadable, damaged, not UTF-8, too long a line, or a row with too few
            columns.
    """
    path = Path(path)
    fields = columns if ".tsv" in path.suffixes else ()
    number = 0
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as file:
            for number, line in enumerate(decoded_lines(file, path, longest), 1):
                yield from _fields(line, fields, f"{path}: line {number}") if fields else (line,)
    except DAMAGED as error:
        raise LaftError(
            f"{path}: damaged near line {number + 1} ({error}); fetch it again"
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LaftError(f"{path}: cannot be read ({reason}); check the path") from None


def decoded_lines(stream: IO[bytes], name: str | Path, longest: int = LONGEST) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 stream, as they come, without their ends.

    Only ``\n`` ends a line. A carriage return inside a line becomes a space, as in
    ``binarize.sh``; a byte order mark is left out.

    Raises:
        LaftError: not UTF-8, or a line of more than ``longest`` bytes; ``name`` says where.
    """
    for number, raw in enumerate(iter(lambda: stream.readline(longest + 1), b""), 1):
        if len(raw) > longest:
            raise LaftError(
                f"{name}: line {number} has more than {longest:,} bytes; text is one a line, and "
                "lines end in a line feed"
            )
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            kind = next((suffix for magic, suffix in MAGIC.items() if raw.startswith(magic)), "")
            if number == 1 and kind:
                reason = f"compressed, and not text; its name has to end in {kind}"
            else:
                reason = f"line {number} is not UTF-8; convert it with iconv"
            raise LaftError(f"{name}: {reason}") from None
        yield line.removeprefix("\ufeff").removesuffix("\n").rstrip("\r").replace("\r", " ")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file, each stripped of white space at its ends.

    Raises:
        LaftError: as :func:`lines`, or the file is empty.
    """
    stripped = [line.strip() for line in lines(path)]
    if not stripped:
        raise LaftError(f"{path}: the file is empty; it must hold one text per line")
    return stripped


def _fields(line: str, columns: Sequence[int], where: str) -> Iterator[str]:
    fields = line.split("\t")
    if len(fields) < max(columns):
        raise LaftError(f"{where} has {len(fields)} columns, not {max(columns)}; see --columns")
    for column in columns:
        yield fields[column - 1]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; it is renamed to ``path`` at the end, removed on an error.

    A link's target is replaced, not the link; a device or a pipe is written to directly.

    Raises:
        LaftError: ``path`` cannot be written.
    """
    try:
        if (path.exists() and not path.is_file()) or path.is_relative_to("/dev"):
            yield path  # /dev/fd/63 of a shell's >(...), /dev/stdout
            return
        target = Path(os.path.realpath(path))
        temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # torch.save raises the latter
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0][:160]
        raise LaftError(f"{path}: cannot be written ({reason})") from error


@contextlib.contextmanager
def locked(path: Path, what: str | Path) -> Iterator[None]:
    """Hold the file ``path``, there as long as it is held, so that no other run writes ``what``.

    Raises:
        LaftError: another run holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                raise BlockingIOError  # one that the other run has removed just now
        except (BlockingIOError, FileNotFoundError):
            raise LaftError(f"{what}: another run is working there: wait for its end") from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def check_exists(path: str | Path | None, words: str = "no such folder") -> None:
    """Refuse what is absent, before anything that takes time is imported; None is left alone.

    Raises:
        LaftError: ``words``, behind its name.
    """
    if path is not None and not Path(path).exists():
        raise LaftError(f"{path}: {words}")


def check_output(path: Path, *inputs: str | Path | None) -> None:
    """Refuse, before any work, an output that cannot be written or is one of the inputs.

    Raises:
        LaftError: the folder of ``path`` is absent, or ``path`` is a folder or an input.
    """
    if not path.parent.is_dir():
        raise LaftError(f"{path}: no such folder {path.parent}; make it first")
    if path.is_dir():
        raise LaftError(f"{path}: a folder; name a file")
    for source in (Path(name) for name in inputs if name):
        if path.is_file() and source.is_file() and path.samefile(source):
            raise LaftError(f"{path}: is read too, and would be lost; name another file to write")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON.

    Raises:
        LaftError: ``path`` cannot be written.
    """
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")
