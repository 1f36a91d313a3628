"""Lines of UTF-8 in; files out, whole or not at all."""

import contextlib
import io
import os
import signal
import threading
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.files import (
    OPENERS,
    decoded_lines,
    lines,
    locked,
    read_lines,
    replacing,
    replacing_folder,
)


def write(path: Path, text: str) -> None:
    with replacing(path) as name:
        name.write_text(text)


def test_a_reader_sees_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write(path, "old")
    with pytest.raises(ValueError), replacing(path) as name:
        name.write_text("half")
        assert path.read_text() == "old"
        raise ValueError
    assert os.listdir(tmp_path) == ["x.json"]
    write(path, "new")
    assert path.read_text() == "new"


def test_a_link_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "x.json"
    link.symlink_to("real/y.json")
    for text in ("first", "second"):
        write(link, text)
        assert link.is_symlink() and (tmp_path / "real" / "y.json").read_text() == text
    assert os.listdir(tmp_path / "real") == ["y.json"]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(pipe, "text")
    reader.join(10)
    assert read == ["text"]
    assert pipe.is_fifo()


def test_a_shells_pipe_is_written_to() -> None:
    """`--json >(cat)` gives /dev/fd/N, whose real name is no path."""
    reader, writer = os.pipe()
    write(Path(f"/dev/fd/{writer}"), "text")
    os.close(writer)
    assert os.read(reader, 10) == b"text"
    os.close(reader)


@pytest.mark.parametrize("stem", ["x" * 250, "文" * 83])
def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path: Path, stem: str) -> None:
    path = tmp_path / f"{stem}.json"
    write(path, "text")
    assert path.read_text() == "text"
    assert os.listdir(tmp_path) == [path.name]


def killed_in(writes: Callable[[], Any]) -> None:
    """Begin to write in a process of its own, which is killed there."""
    child = os.fork()
    if not child:
        with writes() as name:
            (name / "half" if name.is_dir() else name).write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_what_killed_runs_left_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    file, folder = tmp_path / "a[b].pt", tmp_path / "out"
    for _ in range(2):
        killed_in(lambda: replacing(file))
        killed_in(lambda: replacing_folder(folder))
    killed_in(lambda: replacing(tmp_path / "other.pt"))
    assert len(os.listdir(tmp_path)) == 3
    with replacing(file) as first, replacing(file) as second, replacing_folder(folder) as made:
        (made / "x").touch()
        for name in (first, second):
            name.write_text(name.name)
    assert file.read_text() == first.name  # the last to end
    (other,) = set(os.listdir(tmp_path)) - {"a[b].pt", "out"}
    assert other.startswith(".other.")


def test_of_two_runs_that_write_one_folder_the_second_to_end_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(LaftError, match="out: another run has written it meanwhile"),
        replacing_folder(tmp_path / "out") as late,
    ):
        (late / "x").touch()
        with replacing_folder(tmp_path / "out") as early:
            (early / "y").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "y"]


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(LaftError, match=r"x\.json: cannot be written"):
        write(tmp_path / "none" / "x.json", "text")


def test_lines_end_at_newlines_alone_and_must_be_utf8() -> None:
    stream = io.BytesIO("a\r\nb\u2028c\r\n\nd".encode())
    assert list(decoded_lines(stream, "in")) == ["a", "b\u2028c", "", "d"]
    wrong = decoded_lines(io.BytesIO("a\nb\u00e9".encode("latin-1")), "standard input")
    assert next(wrong) == "a"
    with pytest.raises(LaftError, match="standard input: line 2 is not UTF-8"):
        next(wrong)


@pytest.mark.parametrize(
    ("name", "read", "mib"), [("long.txt", lines, 64), ("long.txt.gz", read_lines, 1)]
)
def test_a_line_without_end_is_refused_in_little_memory(
    tmp_path: Path, name: str, read: Callable[[Path], Iterable[str]], mib: int
) -> None:
    path = tmp_path / name
    with OPENERS.get(path.suffix, open)(path, "wb") as file:
        file.write(b"short\n")
        if path.suffix == ".gz":
            file.write(bytes(2**24))
        else:
            file.truncate(2**30)  # sparse
    tracemalloc.start()
    with pytest.raises(LaftError, match=f"line 2 is longer than {mib} MiB; give one text a line"):
        list(read(path))
    assert tracemalloc.get_traced_memory()[1] < 3 * mib * 2**20
    tracemalloc.stop()


def test_a_limit_is_counted_in_bytes() -> None:
    assert list(decoded_lines(io.BytesIO("aé\nbc".encode()), "in", 4)) == ["aé", "bc"]
    with pytest.raises(LaftError, match="in: line 1 is longer"):
        list(decoded_lines(io.BytesIO("aéé\n".encode()), "in", 4))


@pytest.mark.parametrize("text", ["a\rb", "a\rb\r", "\ufeffa\r\rb\r"])
def test_carriage_returns_alone_are_no_line_ends(text: str) -> None:
    with pytest.raises(LaftError, match="in: its lines end in carriage returns alone"):
        list(decoded_lines(io.BytesIO(text.encode()), "in"))


@pytest.mark.parametrize(
    ("text", "read"),
    [("a\rb\n", ["a b"]), ("a\r", ["a"]), ("a\r\nb\rc", ["a", "b c"]), ("", [])],
)
def test_other_carriage_returns_are_spaces(text: str, read: list[str]) -> None:
    assert list(decoded_lines(io.BytesIO(text.encode()), "in")) == read


def test_a_lock_is_held_by_one_and_goes_with_it(tmp_path: Path) -> None:
    lock = tmp_path / "new" / ".lock"
    for _ in range(2):
        with locked(lock, "OUT"):
            with pytest.raises(LaftError, match="OUT: another run is working there"):
                locked(lock, "OUT").__enter__()
            assert lock.exists()
        assert not lock.exists()
    lock.touch()  # of a run that was killed
    with locked(lock, "OUT"):
        pass


def test_runs_that_start_at_one_moment(tmp_path: Path) -> None:
    """None disturbs another's file, and one at most works behind a lock."""
    file, working = tmp_path / "x.txt", tmp_path / "working"
    for _ in range(5):
        waiting, start = os.pipe()
        children = []
        for _ in range(4):
            if child := os.fork():
                children.append(child)
                continue
            status = 1
            with contextlib.suppress(BaseException):  # a fork never returns into pytest
                os.close(start)
                os.read(waiting, 1)
                write(file, f"{os.getpid()} " * 1000)
                status = 2
                with locked(tmp_path / ".lock", "OUT"):
                    working.mkdir()
                    working.rmdir()
                status = 0
            os._exit(status)
        os.close(waiting)
        os.close(start)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(codes) <= {0, 2} and 0 in codes
        assert len(set(file.read_text().split())) == 1
        assert os.listdir(tmp_path) == ["x.txt"]
