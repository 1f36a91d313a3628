from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.tasks.laft_denoising import LaftDenoising, size_ratios
from tests import tiny

COUNTS = {"en_XX": 64, "fr_XX": 16, "zh_CN": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny.write_dictionary(folder)
    for tag, count in COUNTS.items():
        for split in ("train", "valid"):
            tiny.write_texts(folder / tag / split, tiny.random_texts(tag, count))
    return folder


def task(data: Path, **options: Any) -> LaftDenoising:
    return tiny.task("denoising", data=str(data), **options)  # type: ignore[no-any-return]


def test_sampling_by_hand() -> None:
    """64, 16 and 4 texts to the power 1/2 are 8, 4, 2: shares 4/7, 2/7, 1/7 of 84 texts."""
    np.testing.assert_allclose(size_ratios([64, 16, 4], 0.5), [48 / 64, 24 / 16, 12 / 4])
    np.testing.assert_allclose(size_ratios([64, 16, 4], 1.0), [1, 1, 1])
    np.testing.assert_allclose(size_ratios([64, 16, 4], 0.0), [28 / 64, 28 / 16, 28 / 4])


def languages(data_set: Any) -> dict[int, int]:
    """How many items each tag's id has."""
    tags = [int(data_set[index]["source"][-1]) for index in range(len(data_set))]
    return dict(zip(*np.unique(tags, return_counts=True), strict=True))


def test_an_epoch_holds_each_language_by_its_share(data: Path) -> None:
    made = task(data, multilang_sampling_alpha=0.5)
    made.load_dataset("train")
    expected = {made.tag_ids["en_XX"]: 48, made.tag_ids["fr_XX"]: 24, made.tag_ids["zh_CN"]: 12}
    assert languages(made.datasets["train"]) == expected


def test_only_the_languages_asked_for_are_read(data: Path) -> None:
    made = task(data, train_langs="zh_CN,fr_XX", valid_langs="en_XX")
    made.load_dataset("train")
    made.load_dataset("valid")
    assert set(languages(made.datasets["train"])) == {made.tag_ids["zh_CN"], made.tag_ids["fr_XX"]}
    assert languages(made.datasets["valid"]) == {made.tag_ids["en_XX"]: 64}


def test_validation_keeps_every_text_in_order(data: Path) -> None:
    made = task(data)
    made.load_dataset("valid")
    valid = made.datasets["valid"]
    texts = [t for tag, count in COUNTS.items() for t in tiny.random_texts(tag, count)]
    assert [valid[index]["target"].tolist()[:-1] for index in range(len(valid))] == texts


def batches(made: LaftDenoising, epoch: int) -> list[list[list[int]]]:
    iterator = made.get_batch_iterator(made.datasets["train"], max_sentences=8, seed=1, epoch=epoch)
    actual = iterator.next_epoch_itr(shuffle=True)
    return [batch["net_input"]["src_tokens"].tolist() for batch in actual]


def test_an_epoch_is_the_same_whether_reached_or_resumed(data: Path) -> None:
    """Texts, noise and batches: only seed and epoch decide, and each epoch is another one."""
    reached, resumed = task(data), task(data)
    reached.load_dataset("train", epoch=1)
    first = batches(reached, 1)
    second = batches(reached, 2)
    resumed.load_dataset("train", epoch=2)
    assert batches(resumed, 2) == second
    assert second != first


def test_batches_hold_texts_of_like_length_in_every_epoch(data: Path) -> None:
    made = task(data)
    made.load_dataset("train", epoch=1)
    for epoch in (1, 3):
        iterator = made.get_batch_iterator(made.datasets["train"], max_sentences=8, epoch=epoch)
        sizes = made.datasets["train"].sizes
        spread = [np.ptp(sizes[batch]) for batch in iterator.batch_sampler]
        assert sum(spread) <= np.ptp(sizes)


def test_without_workers_nothing_is_read_ahead(data: Path) -> None:
    """A thread that seeds torch for the noise would change the training's dropout."""
    made = task(data)
    made.load_dataset("train")
    for workers, buffer in ((0, 0), (1, 10)):
        iterator = made.get_batch_iterator(
            made.datasets["train"], max_sentences=8, num_workers=workers, data_buffer_size=10
        )
        assert iterator.buffer_size == buffer


def test_long_texts_are_cut_to_tokens_per_sample(data: Path) -> None:
    made = task(data, tokens_per_sample=6, train_langs="en_XX")
    made.load_dataset("train")
    train = made.datasets["train"]
    lengths = [len(train[index]["target"]) for index in range(len(train))]
    assert max(lengths) == 6
    assert all(train[index]["target"][-2] == 2 for index in range(len(train)))


@pytest.mark.parametrize("option", ["train_langs", "valid_langs"])
def test_an_unknown_language(data: Path, option: str) -> None:
    made = task(data, **{option: "en_XX,de_DE"})
    message = f"--{option.replace('_', '-')}: unknown language de_DE; .* has en_XX, fr_XX, zh_CN"
    with pytest.raises(LaftError, match=message):
        made.load_dataset(option.split("_")[0])


def test_setup_reads_the_directory(data: Path, tmp_path: Path) -> None:
    options = task(data).cfg
    made = LaftDenoising.setup_task(options)
    assert made.tags == list(tiny.TAGS)
    assert made.dictionary.symbols == tiny.dictionary().symbols
    assert made.source_dictionary is made.target_dictionary
    options.data = str(tmp_path / "absent")
    with pytest.raises(LaftError, match="absent: no such data directory"):
        LaftDenoising.setup_task(options)
