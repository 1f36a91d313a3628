"""What a split is read for, how long its texts may be, and what is refused."""

from argparse import Namespace
from pathlib import Path
from sys import maxsize
from typing import Any

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.tasks.options import interpolated_or_default
from tests import tiny


@pytest.mark.parametrize(
    ("split", "options", "use", "expected"),
    [
        ("train", {}, False, True),
        ("valid", {}, False, False),
        ("small", {"train_subset": "small"}, False, True),
        ("train", {"train_subset": "small"}, False, False),
        ("train", {"gen_lang": "fr_XX"}, False, True),
        ("train", {"gen_lang": "fr_XX"}, True, False),
        ("train", {}, True, True),
    ],
)
def test_what_trains(split: str, options: dict[str, str], use: bool, expected: bool) -> None:
    more = {"task_cfg": None} if use else {}
    assert tiny.task(**options).is_train_split(split, **more) is expected


def test_an_option_of_another_group() -> None:
    """Copied by fairseq, left as the reference to it, or absent, as in an older checkpoint."""
    for options, expected in (
        (Namespace(train_subset="small"), "small"),
        (Namespace(train_subset="${dataset.train_subset}"), "train"),
        (Namespace(train_subset=None), "train"),
        (Namespace(), "train"),
    ):
        assert interpolated_or_default(options, "train_subset", "train") == expected


def test_how_long_a_text_may_be() -> None:
    made = tiny.task(max_tokens=100, max_tokens_valid=80)
    assert made.longest(train=True) == 100
    assert made.longest(train=True, rows=3) == 33
    assert made.longest(train=False) == 80
    assert made.longest(train=False, task_cfg=None) == maxsize
    assert tiny.task().longest(train=True) == maxsize


@pytest.mark.parametrize(
    ("stage", "options", "where"),
    [
        ("denoising", {}, "{data}/en_XX/train"),
        ("generation", {}, "{data}/en_XX/train.src-tgt.src"),
    ],
)  # fmt: skip
def test_a_batch_too_small_for_a_text_is_refused(
    data: Path, stage: str, options: dict[str, Any], where: str
) -> None:
    """Where it was not cut; fairseq would leave it out, or fail."""
    made = tiny.task(stage, data=str(data), **{"train_langs": "en_XX", **options})
    made.load_dataset("train", epoch=1)
    actual = made.datasets["train"]
    longest = max(actual.num_tokens(index) for index in range(len(actual)))
    made.get_batch_iterator(actual, max_tokens=longest)
    message = f"--max-tokens {longest - 1}: .* {where.format(data=data)} has {longest}"
    with pytest.raises(LaftError, match=message):
        made.get_batch_iterator(actual, max_tokens=longest - 1)
