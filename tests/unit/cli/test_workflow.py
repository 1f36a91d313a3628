"""`laft workflow`: which recipe Snakemake gets, and when the workflow is copied."""

import os
from pathlib import Path

import pytest

from laft_fairseq.cli import main, workflow


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that would have replaced the process; the working folder is `tmp_path`/here."""
    source = tmp_path / "source"
    for name in ("examples/workflow/Snakefile", "examples/own.yaml", "examples/out/big.pt",
                 "preprocess/binarize.sh"):  # fmt: skip
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(workflow, "shipped", lambda: source)
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: commands.append(words))
    return commands


def test_the_workflow_is_copied_once_and_run(executed: list[list[str]]) -> None:
    main.main(["workflow", "own", "-n", "--config", "folder=x"])
    assert executed[0][1:] == [
        "-m", "snakemake", "-s", "examples/workflow/Snakefile",
        "--configfile", "examples/own.yaml", "-n", "--config", "folder=x",
    ]  # fmt: skip
    assert Path("preprocess/binarize.sh").is_file()
    assert not Path("examples/out").exists()
    Path("examples/own.yaml").write_text("mine")
    main.main(["workflow", "own", "examples/own.yaml"])
    assert executed[1][-3:] == ["--configfile", "examples/own.yaml", "examples/own.yaml"]
    assert Path("examples/own.yaml").read_text() == "mine"


@pytest.mark.parametrize("recipe", ["owm", "owm.yaml"])
def test_an_unknown_recipe_is_refused(
    recipe: str, executed: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["workflow", recipe]) == 2
    assert "owm.yaml: no such recipe; there are own" in capsys.readouterr().err
    assert not executed


def test_a_folder_of_that_name_is_left_alone(
    executed: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("examples").mkdir()
    assert main.main(["workflow", "own"]) == 2
    assert "an empty folder or in the repository" in capsys.readouterr().err
    assert not executed
    assert not Path("preprocess").exists()
