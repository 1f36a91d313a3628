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


@pytest.mark.parametrize("typed", ["fr", "fr_FR", "FR_XX", "eo_XX"])
def test_what_is_said_of_an_unknown_language(typed: str) -> None:
    message = language_tags.unknown("--lang", typed, "d", ["en_XX", "fr_XX"])
    meant = "" if typed == "eo_XX" else " (did you mean fr_XX?)"
    assert message == f"--lang: unknown language {typed}{meant}; d has en_XX, fr_XX"


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


@pytest.mark.parametrize(
    ("tag", "unspaced"), [("zh_CN", True), ("ja_XX", True), ("th_TH", True), ("fr_XX", False)]
)
def test_languages_without_spaces(tag: str, unspaced: bool) -> None:
    assert is_unspaced(tag) is unspaced
