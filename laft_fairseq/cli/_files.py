"""Files that subcommands write: to a temporary name first, so that no reader sees half of one."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to; renamed to `path` at the end, removed on an error.

    Raises:
        LaftError: `path` cannot be written.
    """
    from laft_fairseq import whole_files

    try:
        with whole_files.replacing(path) as temporary:
            yield temporary
    except (OSError, RuntimeError) as error:  # torch.save's are of the latter kind
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0][:160]
        raise LaftError(f"{path}: cannot be written ({reason})") from error


def check_output(path: Path, *inputs: str | Path | None) -> None:
    """Before any work: what is to be written can be, and is none of what is read.

    Raises:
        LaftError: no folder to write `path` into, or `path` is one, or one of the inputs.
    """
    if not path.parent.is_dir():
        raise LaftError(f"{path}: no such folder {path.parent}; make it first")
    if path.is_dir():
        raise LaftError(f"{path}: a folder; name a file")
    for read in (Path(one) for one in inputs if one):
        if path.is_file() and read.is_file() and path.samefile(read):
            raise LaftError(f"{path}: is read too, and would be lost; name another file to write")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable JSON. Raises LaftError where `path` cannot be written."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")
