"""A disk on which no file grows beyond a few bytes, and one that takes no file at all."""

import contextlib
import errno
import os
import resource
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest


@contextlib.contextmanager
def full_disk(size: int = 1000) -> Iterator[None]:
    """Let writing beyond `size` bytes of a file fail, as on a full disk, with an OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no temporary file be made, as in a folder that is read-only, for root too."""

    def refused(**kwargs: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
