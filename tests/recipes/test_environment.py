"""The scripts outside the virtual environment: one line that says how to enter it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REMEDY = ": activate the virtual environment first (. .venv/bin/activate; make install makes it)\n"
BARE = '#!/bin/sh\nexec "{python}" -E -S "$@"\n'


def run(folder: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A script with a Python that has nothing but its standard library first on the path."""
    return subprocess.run(
        [str(ROOT / "preprocess" / script), *words], capture_output=True, text=True, check=False,
        cwd=folder, env={"PATH": f"{folder}:/usr/bin:/bin"},
    )  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    (tmp_path / "python").write_text(BARE.format(python=sys.executable))
    (tmp_path / "python").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("script", "missing"),
    [
        ("binarize.sh", "sentencepiece"),
        ("cc100.sh", "duckdb, regex, tqdm"),
        ("qg.sh", "laft_fairseq, sentencepiece"),
        ("xgiga.sh", "laft_fairseq, regex, sacremoses, sentencepiece"),
    ],
)
def test_packages_are_missing(bare: Path, script: str, missing: str) -> None:
    failed = run(bare, script, "mono")
    assert failed.returncode == 1
    assert failed.stderr == f"{script.removesuffix('.sh')}: python lacks {missing}{REMEDY}"


SCRIPTS = sorted({path.name for path in (ROOT / "preprocess").glob("*.sh")} - {"environment.sh"})


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_needs_no_packages(bare: Path, script: str) -> None:
    done = run(bare, script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert script in done.stdout


@pytest.mark.parametrize("script", ["cc100.sh", "xgiga.sh"])
def test_help_works_beside_installed_packages(tmp_path: Path, script: str) -> None:
    done = subprocess.run(
        [ROOT / "preprocess" / script, "--help"], cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert script in done.stdout


def test_help_needs_no_python_of_that_name(tmp_path: Path) -> None:
    """python3 serves, as where no environment is active."""
    done = run(tmp_path, "qg.sh", "-h")
    assert done.returncode == 0 and "usage: qg.sh" in done.stdout


def test_a_command_is_missing(tmp_path: Path) -> None:
    """This Python by its name, but its commands are not on the path."""
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    failed = run(tmp_path, "binarize.sh", "mono")
    assert failed.returncode == 1
    assert failed.stderr == f"binarize: there is no fairseq-preprocess on the PATH{REMEDY}"


def test_python_is_missing(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "basename"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    failed = subprocess.run(
        ["/bin/bash", str(ROOT / "preprocess" / "binarize.sh"), "mono"],
        capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)},
    )  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr == f"binarize: there is no python on the PATH{REMEDY}"
