"""A training that was killed while it copied a checkpoint goes on from a whole one."""

import os
import zipfile
from pathlib import Path

import pytest

from examples.mend_checkpoints import mend


def checkpoint(folder: Path, name: str, text: str, time: int) -> Path:
    path = folder / f"checkpoint_{name}.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data", text)
    os.utime(path, (time, time))
    return path


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def text(path: Path) -> bytes:
    return zipfile.ZipFile(path).read("data")


def test_the_best_and_the_last_come_from_the_newest_numbered(tmp_path: Path) -> None:
    checkpoint(tmp_path, "1_5", "old", 1)
    newest = checkpoint(tmp_path, "1_10", "new", 2)
    best, last = (checkpoint(tmp_path, name, "cut", 3) for name in ("best", "last"))
    shorten(best)
    shorten(last)
    mend(tmp_path)
    assert text(best) == text(last) == b"new"
    assert not newest.exists()


@pytest.mark.parametrize("resumable", [True, False])
def test_the_last_comes_from_the_best_where_nothing_is_numbered(
    tmp_path: Path, resumable: bool
) -> None:
    best, last = (checkpoint(tmp_path, name, name, 1) for name in ("best", "last"))
    with zipfile.ZipFile(best, "a") as file:
        file.writestr("archive/data.pkl", "last_optimizer_state" if resumable else "model")
    shorten(last)
    mend(tmp_path)
    assert text(best) == b"best"
    assert last.exists() is resumable
    assert not resumable or text(last) == b"best"


def test_nothing_whole_is_touched(tmp_path: Path) -> None:
    made = [checkpoint(tmp_path, name, name, 1) for name in ("best", "last", "1_5")]
    before = [path.read_bytes() for path in made]
    mend(tmp_path)
    assert [path.read_bytes() for path in made] == before


def test_nothing_whole_is_left(tmp_path: Path) -> None:
    for name in ("best", "last", "1_5"):
        shorten(checkpoint(tmp_path, name, name, 1))
    mend(tmp_path)
    assert not list(tmp_path.iterdir())
