"""A user's own files, as the recipe of one's own task reads them: checked, and parted."""

import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from preprocess.own import __main__ as own
from tests import data_tools, tables

ROOT = Path(__file__).parents[2]


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A folder of 40 pairs and 60 French texts, beside a backbone that knows two languages."""
    folder = tmp_path / "my task"
    folder.mkdir()
    (folder / "train.tsv").write_text("".join(f"text {n}\tshort {n}\n" for n in range(40)))
    (folder / "mono.fr_XX.txt").write_text("\n".join(f"texte {n}" for n in range(60)))
    (tmp_path / "langs.txt").write_text("en_XX\nfr_XX\n")
    shutil.copy(ROOT / "examples" / "mini" / "model" / "sentence.bpe.model", tmp_path)
    return folder


def run(task: Path, *langs: str, new: str = "") -> subprocess.CompletedProcess[str]:
    """The command, in this process."""
    given = ["--folder", task, "--backbone", task.parent, "--langs", *(langs or ("en_XX", "fr_XX")),
             "--new-langs", new, "--raw", task / "out" / "raw"]  # fmt: skip
    options = own.parser().parse_args([str(word) for word in given])
    return data_tools.run("own", lambda: own.prepare(options))


def made(task: Path, name: str) -> list[str]:
    return (task / "out" / "raw" / name).read_text().splitlines()


def test_the_last_twentieth_is_for_validation(task: Path) -> None:
    assert run(task).returncode == 0
    pairs = (task / "train.tsv").read_text().splitlines()
    assert (made(task, "train.tsv"), made(task, "valid.tsv")) == (pairs[:38], pairs[38:])
    english = [pair.split("\t")[0] for pair in pairs]  # no mono.en_XX.txt: the pairs' sources
    assert made(task, "mono.en_XX.train") == english[:38]
    french = (task / "mono.fr_XX.txt").read_text().splitlines()
    assert made(task, "mono.fr_XX.train") == french[:57]
    assert made(task, "mono.fr_XX.valid") == french[57:]


def test_given_validation_pairs_and_english_text_are_used(task: Path) -> None:
    (task / "valid.tsv").write_text("a\tb\n")
    (task / "mono.en_XX.txt").write_text("plain\n" * 20)
    assert run(task).returncode == 0
    assert made(task, "valid.tsv") == ["a\tb"]
    assert len(made(task, "train.tsv")) == 40
    assert made(task, "mono.en_XX.train") == ["plain"] * 19


def test_files_of_windows_and_blank_lines(task: Path) -> None:
    """A byte order mark and carriage returns go, and so does what has no text, which is told."""
    for name in ("train.tsv", "mono.fr_XX.txt"):
        text = (task / name).read_text().replace("\n", "\r\n")
        (task / name).write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n \r\n")
    done = run(task)
    assert done.returncode == 0, done.stderr
    assert made(task, "train.tsv")[:2] == ["text 0\tshort 0", "text 1\tshort 1"]
    assert made(task, "mono.fr_XX.train")[:2] == ["texte 0", "texte 1"]
    assert "own: mono.fr_XX.txt: 1 lines without text left out: 61\n" in done.stdout


def test_compressed_files_are_read_and_others_named(task: Path) -> None:
    for name, pack in (("train.tsv", lzma), ("mono.fr_XX.txt", gzip)):
        path = task / name
        with pack.open(task / f"{name}{'.xz' if pack is lzma else '.gz'}", "wb") as handle:
            handle.write(path.read_bytes())
        path.unlink()
    (task / "valid.xlsx").write_text("a,b\n")
    done = run(task)
    assert done.returncode == 0, done.stderr
    assert (
        "own: valid.xlsx: not read; pairs are in train and valid with .tsv, .csv, " in done.stdout
    )
    assert len(made(task, "train.tsv")) == 38 and len(made(task, "mono.fr_XX.train")) == 57


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("train.tsv", None, "train.tsv: missing"),
        ("train.tsv", b"", "train.tsv: empty"),
        ("train.tsv", b"a\tb\na b\n", "train.tsv: line 2 has 1 column, not 2"),
        ("train.tsv", b"1\ta\tb\n", "train.tsv: line 1 has 3 columns, not 2"),
        ("train.tsv", b"a\tb\n", "train.tsv: 1 lines; at least 20 are needed"),
        ("mono.fr_XX.txt", b"a\n" * 87 + b"\xe9\n", "mono.fr_XX.txt: line 88 is not UTF-8"),
        ("mono.fr_XX.txt", None, "mono.fr_XX.txt: missing"),
        ("mono.zh_CN.TXT", b"a\n", "mono.zh_CN.TXT: not read"),
        ("mono.fr_XX.txt.gz", b"", "mono.fr_XX.txt: mono.fr_XX.txt.gz is there too"),
        ("mono.fr_XX.txt", b"\x1f\x8b\x08", "mono.fr_XX.txt: compressed, and not text"),
        ("train.csv", b"a,b\n", "train.tsv: train.csv is there too; take one of them away"),
        ("mono.fr_XX.txt", b"text\nune\n", "mono.fr_XX.txt: line 1 is a header row (text)"),
        ("train.tsv", b'"x ""y"" z"\tb\n"a" b\tc\n', "train.tsv: line 2 is not quoted as CSV is"),
        ("mono.fr_XX.txt", b'"une, deux"\n' * 30, "line 1 and most others are quoted as in CSV"),
        ("mono.fr_XX.txt", b'{"text": "une"}\n' * 30, "mono.fr_XX.txt: line 1 is JSON"),
        ("mono.fr_XX.txt", "и так далее\n".encode() * 20, "language fr_XX: 86 % of "),
    ],
)
def test_a_wrong_file_is_named(task: Path, name: str, text: bytes | None, said: str) -> None:
    """By one line, before anything is written."""
    if text is None:
        (task / name).unlink()
    else:
        (task / name).write_bytes(text)
    failed = run(task)
    assert failed.returncode == 1
    assert said in failed.stderr and failed.stderr.count("\n") == 1
    assert not (task / "out" / "raw").exists()


@pytest.mark.parametrize("kind", [".tsv", ".csv", "folder"])
def test_pairs_and_texts_in_other_formats(task: Path, kind: str) -> None:
    """The same splits as of TSV and plain text; a header row and quotation marks are said."""
    assert run(task).returncode == 0
    names = ("train.tsv", "valid.tsv", "mono.en_XX.train", "mono.fr_XX.train", "mono.fr_XX.valid")
    expected = [made(task, name) for name in names]
    pairs = [line.split("\t") for line in (task / "train.tsv").read_text().splitlines()]
    french = (task / "mono.fr_XX.txt").read_text().splitlines()
    for name in ("train.tsv", "mono.fr_XX.txt"):
        (task / name).unlink()
    tables.write(task, "train", kind, [{"source": s, "target": t} for s, t in pairs])
    mono = ".jsonl" if kind == ".tsv" else kind
    tables.write(task, "mono.fr_XX", mono, [{"n": "1", "text": text} for text in french])
    done = run(task)
    assert done.returncode == 0, done.stderr
    assert [made(task, name) for name in names] == expected
    said = "own: train.tsv: line 1 is a header row (source, target), and no text\n"
    assert (said in done.stdout) == (kind == ".tsv")


def test_a_file_in_another_format_beside_a_missing_one_is_named(task: Path) -> None:
    (task / "train.tsv").rename(task / "train.ods")
    failed = run(task)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert "train.tsv: missing: a line is source, tab, target (train.ods is there" in failed.stderr


def test_text_that_only_looks_like_another_format(task: Path) -> None:
    """A quotation, a brace, words that are names of columns as well."""
    lines = ['"Go," she said, "now."', "{ is a brace", "[1] note", 'un "" vide', "a text"]
    (task / "mono.fr_XX.txt").write_text("\n".join(lines * 220))
    (task / "train.tsv").write_text('"Go"\tsource\n' + "a\tb\n" * 20)
    done = run(task)
    assert done.returncode == 0, done.stderr
    assert "train.tsv: language en_XX: 20 unlabelled texts are few" in done.stdout
    assert "fr_XX.txt: language" not in done.stdout


def test_languages_that_the_backbone_knows_or_learns(task: Path) -> None:
    (task / "mono.eo_XX.txt").write_text("unu\n" * 20)
    unknown = run(task, "en_XX", "oc_XX", "fr_XX", "eo_XX", new="br_XX")
    assert unknown.returncode == 1 and "oc_XX, eo_XX: not among en_XX, fr_XX of" in unknown.stderr
    assert "--new-langs br_XX,oc_XX,eo_XX" in unknown.stderr
    assert run(task, "en_XX", "fr_XX", "eo_XX", new="eo_XX").returncode == 0
    known = run(task, new="fr_XX")
    assert known.returncode == 1 and "fr_XX is a language of" in known.stderr
    (task / "mono.eo_XX.txt").unlink()
    (task.parent / "langs.txt").unlink()  # as fairseq publishes it: mBART-cc25's
    assert run(task).returncode == 0
