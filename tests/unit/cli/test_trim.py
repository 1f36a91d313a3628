"""`laft trim`: what it prints, reads and refuses, on the shipped small backbone."""

import gzip
import lzma
import re
from pathlib import Path

import pytest

from laft_fairseq import progress
from laft_fairseq.cli import main
from laft_fairseq.errors import LaftError
from laft_fairseq.files import OPENERS, lines
from tests import tiny

MINI = tiny.PACKAGE.parent / "examples" / "mini" / "model"


def run(*flags: str | Path) -> int:
    return main.main(["trim", *map(str, flags)])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give --text, --keep-langs, or both"),
        (["--keep-langs", "en_XX"], "give either --out FOLDER or --dry-run"),
        (["--keep-langs", "en_XX", "--max-pieces", "2", "--dry-run"], "--min-count and --max-"),
        (["--keep-langs", "en_XX,it_IT", "--dry-run"], "unknown language it_IT"),
        (["--text", "t", "--columns", "0", "--dry-run"], "--columns 0: numbers from 1"),
        (["--text", __file__, "absent", "--dry-run"], "absent: no such text file"),
    ],
)
def test_wrong_options_are_one_line(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--backbone", MINI / "model.pt", *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()  # "counting: FILE" would be another
    assert line.startswith("laft: error: ") and message in line


def test_a_dry_run_reports_all_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sums are the shipped model's: 12,006 rows of 256 in 10,973,696 parameters."""
    text = tmp_path / "t.txt"
    text.write_text(
        "The library reads files.\n\nLa bibliothèque lit 中文 files.\n", encoding="utf-8"
    )
    flags = ("--backbone", MINI / "model.pt", "--text", text, "--dry-run")
    assert run(*flags) == 0
    printed = capsys.readouterr().out
    kept = int(printed.split("12,000 -> ")[1].split()[0])
    assert 270 < kept < 320
    after = 10_973_696 - 256 * (12_000 - kept)
    assert f"10,973,696 -> {after:,} " in printed
    assert f"12,006 -> {kept + 6:,} rows of 256" in printed
    assert f"{16 * 256 * (12_000 - kept) / 1e6:,.1f} MB less where" in printed
    assert "3 of 3 texts are of kept subwords alone" in printed
    assert list(tmp_path.iterdir()) == [text]
    assert run(*flags, "--max-pieces", kept - 5) == 0
    printed = capsys.readouterr().out
    assert f"12,000 -> {kept - 5} " in printed
    assert "1 of 3 texts are of kept subwords alone" in printed
    text.write_text("\n\n")
    assert run(*flags) == 2
    assert f"{text}: no text in it" in capsys.readouterr().err


def test_text_that_is_written_in_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By each file on its own: a trimmed backbone would have no subwords for Russian either."""
    english, russian = tmp_path / "en.txt", tmp_path / "ru.txt"
    english.write_text("The library reads files.\n" * 100)
    russian.write_text("Сегодня хорошая погода в Москве, и завтра тоже.\n", encoding="utf-8")
    flags = ("--backbone", MINI / "model.pt", "--text", english, russian, "--dry-run")
    assert run(*flags) == 2
    assert f"{russian}: 88 % of 86 subwords are bytes" in capsys.readouterr().err
    monkeypatch.setenv("LAFT_ALLOW_BYTES", "1")
    assert run(*flags) == 0
    assert f"laft: {russian}: 88 % of 86 subwords are bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t", b"a\xe2\x80\xa8b\r\nc\rd\n\ne", ["a\u2028b", "c d", "", "e"]),
        ("t.gz", gzip.compress(b"a\n\nb"), ["a", "", "b"]),
        ("t.tsv.xz", lzma.compress(b"1\t2\tx y\tz\n1\t2\t\tw\n"), ["x y", "z", "", "w"]),
        ("t.txt", b"a\n\xff\n", "t.txt: line 2 is not UTF-8"),
        ("t.gz", gzip.compress(b"a\n" * 5000, mtime=0)[:40], "t.gz: damaged near line"),
        ("t", gzip.compress(b"a\n"), r"t: compressed, .* has to end in \.gz"),
        ("t.xz", b"no xz", "t.xz: damaged near line 1"),
        ("t.tsv", b"a\tb\n", "t.tsv: line 1 has 2 columns, not 4"),
    ],
    ids=["plain", "gz", "tsv", "not-utf-8", "cut-gz", "misnamed", "no-xz", "two-columns"],
)
def test_lines_of_every_kind_of_file(
    tmp_path: Path, name: str, content: bytes, expected: list[str] | str
) -> None:
    (tmp_path / name).write_bytes(content)
    if isinstance(expected, list):
        assert list(lines(tmp_path / name, [3, 4])) == expected
    else:
        with pytest.raises(LaftError, match=expected):
            list(lines(tmp_path / name, [3, 4]))


def test_progress_is_of_the_files_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compressed ones too, in both passes, so that the time left is known."""
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    paths = [tmp_path / "a.txt", tmp_path / "b.txt.gz", tmp_path / "c.txt.xz"]
    for path in paths:
        with OPENERS.get(path.suffix, open)(path, "wt", encoding="utf-8") as file:
            file.write("The library reads files.\n" * 50)
    flags = ("--backbone", MINI / "model.pt", "--text", *paths, "--dry-run")
    assert run(*flags) == 0
    size = sum(path.stat().st_size for path in paths) / 1000
    lines = re.findall(r"laft: (\w+): (\S+)k of (\S+)k bytes, 00:00 left", capsys.readouterr().err)
    ends = {action: (float(n), float(total)) for action, n, total in lines}
    assert list(ends) == ["counting", "checking"]
    for n, total in ends.values():
        assert n == pytest.approx(total) and total == pytest.approx(size, rel=0.01)
