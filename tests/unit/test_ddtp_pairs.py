"""Which pairs the tables' data sets have: few-shot, the oracle, and English ones without a leak."""

import dataclasses
from pathlib import Path

import pytest

from examples.ddtp.tables import data, human_pairs
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.files import read_json, read_lines
from examples.ddtp.tables.sources import Sources, english_pairs, read_mono, read_pairs
from laft_fairseq.tables import names
from tests import ddtp_text
from tests.ddtp_text import SMALL, row

PARAGRAPHS = "première ⏎ deuxième ⏎ troisième"


@pytest.mark.parametrize(("english", "count", "times"), [(8000, 10, 200), (8000, 100, 20),
                                                         (8000, 1000, 2), (31720, 10, 793),
                                                         (60, 1000, 1)])  # fmt: skip
def test_few_shot_pairs_make_up_a_fifth(english: int, count: int, times: int) -> None:
    rows = [row("fr_XX", number) for number in range(1200)]
    found, told = human_pairs.few_shot(rows, english, count)
    assert found == rows[:count] * times
    share = len(found) / (len(found) + english)
    assert told == {"pairs": count, "repeats": times, "share": round(share, 4)}
    if times > 1:
        assert share == pytest.approx(human_pairs.FEW_SHOT_SHARE, abs=0.001)


@pytest.mark.parametrize("count", [0, 11])
def test_few_shot_takes_no_more_than_there_are(count: int) -> None:
    with pytest.raises(ValueError, match=f"10 human pairs, FEW_SHOT asks for {count}"):
        human_pairs.few_shot([row("fr_XX", n) for n in range(10)], 8000, count)


def test_the_oracle_has_as_many_pairs_and_translations_first() -> None:
    rows = [row("fr_XX", number) for number in range(50)]
    english = {f"m{number}" for number in (7, 40, 3, 99)}
    found, told = human_pairs.oracle(rows, english, 6)
    assert [each[1] for each in found] == ["m3", "m7", "m40", "m0", "m1", "m2"]
    assert told == {"pairs": 6, "translations": 3}
    assert human_pairs.oracle(rows, english, 2)[1] == {"pairs": 2, "translations": 2}
    assert human_pairs.oracle(rows, english, 80)[1] == {"pairs": 50, "translations": 3}
    label = "Oracle: English pairs and as many human pairs of the target language"
    assert names.SETTINGS["human-translation-train"] == label


def prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pairs: int
) -> tuple[Path, Sources]:
    """A data set's text, made as the step makes it; binarising is left out."""
    sources = ddtp_text.write(tmp_path / "ddtp", english=100)
    budget = dataclasses.replace(SMALL, pairs=pairs)
    human = [row("fr_XX", number) for number in range(30, 90)]
    ddtp_text.write_pairs(sources.ddtp, "fr_XX", "train", human)
    for function in ("binarise", "borrow"):
        monkeypatch.setattr(data, function, lambda *arguments: None)
    work = ddtp_text.work(tmp_path / "out", sources)
    for each in ("zero-shot", name):
        data.prepare(work.place, budget, sources, each, lambda command, log: None)
    return work.out, sources


def test_a_few_shot_data_set_holds_and_records_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, sources = prepared(tmp_path, monkeypatch, "few-shot-10.fr_XX", 80)
    human = ["\t".join(each) for each in read_pairs(sources.pairs("fr_XX", "train"))]
    lines = read_lines(out / "raw" / "few-shot-10.fr_XX" / "fr_XX.train.tsv")
    assert lines == human[:10] * 2
    assert len(lines) == 0.2 * (80 + len(lines))
    told = {"pairs": 10, "repeats": 2, "share": 0.2}
    written = read_json(out / "data" / "few-shot-10.fr_XX.json")
    assert written == {"fr_XX.train": 20, "training_pairs": told}


def test_an_oracle_data_set_may_hold_no_translation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, sources = prepared(tmp_path, monkeypatch, "oracle.fr_XX", 20)
    english = {each[1] for each in data.run_pairs(ddtp_text.work(out, sources).place)}
    human = read_pairs(sources.pairs("fr_XX", "train"))
    shared = sum(each[1] in english for each in human)
    lines = read_lines(out / "raw" / "oracle.fr_XX" / "fr_XX.train.tsv")
    assert len(lines) == SMALL.pairs and len(english) == SMALL.pairs
    assert all(line.split("\t")[1] in english for line in lines[:shared])
    told = {"pairs": 20, "translations": shared}
    assert read_json(out / "data" / "oracle.fr_XX.json")["training_pairs"] == told
    recorded = human_pairs.recorded(sources, SMALL, ["fr_XX"],
                                    data.run_pairs(ddtp_text.work(out, sources).place))  # fmt: skip
    assert recorded["oracle.fr_XX"] == told and set(recorded) == {
        "oracle.fr_XX", "few-shot-10.fr_XX"
    }  # fmt: skip


@pytest.mark.parametrize("line", [PARAGRAPHS, *PARAGRAPHS.split(" ⏎ ")])
def test_no_english_pair_is_one_whose_translation_stage_1_has_read(
    tmp_path: Path, line: str
) -> None:
    """As a line of its own, whole or by the paragraph."""
    sources = ddtp_text.write(tmp_path)
    human = [row("fr_XX", 4, PARAGRAPHS), row("fr_XX", 5, "une autre ⏎ chose")]
    ddtp_text.write_pairs(tmp_path, "fr_XX", "train", human)
    before = {lang: read_mono(sources, lang) for lang in SMALL.langs}
    ddtp_text.write_mono(tmp_path, "fr_XX", [*before["fr_XX"], line])
    after = {lang: read_mono(sources, lang) for lang in SMALL.langs}
    every = english_pairs(sources, Budget(targets=("fr_XX",)), before)
    kept = english_pairs(sources, Budget(targets=("fr_XX",)), after)
    assert [each for each in every if each not in kept] == [row("en_XX", 4)]
