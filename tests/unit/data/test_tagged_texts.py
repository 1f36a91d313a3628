import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.data import ListDataset

from laft_fairseq.data.tagged_texts import (
    MultilingualDataset,
    TaggedPairDataset,
    TaggedTexts,
    load_texts,
)
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout
from tests import tiny

EN, FR, ZH = (tiny.ids(f"[{tag}]")[0] for tag in tiny.TAGS)


def tagged(
    texts: list[list[int]], tag: int, most: int = 64, layout: TagLayout = TagLayout.SUFFIX
) -> TaggedTexts:
    tensors = [torch.tensor(text) for text in texts]
    raw = ListDataset(tensors, [len(t) for t in texts])
    return TaggedTexts(raw, tag, most, "fr_XX/train", layout)


def test_cutting_keeps_sentence_end_and_tag(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        tagged([[5, 6, 2]], FR, most=4)
        assert not caplog.records
        texts = tagged([[5, 6, 7, 8, 2], [5, 6, 7, 2], [5, 6, 2]], FR, most=4)
    assert [texts[index].tolist() for index in range(3)] == [[5, 6, 2, FR]] * 3
    assert texts.sizes.tolist() == [4, 4, 4]
    assert "fr_XX/train: 2 of 3 examples cut to 4 tokens" in caplog.text


def test_the_tag_before_the_text() -> None:
    """mBART-50's layout: so it is when cut too."""
    texts = tagged([[5, 6, 7, 8, 2], [7, 2]], FR, most=4, layout=TagLayout.PREFIX)
    assert [texts[index].tolist() for index in range(2)] == [[FR, 5, 6, 2], [FR, 7, 2]]
    assert texts.sizes.tolist() == [4, 3]


def pairs(
    source: list[list[int]], target: list[list[int]], tag: int, layout: str = "suffix"
) -> TaggedPairDataset:
    sides = [tagged(side, tag, layout=TagLayout(layout)) for side in (source, target)]
    return TaggedPairDataset(*sides, tiny.dictionary(), shuffle=False)


@pytest.mark.parametrize(
    ("layout", "source", "target", "previous"),
    [  # X </s> [l] padded on the left, Y </s> [l], [l] Y </s>; [l] X </s>, [l] Y </s>, </s> [l] Y
        ("suffix", [[5, 6, 7, 2, EN], [1, 1, 9, 2, ZH]], [[8, 2, EN, 1], [10, 11, 2, ZH]],
         [[EN, 8, 2, 1], [ZH, 10, 11, 2]]),
        ("prefix", [[EN, 5, 6, 7, 2], [1, 1, ZH, 9, 2]], [[EN, 8, 2, 1], [ZH, 10, 11, 2]],
         [[2, EN, 8, 1], [2, ZH, 10, 11]]),
    ],
)  # fmt: skip
def test_a_batch_of_mixed_languages(
    layout: str, source: list[list[int]], target: list[list[int]], previous: list[list[int]]
) -> None:
    parts = [pairs([[5, 6, 7, 2]], [[8, 2]], EN, layout),
             pairs([[9, 2]], [[10, 11, 2]], ZH, layout)]  # fmt: skip
    mixed = MultilingualDataset(parts, shuffle=False)
    batch = mixed.collater([mixed[0], mixed[1]])
    assert batch["id"].tolist() == [0, 1]
    assert batch["net_input"]["src_tokens"].tolist() == source
    assert batch["net_input"]["src_lengths"].tolist() == [5, 3]
    assert batch["target"].tolist() == target
    assert batch["net_input"]["prev_output_tokens"].tolist() == previous
    assert batch["ntokens"] == 7


def test_items_of_several_languages_are_numbered_throughout() -> None:
    """Or two outputs of fairseq-generate would bear the same number."""
    three = [[5, 2], [6, 2], [7, 2]]
    mixed = MultilingualDataset([pairs(three, three, EN), pairs(three, three, FR)], shuffle=False)
    assert [mixed[index]["id"] for index in range(6)] == list(range(6))
    assert [int(mixed[index]["source"][-1]) for index in range(6)] == [EN] * 3 + [FR] * 3


def test_order_is_by_length_and_ties_are_shuffled_each_epoch() -> None:
    texts = [[5] * n + [2] for n in (3, 1, 2, 1, 3, 1, 2, 1, 1, 3)]
    fixed = MultilingualDataset([pairs(texts, texts, EN), pairs(texts, texts, FR)], shuffle=False)
    shuffled = MultilingualDataset([pairs(texts, texts, EN), pairs(texts, texts, FR)], shuffle=True)
    lengths = [len(text) for text in texts * 2]
    orders = []
    for seed in (1, 2, 1):
        np.random.seed(seed)
        orders.append(shuffled.ordered_indices().tolist())
    for order in (fixed.ordered_indices().tolist(), *orders):
        assert sorted(order) == list(range(20))
        assert [lengths[index] for index in order] == sorted(lengths)
    assert fixed.ordered_indices()[:3].tolist() == [1, 3, 5]
    assert orders[0] != orders[1]
    assert orders[0] == orders[2]


def test_sizes_at_once_are_those_one_by_one() -> None:
    texts = [[5, 2], [5, 6, 7, 2], [5, 6, 2]]
    mixed = MultilingualDataset(
        [pairs(texts, texts[::-1], EN), pairs(texts, texts, FR)], shuffle=False
    )
    order = mixed.ordered_indices()
    one_by_one = [mixed.num_tokens(index) for index in order]
    assert mixed.num_tokens_vec(order).tolist() == one_by_one


TEN = [[5, 6, 2]] * 10


@pytest.mark.parametrize(
    ("texts", "suffix", "kept", "named"),
    [
        (TEN, "idx", None, "idx: no such"),
        (TEN, "bin", None, "bin: no such"),
        ([], "", None, "bin: no text"),
        *((TEN, "idx", kept, "idx: damaged") for kept in (0, 11, 30, -7)),
        *((TEN, "bin", kept, "idx: damaged") for kept in (11, -1)),
        ([[5, 2], [999, 2], [5, 2]], "", None, "bin: token 999"),
    ],
)
def test_data_that_cannot_be_read(
    tmp_path: Path, texts: list[list[int]], suffix: str, kept: int | None, named: str
) -> None:
    """Of the file with ``suffix`` some bytes are left, or None: it is gone."""
    prefix = tmp_path / "fr_XX" / "train"
    tiny.write_texts(prefix, texts)
    if suffix:
        read = load_texts(str(prefix), tiny.dictionary(), "fr_XX")
        assert [text.tolist() for text in read] == texts
    path = Path(f"{prefix}.{suffix}")
    if suffix and kept is None:
        path.unlink()
    elif suffix:
        path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(LaftError, match=rf"train\.{named} .* fr_XX"):
        load_texts(str(prefix), tiny.dictionary(), "fr_XX")


@pytest.mark.parametrize(
    ("suffix", "at", "written", "named"),
    [  # ten texts of 3 tokens: the index's header has 26 bytes, then 40 of sizes, 80 of places
        ("idx", 26 + 4, b"\x04\0\0\0\x02\0\0\0", "idx: damaged"),  # the sum is as it was
        ("idx", 26 + 4, b"\x06\0\0\0\0\0\0\0", "idx: damaged"),
        ("idx", 26 + 40 + 8, b"\x00", "idx: damaged"),
        ("idx", 17, b"\xff", "idx: damaged"),  # no type
        ("bin", 6 * 2, bytes(12), "idx: damaged"),  # zeroed
        ("bin", 7 * 2, b"\x02\0", "idx: damaged"),
        ("bin", 7 * 2, b"\xff\xff", "bin: token 65535"),
    ],
)
def test_damage_inside_of_binarised_texts(
    tmp_path: Path, suffix: str, at: int, written: bytes, named: str
) -> None:
    """Which changes what is trained on, not the lengths of the files."""
    prefix = tmp_path / "fr_XX" / "train"
    tiny.write_texts(prefix, TEN)
    path = Path(f"{prefix}.{suffix}")
    data = bytearray(path.read_bytes())
    data[at : at + len(written)] = written
    path.write_bytes(data)
    with pytest.raises(LaftError, match=rf"train\.{named} .* fr_XX"):
        load_texts(str(prefix), tiny.dictionary(), "fr_XX")


def test_a_script_that_the_dictionary_lacks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warned of above 30 % bytes and unknown subwords, refused above 60 % unless it is allowed."""
    caplog.set_level(logging.WARNING)
    byte, unknown, word = tiny.ids("<0xE4>")[0], 3, tiny.ids("c1")[0]

    def read(foreign: int, subwords: int = 100) -> None:
        kinds = [byte, unknown] * foreign + [word] * subwords
        tiny.write_texts(tmp_path / "train", [[*kinds[foreign : foreign + subwords], 2]])
        load_texts(str(tmp_path / "train"), tiny.dictionary(), "fr_XX")

    read(30)
    read(20, subwords=20)  # too few to tell
    assert not caplog.messages
    read(31)
    read(60)
    assert "language fr_XX: 31 % of 100 subwords" in caplog.text and len(caplog.messages) == 2
    with pytest.raises(LaftError, match=r"train: language fr_XX: 61 % .* backbone that knows .*=1"):
        read(61)
    monkeypatch.setenv("LAFT_ALLOW_BYTES", "1")
    read(100)
    assert "100 % of 100 subwords" in caplog.messages[-1]
