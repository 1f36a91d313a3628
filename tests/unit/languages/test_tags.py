"""Tags against Hugging Face's lists, and the languages that are known by their code."""

from pathlib import Path

import pytest

from laft_fairseq.cli import main
from laft_fairseq.errors import LaftError
from laft_fairseq.languages import tags as language_tags
from laft_fairseq.languages.dictionary import dictionary_tags, read_new_langs
from laft_fairseq.languages.scripts import is_unspaced, language_code, language_codes
from laft_fairseq.languages.tags import CC25, MBART50
from preprocess.binarize import __main__ as binarize
from preprocess.common.command import run_command
from preprocess.common.vocabulary import known_languages
from preprocess.own import __main__ as own

MINI = Path(__file__).parents[3] / "examples" / "mini" / "model"


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


BAD_TAGS = ("../evil", "zh-TW", "fr", "pt BR", "FR_XX", "fr_xx", "fr_XX/..", "fr_XX.", "f_XX")


@pytest.mark.parametrize("tag", BAD_TAGS)
def test_what_is_no_tag_is_refused(tag: str, tmp_path: Path) -> None:
    """By one check: of options, of files, and of the list of new languages."""
    (tmp_path / "langs.txt").write_text(f"en_XX\n{tag.replace(' ', '.')}\n")
    (tmp_path / "new-langs.txt").write_text(f"{tag.replace(' ', '.')}\n")
    for read, where in (
        (lambda: language_tags.split_tags(f"en_XX,{tag}", "--langs"), "--langs: "),
        (lambda: dictionary_tags(tmp_path), "langs.txt: "),
        (lambda: read_new_langs(tmp_path, None, CC25), "new-langs.txt: "),
        (lambda: known_languages(tmp_path), "langs.txt: "),
    ):
        with pytest.raises(LaftError, match=f"{where}.* is no language tag"):
            read()


@pytest.mark.parametrize("tag", ["../evil", "-x_XX"])
def test_every_command_refuses_what_is_no_tag(
    tag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read or written, inside of --out or elsewhere."""
    out = tmp_path / "in" / "out"
    text = tmp_path / "text"
    text.write_text("a\n" * 30)
    common = ["--backbone", str(MINI), "--out", str(out), "--train", str(text)]
    binary = binarize.parser().parse_args(["mono", *common, f"--lang={tag}", f"--new-langs={tag}"])
    given = ["--folder", str(tmp_path), "--backbone", str(MINI), "--raw", str(out), "--langs"]
    of_own = own.parser().parse_args([*given, "en_XX", f"--new-langs={tag}"])
    assert run_command("binarize", lambda: binarize.main(binary)) == 1
    assert run_command("own", lambda: own.prepare(of_own)) == 1
    for flags in (
        ["parameters", "--arch", "laft_mbart_tiny", f"--langs={tag}"],
        ["trim", "--backbone", str(MINI / "model.pt"), f"--keep-langs={tag}", "--dry-run"],
        ["components", "--backbone", str(MINI / "model.pt"), "--data", str(tmp_path),
         f"--langs={tag}", "--out", str(tmp_path / "c.safetensors")],
    ):  # fmt: skip
        assert main.main(flags) == 2
    messages = capsys.readouterr().err.splitlines()
    assert len(messages) == 5 and all("is no language tag" in line for line in messages), messages
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["text"]


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
