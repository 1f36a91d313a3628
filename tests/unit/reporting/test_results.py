"""Reading results from a folder or one file; what is refused, in one line with file and remedy."""

import json
import lzma
import math
import random
from pathlib import Path
from typing import Any

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.reporting import page, results
from tests import result_files as made


def cell(**changes: Any) -> dict[str, Any]:
    return made.result("laft", "main", "fr_XX", 1, [20.0, 30.0, 40.0]) | changes


def test_one_packed_file_holds_what_the_folder_held(tmp_path: Path) -> None:
    folder = made.write(tmp_path / "results", seeds=2)
    made.put(folder, "select/laft.main.json", {"source": "1e-3", "validation": {"1e-3": 20.1}})
    documents = list(results.documents(folder))
    packed = tmp_path / "cells.jsonl.xz"
    packed.write_bytes(results.pack(documents))
    assert list(results.documents(packed)) == documents
    assert lzma.decompress(packed.read_bytes()).count(b"\n") == len(list(folder.rglob("*.json")))
    found = results.read(packed)
    assert len(found.cells) == len(made.MEANS) * 2 * 2 + 1
    assert (set(found.representations), found.left_out) == ({"main"}, [])
    assert [gate["passed"] for gate in found.sanity_checks or []] == [True, True]


@pytest.mark.parametrize(
    ("share", "undecidable", "version", "of_all"),
    [(75.0, 20.0, 1, 60.0), (None, 100.0, 1, 0.0), (75.0, 20.0, 2, 75.0)],
)
def test_right_language_is_a_share_of_all_outputs_in_older_files_too(
    tmp_path: Path, share: float | None, undecidable: float, version: int, of_all: float
) -> None:
    given = cell()
    given["scores"] |= {"right_language": share, "undecidable": undecidable}
    given["scores"]["signature"] = f"rouge:F|rouge-score:0.1.2|version:{version}|langs:en+fr"
    made.put(tmp_path, "cell.json", given)
    documents = list(results.documents(tmp_path))
    (read,) = results.collect(documents, tmp_path).cells
    assert read.data["scores"]["right_language"] == pytest.approx(of_all)
    assert documents[0][1] == given  # what --cells packs


def test_files_without_a_format_are_left_out_and_named(tmp_path: Path) -> None:
    made.put(tmp_path, "figure2.json", {"panels": []})
    made.put(tmp_path, ".cell.json.123.tmp.json", "half")
    assert results.read(tmp_path).left_out == ["figure2.json"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (cell(format="laft-result/9"), "unknown format 'laft-result/9'.* use the version"),
        (cell(seed="one"), "'seed' is missing or of the wrong type"),
        (cell(scores=None), "'scores' is missing"),
        (cell(method="magic"), "unknown method 'magic'; choose from mbart_full"),
        (cell(items={"rougeL": []}), "items.rougeL is no list .* --items"),
        (cell(items={"rougeL": [20.0, None, 40.0]}), "'items.rougeL' is missing"),
        (cell(items={"rougeL": [20.0, float("nan"), 40.0]}), "'items.rougeL' is missing"),
        (cell(items={"rougeL": [20.0, 130.0, 40.0]}), "items.rougeL is no list"),
        (cell(items={"rougeL": [20.0, 31.0, 40.0]}), "mean ROUGE-L of 30.333, but .* is 30.000"),
        (cell(curve=[{"stage": 2, "rougeL": 20.0}]), "'curve.rougeL' is missing"),
        (made.gates("yes"), "'gates.passed' is missing"),  # type: ignore[arg-type]
        (made.experiment(contrasts=[{"lang": "fr_XX"}]), "unknown contrasts.setting None"),
    ],
)
def test_wrong_content_is_refused(tmp_path: Path, data: dict[str, Any], said: str) -> None:
    path = made.put(tmp_path, "wrong.json", data)
    with pytest.raises(LaftError, match=said) as raised:
        results.read(tmp_path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_mistyped_json_gives_a_page_or_one_line_that_names_the_file(tmp_path: Path) -> None:
    """Any value anywhere left out or replaced by one of another kind, 240 times, the same seed."""
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    draws = random.Random(7)
    for name, given in {"cell": cell(), "experiment": made.experiment(), "gates": made.gates(True),
                        "panels": made.representations("main")}.items():  # fmt: skip
        for _ in range(60):
            data = json.loads(json.dumps(given))
            where, key = draws.choice([place for place in places(data) if place[1] != "format"])
            values = [None, True, -1, 1e300, 10**400, math.nan, "x", "\ud800", [], [1], {}, deep]
            where[key] = draws.choice(values)
            if isinstance(where, dict) and draws.random() < 0.2:
                del where[key]
            path = tmp_path / name / "wrong.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(data), encoding="utf-8")
            try:
                found = results.read(path.parent)
            except LaftError as error:
                assert str(path) in str(error)
                continue
            assert page.markdown(found, tmp_path).startswith("# ")


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every container with every key in it, all the way down."""
    keys = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    return [(data, key) for key in keys] + [p for key in keys for p in places(data[key])]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.json", b'{"format": "laft-res', r"cut\.json: damaged JSON .* run its cell again"),
        ("latin.json", b'"\xe9"', r"latin\.json: line 1 is not UTF-8"),
        ("deep.json", b"[" * 100_000, r"deep\.json: damaged JSON"),
        ("cut.jsonl.xz", lzma.compress(b"{}")[:-9], r"cut\.jsonl\.xz: damaged near line"),
        ("text.jsonl.xz", b'{"file": "a"}', r"text\.jsonl\.xz: damaged near line 1"),
        ("half.jsonl.xz", lzma.compress(b'{"fi'), r"half\.jsonl\.xz: line 1: damaged JSON"),
        ("list.jsonl.xz", lzma.compress(b"[]"), r"list\.jsonl\.xz: line 1 names no file"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LaftError, match=said) as raised:
        results.read(tmp_path if name.endswith(".json") else path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (cell(), "cell headlines zero-shot laft main fr_XX source 1 was already given"),
        (made.experiment(), "laft-experiment/1 was already given by .*a.json"),
        (made.gates(), "laft-gates/1 was already given"),
        (made.representations("main"), "representations of main was already given"),
    ],
)
def test_what_is_given_twice_is_refused(tmp_path: Path, data: dict[str, Any], said: str) -> None:
    made.put(tmp_path, "a.json", data)
    made.put(tmp_path, "b.json", data)
    with pytest.raises(LaftError, match=rf"b\.json: .*{said}"):
        results.read(tmp_path)


@pytest.mark.parametrize("scores", [[20.0, 30.0], [20.0, 30.0, 40.0, 50.0]])
def test_other_items_are_refused(tmp_path: Path, scores: list[float]) -> None:
    made.put(tmp_path, "a.json", cell())
    other = made.result("mbart_full", "main", "fr_XX", 1, scores)
    made.put(tmp_path, "b.json", other)
    with pytest.raises(LaftError, match=rf"b\.json has {len(scores)} items .*a\.json has 3"):
        results.read(tmp_path)
    made.put(tmp_path, "b.json", other | {"lang": "zh_CN"})
    assert len(results.read(tmp_path).cells) == 2
