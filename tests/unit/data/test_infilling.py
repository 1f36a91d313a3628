"""Text infilling: how much is masked, in which spans, what is safe, and that noise repeats."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.data import ListDataset

from laft_fairseq.data.infilling import InfillingDataset, seeded, word_starts
from laft_fairseq.data.tagged_texts import TaggedTexts
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout
from tests import tiny

MASK = tiny.ids("<mask>")[0]
WORDS = 40
EN = tiny.ids(" ".join(f"\u2581w{n % 12} c{n % 12}" for n in range(WORDS)) + " </s>")
ZH = tiny.ids(" ".join("一二三四五六七八"[n % 8] for n in range(WORDS)) + " </s>")


def infilling(texts: list[list[int]], tag: str = "en_XX", **options: Any) -> InfillingDataset:
    tensors = [torch.tensor(text) for text in texts]
    raw = ListDataset(tensors, [len(text) for text in texts])
    full = tiny.dictionary()
    layout = TagLayout(options.pop("layout", "suffix"))
    tagged = TaggedTexts(raw, full.index(f"[{tag}]"), 128, "texts", layout)
    chosen = {"seed": 1, "fixed": False, "mask": 0.35, "poisson_lambda": 3.5, **options}
    return InfillingDataset(tagged, full, tag, **chosen)


def spans(source: list[int], text: list[int]) -> list[int]:
    """Tokens hidden by each mask, the text's tokens all being different."""
    hidden, position = [], 0
    for number, token in enumerate(source):
        if token != MASK:
            position = text.index(token) + 1
            continue
        kept = [t for t in source[number + 1 :] if t != MASK]
        end = text.index(kept[0]) if kept else len(text)
        if source[number + 1] != MASK:
            hidden.append(end - position)
        position = end if source[number + 1] != MASK else position
    return hidden


def masked_tokens(data: InfillingDataset, index: int) -> tuple[int, int]:
    """Tokens that are gone, and masks."""
    item = data[index]
    source, target = item["source"].tolist(), item["target"].tolist()
    return len(target) - sum(token != MASK for token in source), source.count(MASK)


@pytest.mark.parametrize(("tag", "text", "subwords"), [("en_XX", EN, 2), ("zh_CN", ZH, 1)])
def test_35_percent_of_the_words_are_masked(tag: str, text: list[int], subwords: int) -> None:
    data = infilling([text] * 200, tag)
    gone = np.array([masked_tokens(data, index) for index in range(200)])
    share = gone[:, 0].mean() / (WORDS * subwords)
    # Spans that run into each other or off the end hide a little less than is drawn.
    assert 0.25 < share < 0.36
    assert (gone[:, 0] <= np.ceil(0.35 * WORDS) * subwords).all()


def test_a_mask_a_span_of_poisson_length() -> None:
    """In Chinese each subword is a word. Poisson spans of at most 4 words have mean 2.46."""
    text = [*range(4, 36), 2]  # all different, no bytes
    data = infilling([text] * 400, "zh_CN", mask=0.1)
    lengths = [n for i in range(400) for n in spans(data[i]["source"].tolist()[:-1], text)]
    counts = np.bincount(lengths, minlength=5) / len(lengths)
    assert 2.1 < np.mean(lengths) < 2.8
    assert counts[0] > 0.005  # an insertion: a mask for nothing
    assert max(lengths) == 4


def test_span_lengths_follow_the_poisson_distribution() -> None:
    """The distribution that fairseq's noise draws from is ours."""
    drawn = infilling([EN]).noise.mask_span_distribution
    expected = [3.5**k * np.exp(-3.5) / np.prod(range(1, k + 1)) for k in range(8)]
    np.testing.assert_allclose(drawn.probs[:8].numpy(), expected, atol=1e-5)


def test_whole_words_are_masked() -> None:
    """In English a continuation never stays behind without its word's start."""
    data = infilling([EN] * 50)
    full = tiny.dictionary()
    for index in range(50):
        pieces = [full[token] for token in data[index]["source"].tolist()]
        for before, piece in itertools.pairwise(pieces):
            if piece.startswith("c"):
                # an inserted mask may stand between start and continuation
                assert before in (f"\u2581w{piece[1:]}", "<mask>")
    assert any(MASK in data[index]["source"] for index in range(50))


@pytest.mark.parametrize("tag", ["en_XX", "zh_CN"])
@pytest.mark.parametrize("mask", [0.35, 1.0])
@pytest.mark.parametrize("layout", ["suffix", "prefix"])
def test_sentence_end_and_tag_are_never_masked(tag: str, mask: float, layout: str) -> None:
    texts = [EN, ZH, EN[-3:], ZH[-2:], [2]]
    data = infilling(texts * 20, tag, mask=mask, layout=layout)
    before = tiny.ids(f"[{tag}]") if layout == "prefix" else []
    after = [] if before else tiny.ids(f"[{tag}]")
    for index in range(len(data)):
        item = data[index]
        noised = item["source"].tolist()
        assert (noised[: len(before)], noised[len(noised) - 1 - len(after) :]) == (
            before,
            [2, *after],
        )
        assert item["target"].tolist() == [*before, *texts[index % 5], *after]
        assert 0 not in item["source"]  # no <s> either


def test_the_noise_is_the_same_in_both_layouts() -> None:
    """The tag stands elsewhere, and nothing else changes."""
    suffix, prefix = (infilling([EN, ZH] * 5, layout=layout) for layout in ("suffix", "prefix"))
    for index in range(10):
        assert source(suffix, index)[:-1] == source(prefix, index)[1:]


def test_word_starts() -> None:
    """A character in bytes begins at its first byte; words of unspaced text at every subword."""
    full = tiny.dictionary()
    expected = {"\u2581w1": (1, 1), "c1": (0, 1), "一": (0, 1), "<unk>": (1, 1),
                "<0xE4>": (0, 1), "<0xB8>": (0, 0), "<0xAD>": (0, 0)}  # fmt: skip
    starts = word_starts(full, "en_XX"), word_starts(full, "zh_CN")
    actual = {piece: tuple(int(s[full.index(piece)]) for s in starts) for piece in expected}
    assert actual == expected


def test_a_character_in_bytes_is_masked_whole() -> None:
    text = tiny.ids(" ".join(("一", *tiny.BYTES, "二")) + " </s>")
    data = infilling([text] * 60, "zh_CN", mask=0.5, poisson_lambda=1.0)
    byte_ids = set(tiny.ids(" ".join(tiny.BYTES)))
    kept = {len(byte_ids & set(data[i]["source"].tolist())) for i in range(60)}
    assert kept == {0, 3}


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("mask", -0.2, r"--mask -0\.2: must be a share"),
        ("mask", 1.5, r"--mask 1\.5: must be a share"),
        (
            "poisson_lambda",
            0.0,
            r"--poisson-lambda 0\.0: must be a mean length .* from 0\.01 to 16",
        ),
        ("poisson_lambda", -1.0, "--poisson-lambda"),
        ("poisson_lambda", 17.0, "--poisson-lambda"),
    ],
)
def test_noise_out_of_range_is_refused(option: str, value: float, words: str) -> None:
    """fairseq makes other noise of it, or none, or never comes to an end."""
    with pytest.raises(LaftError, match=words):
        infilling([EN], **{option: value})


@pytest.mark.parametrize("mean", [0.01, 16.0])
def test_noise_at_its_bounds(mean: float) -> None:
    data = infilling([EN], poisson_lambda=mean)
    assert MASK in source(data, 0)
    shares = data.noise.mask_span_distribution.probs.numpy()
    assert shares @ np.arange(len(shares)) == pytest.approx(mean, rel=1e-3)


def source(data: InfillingDataset, index: int) -> list[int]:
    return data[index]["source"].tolist()  # type: ignore[no-any-return]


def test_noise_depends_on_seed_epoch_and_index_alone() -> None:
    first = source(infilling([EN] * 3), 1)
    torch.manual_seed(99)
    np.random.seed(99)
    data = infilling([EN] * 3)
    source(data, 2)
    assert source(data, 1) == first
    assert source(data, 1) == first
    assert source(data, 2) != first
    assert source(infilling([EN] * 3, seed=2), 1) != first
    assert source(infilling([EN] * 3, "fr_XX"), 1)[:-1] != first[:-1]
    data.set_epoch(2)
    assert source(data, 1) != first
    data.set_epoch(1)
    assert source(data, 1) == first


def test_validation_noise_is_fixed() -> None:
    data = infilling([EN], fixed=True)
    first = source(data, 0)
    data.set_epoch(5)
    assert source(data, 0) == first


def test_the_global_generator_is_left_alone() -> None:
    data = infilling([EN])
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    source(data, 0)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(5)
    with pytest.raises(KeyError), seeded(1, 2):
        raise KeyError
    assert torch.equal(torch.rand(3), expected)
