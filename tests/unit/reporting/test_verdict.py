"""The rule, one case after another; the numbers are made up."""

import re
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


def test_a_language_is_summed_up(tmp_path: Path) -> None:
    made.write(tmp_path, made.MEANS | {("tm_adv", "main"): 32.0})
    for path in (tmp_path / "cells").glob("mbart_full.stage1.*.[23].json"):
        path.unlink()
    comparisons = Comparisons(results.read(tmp_path))
    finding = verdict.judge(comparisons.results, comparisons).findings[0]
    said = verdict.summary(comparisons, finding)
    assert re.match(r"French: LAFT 3\d\.\d \(3 seeds\), best rival TM \+ adv 3\d\.\d", said)
    assert "first sentence 27.0. LAFT copies 10.0 % of its outputs" in said
    assert said.endswith("more it is above mBART (enc) + stage 1; it cannot be told from TM + adv.")


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
    assert "A side has fewer than three seeds, and decides nothing" in said(judge(seeds=1))
    assert judge({("mbart_enc", "stage1"): 32.0}, seeds=1).word == "inconclusive"
    assert judge(seeds=2).by_numbers == "inconclusive"


def one_seed_of(*variants: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for variant in variants:
            for path in (folder / "cells").glob(f"{variant}.*.[23].json"):
                path.unlink()

    return remove


def test_one_seed_of_the_rivals_or_controls_decides_nothing(judge: Judge) -> None:
    """Lent LAFT's own spread, every test would pass."""
    alone = judge(change=one_seed_of("mbart_full.*", "mbart_enc.*", "tm_adv.*"))
    assert alone.by_numbers == "inconclusive"
    assert all(f.best and f.best.corrected[0] > 0 for f in alone.findings)
    controls = judge(change=one_seed_of("laft.no-removal", "laft.random-subspace"))
    assert controls.by_numbers == "inconclusive"
    assert "(3 seeds and 1): not decided on fewer than three seeds" in said(controls)


def test_seeds_to_come_make_it_an_interim_result(judge: Judge) -> None:
    def planned(folder: Path) -> None:
        seeds = {"laft": 3, "mbart_full": 3, "tm_adv": 4, "nearest rivals": 5}
        made.put(folder, "experiment.json", made.experiment(budget={"seeds": seeds}))

    found = judge(change=planned)
    assert (found.word, found.by_numbers) == (verdict.INTERIM, "confirmed here")
    assert "3 of 5 of mBART (enc) + stage 1 and 3 of 4 of TM + adv" in found.blocked[0]
    assert judge({("mbart_enc", "stage1"): 31.1}, change=planned).word == "inconclusive"


def test_the_nearest_rivals_are_those_that_the_run_found(judge: Judge) -> None:
    """Not the best of a language; each system once, with the fewest seeds that it has in one."""

    def planned(folder: Path) -> None:
        seeds = {"laft": 3, "nearest rivals": 4}
        found = made.experiment(budget={"seeds": seeds}, nearest=["tm_adv.main", "adapter.main"])
        made.put(folder, "experiment.json", found)
        for path in (folder / "cells").glob("tm_adv.main.zh_CN.3.json"):
            path.unlink()

    assert judge(change=planned).blocked == [
        "Interim: of the planned seeds there are 2 of 4 of TM + adv."
    ]


def test_a_named_rival_that_was_not_run_lacks_all_of_its_seeds(judge: Judge) -> None:
    def planned(folder: Path) -> None:
        seeds = {"laft": 3, "tm_adv": 2, "nearest rivals": 3}
        made.put(folder, "experiment.json", made.experiment(budget={"seeds": seeds}))

    low = {("mbart_enc", "stage1"): 32.0, ("tm_adv", "main"): None}
    found = judge(low, seeds=5, n=300, change=planned)
    assert (found.word, found.by_numbers) == (verdict.INTERIM, "refuted here")
    assert found.blocked == ["Interim: of the planned seeds there are 0 of 2 of TM + adv."]


def test_shares_that_round_alike_are_shown_apart(judge: Judge) -> None:
    def shares(folder: Path) -> None:
        for lang, share in (("fr_XX", 99.26), ("zh_CN", 98.0)):
            cell = made.result("laft", "main", lang, 1, made.items(32.0, 1))
            cell["scores"]["right_language"] = share
            for seed in (1, 2, 3):
                made.put(folder, f"cells/laft.main.{lang}.{seed}.json", cell | {"seed": seed})
                name = f"mbart_enc.stage1.{lang}.{seed}.json"
                other = made.result("mbart_enc", "stage1", lang, seed, made.items(29.0, seed))
                other["scores"]["right_language"] = 99.29
                made.put(folder, f"cells/{name}", other)

    found = said(judge(change=shares))
    assert "99.26 %, best rival 99.29 %: lower." in found
    assert "98.0 %, best rival 99.3 %: lower." in found


def test_as_good_without_removal_in_one_language_does_not_confirm(judge: Judge) -> None:
    def useless(folder: Path) -> None:
        for seed in range(1, 6):
            cell = made.result("laft", "no-removal", "fr_XX", seed, made.items(32.1, seed, 300))
            made.put(folder, f"cells/laft.no-removal.fr_XX.{seed}.json", cell)

    found = judge(seeds=5, n=300, change=useless)
    assert found.by_numbers == "inconclusive"
    assert [f.stays for f in found.findings] == [True, False]


def test_one_sure_rival_refutes_beside_an_unsure_better_one(judge: Judge) -> None:
    def unsure(folder: Path) -> None:
        for lang in made.LANGS:
            for seed, mean in enumerate((30.0, 36.0, 33.0, 35.0, 31.0), 1):
                cell = made.result("mbart_full", "stage1", lang, seed, made.items(mean, seed, 300))
                made.put(folder, f"cells/mbart_full.stage1.{lang}.{seed}.json", cell)

    found = judge({("mbart_enc", "stage1"): 32.0}, seeds=5, n=300, change=unsure)
    assert [f.best.title for f in found.findings if f.best] == ["mBART (full) + stage 1"] * 2
    assert found.word == "refuted here"
    assert "Over mBART (enc) + stage 1 even the simultaneous upper end" in said(found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cost": {"stage1_updates": 55, "stage2_updates": 9}}, "equally long in stage 2"),
        ({"cost": {"stage1_updates": 1, "stage2_updates": 90}}, "equally long in stage 1"),
        ({"signature": "rouge:F|protocol:xnlg"}, "not scored alike"),
    ],
)
def test_unequal_training_or_scoring_does_not_confirm(
    judge: Judge, changes: dict[str, Any], reason: str
) -> None:
    def unequal(folder: Path) -> None:
        for seed in (1, 2, 3):
            cell = made.result("mbart_full", "stage1", "zh_CN", seed, made.items(25.0, seed))
            cell["cost"] |= changes.get("cost", {})
            cell["scores"] |= {k: v for k, v in changes.items() if k == "signature"}
            made.put(folder, f"cells/mbart_full.stage1.zh_CN.{seed}.json", cell)

    found = judge(change=unequal)
    assert found.by_numbers == "inconclusive"
    assert reason in said(found)


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
