"""The language of each example of a batch, in either layout."""

import pytest
import torch
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.language_ids import LanguageTags
from laft_fairseq.languages.layout import TagLayout
from tests import tiny

MIXED = ("\u2581w1 c1 </s> [en_XX]", "一 二 三 </s> [zh_CN]", "\u2581w7 </s> [fr_XX]")
LAYOUTS = list(TagLayout)


def language_tags(layout: str = "suffix") -> LanguageTags:
    return LanguageTags(tiny.dictionary(), tiny.TAGS, TagLayout(layout))


def test_tags_stand_before_the_mask_and_nothing_is_saved() -> None:
    tags, size = language_tags(), len(tiny.dictionary())
    assert tags.token_ids == [size - 4, size - 3, size - 2]
    assert not tags.state_dict()
    assert not list(tags.parameters())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("left", [True, False])
def test_source_language_is_at_the_texts_end_or_beginning(layout: TagLayout, left: bool) -> None:
    tokens = tiny.rows(tiny.laid_out(MIXED, layout), left)
    assert language_tags(layout).of_source(tokens).tolist() == [0, 2, 1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_decoder_language_is_the_first_token_or_the_second(layout: TagLayout) -> None:
    inputs = tiny.decoder_inputs(["[zh_CN] 一 </s>", "[en_XX]", "[fr_XX] \u2581w7"], layout)
    tokens = tiny.rows(inputs, left=False)
    assert language_tags(layout).of_decoder_input(tokens).tolist() == [2, 0, 1]


@pytest.mark.parametrize(("layout", "lead"), [("suffix", []), ("prefix", [2])])
def test_what_stands_before_the_tag_of_a_search(layout: str, lead: list[int]) -> None:
    written = torch.tensor([[40, 7], [41, 8]])
    expected = [[*lead, 40, 7], [*lead, 41, 8]]
    assert language_tags(layout).decoder_input(written).tolist() == expected


def test_text_mask_counts_mask_and_unk_but_no_tag_or_sentence_mark() -> None:
    tokens = torch.tensor([[1, 0, *tiny.ids("<mask> \u2581w1"), 3, *tiny.ids("</s> [fr_XX]")]])
    expected = [[False, False, True, True, True, False, False]]
    assert language_tags().text_mask(tokens).tolist() == expected


@pytest.mark.parametrize(
    ("layout", "tokens", "message"),
    [
        ("suffix", torch.tensor([[5, 6, 2]]), "ends with token 2,.* en_XX, fr_XX, zh_CN"),
        ("suffix", tiny.rows(["\u2581w1 </s> [en_XX]", "\u2581w1 </s> <mask>"]), "source ends"),
        ("suffix", torch.tensor([[1, 1]]), "ends with token 1,"),  # nothing but padding
        ("suffix", tiny.rows(tiny.laid_out(MIXED, "prefix")), "ends with token 2,"),
        ("prefix", tiny.rows(MIXED), "begins with token 5,"),
    ],
)
def test_a_source_without_its_tag_is_refused(layout: str, tokens: Tensor, message: str) -> None:
    with pytest.raises(LaftError, match=message):
        language_tags(layout).of_source(tokens)


@pytest.mark.parametrize(
    ("layout", "tokens", "message"),
    [
        ("suffix", [[2, 5]], "begins with token 2"),
        ("prefix", [[2, 5]], "goes on with token 5"),
        ("prefix", [[2]], "begins with token 2"),
    ],
)
def test_decoder_input_without_a_tag_is_refused(
    layout: str, tokens: list[list[int]], message: str
) -> None:
    with pytest.raises(LaftError, match=f"decoder input {message}"):
        language_tags(layout).of_decoder_input(torch.tensor(tokens))


def test_a_tag_that_the_dictionary_lacks_is_refused() -> None:
    with pytest.raises(LaftError, match=r"language de_DE.*\[de_DE\]"):
        LanguageTags(tiny.dictionary(), ["en_XX", "de_DE"])
