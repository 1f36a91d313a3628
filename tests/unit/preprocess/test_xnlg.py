"""XNLG's files to text: aligned, joined, cut; and what is refused before anything is written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from preprocess.common.command import run_command
from preprocess.xnlg import __main__ as xnlg
from preprocess.xnlg.__main__ import parser, usable_separator
from preprocess.xnlg.layout import LAYOUTS

MODEL = Path(__file__).parents[3] / "examples" / "mini" / "model"
XGIGA = {
    "en": ("mill {} 's gate isn &apos;t open , he said .", "mill {} 's gate shut"),
    "fr": ("l&apos; écluse {} n' est pas « ouverte » .", "l' écluse {} fermée"),
    "zh": ("第 {} 号 水 门 没有 打开 gate a 门 。", "{} 号 水 门 关闭"),
}
XQG = {  # evidence, answer, question
    "en": ("ada wrote note {} in 1843 .", "note {}", "what did ada write ?"),
    "zh": ("第 {} 座 山 在 北 边 。", "北 边", "第 {} 座 山 在 哪里 ?"),
}


Make = Callable[..., tuple[int, Path]]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    """Run a script up to the binarising; give its exit status and its folder `raw`."""
    monkeypatch.setattr(xnlg, "binarize", lambda options: None)

    def run(name: str, *options: str) -> tuple[int, Path]:
        layout, out = LAYOUTS[name], tmp_path / "out"
        base = ["--data", str(tmp_path / name), "--backbone", str(MODEL), "--out", str(out)]
        arguments = parser(layout).parse_args([*base, *options])
        return run_command(name, lambda: xnlg.main(layout, arguments)), out / "raw"

    return run


def lay(folder: Path, sides: str, texts: dict[str, tuple[str, ...]], suffix: str = "") -> None:
    folder.mkdir()
    for lang, patterns in texts.items():
        for split, count in (("train", 12), ("dev", 3), ("test", 2)):
            for side, pattern in zip(sides, patterns, strict=True):
                path = folder / f"{split}.{side}.{lang}{suffix}"
                path.write_text("".join(f"{pattern.format(n)}\n" for n in range(count)), "utf-8")


@pytest.fixture
def xgiga(tmp_path: Path) -> Path:
    lay(tmp_path / "xgiga", "xy", XGIGA)
    return tmp_path / "xgiga"


@pytest.fixture
def xqg(tmp_path: Path) -> Path:
    lay(tmp_path / "xqg", "eaq", XQG, ".lc")
    return tmp_path / "xqg"


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text("utf-8").splitlines()]


def test_headlines(xgiga: Path, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    state, raw = make("xgiga", "--valid-items", "2")
    assert state == 0
    assert rows(raw / "en_XX.test.tsv") == [
        [f"test-{n + 1}", "", f"mill {n}'s gate isn't open, he said.", f"mill {n}'s gate shut"]
        for n in range(2)
    ]
    assert rows(raw / "fr_XX.valid.tsv")[1][2:] == [
        "l'écluse 1 n'est pas « ouverte ».", "l'écluse 1 fermée",
    ]  # fmt: skip
    assert (raw / "zh_CN.test.src").read_text("utf-8").startswith("第0号水门没有打开 gate a 门。\n")
    assert len(rows(raw / "en_XX.valid.tsv")) == 2
    assert not (raw / "fr_XX.train.tsv").exists(), "a target's pairs are not to be learned from"
    mono = (raw / "mono.fr_XX.train").read_text("utf-8").splitlines()
    assert (len(mono), mono[0]) == (11, "l'écluse 0 n'est pas « ouverte ».")
    printed = capsys.readouterr().out
    assert "fr_XX: train 12, dev 3, test 2 items, aligned" in printed
    assert "not xgiga's own counts: train 500,000, dev 5,000, test 5,000" in printed
    assert "12 texts" not in printed and "11 + 1 texts from the training sources" in printed


def test_questions(xqg: Path, make: Make) -> None:
    state, raw = make("xqg")
    assert state == 0
    assert rows(raw / "zh_CN.test.tsv")[1] == [
        "test-2", "北边", "第1座山在北边。 ⏎ 北边", "第1座山在哪里?",
    ]  # fmt: skip
    assert len(rows(raw / "en_XX.train.tsv")) == 12
    record = json.loads((raw / "provenance.json").read_text("utf-8"))
    assert record["separator"] == "⏎"
    assert (record["max_evidence"], record["max_answer"], record["max_question"]) == (230, 20, 256)


def test_limits(xqg: Path, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Sources are cut everywhere, long questions leave training only; scores read the whole."""
    long = "why " * 30 + "?"
    path = xqg / "train.q.en.lc"
    path.write_text(f"{long}\n" + "".join(path.read_text().splitlines(keepends=True)[1:]))
    state, raw = make("xqg", "--max-evidence", "3", "--max-target", "20")
    assert state == 0
    assert [row[0] for row in rows(raw / "en_XX.train.tsv")][:2] == ["train-2", "train-3"]
    source = (raw / "en_XX.test.src").read_text().splitlines()[0]
    assert source == "ada wrote note 0 in 1843. ⏎ note 0"
    cut = rows(raw / "en_XX.test.tsv")[0][2]
    assert len(cut) < len(source) and cut.endswith(" ⏎ note 0")
    printed = capsys.readouterr().out
    assert "en_XX.train: 1 items left out, target over the limit" in printed
    assert "en_XX.test: 2 items with a source cut to the limit" in printed


def test_empty_sides(xgiga: Path, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """An item with an empty side leaves training; a test item stays, so that outputs align."""
    for name in ("train.y.en", "test.x.fr"):
        lines = (xgiga / name).read_text("utf-8").splitlines()
        (xgiga / name).write_text("\n".join([lines[0], "", *lines[2:]]) + "\n", "utf-8")
    state, raw = make("xgiga")
    assert state == 0
    assert [row[0] for row in rows(raw / "en_XX.train.tsv")][:2] == ["train-1", "train-3"]
    assert rows(raw / "fr_XX.test.tsv")[1] == ["test-2", "", "", "l'écluse 1 fermée"]
    printed = capsys.readouterr().out
    assert "en_XX.train: 1 items left out, an empty side" in printed
    assert "fr_XX.test: 1 items with an empty side, kept" in printed


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("dev.y.fr", None, "French, fr_XX"),
        ("train.x.zh", "一\n", "Chinese (zh_CN)"),
        ("test.x.en", "", "English, en_XX"),
        ("train.y.en", b"a\n\xff\n", "line 2"),
    ],
)
def test_wrong_files_stop_it_before_anything_is_written(
    xgiga: Path, make: Make, capsys: pytest.CaptureFixture[str], name: str,
    text: str | bytes | None, language: str,
) -> None:  # fmt: skip
    if text is None:
        (xgiga / name).unlink()
    else:
        (xgiga / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    state, raw = make("xgiga")
    error = capsys.readouterr().err
    assert state == 1 and name in error and language in error and error.count("\n") == 1
    assert not raw.parent.exists()


def test_it_goes_on_but_not_with_other_files(
    xgiga: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    (xgiga.parent / "out" / "raw.partial").mkdir(parents=True)  # of a run that was killed
    assert make("xgiga")[0] == make("xgiga")[0] == 0
    assert [path.name for path in (xgiga.parent / "out").iterdir()] == ["raw"]
    assert capsys.readouterr().out.endswith("raw: up to date\n")
    path = xgiga / "dev.x.fr"
    path.write_text(path.read_text("utf-8").upper(), "utf-8")
    assert make("xgiga")[0] == make("xgiga", "--max-target", "9")[0] == 1
    assert capsys.readouterr().err.count("\n") == 2


def test_what_is_noted_of_case_and_accents(
    xgiga: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    (xgiga / "dev.x.fr").write_text("Une ecluse\nferme\nvite\n")
    assert make("xgiga", "--targets", "fr_XX")[0] == 0
    printed = capsys.readouterr().out
    assert "fr_XX: dev.x.fr is not lower-cased: 1 of 3 lines" in printed
    assert "fr_XX: dev.x.fr has no accents" in printed
    assert "zh_CN" not in printed


def test_text_from_elsewhere(xgiga: Path, make: Make, tmp_path: Path) -> None:
    for tag in ("en_XX", "fr_XX"):
        (tmp_path / f"{tag}.txt").write_text("A  text.\nTwo.\n\nA text.\nThree.\n")
    state, raw = make("xgiga", "--targets", "fr_XX", "--mono", str(tmp_path))
    assert state == 0
    assert (raw / "mono.fr_XX.train").read_text() == "A text.\nTwo.\n"
    assert (raw / "mono.fr_XX.valid").read_text() == "Three.\n"


def test_translated_pairs_have_the_rows_of_the_english_ones(
    xgiga: Path, make: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    more = ("--targets", "fr_XX", "--translated", str(tmp_path))
    state, raw = make("xgiga", *more)
    assert state == 1
    assert f"fr_XX.train.tsv: missing (French, fr_XX); preprocess/translate.sh --in {raw}" in (
        capsys.readouterr().err
    )
    english = (raw / "en_XX.train.tsv").read_text("utf-8")
    (tmp_path / "fr_XX.train.tsv").write_text(english.replace("mill", "moulin"), "utf-8")
    assert make("xgiga", *more)[0] == make("xgiga", *more[:2])[0] == 0
    (tmp_path / "fr_XX.train.tsv").write_text(english.split("\n", 1)[1], "utf-8")
    assert make("xgiga", *more)[0] == 1
    assert "11 rows that are not the 12 of" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [("--targets", "de_DE"), ("--separator", "a b"), ("--mono", "nowhere")]
)
def test_wrong_options(
    xqg: Path, make: Make, capsys: pytest.CaptureFixture[str], options: tuple[str, str]
) -> None:
    state, raw = make("xqg", *options)
    assert state == 1 and options[1] in capsys.readouterr().err
    assert not raw.exists()


@pytest.mark.parametrize(("unknown", "mark"), [("", "⏎"), ("⏎", "|")])
def test_the_separator_is_one_that_the_model_knows(unknown: str, mark: str) -> None:
    """A large vocabulary without byte fallback may lack the first choice."""

    class Model:
        def unk_id(self) -> int:
            return 0

        def encode(self, text: str) -> list[int]:
            return [0 if text == unknown else 7]

    assert usable_separator(LAYOUTS["xqg"], None, Model()) == mark
    assert usable_separator(LAYOUTS["xgiga"], None, Model()) is None
