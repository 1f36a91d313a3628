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
    full = tiny.dictionary(new=() if tag in tiny.TAGS else (tag,))
    layout = TagLayout(options.pop("layout", "suffix"))
    tagged = TaggedTexts(raw, full.index(f"[{tag}]"), 128, "texts", layout)
    chosen = {"seed": 1, "fixed": False, "mask": 0.35, "poisson_lambda": 3.5, **options}
    return InfillingDataset(tagged, full, tag, **chosen)


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
    # A mask a span, whose mean length is 2.46 words or more: see the next test.
    assert 0.35 * WORDS / 4.5 < gone[:, 1].mean() < 0.35 * WORDS / 2
    assert (gone[:, 0] <= np.ceil(0.35 * WORDS) * subwords).all()


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
        assert noised[: len(before)] == before
        assert noised[len(noised) - 1 - len(after) :] == [2, *after]
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


@pytest.mark.parametrize("tag", ["yue_HK", "zho_Hans", "jpn_Jpan", "qaa_XX", "en_XX"])
def test_no_mask_hides_a_whole_text_without_spaces(
    tag: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The script decides, that of the tag or, where it tells none, that of the text."""
    data = infilling([[*tiny.ids("\u2581w0"), *ZH[1:]]] * 20, tag)
    masked, masks = np.mean([masked_tokens(data, index) for index in range(20)], axis=0)
    assert 0.2 < masked / WORDS < 0.4 and masks > 2
    assert not caplog.messages


def test_texts_with_hardly_a_word_boundary_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    joined = tiny.ids("\u2581w1 " + "c1 c2 c3 " * 10 + "</s>")
    infilling([joined] * 5, "fr_XX")
    assert "texts: language fr_XX: the texts have hardly a space" in caplog.text
    caplog.clear()
    infilling([EN] * 5, "fr_XX")
    infilling([[2]], "fr_XX")
    assert not caplog.messages


def test_a_character_in_bytes_is_masked_whole() -> None:
    text = tiny.ids(" ".join(("一", *tiny.BYTES, "二")) + " </s>")
    data = infilling([text] * 60, "zh_CN", mask=0.5, poisson_lambda=1.0)
    byte_ids = set(tiny.ids(" ".join(tiny.BYTES)))
    kept = {len(byte_ids & set(data[i]["source"].tolist())) for i in range(60)}
    assert kept == {0, 3}


@pytest.mark.parametrize(
    ("option", "values"), [("mask", (-0.2, 1.5)), ("poisson_lambda", (0.0, -1.0, 17.0))]
)
def test_noise_out_of_range_is_refused(option: str, values: tuple[float, ...]) -> None:
    """fairseq makes other noise of it, or none, or never comes to an end."""
    for value in values:
        with pytest.raises(LaftError, match=f"--{option.replace('_', '-')} {value}: "):
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
    fixed = infilling([EN] * 3, fixed=True)  # as in validation
    fixed.set_epoch(2)
    assert source(fixed, 1) == first


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
