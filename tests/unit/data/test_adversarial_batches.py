"""Both kinds of rows in every batch, in proportion, none lost, the same after a resume."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from laft_fairseq.data.adversarial_batches import drawn_targets
from laft_fairseq.errors import LaftError
from tests import tiny

SOURCE = {"train_langs": "en_XX", "target_langs": "fr_XX,zh_CN"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_data(tmp_path_factory.mktemp("data"), count=9)


def task(data: Path, **options: Any) -> Any:
    made = tiny.task("generation", data=str(data), **{**SOURCE, **options})
    made.load_dataset("train")
    return made


def batches(made: Any, epoch: int = 1, shards: int = 1, shard: int = 0, **limits: Any) -> list[Any]:
    """The batches of an epoch, as fairseq's trainer gets them."""
    iterator = made.get_batch_iterator(
        made.datasets["train"], max_positions=made.max_positions(), seed=3, epoch=epoch,
        num_shards=shards, shard_id=shard, **({"max_sentences": 6} | limits),
    )  # fmt: skip
    return list(iterator.next_epoch_itr(shuffle=True))


def languages(made: Any, batch: Any) -> list[str]:
    tags = {token: tag for tag, token in made.tag_ids.items()}
    place = 0 if made.layout == "prefix" else -1
    rows = batch["net_input"]["src_tokens"]
    return [tags[int(row[row.ne(1)][place])] for row in rows]


def test_targets_are_drawn_without_repeat_across_epochs() -> None:
    """Six a time out of 9: each block of 9 draws is a permutation, blocks differ."""
    drawn = np.concatenate([drawn_targets(epoch, 3, 2, 9, seed=5) for epoch in range(1, 7)])
    blocks = drawn.reshape(4, 9)
    assert all(sorted(block) == list(range(9)) for block in blocks.tolist())
    assert len({tuple(block) for block in blocks.tolist()}) == 4
    assert (drawn_targets(3, 3, 2, 9, seed=5) == drawn[12:18]).all()
    assert (drawn_targets(3, 3, 2, 9, seed=6) != drawn[12:18]).any()
    counts = np.bincount(drawn_targets(1, 10, 1, 4, seed=5))  # fewer than needed
    assert sorted(counts.tolist()) == [2, 2, 3, 3]


@pytest.mark.parametrize("each", [1, 2])
def test_every_batch_holds_both_kinds(data: Path, each: int) -> None:
    made = task(data, target_per_source=each)
    actual = batches(made)
    seen = [languages(made, batch) for batch in actual]
    for row, batch in zip(seen, actual, strict=True):
        assert len(row) <= 6 and len(row) == batch["nsentences"] == len(batch["id"])
        assert row.count("en_XX") > 0
        assert len(row) == (1 + each) * row.count("en_XX")
    assert sum(row.count("en_XX") for row in seen) == 9  # every annotated row
    if each == 2:  # 18 target rows: an epoch takes each once
        assert sum(row.count("fr_XX") for row in seen) == sum(row.count("zh_CN") for row in seen)


@pytest.mark.parametrize("layout", ["suffix", "prefix"])
def test_monolingual_rows_have_no_target(data: Path, layout: str) -> None:
    made = task(data, tag_layout=layout)
    lead = int(layout == "prefix")  # tokens before source's and target's text
    pairs = {tuple(t): tuple(t[:2]) for t in tiny.random_texts("en_XX", 9)}
    for batch in batches(made):
        inputs = batch["net_input"]
        decoded = inputs["decoded_rows"]
        assert len(decoded) == len(batch["target"]) == len(inputs["prev_output_tokens"])
        assert [languages(made, batch)[row] for row in decoded] == ["en_XX"] * len(decoded)
        assert set(languages(made, batch)[len(decoded) :]) <= {"fr_XX", "zh_CN"}
        assert batch["ntokens"] == int(batch["target"].ne(1).sum())
        lengths = inputs["src_tokens"].ne(1).sum(1)
        assert torch.equal(lengths, inputs["src_lengths"])
        assert inputs["src_tokens"][:, -1].ne(1).all()  # padded on the left
        for row in decoded.tolist():  # source and target belong together
            source = inputs["src_tokens"][row, -int(lengths[row]) :].tolist()
            target = batch["target"][row].tolist()
            text = tuple(source[lead : len(source) - 1 + lead])
            assert pairs[text] == tuple(target[lead : lead + 2])
            assert inputs["prev_output_tokens"][row, lead] == made.tag_ids["en_XX"]


@pytest.mark.parametrize("options", [{"target_rows": "pairs"}, {"reconstruct_target": True}])
@pytest.mark.parametrize("layout", ["suffix", "prefix"])
def test_target_rows_with_a_target(data: Path, options: dict[str, Any], layout: str) -> None:
    made = task(data, tag_layout=layout, **options)
    for batch in batches(made):
        sources, targets = batch["net_input"]["src_tokens"], batch["target"]
        assert "decoded_rows" not in batch["net_input"]
        assert len(sources) == len(targets)
        for tag, source, target in zip(languages(made, batch), sources, targets, strict=True):
            text, written = source[source.ne(1)].tolist(), target[target.ne(1)].tolist()
            if layout == "prefix":  # each begins with the tag; seen as if it stood at the end
                text, written = [*text[1:], text[0]], [*written[1:], written[0]]
            assert written[-1] == made.tag_ids[tag]
            copied = "reconstruct_target" in options and tag != "en_XX"
            assert written == (text if copied else [*text[:2], 2, text[-1]])


def same(one: list[Any], other: list[Any]) -> bool:
    sources = [[b["net_input"]["src_tokens"].tolist() for b in actual] for actual in (one, other)]
    return bool(sources[0] == sources[1])


def test_an_epoch_is_the_same_after_a_resume(data: Path) -> None:
    unbroken = task(data)
    first, second = batches(unbroken, 1), batches(unbroken, 2)
    resumed = task(data)
    assert same(batches(resumed, 2), second)
    assert not same(first, second)
    assert same(batches(task(data), 1), first)


def test_lengths_match_within_an_item(data: Path) -> None:
    """Annotated rows by length get target rows by length."""
    rows = task(data).datasets["train"]
    lengths = sorted((len(source["source"]), len(target["source"])) for source, target in rows)
    groups = [[t for s, t in lengths if s == n] for n in sorted({s for s, _ in lengths})]
    assert all(max(low) <= min(high) for low, high in itertools.pairwise(groups))
    assert any(source != target for source, target in lengths)


def test_max_tokens_bounds_the_padded_batch(data: Path) -> None:
    actual = batches(task(data), max_sentences=None, max_tokens=50)
    assert len(actual) > 1
    assert all(batch["net_input"]["src_tokens"].numel() <= 50 for batch in actual)


def test_shards_share_the_batches(data: Path) -> None:
    made = task(data)
    parts = [batches(made, shards=2, shard=n) for n in range(2)]
    rows = [languages(made, b).count("en_XX") for part in parts for b in part if b]
    assert sum(rows) == 9


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"target_langs": "fr_XX,en_XX"}, "--target-langs: en_XX"),
        ({"target_langs": "xx_XX"}, "--target-langs: .* xx_XX"),
        ({"target_per_source": 0}, "--target-per-source 0"),
        ({"target_rows": "pairs", "reconstruct_target": True}, "--reconstruct-target"),
        ({"target_langs": None, "target_per_source": 2}, "--target-per-source: .*--target-langs"),
        ({"target_langs": None, "reconstruct_target": True}, "--reconstruct-target: .*-langs"),
    ],
)
def test_refusals(data: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(LaftError, match=named):
        task(data, **options)


def test_too_few_rows_or_tokens_for_an_item(data: Path) -> None:
    """The least that is named is enough in every epoch, whatever it draws."""
    texts = [text for tag in tiny.TAGS for text in tiny.random_texts(tag, 9)]
    least = 2 * (max(map(len, texts)) + 1)  # with the tag
    with pytest.raises(LaftError, match=r"--batch-size 2: .* at least 3$"):
        batches(task(data, target_per_source=2), max_sentences=2)
    with pytest.raises(LaftError, match=f"--max-tokens {least - 1}: .* at least {least}$"):
        batches(task(data), max_sentences=None, max_tokens=least - 1)
    for epoch in range(1, 12):
        made = task(data)
        made.datasets["train"].set_epoch(epoch)
        assert batches(made, epoch, max_sentences=None, max_tokens=least)


def test_missing_monolingual_text(data: Path, tmp_path: Path) -> None:
    tiny.write_dictionary(tmp_path)
    for side in ("src", "tgt"):
        tiny.write_texts(tmp_path / "en_XX" / f"train.src-tgt.{side}", [[5, 2]] * 3)
    with pytest.raises(LaftError, match=r"fr_XX/train\.idx: "):
        task(tmp_path)


def test_other_splits_are_plain_pairs(data: Path) -> None:
    made = task(data)
    made.load_dataset("valid")
    assert [row["source"][-1].item() for row in made.datasets["valid"]] == [
        made.tag_ids["en_XX"]
    ] * 5
