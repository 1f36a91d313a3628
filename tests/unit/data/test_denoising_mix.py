"""The share of denoised sentences in every batch, in one process and in two."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from laft_fairseq.errors import LaftError
from tests import tiny
from tests.unit.data.test_adversarial_batches import batches, languages, same

MIX = {"train_langs": "en_XX", "target_langs": None}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_data(tmp_path_factory.mktemp("data"), count=90)


def task(data: Path, share: float, **options: Any) -> Any:
    made = tiny.task("generation", data=str(data), mix_denoising=share, **{**MIX, **options})
    made.load_dataset("train")
    return made


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.75])
@pytest.mark.parametrize("shards", [1, 2])
def test_every_batch_has_the_share(data: Path, share: float, shards: int) -> None:
    made = task(data, share)
    for limits in ({"max_sentences": 20}, {"max_sentences": None, "max_tokens": 200}):
        seen = Counter[str]()
        for shard in range(shards):
            for batch in filter(None, batches(made, shards=shards, shard=shard, **limits)):
                tags = languages(made, batch)
                assert abs(sum(tag != "en_XX" for tag in tags) - share * len(tags)) < 1
                seen.update(tags)
        assert seen["en_XX"] == 90  # every pair
        assert seen["fr_XX"] + seen["zh_CN"] == round(90 * share / (1 - share))


@pytest.mark.parametrize("layout", ["suffix", "prefix"])
def test_what_is_mixed_is_denoising(data: Path, layout: str) -> None:
    """The target is a sentence of the language, the source is that one with masks."""
    made = task(data, 0.5, mix_langs="fr_XX", tag_layout=layout)
    tag, mask = made.tag_ids["fr_XX"], made.dictionary.index("<mask>")
    texts = {tuple(text) for text in tiny.random_texts("fr_XX", 90)}
    masked = 0
    for batch in batches(made):
        assert set(languages(made, batch)) == {"en_XX", "fr_XX"}
        for source, target in zip(batch["net_input"]["src_tokens"], batch["target"], strict=True):
            if tag in source:
                written = [token for token in target.tolist() if token not in (1, tag)]
                assert tuple(written) in texts
                masked += int(mask in source)
    assert masked > 45


def test_epochs_differ_and_resume(data: Path) -> None:
    made = task(data, 0.5)
    first, second = batches(made, 1), batches(made, 2)
    assert not same(first, second)
    assert same(batches(task(data, 0.5), 2), second)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"share": 1.0}, r"--mix-denoising 1\.0: must be a share"),
        ({"share": -0.5}, r"--mix-denoising -0\.5: must be a share"),
        ({"share": 0.0, "mix_langs": "fr_XX"}, "--mix-langs: needs --mix-denoising"),
        ({"share": 0.1, "mix_langs": "xx_XX"}, "--mix-langs: .* xx_XX"),
        ({"share": 0.1, "train_langs": None}, "--mix-denoising: .* no unlabelled text but of"),
        ({"share": 0.1, "target_langs": "fr_XX"}, "--mix-denoising: batches of TM"),
    ],
)
def test_refusals(data: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(LaftError, match=named):
        task(data, **options)
