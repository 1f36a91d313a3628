"""Differences to LAFT, and what one seed may say; the numbers are made up."""

import re
from pathlib import Path

import pytest

from laft_fairseq.reporting import names, results, tables
from laft_fairseq.reporting.comparisons import Comparison, Comparisons, System
from laft_fairseq.reporting.results import Row
from laft_fairseq.reporting.statistics import Estimate
from laft_fairseq.reporting.tables import difference_table
from tests import result_files as made


def read(folder: Path) -> Comparisons:
    return Comparisons(results.read(folder))


def put_unstable(folder: Path, method: str, **changes: str) -> None:
    """Three seeds far apart."""
    for seed, mean in enumerate((10.0, 20.0, 30.0), 1):
        made.put_cell(folder, method, mean, seed, **changes)


def system(found: Comparisons, setting: str, method: str) -> System:
    one = found.find(Row("headlines", setting, method, "main", "fr_XX"))
    assert one is not None
    return one


def remove(folder: Path, pattern: str) -> None:
    for path in list((folder / "cells").glob(pattern)):
        path.unlink()


def test_one_seed_is_lent_its_own_methods_spread(tmp_path: Path) -> None:
    """TM + adv varies widely between seeds, which says nothing of how LAFT does."""
    made.write(tmp_path, {("laft", "main"): 30.0})
    put_unstable(tmp_path, "tm_adv")
    for method in ("laft", "tm_adv", "adapter"):
        made.put_cell(tmp_path, method, 30.0, setting="translate-train")
    found = read(tmp_path)
    laft, adapter, tm_adv = (system(found, "translate-train", method).mean
                             for method in ("laft", "adapter", "tm_adv"))  # fmt: skip
    assert {mean.spread for mean in (laft, adapter, tm_adv)} == {"borrowed"}
    assert tm_adv.error > 9 > 3 > laft.error
    assert laft.error < adapter.error < tm_adv.error  # of both methods' seeds


def test_a_collapsed_system_lends_nothing(tmp_path: Path) -> None:
    """Its seeds are all alike, which says nothing of how the method varies where it works."""
    made.write(tmp_path, {("laft", "main"): 30.0})
    for seed in (1, 2, 3):
        made.put_cell(tmp_path, "tm_adv", 0, seed, variant="stage1", scores=[0.0] * made.N)
    made.put_cell(tmp_path, "tm_adv", 20.0)
    made.put_cell(tmp_path, "laft", 20.0, setting="translate-train")
    found = read(tmp_path)
    one, other = (system(found, "zero-shot", "tm_adv"), system(found, "translate-train", "laft"))
    between = system(found, "zero-shot", "laft").rouge_l.mean(1).var(ddof=1)  # lent to both
    assert found.difference(one, other).error == pytest.approx((2 * between) ** 0.5)


def test_two_of_one_seed_borrow_alike(tmp_path: Path) -> None:
    """One whose method lends and one whose does not: all methods lend to both."""
    made.write(tmp_path, {("laft", "main"): 30.0, ("adapter", "main"): 25.0})
    put_unstable(tmp_path, "mbart_enc")
    for method in ("laft", "adapter", "tm_adv"):
        made.put_cell(tmp_path, method, 20.0, setting="translate-train")
    found = read(tmp_path)
    laft, adapter, tm_adv = (system(found, "translate-train", method)
                             for method in ("laft", "adapter", "tm_adv"))  # fmt: skip
    assert found.difference(laft, adapter).error < 1  # each by its own method
    wide = found.difference(laft, tm_adv)
    assert wide.error > 2  # the unstable method's seeds are among those that lend to both
    assert wide.freedom == pytest.approx(found.difference(tm_adv, laft).freedom)


@pytest.mark.parametrize(
    ("difference", "level", "sure"),
    [
        (Estimate(2.0, 0.1, 9.0, (3, 3), 9), 0.01, True),
        (Estimate(-2.0, 0.1, 9.0, (3, 3), 9), 0.01, True),
        (Estimate(2.0, 1.5, 9.0, (3, 3), 9), 0.05, False),  # 0 is within the interval
        (Estimate(2.0, 0.8, 9.0, (3, 3), 9), 0.05, True),
        (Estimate(2.0, 0.8, 9.0, (3, 3), 9), 0.01, False),  # by its corrected level
        (Estimate(2.0, 0.1, 9.0, (3, 2), 9), 0.05, False),  # two seeds
    ],
)
def test_sure_asks_for_the_interval_and_for_three_seeds(
    difference: Estimate, level: float, sure: bool
) -> None:
    row = Row("headlines", "zero-shot", "adapter", "main", "fr_XX")
    comparison = Comparison(row, difference, None, 0.04, level, 4)
    assert comparison.is_sure is sure
    shown = made.rows(difference_table("", [comparison]))["Adapter"]
    assert shown[2].startswith("**") == (sure and difference.value > 0)
    assert shown[3] == names.interval(difference.interval(level), 2, sign="+")
    assert shown[5] == names.interval(difference.interval(0.05 / 4), 2, sign="+")


def test_comparisons_not_run_stay_in_the_family(tmp_path: Path) -> None:
    whole = read(made.write(tmp_path))
    remove(tmp_path, "*.tm_adv.*")
    remove(tmp_path, "*.laft.k-12.*")
    fewer = read(tmp_path)
    assert [c.family for c in fewer.contrasts] == [6] * 6
    assert len([c for c in fewer.contrasts if c.difference]) == 4
    assert all(c.difference is None or c.level <= 0.05 / 3 for c in fewer.contrasts)
    assert {c.adjusted for c in fewer.contrasts if not c.difference} == {1.0}
    assert whole.contrasts[0].difference == fewer.contrasts[0].difference
    for lang in made.LANGS:
        main = [c.ablations["random-subspace", lang] for c in (whole, fewer)]
        assert [one.family for one in main] == [4, 4]
        other = [c.ablations["projection", lang] for c in (whole, fewer)]
        assert len({(one.level, one.family) for one in other}) == 1
    shown = made.rows(difference_table("", fewer.contrasts))["TM + adv"]
    assert shown == ["–", "French", "not run", *["–"] * 5]


def test_a_target_chosen_rate_is_no_baseline(tmp_path: Path) -> None:
    """A baseline tuned on the target's own data says nothing of a zero-resource claim."""
    made.write(tmp_path)
    remove(tmp_path, "*.mbart_enc.stage1.*")
    made.put_cell(tmp_path, "laft", 33.0, setting="translate-train")
    lent = system(read(tmp_path), "translate-train", "laft").mean.error
    for method, variant in (("mbart_enc", "stage1"), ("adapter", "main"), ("laft", "main")):
        put_unstable(tmp_path, method, variant=variant, selection="target")
    found = read(tmp_path)
    missing = [c.row.title for c in found.contrasts if not c.difference]
    assert missing == ["mBART (enc) + stage 1"] * 2
    assert "Adapter" not in [c.row.title for c in found.exploratory()]
    assert system(found, "translate-train", "laft").mean.error == lent  # nor does it lend


def test_other_differences_are_apart_from_those_named(tmp_path: Path) -> None:
    made.write(tmp_path)
    made.put_cell(tmp_path, "mbart_full", 30.0, setting="translate-train")
    made.put_cell(tmp_path, "laft", 33.0, setting="translate-train")
    found = read(tmp_path)
    table = difference_table("", found.exploratory())
    blocks = [row for row in table.rows if isinstance(row, str)]
    assert blocks == ["Headlines, zero-shot", "Headlines, translate-train"]
    assert "mBART (enc) + stage 1" not in made.rows(table)
    last = found.exploratory()[-1]
    assert (last.row.setting, last.family) == ("translate-train", 1)
    assert last.difference is not None and last.difference.seeds == (1, 1)
    laft, full = made.items(33.0, 1), made.items(30.0, 1)
    assert last.difference.value == pytest.approx((sum(laft) - sum(full)) / made.N)


def test_runs_that_both_choices_share_are_shown_once(tmp_path: Path) -> None:
    made.write(tmp_path)

    def notes() -> list[str]:
        block = tables.systems_of_block(read(tmp_path), "headlines", "zero-shot", made.LANGS)
        return [note for row, note in block.items() if row.title == "LAFT"]

    for seed in (1, 2, 3):
        made.put_cell(tmp_path, "laft", 32.0, seed, selection="target")
    assert notes() == ["both choices of the rate"]
    made.put_cell(tmp_path, "laft", 31.0, selection="target")
    assert notes() == ["", names.BY_TARGET]


def test_bold_and_ablations_ask_for_several_seeds(tmp_path: Path) -> None:
    made.write(tmp_path)
    remove(tmp_path, "*.laft.projection.*.[23].json")
    remove(tmp_path, "*.laft.no-removal.*.[23].json")
    found = read(tmp_path)
    table = tables.paper_table(found, 1, "headlines", made.LANGS)
    assert made.rows(table)["LAFT"][1][0] != "*"  # the next in the block has one seed
    ablations = made.rows(tables.ablation_table(found))
    assert ablations["LAFT, random subspace of the same norm"][3].startswith("**−")
    _, rouge, _, difference = ablations["LAFT, without removal"][:4]
    assert rouge.endswith("|one seed|spread borrowed")
    laft, ablation = made.items(32.0, 1), made.items(27.0, 1)
    matched = names.number((sum(ablation) - sum(laft)) / made.N, sign="+")
    assert difference.endswith(f"]|1 and 3 seeds|same seeds {matched}")
    assert difference.startswith("−")  # not bold, though 0 is left out: one side has one seed
    value, low, high = (float(x) for x in re.findall(r"−([\d.]+)", difference)[:3])
    assert low > value > high
