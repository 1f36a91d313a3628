"""`xgiga.sh --translated` by its own commands: one folder is of one translation."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.recipes.warm import Warm

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """English and French files as the XNLG project lays them."""
    folder = tmp_path / "xgiga"
    folder.mkdir()
    for lang, word in (("en", "mill"), ("fr", "moulin")):
        for split in ("train", "dev", "test"):
            for side in "xy":
                lines = (f"{word} {number} {side} .\n" for number in range(4))
                (folder / f"{split}.{side}.{lang}").write_text("".join(lines))
    return folder


def prepare(warm: Warm, data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "preprocess" / "xgiga.sh"), "--data", str(data), "--targets", "fr_XX",
         "--backbone", str(ROOT / "examples" / "mini" / "model"), "--pairs-only",
         "--out", str(data.parent / "out"), *options],
        env={**os.environ, "PATH": warm.path()}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def translated(data: Path, name: str, word: str) -> Path:
    """A folder with French pairs of the same rows."""
    english = (data.parent / "out" / "raw" / "en_XX.train.tsv").read_text()
    folder = data.parent / name
    folder.mkdir()
    (folder / "fr_XX.train.tsv").write_text(english.replace("mill", word))
    return folder


@pytest.mark.integration
def test_another_translation_needs_another_folder(data: Path, warm: Warm) -> None:
    """Rows of the same names but other texts: refused, and what is there stays."""
    plain = prepare(warm, data)
    assert plain.returncode == 0, plain.stderr
    one, other = translated(data, "one", "moulin"), translated(data, "other", "minoterie")
    assert prepare(warm, data, "--translated", str(one)).returncode == 0
    binary = data.parent / "out" / "data-bin" / "fr_XX" / "train.src-tgt.src.bin"
    before = binary.read_bytes()

    failed = prepare(warm, data, "--translated", str(other))
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"xgiga: {other}") and "--out" in failed.stderr
    assert binary.read_bytes() == before
    again = prepare(warm, data, "--translated", str(one))
    assert again.returncode == 0 and "fr_XX train pairs: up to date" in again.stdout
    assert prepare(warm, data).returncode == 0
