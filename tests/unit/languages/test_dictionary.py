"""The dictionary of a folder: its tags in order, and the files that are none."""

from pathlib import Path

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.dictionary import dictionary_tags, load_dictionary
from tests import tiny


def test_which_languages(tmp_path: Path) -> None:
    """--langs, else langs.txt, else cc25's 25 in mBART's order."""
    default = dictionary_tags(tmp_path)
    assert len(default) == 25
    assert (default[0], default[3], default[24]) == ("ar_AR", "en_XX", "zh_CN")
    (tmp_path / "langs.txt").write_text("fr_XX\nen_XX\n", encoding="utf-8-sig")
    assert dictionary_tags(tmp_path) == ["fr_XX", "en_XX"]
    assert dictionary_tags(tmp_path, "zh_CN, en_XX") == ["zh_CN", "en_XX"]


@pytest.mark.parametrize("content", [b"\n", b"\xff\xfe\x00"])
def test_a_list_without_languages(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "langs.txt").write_bytes(content)
    with pytest.raises(LaftError, match=r"langs\.txt: "):
        dictionary_tags(tmp_path)


def test_the_dictionary_of_a_directory(tmp_path: Path) -> None:
    tiny.write_dictionary(tmp_path)
    loaded = load_dictionary(tmp_path, tiny.TAGS)
    assert loaded.symbols == tiny.dictionary().symbols
    assert loaded.index("<mask>") == len(loaded) - 1


@pytest.mark.parametrize("entry", ["[fr_XX]", "<mask>"])
def test_a_dictionary_that_holds_a_tag_is_refused(tmp_path: Path, entry: str) -> None:
    tiny.write_dictionary(tmp_path)
    with (tmp_path / "dict.txt").open("a") as file:
        file.write(f"{entry} 1\n")
    with pytest.raises(LaftError, match=r"dict\.txt: already holds") as caught:
        load_dictionary(tmp_path, tiny.TAGS)
    assert entry in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"one\ntwo\n", b"a 1\na 1\n"])
def test_what_is_no_dictionary_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "dict.txt").write_bytes(content)
    with pytest.raises(LaftError, match=r"dict\.txt: no[^\n]*; copy") as caught:
        load_dictionary(tmp_path, tiny.TAGS)
    assert "\n" not in str(caught.value)
