"""The headline recipe by its own commands, at the smallest size, on the embedded backbone."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.recipes.warm import Warm

ROOT = Path(__file__).parents[2]
ITEMS = 6
SIZE = {
    "TEST_ITEMS": str(ITEMS),
    "MAX_SENTENCES": "40",
    "TARGETS": "fr_XX",
    "STAGE1_UPDATES": "1",
    "STAGE2_UPDATES": "1",
    "BEAM": "1",
    "VALID_ITEMS": "8",
}


def run(warm: Warm, out: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`examples/ddtp/run.sh` with commands that start at once first on the path."""
    environment = {**os.environ, **SIZE, "OUT": str(out), "PATH": warm.path(), **variables}
    return subprocess.run(
        ["bash", str(ROOT / "examples" / "ddtp" / "run.sh")],
        env=environment, capture_output=True, text=True, check=False, cwd=out.parent,
    )  # fmt: skip


def translate_test(warm: Warm, out: Path) -> None:
    """The baseline on the recipe's model, with engines that mark each line; and a second run."""
    made = out / "translate_test"
    given = {
        "--src": out / "raw" / "fr_XX.test.src", "--ref": out / "raw" / "fr_XX.test.tgt",
        "--lang": "fr_XX", "--out": made, "--backbone": ROOT / "examples" / "mini" / "model",
        "--checkpoint": out / "mbart_full" / "stage2" / "checkpoint_best.pt", "--beam": "1",
        "--to-english": "sed 's/^/into English /'", "--from-english": "sed 's/^/de retour /'",
        "--max-len": "8", "--score": "--bootstrap 10",
    }  # fmt: skip
    script = ROOT / "preprocess" / "translate_test.sh"
    command = [str(script), *(str(word) for pair in given.items() for word in pair)]
    for again in (False, True):
        done = subprocess.run(
            command,
            env={**os.environ, "PATH": warm.path()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert ("up to date" in done.stdout) == again
    sources = (out / "raw" / "fr_XX.test.src").read_text("utf-8").splitlines()
    english = (made / "english.txt").read_text("utf-8").splitlines()
    assert [line.removeprefix("into English ") for line in english] != english
    assert len(english) == len(sources) == ITEMS
    theirs = (made / "hypotheses.en_XX.txt").read_text("utf-8").splitlines()
    back = (made / "hypotheses.fr_XX.txt").read_text("utf-8").splitlines()
    assert len(theirs) == ITEMS and any(theirs)
    assert back == [f"de retour {text}" if text else "" for text in theirs]
    assert json.loads((made / "score.fr_XX.json").read_text())["n"] == ITEMS
    changed = subprocess.run(
        [*command, "--beam", "2"], env={**os.environ, "PATH": warm.path()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert changed.returncode == 1 and "other settings (now beam 2): name" in changed.stderr


@pytest.mark.integration
def test_the_recipe_runs_to_its_table_and_resumes(tmp_path: Path, warm: Warm) -> None:
    """Every step leaves its result; hypotheses as many as inputs; a second run repeats nothing."""
    out = tmp_path / "out"
    first = run(warm, out)
    assert first.returncode == 0, first.stdout[-2000:] + first.stderr[-2000:]
    for method in ("laft", "mbart_full"):
        report = json.loads((out / method / "score.fr_XX.json").read_text())
        assert report["n"] == ITEMS
        assert set(report["floors"]) == {"lead1", "source_copy", "oracle", "english_reference"}
        assert f"| **{method}** | fr_XX |" in first.stdout
    assert (out / "figure2.png").read_bytes().startswith(b"\x89PNG")
    assert "LEAD-1" in (out / "table.md").read_text()

    (out / "mbart_full" / "score.fr_XX.json").unlink()
    before = (out / "laft" / "stage2" / "checkpoint_best.pt").stat().st_mtime_ns
    second = run(warm, out)
    assert second.returncode == 0, second.stderr[-2000:]
    assert "stage 2, laft: done before" in second.stdout
    assert "score, mbart_full, fr_XX: done before" not in second.stdout
    assert (out / "laft" / "stage2" / "checkpoint_best.pt").stat().st_mtime_ns == before
    translate_test(warm, out)


@pytest.mark.integration
def test_a_missing_backbone_stops_at_once(tmp_path: Path, warm: Warm) -> None:
    """One clear line that names the folder, a non-zero exit."""
    failed = run(warm, tmp_path / "out", BACKBONE=str(tmp_path / "nowhere"))
    assert failed.returncode != 0
    assert "nowhere" in failed.stderr


def test_a_language_without_texts_is_named(tmp_path: Path, warm: Warm) -> None:
    failed = run(warm, tmp_path / "out", TARGETS="vi_VN")
    assert failed.returncode == 1
    line = "examples/ddtp/data: no vi_VN.test.tsv.xz; TARGETS names languages that it has\n"
    assert failed.stderr == line
