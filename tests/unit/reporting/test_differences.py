"""Differences to LAFT and to zero-shot, and what one seed may say; the numbers are made up."""

import re
from pathlib import Path

import pytest

from laft_fairseq.tables import names, results
from laft_fairseq.tables.comparisons import Comparisons
from laft_fairseq.tables.document import Details, Table
from tests import result_files as made
from tests.page_parts import built, rows, section


def joint(
    setting: str, method: str, mean: float, seed: int = 1, **changes: object
) -> dict[str, object]:
    scores = made.items(mean, seed)
    return made.result(method, "main", "fr_XX", seed, scores, setting=setting, **changes)


def test_what_other_settings_add(tmp_path: Path) -> None:
    """Each system against itself, zero-shot; its one seed is lent the others' spread."""
    made.write(tmp_path)
    made.put(tmp_path, "cells/a.json", joint("translate-train", "mbart_full", 30.0))
    made.put(tmp_path, "cells/b.json", joint("translate-train", "tm_adv", 21.0))
    for seed in (1, 2, 3):
        made.put(tmp_path, f"cells/c{seed}.json", joint("few-shot-10", "laft", 20.0, seed))
    table = section(built(tmp_path), "more").children[0]
    found = rows(table)
    zero, more = (made.items(22.0, seed) for seed in (1, 2)), made.items(30.0, 1)
    assert found["mBART (full)"][0] == "1 and 3"
    own = [float(x) for x in found["mBART (full)"][2:4]]
    assert own[1] - own[0] == pytest.approx(float(found["mBART (full)"][4]), abs=0.11)
    assert own[1] == pytest.approx(sum(more) / made.N, abs=0.06)
    assert own[0] == pytest.approx(sum(map(sum, zero)) / (2 * made.N), abs=0.6)
    assert found["LAFT"][4].startswith("−")
    assert isinstance(table, Table)
    blocks = [row for row in table.rows if isinstance(row, str)]
    assert len(blocks) == 2
    assert blocks[0].endswith("in 2 of 2; 2 on fewer than three seeds, which decide nothing")
    assert blocks[1].endswith("higher in 0 of 1; corrected interval above 0 in 0, below 0 in 1")


def test_one_seed_is_lent_its_own_methods_spread(tmp_path: Path) -> None:
    """TM + adv varies widely between seeds, which says nothing of how LAFT does."""
    made.write(tmp_path, {("laft", "main"): 30.0})
    for seed, mean in enumerate((10.0, 20.0, 30.0), 1):
        made.put(tmp_path, f"cells/t{seed}.json", joint("zero-shot", "tm_adv", mean, seed))
    for method in ("laft", "tm_adv", "adapter"):
        made.put(tmp_path, f"cells/{method}.json", joint("translate-train", method, 30.0))
    found = Comparisons(results.read(tmp_path))
    alone = {method: found.find("headlines", "translate-train", "fr_XX", method)
             for method in ("laft", "tm_adv", "adapter")}  # fmt: skip
    errors = {}
    for method, system in alone.items():
        assert system is not None and system.mean.spread == "borrowed"
        errors[method] = system.mean.error
    assert errors["tm_adv"] > 9 > 3 > errors["laft"]
    assert errors["laft"] < errors["adapter"] < errors["tm_adv"]  # of both methods' seeds


def test_a_collapsed_system_lends_nothing(tmp_path: Path) -> None:
    """Its seeds are all alike, which says nothing of how the method varies where it works."""
    made.write(tmp_path, {("laft", "main"): 30.0})
    zero = [0.0] * made.N
    for seed in (1, 2, 3):
        collapsed = made.result("tm_adv", "stage1", "fr_XX", seed, zero, setting="zero-shot")
        made.put(tmp_path, f"cells/t{seed}.json", collapsed)
    for method, setting in (("tm_adv", "zero-shot"), ("laft", "translate-train")):
        made.put(tmp_path, f"cells/{method}.json", joint(setting, method, 20.0))
    found = Comparisons(results.read(tmp_path))
    one = found.find("headlines", "zero-shot", "fr_XX", "tm_adv")
    other = found.find("headlines", "translate-train", "fr_XX", "laft")
    assert one is not None and other is not None
    laft = found.find("headlines", "zero-shot", "fr_XX", "laft")
    assert laft is not None
    between = laft.matrix.mean(1).var(ddof=1)  # which LAFT lends to both; the items are the same
    assert found.difference(one, other).error == pytest.approx((2 * between) ** 0.5)


def test_two_of_one_seed_borrow_alike(tmp_path: Path) -> None:
    """One whose method lends and one whose does not: all methods lend to both."""
    made.write(tmp_path, {("laft", "main"): 30.0, ("adapter", "main"): 25.0})
    for seed, mean in enumerate((20.0, 25.0, 30.0), 1):
        made.put(tmp_path, f"cells/v{seed}.json", joint("zero-shot", "mbart_enc", mean, seed))
    for method in ("laft", "adapter", "tm_adv"):
        made.put(tmp_path, f"cells/{method}.json", joint("translate-train", method, 20.0))
    found = Comparisons(results.read(tmp_path))
    laft, adapter, tm_adv = (found.find("headlines", "translate-train", "fr_XX", method)
                             for method in ("laft", "adapter", "tm_adv"))  # fmt: skip
    assert laft is not None and adapter is not None and tm_adv is not None
    assert found.difference(laft, adapter).error < 1  # each by its own method
    wide = found.difference(laft, tm_adv)
    assert wide.error > 2  # the unstable method's seeds are among those that lend to both
    assert wide.freedom == pytest.approx(found.difference(tm_adv, laft).freedom)


@pytest.mark.parametrize(
    ("task", "setting", "selection", "said"),
    [
        ("headlines", "zero-shot", "source", "on English validation pairs"),
        ("headlines", "zero-shot", "target", "on target-language validation pairs"),
        ("headlines", "supervised", "source", "on validation pairs of the trained language"),
        (
            "headlines",
            "translate-train",
            "source",
            "for headlines zero-shot, on English validation",
        ),
        (
            "questions",
            "zero-shot",
            "source",
            "for headlines zero-shot, on English validation pairs",
        ),
    ],
)
def test_how_a_rate_was_chosen(task: str, setting: str, selection: str, said: str) -> None:
    """Only zero-shot headlines and supervised rows have a choice of their own."""
    assert said in names.chosen(task, setting, selection)


def test_other_differences_are_apart_from_those_named(tmp_path: Path) -> None:
    made.write(tmp_path)
    made.put(tmp_path, "cells/a.json", joint("translate-train", "mbart_full", 30.0))
    made.put(tmp_path, "cells/b.json", joint("translate-train", "laft", 33.0))
    named, _, more = section(built(tmp_path), "differences").children[:3]
    assert isinstance(named, Table)
    assert isinstance(more, Details)
    assert [row for row in named.rows if isinstance(row, str)] == ["Headlines, zero-shot"]
    table = more.children[1]
    assert isinstance(table, Table)
    blocks = [row for row in table.rows if isinstance(row, str)]
    assert blocks == ["Headlines, zero-shot", "Headlines, translate-train"]
    assert "mBART (enc) + stage 1" not in rows(table)
    assert rows(table)["mBART (full)"][0] == "1 and 1"


def test_runs_that_both_choices_share_are_shown_once(tmp_path: Path) -> None:
    folder = made.write(tmp_path / "after")
    for seed in (1, 2, 3):
        same = made.result("laft", "main", "fr_XX", seed, made.items(32.0, seed),
                           selection="target")  # fmt: skip
        made.put(folder, f"cells/target.{seed}.json", same)
    before = built(made.write(tmp_path / "before"))
    found = built(folder)
    one = section(found, "tables").children[1]
    assert isinstance(one, Table)
    laft = [row for row in one.rows if not isinstance(row, str) and row[0].text == "LAFT"]
    assert [row[0].note for row in laft[:1]] == ["both choices of the rate"]
    assert found.introduction == before.introduction
    other = made.result("laft", "main", "fr_XX", 1, made.items(31.0, 1), selection="target")
    made.put(folder, "cells/target.1.json", other)
    one = section(built(folder), "tables").children[1]
    assert isinstance(one, Table)
    notes = [r[0].note for r in one.rows if not isinstance(r, str) and r[0].text == "LAFT"]
    assert notes[:2] == ["", names.SELECTIONS["target"]]


def test_bold_and_controls_ask_for_several_seeds(tmp_path: Path) -> None:
    made.write(tmp_path)
    for path in (tmp_path / "cells").glob("laft.projection.*.[23].json"):
        path.unlink()
    for path in (tmp_path / "cells").glob("laft.no-removal.*.[23].json"):
        path.unlink()
    found = built(tmp_path)
    one = section(found, "tables").children[1]
    assert isinstance(one, Table)
    laft = next(row for row in one.rows if not isinstance(row, str) and row[0].text == "LAFT")
    assert not laft[2].strong
    controls = section(found, "controls").children[0]
    assert isinstance(controls, Table)
    by_title = {row[0].text: row for row in controls.rows if not isinstance(row, str)}
    without, random = by_title["without removal"], by_title["random subspace of the same norm"]
    assert (without[2].strong, random[2].strong) == (False, True)
    assert re.search(r"\n1 and 3 seeds; same seeds −\d\.\d$", without[2].note)
    assert without[1].note.endswith("one seed, spread borrowed")


def test_controls_not_run_make_no_other_easier(tmp_path: Path) -> None:
    made.write(tmp_path)
    whole = Comparisons(results.read(tmp_path))
    for path in (tmp_path / "cells").glob("laft.k-12.*"):
        path.unlink()
    fewer = Comparisons(results.read(tmp_path))
    for lang in made.LANGS:
        judged = [c.control(lang, "random-subspace") for c in (whole, fewer)]
        assert [one.family for one in judged if one] == [4, 4]
        explored = [c.control(lang, "projection") for c in (whole, fewer)]
        assert len({one.level for one in explored if one}) == 1
        assert len({one.family for one in explored if one}) == 1
