"""Which languages are new to the backbone, and where their tags stand in the dictionary."""

from pathlib import Path

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.languages import new_languages
from laft_fairseq.languages.dictionary import load_dictionary
from tests import tiny

OLD, NEW = ("en_XX", "fr_XX"), ("zh_CN", "eo_XX")
SIZE = 4 + len(tiny.PIECES) + 2 + 1  # of the backbone: specials, pieces, tags, <mask>


def test_new_tags_follow_the_mask_and_no_id_moves(tmp_path: Path) -> None:
    tiny.write_dictionary(tmp_path, OLD)
    plain, extended = load_dictionary(tmp_path, OLD), load_dictionary(tmp_path, OLD, NEW)
    assert extended.symbols[: len(plain)] == plain.symbols
    assert extended.symbols[len(plain) :] == ["[zh_CN]", "[eo_XX]"]
    ids = [extended.index(entry) for entry in ("[en_XX]", "[fr_XX]", "<mask>", "[zh_CN]")]
    assert SIZE == 42
    assert ids == [39, 40, 41, 42]
    assert extended.index("[eo_XX]") == 43


def test_the_backbones_part_of_a_dictionary() -> None:
    extended = tiny.dictionary(OLD, NEW)
    assert new_languages.backbone_part(extended).symbols == tiny.dictionary(OLD).symbols
    assert len(extended) == SIZE + 2
    plain = tiny.dictionary(OLD)
    assert new_languages.backbone_part(plain) is plain


def test_the_list_is_the_options_or_the_folders(tmp_path: Path) -> None:
    assert new_languages.read_new_langs(tmp_path, None, OLD) == []
    assert new_languages.read_new_langs(tmp_path, "zh_CN,eo_XX", OLD) == ["zh_CN", "eo_XX"]
    (tmp_path / "new-langs.txt").write_text("eo_XX\nzh_CN\n")
    assert new_languages.read_new_langs(tmp_path, None, OLD) == ["eo_XX", "zh_CN"]
    assert new_languages.read_new_langs(tmp_path, "sw_KE,sr_Latn", OLD) == ["sw_KE", "sr_Latn"]


@pytest.mark.parametrize(
    ("option", "listed", "message"),
    [
        ("zh_CN,fr_XX", "", "--new-langs: fr_XX is among"),
        ("zh_CN,zh_CN", "", "zh_CN is listed twice"),
        ("eo.XX", "", r"--new-langs: 'eo\.XX' is no"),
        ("../x_XX", "", "is no language tag"),
        ("Esperanto_XX", "", "is no language tag"),
        ("eo_", "", "is no language tag"),
        (None, "en_XX", r"new-langs\.txt: en_XX is among"),
    ],
)
def test_what_is_refused(tmp_path: Path, option: str | None, listed: str, message: str) -> None:
    (tmp_path / "new-langs.txt").write_text(listed)
    with pytest.raises(LaftError, match=message):
        new_languages.read_new_langs(tmp_path, option, OLD)
