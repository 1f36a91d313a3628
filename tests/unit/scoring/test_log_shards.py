"""The logs of a generation in shards: brought together, or refused."""

from pathlib import Path

import pytest

from laft_fairseq.scoring.errors import ScoringError
from laft_fairseq.scoring.fairseq_log import read_generate_log


def log(ids: list[int], shard: str = "", model: str = "1a", tag: str = "fr_XX") -> str:
    """A log of some items as fairseq-generate writes it."""
    items = "".join(
        f"S-{i}\tsource {i} [{tag}]\nT-{i}\tref {i}\nH-{i}\t-1\t▁hyp ▁{i}\nD-{i}\t-1\thyp {i}\n"
        for i in ids
    )
    said = f"shard {shard} items, model {model}\n" if shard else ""
    return f"loading model(s)\n{said}{items}Generate test with beam=5: ROUGE-L: 1.0\n"


def paths(folder: Path, *logs: str) -> list[Path]:
    for name, text in zip("abc", logs, strict=False):
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in "abc"[: len(logs)]]


def test_shards_come_together_in_order_of_id(tmp_path: Path) -> None:
    logs = paths(tmp_path, log([4, 1], "1 of 3: 2 of 5"), log([3, 0], "0 of 3: 2 of 5"),
                 log([2], "2 of 3: 1 of 5"))  # fmt: skip
    found = read_generate_log(*logs)
    assert found.hypotheses == [f"hyp {i}" for i in range(5)]
    assert found.references == [f"ref {i}" for i in range(5)]
    assert found.sources == [f"source {i}" for i in range(5)]


def test_an_empty_shard_is_a_shard(tmp_path: Path) -> None:
    """There were fewer batches than shards."""
    logs = paths(tmp_path, log([1, 0], "0 of 2: 2 of 2"), log([], "1 of 2: 0 of 2"))
    assert read_generate_log(*logs).hypotheses == ["hyp 0", "hyp 1"]


def test_logs_without_fairseqs_own_lines_are_joined_by_id(tmp_path: Path) -> None:
    logs = paths(tmp_path, "D-1\t-1\tone\n", "D-0\t-1\tzero\nD-2\t-1\ttwo\n")
    assert read_generate_log(*logs).hypotheses == ["zero", "one", "two"]


TWO = log([0], "0 of 2: 1 of 2")


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ([TWO], r"a: shard 0 of 2: shard 1 is missing; give all 2 logs"),
        ([TWO, TWO], r"b: shard 0 of 2, as .*a is: give each shard once"),
        ([TWO, log([1])], r"b: no shard, by its own words, but .*a is of 2 items in 2 shards"),
        ([log([1]), TWO], r"a: no shard, by its own words"),
        ([TWO, log([1], "1 of 3: 1 of 2")], r"b: of 2 items in 3 shards, but .* 2 items in 2"),
        ([TWO, log([1], "1 of 2: 1 of 9")], r"b: of 9 items in 2 shards"),
        ([TWO, log([], "1 of 2: 1 of 2")], r"b: 0 hypotheses of the 1 of shard 1: .* cut short"),
        ([TWO, log([0], "1 of 2: 1 of 2")], r"b: item 0 stands in .*a too"),
        ([TWO, log([2], "1 of 2: 1 of 2")], r"no hypothesis .* for 1 of 3 items \(id 1\)"),
        ([TWO, log([1], "1 of 2: 1 of 2", model="2b")], r"b: of another run .* model 2b here, 1a"),
        ([TWO, log([1], "1 of 2: 1 of 2", tag="zh_CN")], r"b: of another run .* \[zh_CN\] here"),
        ([log([0]), log([0])], r"b: item 0 stands in .*a too"),
        (["D-0\t-1\ta\n", "D-2\t-1\tb\n"], r"for 1 of 3 items \(id 1\)"),
    ],
)
def test_what_is_not_one_run_is_refused(tmp_path: Path, logs: list[str], said: str) -> None:
    with pytest.raises(ScoringError, match=said):
        read_generate_log(*paths(tmp_path, *logs))


def test_a_log_given_twice_is_refused(tmp_path: Path) -> None:
    (path,) = paths(tmp_path, log([0]))
    with pytest.raises(ScoringError, match="a log is given twice"):
        read_generate_log(path, path)
