from pathlib import Path

import pytest
import torch
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.languages import tags as language_tags
from laft_fairseq.languages.dictionary import dictionary_tags, load_dictionary
from laft_fairseq.languages.language_ids import LanguageTags
from laft_fairseq.languages.layout import TagLayout, tag_layout
from laft_fairseq.languages.scripts import is_unspaced
from laft_fairseq.languages.tags import CC25, MBART50
from tests import tiny

MIXED = ("\u2581w1 c1 </s> [en_XX]", "一 二 三 </s> [zh_CN]", "\u2581w7 </s> [fr_XX]")


LAYOUTS = list(TagLayout)


def made(layout: TagLayout) -> LanguageTags:
    return LanguageTags(tiny.dictionary(), tiny.TAGS, layout)


@pytest.fixture(scope="module")
def tags() -> LanguageTags:
    return made(TagLayout.SUFFIX)


@pytest.mark.parametrize(
    ("layout", "expected"), [("suffix", [7, 8, 2, 40]), ("prefix", [40, 7, 8, 2])]
)
def test_layout_of_a_text(layout: str, expected: list[int]) -> None:
    assert TagLayout(layout).tagged(torch.tensor([7, 8, 2]), 40).tolist() == expected


def test_symbol_of_a_tag() -> None:
    assert language_tags.symbol("fr_XX") == "[fr_XX]"


def test_which_layout(tmp_path: Path) -> None:
    """--tag-layout, else tag-layout.txt, else cc25's."""
    assert tag_layout(tmp_path) is TagLayout.SUFFIX
    assert tag_layout(tmp_path, "prefix") is TagLayout.PREFIX
    (tmp_path / "tag-layout.txt").write_text("prefix\n")
    assert tag_layout(tmp_path) is TagLayout.PREFIX
    assert tag_layout(tmp_path, "suffix") is TagLayout.SUFFIX


def test_a_word_that_names_no_layout(tmp_path: Path) -> None:
    (tmp_path / "tag-layout.txt").write_text("front\n")
    with pytest.raises(LaftError, match=r"tag-layout\.txt: 'front' is no tag layout; .* prefix"):
        tag_layout(tmp_path)
    with pytest.raises(LaftError, match="--tag-layout: 'back' is no tag layout"):
        tag_layout(tmp_path, "back")


def test_tags_stand_between_pieces_and_mask(tags: LanguageTags) -> None:
    size = len(tiny.dictionary())
    assert tags.token_ids == [size - 4, size - 3, size - 2]
    assert tiny.dictionary().index("<mask>") == size - 1


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("left", [True, False])
def test_source_language_is_at_the_texts_end_or_beginning(layout: TagLayout, left: bool) -> None:
    tokens = tiny.rows(tiny.laid_out(MIXED, layout), left)
    assert made(layout).of_source(tokens).tolist() == [0, 2, 1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_decoder_language_is_the_first_token_or_the_second(layout: TagLayout) -> None:
    texts = ["[zh_CN] 一 </s>", "[en_XX]", "[fr_XX] \u2581w7"]
    tokens = tiny.rows(tiny.decoder_inputs(texts, layout), left=False)
    assert made(layout).of_decoder_input(tokens).tolist() == [2, 0, 1]


@pytest.mark.parametrize(("layout", "lead"), [("suffix", []), ("prefix", [2])])
def test_what_stands_before_the_tag_of_a_search(layout: str, lead: list[int]) -> None:
    written = torch.tensor([[40, 7], [41, 8]])
    found = made(TagLayout(layout)).decoder_input(written).tolist()
    assert found == [[*lead, 40, 7], [*lead, 41, 8]]


def test_forced_tokens_of_a_search_are_the_texts_own() -> None:
    targets = torch.tensor([[40, 7, 8]]), torch.tensor([[7, 8, 2]])
    assert TagLayout.PREFIX.text_start(targets[0]).tolist() == [[7, 8]]
    assert TagLayout.SUFFIX.text_start(targets[1]).tolist() == [[7, 8, 2]]


def test_text_mask_counts_mask_and_unk_but_no_tag_or_sentence_mark(tags: LanguageTags) -> None:
    tokens = torch.tensor([[1, 0, *tiny.ids("<mask> \u2581w1"), 3, *tiny.ids("</s> [fr_XX]")]])
    assert tags.text_mask(tokens).tolist() == [[False, False, True, True, True, False, False]]


@pytest.mark.parametrize(
    ("tokens", "where"),
    [
        (torch.tensor([[5, 6, 2]]), "source ends with token 2,"),  # no tag after </s>
        (tiny.rows(["\u2581w1 </s> [en_XX]", "\u2581w1 </s> <mask>"]), "source ends"),
        (torch.tensor([[1, 1]]), "source ends with token 1,"),  # nothing but padding
    ],
)
def test_a_row_without_a_tag_is_refused(tags: LanguageTags, tokens: Tensor, where: str) -> None:
    with pytest.raises(LaftError, match=f"{where}.* en_XX, fr_XX, zh_CN"):
        tags.of_source(tokens)


def test_a_row_of_the_other_layout_is_refused() -> None:
    with pytest.raises(LaftError, match="source ends with token 2,"):
        made(TagLayout.SUFFIX).of_source(tiny.rows(tiny.laid_out(MIXED, "prefix")))
    with pytest.raises(LaftError, match="source begins with token 5,"):
        made(TagLayout.PREFIX).of_source(tiny.rows(MIXED))


@pytest.mark.parametrize(
    ("layout", "tokens", "message"),
    [
        ("suffix", [[2, 5]], "decoder input begins with token 2"),
        ("prefix", [[2, 5]], "decoder input goes on with token 5"),
        ("prefix", [[2]], "decoder input begins with token 2"),
    ],
)
def test_decoder_input_without_a_tag_is_refused(
    layout: str, tokens: list[list[int]], message: str
) -> None:
    with pytest.raises(LaftError, match=message):
        made(TagLayout(layout)).of_decoder_input(torch.tensor(tokens))


def test_a_tag_that_the_dictionary_lacks_is_refused() -> None:
    with pytest.raises(LaftError, match=r"language de_DE.*\[de_DE\]"):
        LanguageTags(tiny.dictionary(), ["en_XX", "de_DE"])


def test_nothing_of_it_is_saved(tags: LanguageTags) -> None:
    assert not tags.state_dict()
    assert not list(tags.parameters())


def test_which_languages(tmp_path: Path) -> None:
    """--langs, else langs.txt, else cc25's 25 in mBART's order."""
    default = dictionary_tags(tmp_path)
    assert len(default) == 25
    assert (default[0], default[3], default[24]) == ("ar_AR", "en_XX", "zh_CN")
    (tmp_path / "langs.txt").write_text("fr_XX\nen_XX\n")
    assert dictionary_tags(tmp_path) == ["fr_XX", "en_XX"]
    assert dictionary_tags(tmp_path, "zh_CN, en_XX") == ["zh_CN", "en_XX"]
    (tmp_path / "langs.txt").write_text("\n")
    with pytest.raises(LaftError, match=r"langs\.txt: no language"):
        dictionary_tags(tmp_path)


def test_cc25_makes_mbarts_vocabulary() -> None:
    """4 specials, 249,997 pieces, 25 tags and <mask> are mBART's 250,027."""
    assert 4 + 249_997 + len(CC25) + 1 == 250_027
    assert len(set(CC25)) == 25


def test_the_tags_of_both_mbarts_are_hugging_faces() -> None:
    """In the order of their ids: 4 + 249,997 + 52 + 1 are mBART-50's 250,054."""
    pytest.importorskip("transformers")
    from transformers.models.mbart import tokenization_mbart as cc25
    from transformers.models.mbart50 import tokenization_mbart50 as mbart50

    assert CC25 == cc25.FAIRSEQ_LANGUAGE_CODES
    assert MBART50 == mbart50.FAIRSEQ_LANGUAGE_CODES
    assert 4 + 249_997 + len(set(MBART50)) + 1 == 250_054


def test_what_is_said_of_an_unknown_language() -> None:
    tags = ["en_XX", "fr_XX"]
    assert language_tags.unknown("--lang", "eo_XX", "d", tags) == (
        "--lang: unknown language eo_XX; d has en_XX, fr_XX"
    )
    for typed in ("fr", "fr_FR", "FR_XX"):
        said = language_tags.unknown("--lang", typed, "d", tags)
        assert said.startswith(f"--lang: unknown language {typed} (did you mean fr_XX?); ")


def test_a_language_listed_twice_is_refused() -> None:
    with pytest.raises(LaftError, match="fr_XX is listed twice"):
        language_tags.split_tags("fr_XX,en_XX,fr_XX")


def test_the_dictionary_of_a_directory(tmp_path: Path) -> None:
    tiny.write_dictionary(tmp_path)
    loaded = load_dictionary(tmp_path, tiny.TAGS)
    assert loaded.symbols == tiny.dictionary().symbols


@pytest.mark.parametrize("entry", ["[fr_XX]", "<mask>"])
def test_a_dictionary_that_holds_a_tag_is_refused(tmp_path: Path, entry: str) -> None:
    tiny.write_dictionary(tmp_path)
    with (tmp_path / "dict.txt").open("a") as file:
        file.write(f"{entry} 1\n")
    with pytest.raises(LaftError, match=r"dict\.txt: already holds") as caught:
        load_dictionary(tmp_path, tiny.TAGS)
    assert entry in str(caught.value)


def test_no_dictionary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaftError, match=r"dict\.txt: no dictionary"):
        load_dictionary(tmp_path, tiny.TAGS)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"one\ntwo\n", b"a 1\na 1\n"])
def test_what_is_no_dictionary_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dict.txt").write_bytes(content)
    with pytest.raises(LaftError, match=r"dict\.txt: not a dictionary \(.*\); copy"):
        load_dictionary(tmp_path, tiny.TAGS)


def test_what_is_no_text_is_one_line(tmp_path: Path) -> None:
    for name in ("langs.txt", "tag-layout.txt"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LaftError, match=r"langs\.txt: cannot be read as UTF-8"):
        dictionary_tags(tmp_path)
    with pytest.raises(LaftError, match=r"tag-layout\.txt: cannot be read as UTF-8"):
        tag_layout(tmp_path)


def test_a_byte_order_mark_is_no_part_of_a_tag(tmp_path: Path) -> None:
    (tmp_path / "langs.txt").write_text("en_XX\n", encoding="utf-8-sig")
    assert dictionary_tags(tmp_path) == ["en_XX"]


@pytest.mark.parametrize(
    ("tag", "unspaced"), [("zh_CN", True), ("ja_XX", True), ("th_TH", True), ("fr_XX", False)]
)
def test_languages_without_spaces(tag: str, unspaced: bool) -> None:
    assert is_unspaced(tag) is unspaced
