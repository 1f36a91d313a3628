"""Text files in, whole files out: the one reader and the one atomic writer of the package."""

import contextlib
import errno
import fcntl
import functools
import glob
import gzip
import json
import lzma
import os
import secrets
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from laft_fairseq.errors import LaftError

OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
DAMAGED = (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)  # what these raise
MAGIC = {b"\x1f\x8b": ".gz", b"\xfd7zXZ\x00": ".xz"}  # first bytes
# The longest line in bytes: of any file, which may be JSON, and of texts that are scored. A
# compressed file of a few megabytes may hold gigabytes without a newline.
MAX_LINE_BYTES = 2**26
MAX_TEXT_BYTES = 2**20


def lines(
    path: str | Path,
    columns: Sequence[int] = (),
    max_bytes: int = MAX_LINE_BYTES,
    on_read: Callable[[int], Any] | None = None,
) -> Iterator[str]:
    """Yield the lines of a UTF-8 file as :func:`decoded_lines` does.

    Args:
        path: plain, ``.gz`` or ``.xz``.
        columns: counted from 1; where the path is a TSV, each of these fields is yielded instead.
        max_bytes: of a line.
        on_read: called after each line with how many more of the file's bytes were read.

    Raises:
        LaftError: absent, unreadable, damaged, not UTF-8, a line that is too long, line ends of
            carriage returns alone, or a row with too few columns.
    """
    path = Path(path)
    fields = columns if ".tsv" in path.suffixes else ()
    number = before = 0
    try:
        with open(path, "rb") as raw, OPENERS.get(path.suffix, contextlib.nullcontext)(raw) as file:
            for number, line in enumerate(decoded_lines(file, path, max_bytes), 1):
                if on_read is not None:
                    on_read(raw.tell() - before)
                    before = raw.tell()
                yield from _fields(line, fields, f"{path}: line {number}") if fields else (line,)
    except DAMAGED as error:
        raise LaftError(
            f"{path}: damaged near line {number + 1} ({error}); fetch it again"
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LaftError(f"{path}: cannot be read ({reason}); check the path") from None


def decoded_lines(
    stream: BinaryIO, name: str | Path, max_bytes: int = MAX_LINE_BYTES
) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 stream, as they come, without their ends.

    Only ``\n`` ends a line. A carriage return inside a line becomes a space, as in
    ``binarize.sh``; a byte order mark is left out.

    Raises:
        LaftError: not UTF-8, a line of more than ``max_bytes``, or a single line with carriage
            returns inside, which end its lines; ``name`` says where.
    """
    for number, raw in enumerate(iter(lambda: stream.readline(max_bytes + 1), b""), 1):
        if len(raw) > max_bytes:
            raise LaftError(
                f"{name}: line {number} is longer than {max_bytes >> 20} MiB; give one text a "
                "line, ended by a newline, not by a carriage return"
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
        if number == 1 and "\r" in line.rstrip("\r\n") and not line.endswith("\n"):
            raise LaftError(
                f"{name}: its lines end in carriage returns alone; convert it: tr '\\r' '\\n'"
            )
        yield line.removeprefix("\ufeff").removesuffix("\n").rstrip("\r").replace("\r", " ")


def read_lines(path: Path) -> list[str]:
    """Return the texts of a file, one a line, each stripped of white space at its ends.

    Raises:
        LaftError: as :func:`lines`, or the file is empty.
    """
    stripped = [line.strip() for line in lines(path, max_bytes=MAX_TEXT_BYTES)]
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

    What killed runs left of the same file is removed. A link's target is replaced, not the link; a
    device or a pipe is written to directly.

    Raises:
        LaftError: ``path`` cannot be written.
    """
    try:
        if (path.exists() and not path.is_file()) or path.is_relative_to("/dev"):
            yield path  # /dev/fd/63 of a shell's >(...), /dev/stdout
            return
        target = Path(os.path.realpath(path))
        stem = os.fsdecode(os.fsencode(target.stem)[:200])  # of the 255 bytes that a name may have
        make = functools.partial(Path.touch, exist_ok=False)
        with _temporary(target.with_name(f".{stem}"), f".tmp{target.suffix}", make) as temporary:
            yield temporary
            temporary.replace(target)
    except (OSError, RuntimeError) as error:  # torch.save raises the latter
        raise _not_written(path, error) from error


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to write to; it is renamed to ``path``, removed on an error.

    What killed runs left of the same folder is removed.

    Raises:
        LaftError: ``path`` cannot be written, or is there and not an empty folder.
    """
    target = path.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(target.with_name(f".{target.name}"), ".partial", Path.mkdir) as temporary:
            yield temporary
            temporary.replace(target)
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) in (errno.ENOTEMPTY, errno.EEXIST):
            raise LaftError(
                f"{path}: another run has written it meanwhile; name another folder, or remove it"
            ) from None
        raise _not_written(path, error) from error


@contextlib.contextmanager
def _temporary(start: Path, end: str, make: Callable[[Path], Any]) -> Iterator[Path]:
    """Make a file or folder of a name that nothing else has, and remove it if it is still there.

    It is locked while it is in use. Others of its kind that no process holds were left by killed
    runs, and go.
    """
    for left in start.parent.glob(f"{glob.escape(start.name)}.{'[0-9a-f]' * 8}{glob.escape(end)}"):
        with contextlib.suppress(OSError), _lock(left, fcntl.LOCK_NB):
            _remove(left)
    with contextlib.ExitStack() as held:
        while True:  # until no other run has taken it for left before it was locked
            temporary = start.with_name(f"{start.name}.{secrets.token_hex(4)}{end}")
            make(temporary)
            held.callback(_remove, temporary)
            with contextlib.suppress(OSError):  # a file system without locks, or removed already
                held.enter_context(_lock(temporary))
            if temporary.exists():
                break
        yield temporary


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path, wait: int = 0) -> Iterator[None]:
    """Hold a lock on a file or folder; with ``fcntl.LOCK_NB`` an OSError where another has it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | wait)
        yield
    finally:
        os.close(handle)


def _not_written(path: Path, error: BaseException) -> LaftError:
    """The error that names the file and the reason, of the OSError that is behind it if any."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    reason = getattr(cause, "strerror", None) or str(error).split("\n")[0][:160]
    return LaftError(f"{path}: cannot be written ({reason})")


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
    """Refuse, before any work, an output that cannot be written or is one of the inputs."""
    if path.is_dir():
        raise LaftError(f"{path}: a folder; name a file")
    check_folder_of(path)
    for source in (Path(name) for name in inputs if name):
        if path.is_file() and source.is_file() and path.samefile(source):
            raise LaftError(f"{path}: is read too, and would be lost; name another file to write")


def check_folder_of(path: Path) -> None:
    """Refuse, before any work, a path in a folder that is absent or cannot be written to.

    Raises:
        LaftError: names the folder.
    """
    folder = path.parent
    if not folder.is_dir():
        raise LaftError(f"{path}: no such folder {folder}; make it first")
    if path.exists() and not (path.is_file() or path.is_dir()):
        return  # a device or a pipe
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise LaftError(f"{path}: its folder cannot be written to ({error.strerror})") from None


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON.

    Raises:
        LaftError: ``path`` cannot be written.
    """
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")
