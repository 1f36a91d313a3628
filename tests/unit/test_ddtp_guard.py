"""One folder holds one experiment: its budget, backbone and text stay those it began with."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from examples.ddtp.tables import __main__ as tables
from examples.ddtp.tables import actions, amend, budget, data, experiment, guard, runner
from examples.ddtp.tables.files import read_json, write_json
from examples.ddtp.tables.plan import plan
from examples.ddtp.tables.sources import Sources, digests
from examples.ddtp.tables.work import Work
from tests import ddtp_text
from tests.ddtp_text import SMALL, row

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "docs" / "results" / "default"
QUESTIONS = ("nqg.test", "xquad.en", "xquad.zh", "cmrc2018.trial")


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    """A small DDTP; the backbone is not read, and nothing is binarised."""
    monkeypatch.setattr(experiment, "fingerprint", lambda folder: ("mark", 1))
    monkeypatch.setattr(experiment, "_backbone", lambda place: {"fingerprint": "mark"})
    for function in ("binarise", "borrow"):
        monkeypatch.setattr(data, function, lambda *arguments: None)
    return ddtp_text.write(tmp_path / "ddtp")


def begun(out: Path, sources: Sources, names: tuple[str, ...] = ("data/zero-shot", "experiment"),
          **more: Any) -> Work:  # fmt: skip
    """A run that has come as far as these steps."""
    work = ddtp_text.work(out, sources, **more)
    guard.guard(out, work)
    guard.begin(work)
    experiment.renew(work.place, work.budget, work.have, work.sources)
    for step in plan(work.budget, work.have):
        if step.id in names and not (out / step.result).exists():
            actions.perform(work, step)
    return work


def refusal(work: Work) -> str:
    """The line that the run is refused with."""
    with pytest.raises(SystemExit) as told:
        guard.guard(work.out, work)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("names", [(), ("data/zero-shot",), ("data/zero-shot", "experiment")])
@pytest.mark.parametrize("name", ["en_XX.train.tsv.xz", "fr_XX.test.tsv.xz", "mono.fr_XX.txt.xz"])
def test_another_file_of_text_is_refused(
    tmp_path: Path, sources: Sources, names: tuple[str, ...], name: str
) -> None:
    """From the first step on, and by its content: a copy elsewhere is the same."""
    work = begun(tmp_path / "out", sources, names)
    copy = Sources(tmp_path / "copy", tmp_path / "copy")
    shutil.copytree(sources.ddtp, copy.ddtp)
    again = dataclasses.replace(work, sources=copy)
    guard.guard(work.out, again)
    (copy.ddtp / name).write_bytes((sources.ddtp / "en_XX.valid.tsv.xz").read_bytes())
    variable = "MONO" if name.startswith("mono") else "DDTP"
    told = refusal(again)
    assert f"{copy.ddtp / name} is another file than the {variable} " in told
    assert told.endswith("give the same, or name another OUT")


def test_questions_that_come_later_are_held_to_as_well(tmp_path: Path, sources: Sources) -> None:
    out = tmp_path / "out"
    begun(out, sources)
    before = read_json(out / "results" / "experiment.json")
    assert {"setting": "questions", "lang": "fr_XX", "reason": "QG names no folder of pairs"} in (
        before["not_testable"]
    )
    folder = tmp_path / "qg"
    folder.mkdir()
    for name in QUESTIONS:
        (folder / f"{name}.jsonl.xz").write_text(name)
    later = begun(out, dataclasses.replace(sources, questions=folder), questions=True)
    after = read_json(out / "results" / "experiment.json")
    assert {f"QG {name}.jsonl.xz" for name in QUESTIONS} == set(after["sources"]) - set(
        before["sources"]
    )
    (folder / "nqg.test.jsonl.xz").write_text("another")
    assert "nqg.test.jsonl.xz is another file than the QG" in refusal(later)
    guard.guard(out, ddtp_text.work(out, sources))  # without questions it goes on


def test_what_has_become_testable_is_no_longer_called_untestable(
    tmp_path: Path, sources: Sources
) -> None:
    out = tmp_path / "out"
    begun(out, sources)
    path = out / "results" / "experiment.json"
    before = read_json(path)
    assert {each["setting"] for each in before["not_testable"]} == {
        "translate-train", "translate-test", "human-translation-train", "supervised",
        "few-shot-10", "questions",
    }  # fmt: skip
    assert before["training_pairs"] == {}
    human = [row("fr_XX", number) for number in range(1000)]
    ddtp_text.write_pairs(sources.ddtp, "fr_XX", "train", human)
    begun(out, sources, human_pairs=("fr_XX",), translated=("fr_XX",), questions=True)
    after = read_json(path)
    assert after["not_testable"] == []
    assert set(after["training_pairs"]) == {"oracle.fr_XX", "few-shot-10.fr_XX"}
    assert "DDTP fr_XX train" in after["sources"]
    begun(out, sources)  # a machine that has less makes nothing untestable
    assert read_json(path) == after


@pytest.mark.parametrize("names", [(), ("data/zero-shot",)])
def test_the_budget_that_was_asked_for_first_is_held_to(
    tmp_path: Path, sources: Sources, names: tuple[str, ...]
) -> None:
    """Before experiment.json is there, too: else it would speak of data that are not there."""
    out = tmp_path / "out"
    more = dataclasses.replace(SMALL, seeds=2)
    work = ddtp_text.work(out, sources, more)
    guard.begin(work)
    for step in plan(more, work.have):
        if step.id in names:
            actions.perform(work, step)
    smaller = ddtp_text.work(out, sources, dataclasses.replace(more, pairs=10))
    assert refusal(smaller) == (
        f"tables: {out}/begun.json: PAIRS was 20, is now 10; name another OUT"
    )
    other = dataclasses.replace(work, place=dataclasses.replace(work.place, arch="laft_mbart"))
    assert "ARCH was laft_mbart_mini, is now laft_mbart" in refusal(other)
    fewer = ddtp_text.work(
        out, sources, dataclasses.replace(more, seeds=1, seeds_near=1, settings=("zero-shot",))
    )
    guard.guard(out, fewer)
    guard.begin(fewer)
    for step in plan(fewer.budget, fewer.have)[:2]:
        actions.perform(fewer, step)
    written = read_json(out / "results" / "experiment.json")
    assert written["asked"] == budget.recorded(more)


def test_a_record_of_an_earlier_version_is_gone_on_with(tmp_path: Path, sources: Sources) -> None:
    """It names no files, so none is compared; text that is found to be its own is named then."""
    out = tmp_path / "out"
    work = begun(out, sources)
    path = out / "results" / "experiment.json"
    whole = read_json(path)
    old = {key: whole[key] for key in whole if key not in ("sources", "training_pairs")}
    write_json(path, old)
    (out / guard.BEGUN).unlink()
    ddtp_text.write_mono(sources.mono, "fr_XX", [f"another {number}" for number in range(60)])
    begun(out, sources)
    assert "sources" not in read_json(path)
    (out / "data" / "zero-shot.json").unlink()
    with pytest.raises(runner.StepFailed, match="is of other text than DDTP and MONO"):
        begun(out, sources)
    ddtp_text.write(sources.ddtp)
    begun(out, sources)
    assert read_json(path)["sources"] == whole["sources"] == digests(work.sources, SMALL)


@pytest.mark.skipif(not DEFAULT.exists(), reason="the results are not shipped with this copy")
def test_the_results_in_this_repository_are_taken_over(
    tmp_path: Path, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = read_json(DEFAULT / "results" / "experiment.json")
    mark = recorded["backbone"]["fingerprint"]
    monkeypatch.setattr(experiment, "fingerprint", lambda folder: (mark, 1))
    asked = budget.make("default", {"supervised_updates": "600", "seeds_near": "3"})
    out = tmp_path / "out"
    work = ddtp_text.work(out, Sources(ROOT / "examples/ddtp/data", ROOT / "examples/ddtp/data"),
                          asked)  # fmt: skip
    guard.take_over(DEFAULT, work)
    guard.guard(out, work)
    guard.begin(work)
    amended = tmp_path / "amended"
    longer = ddtp_text.work(amended, work.sources, budget.make("default", {"seeds_near": "3"}))
    for again in (False, True):  # the same command, and none of what it set aside comes back
        guard.take_over(DEFAULT, longer)
        amend.amend(amended, amended / "results" / "experiment.json", longer.budget)
        assert not (amended / "results" / "supervised").exists(), again
        assert (amended / "results" / "zero-shot").exists()
    experiment.renew(work.place, work.budget, work.have, work.sources)
    after = read_json(out / "results" / "experiment.json")
    assert after == recorded | {"machine": after["machine"]}
    assert not (out / guard.BEGUN).exists()
    assert {step.id for step in tables.everything(work)} >= {
        "cell/zero-shot/laft.main.fr_XX.s5.source"
    }  # fmt: skip
