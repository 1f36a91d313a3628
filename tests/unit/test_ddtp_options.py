"""Wrong options of tables.sh: a line each, before any step."""

from pathlib import Path

import pytest

from examples.ddtp.tables import __main__ as tables
from examples.ddtp.tables import budget, options
from laft_fairseq.tables import names
from tests import ddtp_text

NUMBERS = [
    ("jobs", "0"), ("jobs", "abc"), ("jobs", "-2"), ("save_updates", "x"), ("save_updates", "0"),
    ("hours", "x"), ("hours", "0"), ("hours", "nan"), ("hours", "-1"),
    ("valid_items", "all"), ("valid_items", "0"), ("pairs", "all"), ("beam", "0"),
    ("valid_beam", "0"), ("max_tokens", "0"), ("test_items", "-1"), ("stage1_seeds", "0"),
    ("supervised_updates", "0"), ("warmup", "3"), ("warmup", "1"), ("warmup", "-0.1"),
    ("warmup", "x"), ("grid", "nan"), ("grid", "0"), ("stage1_grid", "-1e-3"), ("grid", ","),
]  # fmt: skip
WORDS = [
    ("controls", "no-remval", "CONTROLS: no-remval is none of all projection"),
    ("controls", "all no-remval", "CONTROLS: no-remval is none of all projection"),
    ("few_shot", "0", "FEW_SHOT: 0 is none of 10 100 1000"),
    ("few_shot", "10 20000", "FEW_SHOT: 20000 is none of 10 100 1000"),
    ("rows", "laft laft", "ROWS: laft is named twice"),
    ("targets", "en_XX", "TARGETS: en_XX is the source"),
    ("targets", "fr", "no fr.valid.tsv.xz; DDTP names the folder, TARGETS the languages"),
    ("mono", "nowhere", "nowhere: no such folder; MONO names it"),
    ("ddtp", "nowhere", "nowhere: no such folder; DDTP names it"),
    ("qg", "nowhere", "nowhere: no such folder; QG names it"),
    ("qg", ".", "nqg.test.jsonl.xz: missing, and so are pairs of preprocess/qg.sh; QG names"),
    ("mono", ".", "no monolingual text in en_XX (mono.en_XX.txt.xz); MONO names the folder"),
    ("out", "pyproject.toml", "pyproject.toml: is a file; OUT names"),
    ("arch", "nosuch", "ARCH=nosuch: no such architecture; choose from laft_mbart, laft_mbart_"),
]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nothing is run, and nothing asked of this machine."""
    monkeypatch.setattr(options, "has_gpu", lambda: False)
    monkeypatch.setattr(options.translation, "engines", lambda targets: ())
    monkeypatch.setattr(tables.runner, "Runner", lambda *words, **more: pytest.fail("it ran"))
    monkeypatch.chdir(Path(__file__).parents[2])
    return tmp_path / "out"


def refusal(out: Path, name: str, value: str) -> str:
    """The line that a run with one wrong option ends with."""
    with pytest.raises(SystemExit) as told:
        tables.main(["--out", str(out), "--budget", "tiny", f"--{name.replace('_', '-')}={value}"])
    line = str(told.value)
    assert line.startswith("tables: ") and "\n" not in line
    assert not out.exists()
    return line


@pytest.mark.parametrize(("name", "value"), NUMBERS)
def test_a_number_that_no_step_could_use(out: Path, name: str, value: str) -> None:
    line = refusal(out, name, value)
    assert value in line or name.upper() in line


@pytest.mark.parametrize(("name", "value", "words"), WORDS)
def test_a_word_or_folder_that_is_not_known(out: Path, name: str, value: str, words: str) -> None:
    assert words in refusal(out, name, value)


def test_questions_that_were_not_made_to_the_end(out: Path, tmp_path: Path) -> None:
    """preprocess/qg.sh writes the English pairs first."""
    folder = tmp_path / "qg"
    folder.mkdir()
    (folder / "en_XX.train.tsv").touch()
    line = refusal(out, "qg", str(folder))
    assert "en_XX.valid.tsv: missing; preprocess/qg.sh did not come to its end there" in line


def test_damaged_pairs_are_named(out: Path, tmp_path: Path) -> None:
    ddtp_text.write(tmp_path / "ddtp")
    damaged = tmp_path / "ddtp" / "fr_XX.train.tsv.xz"
    damaged.write_bytes((tmp_path / "ddtp" / "en_XX.train.tsv.xz").read_bytes()[:-30])
    assert f"{damaged}: damaged" in refusal(out, "ddtp", str(tmp_path / "ddtp"))


def test_a_backbone_that_cannot_be_read_is_named(out: Path, tmp_path: Path) -> None:
    for name in ("model.pt", "dict.txt", "sentence.bpe.model"):
        (tmp_path / name).write_text("damaged")
    with pytest.raises(SystemExit, match=r"model\.pt.*BACKBONE names the folder"):
        tables.main(["--out", str(out), "--budget", "tiny", "--backbone", str(tmp_path)])
    assert {path.name for path in out.iterdir()} == {".lock"}


def test_right_ones_are_taken(out: Path) -> None:
    given = options.parse(
        ["--out", str(out), "--jobs", "3", "--warmup", "0", "--hours", "0.00001",
         "--test-items", "all", "--controls", "no-removal k-2", "--few-shot", "100"], {}
    )  # fmt: skip
    work, jobs = options.prepare(given)
    assert (jobs, work.budget.warmup, work.budget.test_items) == (3, "0", 0)
    assert (work.budget.controls, work.budget.few_shot) == (("no-removal", "k-2"), (100,))


def test_every_few_shot_number_has_a_name_on_the_page() -> None:
    assert [f"few-shot-{count}" in names.SETTINGS for count in budget.FEW_SHOT] == [True] * 3
