"""`laft score` from files to table and JSON, and what it refuses."""

import argparse
import json
from pathlib import Path

import pytest

from laft_fairseq.cli import score
from laft_fairseq.errors import LaftError

FILES = {
    "hyp": "un éditeur de texte\nle jeu\n",
    "ref": "Éditeur de texte simple\njeu de stratégie\n",
    "src": "Un éditeur de texte simple. Il est libre.\nCe jeu de stratégie plaît.\n",
    "english": "simple text editor\nstrategy game\n",
    "short": "un éditeur\n",
    "nothing": "",
    "log": (
        "S-1\tCe jeu.\nT-1\tjeu de stratégie\nH-1\t-1\t▁le ▁jeu\nD-1\t-1\tle jeu\n"
        "S-0\tUn éditeur.\nT-0\tÉditeur\nH-0\t-1\t▁un\nD-0\t-1\tun éditeur de texte\n"
    ),
    "tagged": (
        "S-0\tCe jeu. [fr_XX]\nH-0\t-1\t▁jeu\nD-0\t-1\tjeu\n"
        "S-1\tLe jeu. [fr_XX]\nH-1\t-1\t▁jeu\nD-1\t-1\tjeu\n"
    ),
    "gap": "D-0\t-1\ta\nD-2\t-1\tb\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(words: str) -> int:
    parser = argparse.ArgumentParser()
    score.add_arguments(parser)
    args = parser.parse_args(words.split())
    status: int = score.run(args)
    return status


def test_table_and_json_from_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--hyp hyp --ref ref --src src --lang fr_XX --langs en_XX,fr_XX --trivial-baselines"
    assert run(f"{words} --english-ref english --bootstrap 100 --seed 7 --json out.json") == 0
    report = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    # [un éditeur de texte] shares 3 tokens with 4, [le jeu] 1 with 3.
    assert report["rougeL"]["f"] == pytest.approx(100 * (6 / 8 + 2 / 5) / 2)
    assert set(report["rougeL"]) == {"f", "low", "high"} and "items" not in report
    promised = {"rouge1", "rouge2", "right_language", "copied", "length_ratio", "empty"}
    assert promised | {"bleu", "chrf", "n", "signature"} <= set(report)
    assert set(report["floors"]) == {"lead1", "source_copy", "oracle", "english_reference"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:2] == ["ROUGE-L", "57.50"]
    assert lines[-1] == report["signature"]
    assert "bootstrap:100|seed:7|" in lines[-1]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "out.json"])


def test_several_files_of_references(folder: Path) -> None:
    """The best of each item; a log's T- lines are then no reference."""
    (folder / "other").write_text("editeur\nle jeu\n", encoding="utf-8")
    for outputs in ("--hyp hyp", "--generate-log log"):
        words = f"{outputs} --ref ref other --src src --lang fr_XX --trivial-baselines --items"
        assert run(f"{words} --json out.json") == 0
        report = json.loads((folder / "out.json").read_text(encoding="utf-8"))
        assert report["references"] == 2
        assert report["items"] == {"rougeL": [75.0, 100.0]}


@pytest.mark.parametrize(
    ("files", "expected", "notes"),
    [("", 100 * (2 / 5 + 2 / 5) / 2, ["T-", "S-"]), ("--ref ref --src src", 57.5, [])],
)
def test_raw_files_take_the_place_of_the_logs_lines(
    folder: Path, capsys: pytest.CaptureFixture[str], files: str, expected: float, notes: list[str]
) -> None:
    words = "--generate-log log --lang fr_XX --json out.json --write-hypotheses out.txt"
    assert run(f"{words} {files}") == 0
    report = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert report["rougeL"]["f"] == pytest.approx(expected)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(notes)
    assert all(f"log: its {kind} lines" in line for kind, line in zip(notes, lines, strict=True))
    assert (folder / "out.txt").read_text(encoding="utf-8") == "un éditeur de texte\nle jeu\n"


@pytest.mark.parametrize(
    ("lang", "source"),
    [
        ("zh_CN", "你来吗？面积100㎡！气温30℃…… ⏎ 完"),
        ("hi_IN", "पहला वाक्य। दूसरा वाक्य। ½ तीसरा"),
        ("fa_IR", "می\u200cرود؟ او نخست\u200cوزیر است. بله"),
    ],
)
def test_a_logs_sources_have_the_raw_files_baselines(folder: Path, lang: str, source: str) -> None:
    from laft_fairseq.scoring.tokenizers import normalise

    (folder / "raw").write_text(f"{source}\n", encoding="utf-8")
    log = f"S-0\t{normalise(source)} [{lang}]\nT-0\t{source}\nD-0\t-1\t{source}\n"
    (folder / "log").write_text(log, encoding="utf-8")
    floors = []
    for files in ("", "--src raw"):
        words = f"--generate-log log {files} --lang {lang} --trivial-baselines --json out.json"
        assert run(words) == 0
        floors.append(json.loads((folder / "out.json").read_text(encoding="utf-8"))["floors"])
    assert floors[0] == floors[1]
    assert floors[0]["lead1"]["rougeL"]["f"] < 100


def test_tags_of_a_log(folder: Path) -> None:
    """A text that begins with a locale is of the language it ends with; --langs has gaps."""
    log = (folder / "tagged").read_text(encoding="utf-8")
    (folder / "locale").write_text(log.replace("Ce jeu.", "[en_US] Ce jeu."), encoding="utf-8")
    assert run("--generate-log locale --ref ref --lang fr_XX --langs en_XX,,fr_XX,") == 0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--hyp hyp --ref short --lang fr_XX", "hyp has 2 hypotheses for fr_XX but short has 1"),
        ("--hyp hyp --ref ref --english-ref short --lang fr_XX", "but short has 1 lines"),
        ("--hyp nothing --ref ref --lang fr_XX", "nothing: the file is empty"),
        ("--hyp absent --ref ref --lang fr_XX", "absent: cannot be read"),
        ("--hyp hyp --lang fr_XX", "no references for fr_XX: give them with --ref"),
        ("--hyp hyp --ref ref --lang xx_XX", "unknown language 'xx_XX'"),
        ("--hyp hyp --ref ref --lang fr_XX --langs en_XX", "fr_XX is none of the languages en"),
        ("--hyp hyp --ref ref --lang ru_RU --protocol xnlg", "not defined for ru_RU"),
        (
            "--hyp hyp --ref ref --lang fr_XX --floors",
            "--trivial-baselines needs the source texts of fr_XX",
        ),
        ("--hyp hyp --ref ref --lang fr_XX --bootstrap 0", "--bootstrap 0"),
        ("--hyp hyp --ref ref --lang fr_XX --items", "--items .* give --json"),
        ("--generate-log gap --ref ref --lang fr_XX", r"gap: no hypothesis .*\(id 1\)"),
        ("--hyp hyp --ref ref --lang fr_XX --json ref", "ref: is read too, and would be lost"),
        ("--hyp hyp --ref ref --lang fr_XX --write-hypotheses no/x", "no/x: no such folder"),
        ("--generate-log tagged --ref ref --lang zh_CN", "tagged: its texts are tagged fr_XX, not"),
    ],
)
def test_wrong_input_is_one_clear_line(words: str, named: str) -> None:
    with pytest.raises(LaftError, match=named) as raised:
        run(words)
    assert "\n" not in str(raised.value)
