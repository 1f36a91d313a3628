"""Language identification: sound sentences, names copied from sources, what is undecidable."""

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.language_id import identify, right_language, strip_copied_names

LANGS = ["en_XX", "fr_XX", "zh_CN", "de_DE"]
FRENCH_SOURCE = "MySQL est un serveur de bases de données ; libgtk2 fournit l'interface."
CHINESE_SOURCE = "GNOME 桌面环境的 Evince 文档查看器，支持 PDF 和 PostScript 格式。"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("retro platform game with a built-in level editor", "en"),
        ("jeu de stratégie en temps réel de guerres anciennes", "fr"),
        ("Echtzeitstrategiespiel über antike Kriege", "de"),
        ("古代战争实时策略游戏", "zh"),
        ("从 Shell 创建 X 菜单", "zh"),
        ("工具", "zh"),
        ("simple menu program for X 菜单", "en"),
        ("", None),
        ("GTK 3", None),
        ("菜", None),
        ("……！？", None),
    ],
)
def test_real_lines_are_identified(text: str, code: str | None) -> None:
    assert identify(text, LANGS) == code


def test_a_language_that_mbart_never_saw_is_told_too() -> None:
    text = "La komputilo estas maŝino por prilabori informojn laŭ programo."
    assert identify(text, [*LANGS, "eo_XX"]) == "eo"
    assert right_language([text, "un jeu de stratégie"], "eo_XX", ["eo", "fr"]).share == 50


def test_japanese_is_told_from_chinese_where_it_is_among_the_languages() -> None:
    assert identify("東京都の公式な観光案内", [*LANGS, "ja_XX"]) == "ja"
    assert identify("东京都官方旅游指南", [*LANGS, "ja_XX"]) == "zh"


@pytest.mark.parametrize(
    ("text", "source", "left"),
    [
        ("serveur MySQL de données", FRENCH_SOURCE, "serveur   de données"),
        ("LIBGTK2 et GTK3", FRENCH_SOURCE, "  et GTK3"),
        ("gnome 文档查看器 Okular", CHINESE_SOURCE, "  文档查看器 Okular"),
        ("Evince", "", "Evince"),
    ],
)
def test_names_copied_from_the_source_are_stripped(text: str, source: str, left: str) -> None:
    assert strip_copied_names(text, source) == left


def test_copied_names_alone_are_undecidable() -> None:
    text = "GNOME Evince PostScript"
    assert identify(text, LANGS) is not None
    assert identify(text, LANGS, CHINESE_SOURCE) is None
    assert identify(f"{text} 查看器", LANGS, CHINESE_SOURCE) == "zh"


def test_share_is_of_the_decidable_and_the_rest_is_counted() -> None:
    texts = [
        "文档查看器",
        "a viewer for documents and pictures",
        "桌面环境",
        "",
        "visionneuse de documents pour le bureau",
    ]
    found = right_language(texts, "zh_CN", LANGS)
    assert found.right.tolist() == [True, False, True, False, False]
    assert found.share == 50.0
    assert found.undecidable == 20.0


def test_no_share_where_nothing_is_decidable() -> None:
    found = right_language(["", "GTK"], "fr_XX", LANGS)
    assert (found.share, found.undecidable) == (None, 100.0)


@pytest.mark.parametrize(
    ("lang", "langs", "said"),
    [
        ("ru_RU", LANGS, "ru_RU is none of the languages"),
        ("fr_XX", ["fr_XX", "xx_YY"], "'xx_YY'"),
        ("klingon", LANGS, "'klingon'"),
    ],
)
def test_unknown_languages_are_refused(lang: str, langs: list[str], said: str) -> None:
    with pytest.raises(LaftError, match=said):
        right_language(["un texte"], lang, langs)
