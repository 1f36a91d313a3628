"""The dispatcher `laft`: subcommands, exit states, one clear line for wrong input."""

import argparse
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from laft_fairseq.cli import main, user_dir
from laft_fairseq.errors import LaftError
from laft_fairseq.progress import progress


def dispatch(monkeypatch: pytest.MonkeyPatch, outcome: int | BaseException) -> int:
    """Run `laft work` where its `run` returns or raises `outcome`."""

    def run(args: argparse.Namespace) -> int:
        logging.getLogger("laft_fairseq.data.tagged_texts").info("2 of 3 texts cut to 4 tokens")
        logging.getLogger("fairseq.tasks").info("loaded 3 examples")
        if isinstance(outcome, int):
            return outcome
        raise outcome

    words = {"HELP": "work", "DESCRIPTION": "", "EPILOG": ""}
    work = SimpleNamespace(**words, add_arguments=lambda parser: None, run=run)
    monkeypatch.setattr(main, "subcommands", lambda: {"work": work})
    return main.main(["work"])


@pytest.fixture(autouse=True)
def no_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAFT_DEBUG", raising=False)


LOG = "laft: 2 of 3 texts cut to 4 tokens\n"


@pytest.mark.parametrize("status", [0, 1, 7])
def test_the_exit_status_is_the_subcommands_and_the_log_the_packages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    """Once in each run, without a library's prefix, and no other library's."""
    assert dispatch(monkeypatch, status) == status
    assert capsys.readouterr() == ("", LOG)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LaftError("c.safetensors: no fr_XX"), "c.safetensors: no fr_XX"),
        (LaftError("two\n  lines"), "two lines"),
        (LaftError(), "LaftError"),
        (FileNotFoundError(2, "No such file or directory", "x.pt"), "x.pt: No such file or dir"),
        (PermissionError(13, "Permission denied", "out"), "out: Permission denied"),
        (OSError("disk says no"), "disk says no"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    error: BaseException, line: str,
) -> None:  # fmt: skip
    assert dispatch(monkeypatch, error) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"{LOG}laft: error: {line}")
    assert err.count("\n") == 2


def wrapped_by_fairseq() -> Exception:
    error = Exception("Cannot load model parameters")
    error.__context__ = LaftError("c.pt: no language xx_XX")
    return error


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ZeroDivisionError("division\nby zero"), 1, "ZeroDivisionError: division by zero (LAFT_D"),
        (AssertionError(), 1, "AssertionError: "),
        (MemoryError(), 1, "MemoryError: "),
        (wrapped_by_fairseq(), 2, "c.pt: no language xx_XX"),
    ],
)
def test_what_a_library_raises_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    error: BaseException, status: int, line: str,
) -> None:  # fmt: skip
    assert dispatch(monkeypatch, error) == status
    shown = capsys.readouterr().err
    assert shown.startswith(f"{LOG}laft: error: {line}")
    assert shown.count("\n") == 2
    monkeypatch.setenv("LAFT_DEBUG", "1")
    with pytest.raises(type(error)):
        dispatch(monkeypatch, error)


def test_interruption(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == f"{LOG}laft: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, []),
        (["no-such-command"], 2, []),
        (["--help"], 0, list(main.subcommands())),
        (["--version"], 0, [main.version()]),
    ],
)
def test_usage_help_and_version(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: list[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main(arguments)
    assert stop.value.code == status
    assert set(words) <= set(capsys.readouterr().out.split())


def test_user_dir_is_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["user-dir"]) == 0
    printed = Path(capsys.readouterr().out.rstrip("\n"))
    assert printed.is_absolute()
    assert printed / "cli" / "user_dir.py" == Path(user_dir.__file__)


def python(code: str, repository: Path) -> subprocess.CompletedProcess[str]:
    """A new interpreter without site start-up files of a coverage tool and the like."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


def test_help_imports_neither_torch_nor_fairseq(repository: Path) -> None:
    """`laft --help` and `$(laft user-dir)` would take five seconds."""
    code = (
        "import sys; from laft_fairseq.cli import main; main.build_parser(main.subcommands());"
        "print(sorted({'torch', 'fairseq', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    result = python(code, repository)
    assert result.stdout == "[]\n", result.stderr


def test_a_reader_that_went_away_is_no_error(repository: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "laft_fairseq.cli", "user-dir"]
    result = subprocess.run(
        command, cwd=repository, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize("arguments", [["--help"], ["user-dir"]])
def test_a_full_disk_under_the_output_is_one_line(repository: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "laft_fairseq.cli", *arguments]
    for unbuffered in ("", "1"):
        with open("/dev/full", "w") as full:
            result = subprocess.run(
                command, cwd=repository, stdout=full, stderr=subprocess.PIPE, text=True,
                check=False, env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            )  # fmt: skip
        message = "laft: error: standard output: No space left on device\n"
        assert (result.returncode, result.stderr) == (2, message)


def test_a_closed_output_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main.main(["user-dir"]) == 2
    monkeypatch.undo()
    assert capsys.readouterr().err == "laft: error: standard output is closed\n"


def test_nothing_takes_the_way_of_a_closed_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a message, which would stand among the outputs, nor a progress bar."""
    monkeypatch.setattr(sys, "stderr", None)
    with progress("generating", 4, "lines") as bar:
        bar.update()
    assert main.main(["score", "--hyp", "none", "--ref", "none", "--lang", "fr_XX"]) == 2
    monkeypatch.undo()
    assert capsys.readouterr() == ("", "")


def test_what_is_missing_is_said_before_torch_is_loaded(tmp_path: Path) -> None:
    """In a fraction of a second, and not after six."""
    commands = [
        ["import-hf", "none", "out"],
        ["trim", "--backbone", "none", "--keep-langs", "fr_XX", "--dry-run"],
        ["components", "--backbone", ".", "--data", "none", "--langs", "fr_XX", "--out", "o"],
        ["components", "--backbone", "none", "--data", ".", "--langs", "fr_XX", "--out", "o"],
        ["generate", "--checkpoint", "none", "--lang", "fr_XX"],
    ]
    code = f"""import sys
from laft_fairseq.cli.main import main
print([main(flags) for flags in {commands!r}], sorted({{"torch", "numpy"}} & set(sys.modules)))"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "[2, 2, 2, 2, 2] []\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 5 and all("error: none: no such " in line for line in lines), lines
