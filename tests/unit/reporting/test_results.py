"""Reading a folder, and what is refused: one line with the file and the remedy."""

from pathlib import Path
from typing import Any

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.tables import results
from tests import result_files as made


def cell(**changes: Any) -> dict[str, Any]:
    return made.result("laft", "main", "fr_XX", 1, [20.0, 30.0, 40.0]) | changes


def test_a_whole_folder_is_read(tmp_path: Path) -> None:
    made.write(tmp_path, seeds=2)
    found = results.read(tmp_path)
    assert len(found.cells) == len(made.MEANS) * 2 * 2 + 1
    assert found.figure == tmp_path / "figure2.png"
    assert set(found.representations) == {"main"}
    assert [gate["passed"] for gate in found.gates or []] == [True, True]
    assert [c.seed for c in found.seeds_of(found.cells[0].row)] == [1, 2]


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    found = results.read(tmp_path)
    assert (found.cells, found.gates, found.figure, found.experiment) == ([], None, None, {})


def test_files_without_a_format_are_left_out_and_named(tmp_path: Path) -> None:
    other = made.put(tmp_path, "figure2.json", {"panels": []})
    made.put(tmp_path, ".cell.json.123.tmp.json", "half")
    assert results.read(tmp_path).left_out == [other]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (cell(format="laft-result/9"), "unknown format 'laft-result/9'.* use the version"),
        (cell(seed="one"), "'seed' is missing or of the wrong kind"),
        (cell(scores=None), "'scores' is missing"),
        (cell(method="magic"), "unknown method 'magic'; choose from mbart_full"),
        (cell(setting="one-shot"), "unknown setting 'one-shot'"),
        (cell(selection="luck"), "unknown selection 'luck'"),
        (cell(task="jokes"), "unknown task 'jokes'"),
        (cell(items={"rougeL": []}), "items.rougeL is no list .* --items"),
        (cell(items={"rougeL": [20.0, None, 40.0]}), "items.rougeL is no list"),
        (cell(items={"rougeL": [20.0, float("nan"), 40.0]}), "items.rougeL is no list"),
        (cell(items={"rougeL": [20.0, 130.0, 40.0]}), "items.rougeL is no list"),
        (cell(items={"rougeL": [20.0, 31.0, 40.0]}), "mean ROUGE-L of 30.333, but .* is 30.000"),
        (cell(scores={"rougeL": None}), "scores.rougeL.f is no number"),
        (made.gates("yes"), "gates is no list"),  # type: ignore[arg-type]
        (made.experiment(contrasts=[{"lang": "fr_XX"}]), "a contrast without setting, method"),
    ],
)
def test_wrong_content_is_refused(tmp_path: Path, data: dict[str, Any], said: str) -> None:
    path = made.put(tmp_path, "wrong.json", data)
    with pytest.raises(LaftError, match=said) as raised:
        results.read(tmp_path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"format": "laft-res', encoding="utf-8")
    with pytest.raises(LaftError, match=r"cut\.json: damaged JSON .* run its cell again"):
        results.read(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaftError, match="absent: no such folder"):
        results.read(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("cell", cell(), "cell headlines zero-shot laft main fr_XX source 1 was already given"),
        ("experiment", made.experiment(), "laft-experiment/1 was already given by .*a.json"),
        ("gates", made.gates(), "laft-gates/1 was already given"),
        ("main", made.representations("main"), "representations of main was already given"),
    ],
)
def test_what_is_given_twice_is_refused(
    tmp_path: Path, name: str, data: dict[str, Any], said: str
) -> None:
    made.put(tmp_path, "a.json", data)
    made.put(tmp_path, "b.json", data)
    with pytest.raises(LaftError, match=rf"b\.json: .*{said}"):
        results.read(tmp_path)


def test_other_items_are_refused(tmp_path: Path) -> None:
    made.put(tmp_path, "a.json", cell())
    other = made.result("mbart_full", "main", "fr_XX", 1, [20.0, 30.0])
    made.put(tmp_path, "b.json", other)
    with pytest.raises(LaftError, match=r"b\.json: 2 items .*a\.json has 3.* one test set"):
        results.read(tmp_path)
    other["lang"] = "zh_CN"
    made.put(tmp_path, "b.json", other)
    assert len(results.read(tmp_path).cells) == 2
