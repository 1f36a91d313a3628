"""Read texts, one a line, and refuse what cannot be scored."""

from collections.abc import Iterator
from pathlib import Path

from laft_fairseq.scoring.compressed import DAMAGED, OPENERS, not_utf8
from laft_fairseq.scoring.errors import ScoringError


def lines(path: Path) -> Iterator[str]:
    """Give the lines of a UTF-8 file, plain, `.gz` or `.xz`, without their ends.

    Only a newline ends a line.

    Raises:
        ScoringError: the file cannot be read, or is not UTF-8.
    """
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                yield _decode(line, path, number)
    except DAMAGED as error:
        raise ScoringError(f"{path}: damaged ({error}): fetch it again") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ScoringError(f"{path}: cannot be read ({reason}): check the path") from error


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ScoringError(f"{path}: {not_utf8(number, line)}") from error
    return text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")


def read_texts(path: Path) -> list[str]:
    """Read the texts of a file, one a line; an empty line is an empty text.

    Raises:
        ScoringError: as `lines`, or the file has no line.
    """
    texts = [line.strip() for line in lines(path)]
    if not texts:
        raise ScoringError(f"{path}: the file is empty: it must hold one text a line")
    return texts
