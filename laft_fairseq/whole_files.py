"""Files that appear whole or not at all: a temporary name beside them first, then a rename."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to; renamed to ``path`` at the end, removed on an error.

    What a link points to is replaced, not the link; a device or a pipe is written to as it is.

    Raises:
        OSError: it cannot be written.
    """
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
