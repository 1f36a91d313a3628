"""A ``--save-dir`` is written to by one training at a time."""

import errno
import fcntl
import logging
from pathlib import Path
from typing import IO

from laft_fairseq.errors import LaftError

logger = logging.getLogger(__name__)

LOCK = ".lock"
# What a killed training leaves of a file that it was writing: ours, and fairseq's own.
TEMPORARY = (".checkpoint*.tmp.pt", ".crash.*.tmp.pt", "checkpoint*.pt.tmp", "crash.pt.tmp")
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # by the file system
held: list[IO[str]] = []


def enter(folder: Path) -> None:
    """Make the folder, lock it for this process, and remove what killed trainings had begun.

    The lock is the process's own: its end, of whatever kind, frees it, though children live on.

    Raises:
        LaftError: another training writes to the folder, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK).open("a")
    except OSError as error:
        reason = "it is no folder" if folder.is_file() else error.strerror
        raise LaftError(f"--save-dir {folder}: cannot be written to ({reason})") from None
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            handle.close()
            raise LaftError(
                f"--save-dir {folder}: another training writes to it; wait for its end, or choose "
                "another folder"
            ) from None
        logger.warning("%s: its file system has no locks; start no other training there", folder)
    held.append(handle)
    for path in (path for pattern in TEMPORARY for path in folder.glob(pattern)):
        path.unlink(missing_ok=True)


def leave() -> None:
    """Free the folder for other trainings."""
    while held:
        held.pop().close()
