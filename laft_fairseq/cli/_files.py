"""Files that subcommands write: to a temporary name first, so that no reader sees half of one."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; renamed to `path` at the end, removed on an error.

    Raises:
        LaftError: `path` cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # torch.save's are of the latter kind
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0][:160]
        raise LaftError(f"{path}: cannot be written ({reason})") from error


def check_folder(path: Path) -> None:
    """Before any work: raise LaftError where there is no folder to write `path` into."""
    if not path.parent.is_dir():
        raise LaftError(f"{path}: no such folder {path.parent}; make it first")
    if path.is_dir():
        raise LaftError(f"{path}: a folder; name a file")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable JSON. Raises LaftError where `path` cannot be written."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")
