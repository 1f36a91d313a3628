"""A run of the tables whose gate is trained for longer: nothing is lost and the page says so."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from examples.ddtp.tables import amend, budget
from examples.ddtp.tables.files import read_json, write_json
from laft_fairseq.tables import appendix
from laft_fairseq.tables.document import Bullets, Table
from laft_fairseq.tables.results import Results

SHORT = budget.make("tiny", {})
LONG = dataclasses.replace(SHORT, supervised_updates=9)
CELL = "results/supervised/mbart_full.main.fr_XX.s1.source.json"
OTHER = "results/zero-shot/laft.main.fr_XX.s1.source.json"

# What a cell is made of; a log of outputs that stayed would be scored again.
BEHIND = (
    "select/supervised.fr_XX/x.json",
    "runs/stage2/supervised.fr_XX/done.json",
    "runs/cell/supervised/mbart_full.main.fr_XX.s1.source/generate.json",
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run of the short budget, with a cell of the gate and another one."""
    recorded = budget.recorded(SHORT)
    write_json(tmp_path / "results" / "experiment.json", {"asked": recorded, "budget": recorded})
    for name in (CELL, OTHER):
        write_json(tmp_path / name, {"scores": {"rougeL": {"f": 31.256}}})
    for name in BEHIND:
        write_json(tmp_path / name, {})
    return tmp_path


def files(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def test_the_same_budget_changes_nothing(out: Path) -> None:
    before = files(out)
    assert amend.amend(out, out / "results" / "experiment.json", SHORT) == []
    assert amend.amend(out, out / "absent.json", LONG) == []
    assert files(out) == before


def test_what_it_gave_before_is_set_aside_and_named(out: Path) -> None:
    path = out / "results" / "experiment.json"
    assert amend.amend(out, path, LONG) == [
        f"SUPERVISED_UPDATES was 4, is now 9; what it gave is in {out}/superseded/"
        "supervised_updates-4"
    ]
    aside = "superseded/supervised_updates-4"
    assert files(out) == {
        "results/experiment.json", OTHER, f"{aside}/{CELL}",
        *(f"{aside}/{name}" for name in BEHIND),
    }  # fmt: skip
    written = read_json(path)
    assert budget.first_difference(written["asked"], LONG) is None
    assert written["budget"]["supervised_updates"] == 9
    assert written["amended"] == [
        {"field": "supervised_updates", "was": 4, "now": 9,
         "gave": {"mbart_full.main.fr_XX.s1.source": 31.26}}
    ]  # fmt: skip
    (lines,) = appendix.amendments(Results(out, experiment=written))
    assert isinstance(lines, Bullets)
    assert "supervised_updates, from 4 to 9" in lines.items[0]
    assert "mbart_full.main.fr_XX.s1.source 31.26" in lines.items[0]
    (table,) = appendix.setup(Results(out, experiment=written))
    assert isinstance(table, Table)
    (planned,) = (row[1].text for row in table.rows if row[0].text == "budget")
    assert "supervised_updates 9 (at first 4)" in planned
    assert amend.amend(out, path, LONG) == []


def test_what_had_not_been_run_gave_nothing(out: Path) -> None:
    for folder in sorted(out.rglob("supervised*")):
        shutil.rmtree(folder)
    path = out / "results" / "experiment.json"
    assert amend.amend(out, path, LONG) == [
        "SUPERVISED_UPDATES was 4, is now 9; nothing had been run with it"
    ]
    (lines,) = appendix.amendments(Results(out, experiment=read_json(path)))
    assert isinstance(lines, Bullets)
    assert lines.items[0].endswith("No cell that rests on it had been scored.")


def test_back_and_forth_keeps_everything(out: Path) -> None:
    """A length that was left once before does not write over what it gave then."""
    path = out / "results" / "experiment.json"
    for asked in (LONG, SHORT, LONG):
        amend.amend(out, path, asked)
        write_json(out / CELL, {"scores": {"rougeL": {"f": 1.0}}})
    kept = sorted(found.name for found in (out / "superseded").iterdir())
    assert kept == ["supervised_updates-4", "supervised_updates-4.3", "supervised_updates-9.2"]
    assert [change["now"] for change in read_json(path)["amended"]] == [9, 4, 9]


def test_killed_on_its_way_it_goes_on(out: Path) -> None:
    """The cells have moved, experiment.json is the old one."""
    path = out / "results" / "experiment.json"
    before = read_json(path)
    amend.amend(out, path, LONG)
    expected = read_json(path)
    write_json(path, before)
    amend.amend(out, path, LONG)
    assert read_json(path) == expected


def test_more_seeds_of_what_explores_are_named(out: Path) -> None:
    """What is there stays, and a second call has nothing to say; fewer are no change."""
    path, before = out / "results" / "experiment.json", files(out)
    more = dataclasses.replace(SHORT, joint_seeds=3)
    assert amend.amend(out, path, more) == ["JOINT_SEEDS was 1, is now 3; what is there stays"]
    assert files(out) == before
    written = read_json(path)
    change = {"field": "joint_seeds", "was": 1, "now": 3, "added": True}
    assert written["amended"] == [change]
    assert written["asked"]["joint_seeds"] == written["budget"]["joint_seeds"] == 3
    assert amend.amend(out, path, more) == amend.amend(out, path, SHORT) == []
    (lines,) = appendix.amendments(Results(out, experiment=written))
    assert isinstance(lines, Bullets)
    said = "More seeds than planned, of what the verdict does not read: joint_seeds, from 1 to 3."
    assert lines.items == [said]


def test_nothing_else_may_be_changed() -> None:
    """What a comparison rests on is not amendable, nor are the seeds that the verdict reads."""
    assert set(amend.AMENDABLE) == {"supervised_updates"}
    assert not {"seeds", "seeds_near"} & set(amend.RAISABLE)
    recorded, longer = budget.recorded(SHORT), budget.recorded(LONG)
    assert amend.difference(recorded, recorded) is None
    assert amend.difference(recorded, longer) == "SUPERVISED_UPDATES was 4, is now 9"
