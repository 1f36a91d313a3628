"""Texts in columns are the same texts, whatever the format; what is unclear is refused."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from laft_fairseq.errors import LaftError
from preprocess.binarize import __main__ as command
from preprocess.common.command import run_command
from preprocess.common.tables import Table
from tests import tables

MINI = Path(__file__).parents[3] / "examples" / "mini" / "model"
TEXTS = ["NA", "007", 'a "quoted" word', "one, two; three", "Über 中文", "null", " sides "]
RECORDS: tables.Records = [
    {"id": str(n), "summary": f"short {n}", "document": text} for n, text in enumerate(TEXTS)
]
EXPECTED = [[" ".join(record["document"].split()), record["summary"]] for record in RECORDS]


def rows(path: Path, *names: str | None) -> list[list[str]]:
    return [[" ".join(text.split()) for text in row] for _, row in Table(path, names).rows()]


@pytest.mark.parametrize("kind", tables.FORMATS)
def test_columns_by_name(tmp_path: Path, kind: str) -> None:
    """Nothing becomes a number or a missing value; quotation marks are CSV's or the text's."""
    path = tables.write(tmp_path, "train", kind, RECORDS)
    assert rows(path, "document", "summary") == EXPECTED
    with pytest.raises(LaftError, match=f"^{path}: no column 'nothing'; it has id, summary, docu"):
        rows(path, "document", "nothing")
    named = [{"target": r["summary"], "n": "1", "source": r["document"]} for r in RECORDS]
    assert rows(tables.write(tmp_path, "usual", kind, named), None, None) == EXPECTED
    if kind != ".tsv":
        with pytest.raises(LaftError, match="its columns are id, summary, document: name what is"):
            rows(path, None, None)
        only = tables.write(tmp_path, "mono.fr_XX", kind, [{"sentence": text} for text in TEXTS])
        assert rows(only, None) == [[source] for source, _ in EXPECTED]


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_line_ends_inside_a_text_are_spaces(tmp_path: Path, kind: str) -> None:
    path = tables.write(tmp_path, "t", kind, [{"text": "one\ntwo\tthree"}, {"text": ""}])
    assert rows(path, None) == [["one two three"], [""]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.jsonl", '{"text": "a"}\n{"text": 5}\n', "record 2: 'text' is int, not a text"),
        ("t.jsonl", '{"text": "a"}\n\n{"b": 5}\n', "record 2: 'text' is missing, not a text"),
        ("t.jsonl", '{"text": "a"}\nb\n', "record 2 is no JSON object"),
        ("t.jsonl", '{"text": "\\ud83d"}\n', "record 1: 'text' holds half a surrogate pair"),
        ("t.csv", "text,b\nx\n", "line 2 has 1 columns, not 2"),
        ("t.csv", 'text,b\n"x" y,z\n', "line 2 is not quoted as CSV is"),
        ("t.csv", "Guten Tag\nja\n", "its columns are Guten Tag: name what is to be read text"),
        ("t.tsv", '"x ""y"" z"\n"a\nb"\n', "line 3 is not quoted as CSV is (a quoted field that"),
        ("t.parquet", "no Parquet", "damaged after record 0 ("),
        ("t.xlsx", "PK", "XLSX, which is not read here"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(LaftError) as refused:
        rows(tmp_path / name, None)
    assert str(refused.value).startswith(f"{tmp_path / name}: {message}")


def test_a_folder_of_several_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tables.write(tmp_path, "test", "folder", RECORDS)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["test"]}')
    with pytest.raises(LaftError, match="has the splits test; name one of these folders"):
        rows(tmp_path, None)
    (path / "state.json").write_text("{}")
    with pytest.raises(LaftError, match=r"no folder that .Dataset\.save_to_disk. of today"):
        rows(path, None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LaftError, match=r"pyarrow, .* is not installed: pip install '\.\[data\]'"):
        rows(path, None)


def encoded(
    home: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: Any
) -> tuple[list[list[str]], str]:
    """The sides that `binarize.sh pairs` encodes, as text, and what it prints."""
    sides: list[list[str]] = []

    def spy(options: Any, splits: Any, work: Path) -> None:
        for side in ("src", "tgt"):
            lines = (work / f"train.{side}").read_text("utf-8").splitlines()
            sides.append([line.replace(" ", "").replace("\u2581", " ").strip() for line in lines])

    patch.setattr(command, "preprocess", spy)
    patch.setattr(command, "install", lambda *_: None)
    given = ["pairs", "--backbone", MINI, "--lang", "en_XX", "--out", home / "out", *words]
    options = command.parser().parse_args([str(word) for word in given])
    assert run_command("binarize", lambda: command.main(options)) == 0
    return sides, capsys.readouterr().out


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_binarize(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tables.write(tmp_path, "train", kind, [{"n": "1", "b": "a dog", "a": "a cat, red"}] * 9)
    flags = ("--train", path, "--source-column", "a", "--target-column", "b")
    sides, _ = encoded(tmp_path, monkeypatch, capsys, *flags)
    assert sides == [["a cat, red"] * 9, ["a dog"] * 9]


def test_binarize_a_tsv_with_a_header_row_and_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By number and by name: both are read as what they are, and it is said."""
    lines = ["id\tlang\tsource\ttarget", *['1\ten\t"a ""cat"" here"\t"a dog"'] * 9]
    (tmp_path / "t.tsv").write_text("".join(f"{line}\n" for line in lines))
    sides, printed = encoded(tmp_path, monkeypatch, capsys, "--train", tmp_path / "t.tsv")
    assert sides == [['a "cat" here'] * 9, ["a dog"] * 9]
    assert "t.tsv: line 1 is a header row (source, target), and no text; line 2 is qu" in printed
    flags = ("--train", tmp_path / "t.tsv", "--source-column", "target", "--target-column", "lang")
    sides, _ = encoded(tmp_path, monkeypatch, capsys, *flags)
    assert sides == [["a dog"] * 9, ["en"] * 9]


def test_records_of_json(tmp_path: Path) -> None:
    """A list, an object that holds one, and lines by the wrong name."""
    for content in (
        json.dumps(RECORDS),
        json.dumps({"data": RECORDS}),
        "\n".join(map(json.dumps, RECORDS)),
    ):
        (tmp_path / "t.json").write_text(content)
        assert rows(tmp_path / "t.json", "document", "summary") == EXPECTED
