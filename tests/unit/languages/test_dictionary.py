"""The dictionary of a folder: its languages in order, the new ones, and the files that are none."""

from pathlib import Path

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.dictionary import (
    backbone_part,
    dictionary_tags,
    load_dictionary,
    read_new_langs,
)
from tests import tiny

OLD, NEW = ("en_XX", "fr_XX"), ("zh_CN", "eo_XX")


def test_which_languages(tmp_path: Path) -> None:
    """--langs, else langs.txt, else cc25's 25 in mBART's order."""
    default = dictionary_tags(tmp_path)
    assert len(default) == 25
    assert (default[0], default[3], default[24]) == ("ar_AR", "en_XX", "zh_CN")
    (tmp_path / "langs.txt").write_text("fr_XX\nen_XX\n", encoding="utf-8-sig")
    assert dictionary_tags(tmp_path) == ["fr_XX", "en_XX"]
    assert dictionary_tags(tmp_path, "zh_CN, en_XX") == ["zh_CN", "en_XX"]


def test_which_new_languages(tmp_path: Path) -> None:
    """--new-langs, else new-langs.txt, else none."""
    assert read_new_langs(tmp_path, None, OLD) == []
    (tmp_path / "new-langs.txt").write_text("eo_XX\nzh_CN\n")
    assert read_new_langs(tmp_path, None, OLD) == ["eo_XX", "zh_CN"]
    assert read_new_langs(tmp_path, "sw_KE,sr_Latn", OLD) == ["sw_KE", "sr_Latn"]


def test_new_tags_follow_the_mask_and_no_id_moves(tmp_path: Path) -> None:
    tiny.write_dictionary(tmp_path, OLD)
    plain, extended = load_dictionary(tmp_path, OLD), load_dictionary(tmp_path, OLD, NEW)
    assert plain.symbols == tiny.dictionary(OLD).symbols
    assert extended.symbols == [*plain.symbols, "[zh_CN]", "[eo_XX]"]
    entries = ("[en_XX]", "[fr_XX]", "<mask>", "[zh_CN]", "[eo_XX]")
    assert [extended.index(entry) for entry in entries] == [39, 40, 41, 42, 43]
    assert backbone_part(extended).symbols == plain.symbols
    assert backbone_part(plain) is plain


@pytest.mark.parametrize("content", [b"\n", b"\xff\xfe\x00"])
def test_a_list_without_languages(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "langs.txt").write_bytes(content)
    with pytest.raises(LaftError, match=r"langs\.txt: "):
        dictionary_tags(tmp_path)


@pytest.mark.parametrize(
    ("option", "listed", "named"),
    [
        ("zh_CN,fr_XX", "", "--new-langs: fr_XX"),
        ("zh_CN,zh_CN", "", "zh_CN"),
        *(
            (tag, "", f"--new-langs: '{tag}'")
            for tag in ("eo.XX", "../x_XX", "Esperanto_XX", "eo_")
        ),
        (None, "en_XX", r"new-langs\.txt: en_XX"),
    ],
)
def test_what_is_no_new_language(
    tmp_path: Path, option: str | None, listed: str, named: str
) -> None:
    (tmp_path / "new-langs.txt").write_text(listed)
    with pytest.raises(LaftError, match=named):
        read_new_langs(tmp_path, option, OLD)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ""),
        (b"\xff\xfe\x00", ""),
        (b"a 1\na 1\n", ""),
        ("\ufeff▁the 2\n▁a 1\n".encode(), "begins with a byte order mark"),
        (b"no counts\n", "not a dictionary"),
        ("▁the 2\n[fr_XX] 1\n".encode(), r"already holds \[fr_XX\]"),
        (b"<mask> 1\n", ""),
    ],
)
def test_what_is_no_dictionary_is_one_line(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "dict.txt").write_bytes(content)
    with pytest.raises(LaftError, match=rf"^\S*dict\.txt: {message}[^\n]*$"):
        load_dictionary(tmp_path, ["fr_XX"])
