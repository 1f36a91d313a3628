"""Tags against Hugging Face's lists, and the languages that are known by their code."""

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.languages import tags as language_tags
from laft_fairseq.languages.scripts import is_unspaced, language_code, language_codes
from laft_fairseq.languages.tags import CC25, MBART50


def test_the_tags_of_both_mbarts_are_hugging_faces() -> None:
    """In the order of their ids, after 4 specials and 249,997 subwords and before `<mask>`."""
    pytest.importorskip("transformers")
    from transformers.models.mbart import tokenization_mbart as cc25
    from transformers.models.mbart50 import tokenization_mbart50 as mbart50

    assert CC25 == cc25.FAIRSEQ_LANGUAGE_CODES
    assert MBART50 == mbart50.FAIRSEQ_LANGUAGE_CODES
    assert 4 + 249_997 + len(set(CC25)) + 1 == 250_027
    assert 4 + 249_997 + len(set(MBART50)) + 1 == 250_054


def test_a_language_that_may_be_meant_is_named() -> None:
    for typed, meant in (("fr", True), ("fr_FR", True), ("FR_XX", True), ("eo_XX", False)):
        message = language_tags.unknown("--lang", typed, "d", ["en_XX", "fr_XX"])
        assert ("(did you mean fr_XX?)" in message) is meant


def test_a_language_listed_twice_is_refused() -> None:
    with pytest.raises(LaftError, match="fr_XX is listed twice"):
        language_tags.split_tags("fr_XX,en_XX,fr_XX")


def test_codes() -> None:
    assert [language_code(tag) for tag in ("fr_XX", "[fr_XX]", "fr", "sr_Latn")] == [
        "fr", "fr", "fr", "sr"
    ]  # fmt: skip
    assert language_codes(["zh_CN", "en", "[zh_CN]"]) == ("en", "zh")
    for tag in ("xx_XX", "fr-FR", "fr_fr", "klingon", ""):
        with pytest.raises(LaftError, match=f"unknown language '{tag}'"):
            language_code(tag)
    for tag, code in {
        "zho_Hans": "zh", "yue_HK": "zh", "wuu_CN": "zh", "jpn_Jpan": "ja", "arb_Arab": "ar",
        "swh_Latn": "sw", "tgl_Latn": "tl", "tl_XX": "tl", "shn_MM": "shn",
    }.items():  # fmt: skip
        assert language_code(tag) == code, tag


@pytest.mark.parametrize(
    ("tags", "text", "unspaced"),
    [
        ("zh_CN zh_TW zho_Hans jpn_Jpan ja_XX yue_HK wuu_CN nan_TW lzh_XX", "", True),
        ("th_TH tha_Thai lo_LA km_KH khm_Khmr my_MM shn_MM bo_CN dz_BT", "", True),
        ("fr_XX ko_KR kor_Hang sr_Latn zh_Latn ja_Latn jv_ID ar_AR qaa_XX en_Nope", "", False),
        ("qaa_XX en_XX", "香港係中國一個 ABC", True),  # what a tag does not say, the text does
        ("qaa_XX", "ສະບາຍດີ", True),
        ("fr_XX", "Le mot chinois 中文 veut dire", False),
    ],
)
def test_languages_written_without_spaces(tags: str, text: str, unspaced: bool) -> None:
    """By the script of the tag, of its language, or of the text."""
    assert {tag: is_unspaced(tag, text) for tag in tags.split()} == dict.fromkeys(
        tags.split(), unspaced
    )
