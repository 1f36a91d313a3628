"""Shards of a text: how they are named, divided, added up, and which may be merged."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from laft_fairseq.components.schema import Shard
from laft_fairseq.components.shards import check_complete, digest, share
from laft_fairseq.errors import LaftError

BATCHES = [np.array([4, 3]), np.array([2]), np.array([1, 0]), np.array([5])]
SIZES = np.array([3, 3, 4, 5, 5, 2])


def file(name: str, shard: Shard | None, tag: str = "fr_XX") -> Any:
    return SimpleNamespace(path=Path(name), shard=shard, languages={tag: None})


def shard(index: int, of: int = 2, text: str = "1a", tag: str = "fr_XX") -> Shard:
    return Shard(index, of, {tag: text})


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", ""])
def test_a_shard_is_named_from_1(text: str) -> None:
    assert Shard.parse("2/2") == Shard(2, 2)
    with pytest.raises(LaftError, match=r"--shard .*: expected I/N"):
        Shard.parse(text)


def test_every_batch_is_in_one_shard_and_remembered() -> None:
    shards = [Shard(index, 3) for index in (1, 2, 3)]
    shares = [share("fr_XX", BATCHES, SIZES, one) for one in shards]
    assert [len(part) for part in shares] == [2, 1, 1]
    items = sorted(int(item) for part in shares for batch in part for item in batch)
    assert items == [0, 1, 2, 3, 4, 5]
    assert {one.digests["fr_XX"] for one in shards} == {digest(BATCHES, SIZES)}
    assert share("fr_XX", BATCHES, SIZES, None) == BATCHES


def test_the_digest_is_of_batches_and_lengths() -> None:
    others = {
        digest(BATCHES[:-1], SIZES),
        digest([*BATCHES[:-2], np.array([0, 1]), BATCHES[-1]], SIZES),
        digest([np.array([4, 3, 2]), *BATCHES[2:]], SIZES),
        digest(BATCHES, SIZES + 1),
    }
    assert len(others | {digest(BATCHES, SIZES)}) == 5


def test_all_shards_each_once_may_be_merged() -> None:
    check_complete([file("b", shard(2)), file("a", shard(1))])
    check_complete([file("a", None), file("b", None)])  # texts estimated apart
    check_complete([file("a", shard(1, 1)), file("b", None, "en_XX")])


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ([file("a", shard(1)), file("b", shard(1))], r"b: shard 1/2 of fr_XX once more, after a"),
        ([file("a", shard(1, 3)), file("b", shard(3, 3))], r"a: without shard 2/3 of fr_XX"),
        ([file("a", shard(1)), file("b", shard(2, 3))], r"b: shard 2/3 .* than a; estimate all"),
        ([file("a", shard(1)), file("b", shard(2, text="2b"))], r"b: .* of another text or div"),
        ([file("a", shard(1)), file("b", None)], r"b: holds all of fr_XX, of which there are"),
        ([file("a", None), file("b", shard(1))], r"a: holds all of fr_XX, of which there are"),
    ],
)
def test_other_files_are_refused(files: list[Any], named: str) -> None:
    with pytest.raises(LaftError, match=named):
        check_complete(files)
