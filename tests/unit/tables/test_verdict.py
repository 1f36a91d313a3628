"""The rule, one case after another; the numbers are made up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laft_fairseq.tables import results, verdict
from laft_fairseq.tables.comparisons import Comparisons
from laft_fairseq.tables.verdict import Verdict
from tests import result_files as made

Judge = Callable[..., Verdict]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    def judged(
        means: dict[tuple[str, str], Any] | None = None,
        seeds: int = 3,
        gates: Any = (True,),
        change: Callable[[Path], None] | None = None,
        n: int = made.N,
    ) -> Verdict:
        changed = {k: v for k, v in (made.MEANS | (means or {})).items() if v is not None}
        made.write(tmp_path, changed, seeds, n)
        if gates is None:
            (tmp_path / "gates.json").unlink()
        else:
            made.put(tmp_path, "gates.json", made.gates(*gates))
        if change:
            change(tmp_path)
        found = results.read(tmp_path)
        return verdict.judge(found, Comparisons(found))

    return judged


def said(found: Verdict) -> str:
    return " ".join(reason for finding in found.findings for reason in finding.reasons)


def test_confirmed(judge: Judge) -> None:
    found = judge()
    assert (found.word, found.by_numbers) == ("confirmed here", "confirmed here")
    assert [f.best.title for f in found.findings if f.best] == ["mBART (enc) + stage 1"] * 2


def test_refuted_where_the_gain_is_under_one(judge: Judge) -> None:
    found = judge({("mbart_enc", "stage1"): 32.0}, seeds=5, n=300)
    assert found.word == "refuted here"
    assert "is under 1" in said(found)


def test_refuted_where_the_gain_stays_without_removal(judge: Judge) -> None:
    found = judge({("laft", "no-removal"): 32.1}, seeds=5, n=300)
    assert found.word == "refuted here"
    assert "as good without removal" in said(found)


@pytest.mark.parametrize(
    ("means", "reason"),
    [
        ({("laft", "random-subspace"): 32.0}, "not shown to be better"),
        ({("laft", "random-subspace"): None}, "Control not run: random subspace"),
        ({("laft", "no-removal"): None}, "Control not run: without removal"),
        ({("tm_adv", "main"): None}, "Named beforehand and not run: TM + adv"),
        ({("mbart_enc", "stage1"): 31.1}, "less than the smallest that counts"),
        ({("mbart_enc", "stage1"): None, ("mbart_full", "stage1"): None}, "none is equally"),
    ],
)
def test_inconclusive(judge: Judge, means: dict[tuple[str, str], Any], reason: str) -> None:
    found = judge(means)
    assert found.word == "inconclusive"
    assert reason in said(found)


def test_one_seed_on_both_sides_decides_nothing(judge: Judge) -> None:
    assert judge(seeds=1).word == "inconclusive"
    assert "spread between seeds is unknown" in said(judge(seeds=1))
    assert judge({("mbart_enc", "stage1"): 32.0}, seeds=1).word == "inconclusive"


def test_fewer_in_the_right_language_does_not_confirm(judge: Judge) -> None:
    def lower(folder: Path) -> None:
        for seed in (1, 2, 3):
            cell = made.result("laft", "main", "fr_XX", seed, made.items(32.0, seed))
            cell["scores"]["right_language"] = 97.9
            made.put(folder, f"cells/laft.main.fr_XX.{seed}.json", cell)

    found = judge(change=lower)
    assert found.word == "inconclusive"
    assert "97.9 %, best rival 98.0 %: lower" in said(found)


def test_unequal_tuning_does_not_confirm(judge: Judge) -> None:
    def untuned(folder: Path) -> None:
        for seed in (1, 2, 3):
            cell = made.result("mbart_full", "stage1", "zh_CN", seed, made.items(25.0, seed),
                               grid=[1e-3])  # fmt: skip
            made.put(folder, f"cells/mbart_full.stage1.zh_CN.{seed}.json", cell)

    found = judge(change=untuned)
    assert found.word == "inconclusive"
    assert "not tuned equally" in said(found)


@pytest.mark.parametrize(
    ("gates", "word"),
    [
        ((True, False, None), "this backbone is too weak to tell"),
        ((True, None), "gate not run"),
        ((), "gate not run"),
        (None, "gate not run"),
    ],
)
def test_gates_come_first(judge: Judge, gates: Any, word: str) -> None:
    found = judge(gates=gates)
    assert (found.word, found.by_numbers) == (word, "confirmed here")
    assert found.blocked


def test_nothing_run(tmp_path: Path) -> None:
    made.put(tmp_path, "experiment.json", made.experiment())
    made.put(tmp_path, "gates.json", made.gates(False))
    found = results.read(tmp_path)
    assert verdict.judge(found, Comparisons(found)).word == "not run"


def test_target_language_choices_do_not_enter(judge: Judge) -> None:
    """A rival tuned on the target's own data is no rival of a zero-resource claim."""

    def tuned(folder: Path) -> None:
        for path in (folder / "cells").glob("mbart_enc.stage1.*"):
            path.unlink()
        for seed in (1, 2, 3):
            cell = made.result("mbart_enc", "stage1", "fr_XX", seed, made.items(40.0, seed),
                               selection="target")  # fmt: skip
            made.put(folder, f"cells/target.{seed}.json", cell)

    found = judge(change=tuned)
    assert [f.best.title for f in found.findings if f.best] == ["mBART (full) + stage 1"] * 2


def test_contrasts_not_run_stay_in_the_family(tmp_path: Path) -> None:
    made.write(tmp_path)
    whole = Comparisons(results.read(tmp_path))
    for path in (tmp_path / "cells").glob("tm_adv.*"):
        path.unlink()
    partial = Comparisons(results.read(tmp_path))
    assert [c.family for c in partial.contrasts] == [6] * 6
    run = [c for c in partial.contrasts if c.difference]
    assert len(run) == 4
    assert all(c.difference is None or c.level <= 0.05 / 3 for c in partial.contrasts)
    assert {c.adjusted for c in partial.contrasts if not c.difference} == {1.0}
    assert whole.contrasts[0].difference == partial.contrasts[0].difference
