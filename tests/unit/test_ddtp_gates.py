"""The gates against numbers worked by hand."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def tools(repository: Path) -> dict[str, ModuleType]:
    """The gates' modules, which the script imports by their bare names."""
    folder = str(repository / "examples" / "ddtp")
    sys.path.insert(0, folder)
    try:
        names = ("gate_cells", "gate_rules", "gates")
        return {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(folder)


def cell(lang: str, setting: str, f: float, lead: float, variant: str = "main", **more: Any) -> Any:
    """A cell whose intervals are one point wide to each side."""
    scores = {
        "rougeL": {"f": f, "low": f - 1, "high": f + 1},
        "right_language": 99.0,
        "reference_right_language": 99.0,
        "length_ratio": 1.0,
        "floors": {"lead1": {"rougeL": {"f": lead, "low": lead - 1, "high": lead + 1}}},
        **more.pop("scores", {}),
    }
    given = {"setting": setting, "lang": lang, "variant": variant, "scores": scores}
    fixed = {"format": "laft-result/1", "task": "headlines", "method": "mbart_full", "seed": 1}
    return {**fixed, **given, **more}


@pytest.mark.parametrize(
    ("french", "english", "passed"),
    [
        (33.0, 33.0, True),
        (32.9, 33.0, False),  # 2.9 above LEAD-1
        (33.0, None, None),
        (30.0, None, False),
        (None, None, None),
    ],
)
def test_supervised(
    tools: dict[str, ModuleType], french: float | None, english: float | None, passed: bool | None
) -> None:
    given = {"fr_XX": french, "en_XX": english}
    cells = [cell(lang, "supervised", f, 30.0) for lang, f in given.items() if f is not None]
    cells += [cell("fr_XX", "zero-shot", 90.0, 30.0), cell("en_XX", "supervised", 90.0, 3.0, "k-1")]
    gate = tools["gate_rules"].supervised(cells, ["fr_XX", "en_XX"])
    assert gate.passed is passed
    if passed:
        said = "fr_XX: ROUGE-L 33.0 [32.0, 34.0] against LEAD-1 30.0 [29.0, 31.0], +3.0, "
        assert gate.detail.startswith(f"{said}intervals apart; en_XX:")


def test_supervised_needs_intervals_apart(tools: dict[str, ModuleType]) -> None:
    wide = {"rougeL": {"f": 34.0, "low": 30.9, "high": 37.0}}  # LEAD-1 ends at 31
    cells = [
        cell("fr_XX", "supervised", 34.0, 30.0, scores=wide),
        cell("en_XX", "supervised", 40, 30),
    ]
    gate = tools["gate_rules"].supervised(cells, ["fr_XX", "en_XX"])
    assert gate.passed is False
    assert "intervals overlap" in gate.detail


@pytest.mark.parametrize(
    ("targets", "lacking", "langs"),
    [
        (["fr_XX", "zh_CN"], ["zh_CN"], ["fr_XX", "en_XX"]),
        (["de_DE"], [], ["de_DE", "en_XX"]),
        (["zh_CN"], ["zh_CN"], ["en_XX"]),
    ],
)
def test_supervised_is_read_where_there_are_human_pairs(
    tools: dict[str, ModuleType], tmp_path: Path, targets: list[str], lacking: list[str],
    langs: list[str],
) -> None:  # fmt: skip
    """Whatever the targets are, as the experiment has them."""
    missing = [{"setting": "supervised", "lang": lang, "reason": "few"} for lang in lacking]
    missing.append({"setting": "translate-train", "lang": targets[0], "reason": "no engine"})
    experiment = {"format": "laft-experiment/1", "targets": targets, "not_testable": missing}
    (tmp_path / "experiment.json").write_text(json.dumps(experiment))
    found = tools["gate_cells"].read_results(tmp_path)
    assert (found.targets, found.supervised) == (targets, langs)
    gate = tools["gate_rules"].supervised(found.cells, found.supervised)
    assert gate.detail == "; ".join(f"{lang}: not run" for lang in langs)


def test_seeds_are_averaged(tools: dict[str, ModuleType]) -> None:
    cells = [cell("fr_XX", "supervised", f, 30.0) for f in (31.0, 36.0, 38.0)]
    row = tools["gate_cells"].average(cells)
    assert (row.f, row.low, row.high, row.seeds) == (35.0, 34.0, 36.0, 3)
    assert row.margin == (5.0, 4.0, 6.0)
    undecidable = cell("fr_XX", "supervised", 31.0, 30.0, scores={"right_language": None})
    assert tools["gate_cells"].average([*cells, undecidable]).right is None
    assert tools["gate_cells"].average([]) is None


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # The ends where the binomial tail is 2.5 %: (1 - p)^10 = 0.025; 10 of 10 mirrors it; and
    # 1 of 2, where p^2 = 0.975 and (1 - p)^2 = 0.975.
    [
        (0, 10, 0.0, 1 - 0.025**0.1),
        (10, 10, 0.025**0.1, 1.0),
        (1, 2, 1 - 0.975**0.5, 0.975**0.5),
    ],
)
def test_binomial_interval(
    tools: dict[str, ModuleType], hits: int, n: int, low: float, high: float
) -> None:
    assert tools["gate_rules"].binomial_interval(hits, n) == pytest.approx((low, high))


def found(forward: float, backward: float) -> dict[str, float]:
    return {"forward": forward, "backward": backward, "chance": 0.002}


@pytest.mark.parametrize(
    ("raw", "scaled", "projection", "passed"),
    [
        # 10 times chance is 2 %; of 500, 20 are 4 % [2.46, 6.11], 16 are 3.2 % [1.84, 5.14].
        (found(0.04, 0.04), found(0.04, 0.04), found(0.1, 0.1), True),
        (found(0.04, 0.032), found(0.04, 0.04), found(0.1, 0.1), False),
        (found(0.04, 0.04), found(0.032, 0.04), found(0.1, 0.1), False),
        (found(0.04, 0.04), None, None, None),
        (found(0.002, 0.002), None, None, False),
    ],
)
def test_retrieval(
    tools: dict[str, ModuleType], raw: Any, scaled: Any, projection: Any, passed: bool | None
) -> None:
    pair: dict[str, Any] = {"pairs": 500, "encoder": raw}
    if scaled:
        pair["after_removal"] = {"scaled": scaled, "projection": projection}
    gate = tools["gate_rules"].retrieval({"en_XX-fr_XX": pair})
    assert gate.passed is passed
    assert "(chance 0.20)" in gate.detail
    assert ("after removal, scaled: not run" in gate.detail) is (scaled is None)
    if passed:
        assert "raw: 4.0 [2.5, 6.1], 4.0 [2.5, 6.1] %" in gate.detail


@pytest.mark.parametrize(
    ("perplexity", "right", "passed"),
    [(99.0, 95.1, True), (101.0, 99.0, False), (99.0, 95.0, False), (99.0, None, False)],
)
def test_denoising(
    tools: dict[str, ModuleType], perplexity: float, right: float | None, passed: bool
) -> None:
    good = {"hidden": {"perplexity": 9.0, "unigram": 100.0}}
    tried = {"hidden": {"perplexity": perplexity, "unigram": 100.0}}
    card = {
        "denoising": {"en_XX": good, "zh_CN": tried},
        "reconstruction": {"en_XX": {"right_language": 100.0}, "zh_CN": {"right_language": right}},
    }
    assert tools["gate_rules"].denoising(card).passed is passed


ENGLISH = cell("en_XX", "supervised", 40.0, 30.0)  # 10 above LEAD-1, [9, 11]


@pytest.mark.parametrize(
    ("f", "scores", "symptoms"),
    [
        (38.5, {}, []),  # 8.5 [7.5, 9.5] overlaps with English
        (37.9, {}, ["lost quality"]),  # 7.9 [6.9, 8.9] does not
        (38.5, {"right_language": 94.0}, ["wrong language"]),
        (38.5, {"right_language": 94.1}, []),
        (38.5, {"length_ratio": 1.51}, ["too long"]),
        (38.5, {"length_ratio": 1.5}, []),
        (20.0, {"right_language": 0.0, "length_ratio": 2.0},
         ["wrong language", "too long", "lost quality"]),
    ],
)  # fmt: skip
def test_symptoms(
    tools: dict[str, ModuleType], f: float, scores: dict[str, float], symptoms: list[str]
) -> None:
    average, rules = tools["gate_cells"].average, tools["gate_rules"]
    row = average([cell("fr_XX", "zero-shot", f, 30.0, scores=scores)])
    assert rules.symptoms(row, average([ENGLISH])) == (symptoms, True)
    assert rules.symptoms(row, None)[1] is False


def both(main: float, stage1: float) -> list[Any]:
    return [
        cell("fr_XX", "zero-shot", main, 30.0),
        cell("fr_XX", "zero-shot", stage1, 30.0, "stage1"),
    ]


@pytest.mark.parametrize(
    ("cells", "passed", "words"),
    [
        ([ENGLISH, *both(20.0, 25.0)], True, "fr_XX, stage1: lost quality"),
        ([ENGLISH, *both(39.0, 25.0)], False, "fr_XX, main: no failure"),  # the better one is well
        ([ENGLISH, *both(20.0, 25.0)[:1]], None, "the other of main and stage1 was not run"),
        ([ENGLISH], None, "fr_XX: not run"),
        (both(20.0, 25.0), None, "English not run"),
        ([], None, "fr_XX: not run"),
    ],
)
def test_failure(
    tools: dict[str, ModuleType], cells: list[Any], passed: bool | None, words: str
) -> None:
    gate = tools["gate_rules"].failure(cells, ["fr_XX"])
    assert gate.passed is passed
    assert words in gate.detail


def test_failure_has_to_show_in_each_language(tools: dict[str, ModuleType]) -> None:
    well = [cell("zh_CN", "zero-shot", 40.0, 30.0, variant) for variant in ("main", "stage1")]
    gate = tools["gate_rules"].failure([ENGLISH, *both(20.0, 25.0), *well], ["fr_XX", "zh_CN"])
    assert gate.passed is False


def run(tools: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, *options: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["gates.py", *map(str, options)])
    tools["gates"].main()


def test_the_command(
    tools: dict[str, ModuleType], tmp_path: Path, repository: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    card = repository / "examples" / "mini" / "model" / "card.json"
    folder = tmp_path / "results" / "cells"
    folder.mkdir(parents=True)
    for number, content in enumerate([ENGLISH, cell("fr_XX", "supervised", 35.0, 30.0)]):
        (folder / f"{number}.json").write_text(json.dumps(content))
    (folder / "experiment.json").write_text('{"format": "laft-experiment/1", "targets": ["fr_XX"]}')
    (folder / "other.json").write_text('{"format": "laft-representations/1"}')
    run(tools, monkeypatch, tmp_path / "results", "--card", card)
    written = json.loads((tmp_path / "results" / "gates.json").read_text())
    assert written["format"] == "laft-gates/1"
    gates = {gate["name"]: gate for gate in written["gates"]}
    assert list(gates) == ["supervised", "retrieval", "denoising", "failure"]
    assert gates["supervised"]["passed"] is True
    assert gates["failure"] == {**gates["failure"], "passed": None, "detail": "fr_XX: not run"}
    assert all(
        set(gate) == {"name", "title", "passed", "detail", "hangs"} for gate in gates.values()
    )
    assert "supervised: passed" in capsys.readouterr().out

    (tmp_path / "r.json").write_text('{"fingerprint": "other", "retrieval": {}}')
    with pytest.raises(SystemExit, match=r"r\.json: of the backbone other, the card is of"):
        run(tools, monkeypatch, tmp_path, "--card", card, "--retrieval", tmp_path / "r.json")
    (folder / "0.json").write_text('{"format": "laft-result/1"}')
    with pytest.raises(SystemExit, match=r"0\.json: lacks task, setting"):
        run(tools, monkeypatch, tmp_path, "--card", card)
    with pytest.raises(SystemExit, match="nowhere: no such folder of results"):
        run(tools, monkeypatch, tmp_path / "nowhere", "--card", card)
