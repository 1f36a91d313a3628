"""`translate_test.sh`: what is refused before it translates, and what a mended option costs.

Only `fairseq-generate` is a stand-in: it gives as many outputs as there are sources.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.recipes.warm import Warm

ROOT = Path(__file__).parents[2]
BACKBONE = ROOT / "examples" / "mini" / "model"
TEXTS = ["un fichier", "deux fichiers", "trois mots"]
GENERATE = """#!/usr/bin/env bash
echo "$*" >> "$LOG"
for n in 0 1 2; do
  printf '%s\\t%s\\n' S-$n source T-$n target
  printf '%s\\t-0.1\\t%s\\n' H-$n "word $n" D-$n "word $n"
done
"""


class Case:
    """A folder with a space in its name, and the command on what lies there."""

    def __init__(self, folder: Path, warm: Warm) -> None:
        self.folder, self.out = folder, folder / "out"
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "fairseq-generate").write_text(GENERATE)
        (folder / "bin" / "fairseq-generate").chmod(0o755)
        self.path = f"{folder / 'bin'}{os.pathsep}{warm.path()}"
        for name in ("src", "ref", "english ref"):
            (folder / name).write_text("".join(f"{text}\n" for text in TEXTS))
        (folder / "model.pt").touch()

    def run(self, **changed: str) -> subprocess.CompletedProcess[str]:
        """The command, with other options; names have underscores here."""
        given = {
            "src": "src", "ref": "ref", "lang": "fr_XX", "out": "out", "checkpoint": "model.pt",
            "backbone": str(BACKBONE), "to_english": "tee -a sent | sed 's/^/EN /'",
            "from_english": "tee -a sent | sed 's/^/FR /'", "score": "--bootstrap 10 --floors",
            **changed,
        }  # fmt: skip
        words = [word for name, value in given.items() for word in (_option(name), value)]
        return subprocess.run(
            [str(ROOT / "preprocess" / "translate_test.sh"), *words], cwd=self.folder,
            env={**os.environ, "PATH": self.path, "LOG": str(self.folder / "generated")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def refused(self, **changed: str) -> str:
        """What the command says in one line, before it translates anything."""
        failed = self.run(**changed)
        assert failed.returncode == 1 and failed.stderr.count("\n") == 1, failed.stderr
        return failed.stderr

    def sent(self) -> list[str]:
        """What the engines were sent so far."""
        return (self.folder / "sent").read_text().splitlines()


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@pytest.fixture
def case(tmp_path: Path, warm: Warm) -> Case:
    return Case(tmp_path / "a folder", warm)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"lang": "fr"}, "translate_test: --lang fr: name it by its tag"),
        ({"ref": "short"}, "src has 3 lines and short has 1 lines"),
        ({"english_ref": "short"}, "src has 3 lines and short has 1 lines"),
        ({"english_ref": "nowhere"}, "nowhere: no such file (--english-ref)"),
        ({"backbone": "wrong"}, "wrong/dict.txt"),
    ],
)
def test_it_is_refused_before_anything_is_done(
    case: Case, changed: dict[str, str], named: str
) -> None:
    (case.folder / "short").write_text("one\n")
    (case.folder / "wrong").mkdir()
    words = (BACKBONE / "dict.txt").read_text("utf-8").splitlines()
    (case.folder / "wrong" / "dict.txt").write_text(f"{words[0]}\n", "utf-8")
    (case.folder / "wrong" / "sentence.bpe.model").symlink_to(BACKBONE / "sentence.bpe.model")
    assert named in case.refused(**changed)
    assert not (case.folder / "sent").exists() and not case.out.exists()


@pytest.mark.integration
def test_a_mended_option_repeats_nothing_that_it_does_not_concern(case: Case) -> None:
    """Engines, references and scoring are each mended in the same folder; models are not."""
    assert "catt: command not found" in case.refused(to_english="catt")
    assert "catt: command not found" in case.refused(from_english="catt")
    assert case.sent() == TEXTS
    (case.folder / "ref").write_text("first draft\n" * 3)
    unknown = case.run(score="--flors")
    assert unknown.returncode and "unrecognized arguments: --flors" in unknown.stderr
    (case.folder / "ref").write_text("".join(f"FR word {n}\n" for n in range(3)))
    done = case.run()
    assert done.returncode == 0, done.stderr
    assert (case.out / "hypotheses.fr_XX.txt").read_text() == (case.folder / "ref").read_text()
    assert json.loads((case.out / "score.fr_XX.json").read_text())["rougeL"]["f"] == 100
    assert case.sent() == [*TEXTS, "word 0", "word 1", "word 2"]
    assert len((case.folder / "generated").read_text().splitlines()) == 1
    assert "was begun with other settings (now beam 2): name another" in case.refused(beam="2")
    assert "(now to-english cat): name another --out" in case.refused(to_english="cat")


@pytest.mark.integration
def test_english_references_in_a_folder_with_a_space(case: Case) -> None:
    done = case.run(english_ref="english ref")
    assert done.returncode == 0, done.stderr
    floors = json.loads((case.out / "score.fr_XX.json").read_text())["floors"]
    assert floors["english_reference"]["rougeL"]["f"] == 100
