"""Language identification: sound sentences, names copied from sources, what is undecidable."""

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.language_id import (
    identify,
    known_words,
    right_language,
    strip_copied_names,
)

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
        ("", "zxx"),
        ("GTK 3", None),
        ("菜", None),
        ("……！？", "zxx"),
        ("3.14 2026", "zxx"),
        ("jeu de stratégie en temps réel \ufffd", "zxx"),
        ("Стратегия реального времени", "zxx"),  # in no script of these languages
        ("jeu 实 时 策 略 游 戏", "zh"),
    ],
)
def test_real_lines_are_identified(text: str, code: str | None) -> None:
    assert identify(text, LANGS) == code


@pytest.mark.parametrize(
    ("text", "lang", "code"),
    [
        ("La komputilo estas maŝino por prilabori informojn laŭ programo.", "eo_XX", "eo"),
        ("東京都の公式な観光案内", "ja_XX", "ja"),
        ("东京都官方旅游指南", "ja_XX", "zh"),
    ],
)
def test_a_further_language_is_told_apart(text: str, lang: str, code: str) -> None:
    assert identify(text, [*LANGS, lang]) == code


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


def test_share_is_of_all_and_the_undecidable_are_counted() -> None:
    texts = [
        "文档查看器",
        "a viewer for documents and pictures",
        "桌面环境",
        "GTK",
        "visionneuse de documents pour le bureau",
    ]
    zh = right_language(texts, "zh_CN", LANGS)
    assert zh.right.tolist() == [True, False, True, False, False]
    assert (zh.share, zh.undecidable) == (40.0, 20.0)
    none = right_language(["", "GTK"], "fr_XX", LANGS)
    assert (none.share, none.undecidable) == (0.0, 50.0)


def test_rubbish_is_not_in_the_right_language() -> None:
    """Marks alone, replacement characters, another script; also where nothing else is asked."""
    rubbish = ["? ? ? ?", "", "Фжыв \ufffd\ufffd олдх прывлт", "部长昨日宣布援助灾区", "12 345"]
    sound = "Министр объявил о помощи"
    for langs in (["ru_RU"], [*LANGS, "ru_RU"]):
        share = right_language([*rubbish * 2, sound], "ru_RU", langs)
        assert share.right.tolist() == [False] * 10 + [True]
        assert (share.share, share.undecidable) == (pytest.approx(100 / 11), 0.0)


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("mk_MK", "Министерот објави помош и испрати тим во градот"),
        ("fr_XX", "le jeu de stratégie est simple et gratuit"),
    ],
)
def test_known_words_tell_letters_at_random_from_a_language(lang: str, text: str) -> None:
    gibberish = " ".join(word[::-1] + word[:1] for word in text.split() if len(word) > 3)
    assert known_words([text, ""], lang) == 100.0
    assert known_words([gibberish], lang) == 0.0
    share = 100 * len(text.split()) / len(f"{text} {gibberish}".split())
    assert known_words([text, gibberish], lang) == pytest.approx(share, abs=10)


def test_known_words_need_a_dictionary_and_words() -> None:
    assert known_words(["文档查看器"], "zh_CN") is None
    assert known_words(["12 ?"], "fr_XX") is None


@pytest.mark.parametrize(
    ("lang", "sound", "rubbish"),
    [
        ("bo_CN", "བོད་ཡིག་གི་ཚིག་གྲུབ་ཡིན", "the castle was built here"),
        ("dv_MV", "ދިވެހިރާއްޖެއަކީ ޤައުމެކެވެ", "部长昨日宣布援助灾区"),
        ("kas_Deva", "कश्मीर एक सुंदर जगह है", "کشمیر یک جای زیباست"),  # as the tag says
        ("kea_CV", "es jogu é simplis i grátis", "Министр объявил о помощи"),
    ],
)
def test_a_language_that_py3langid_does_not_know(lang: str, sound: str, rubbish: str) -> None:
    """Its script decides, and it is said; short texts are undecidable, others nobody's."""
    for langs in ([lang], [*LANGS, lang]):
        share = right_language([sound, rubbish, sound[:3], "? \ufffd"], lang, langs)
        assert share.right.tolist() == [True, False, False, False]
        assert share.undecidable == 25.0 and share.by_script
    french = right_language(["un visionneur de documents", sound], "fr_XX", [*LANGS, lang])
    is_latin = lang == "kea_CV"  # of which the identifier knows only French and the like
    assert french.right.tolist() == [True, is_latin] and not french.by_script


@pytest.mark.parametrize(
    ("lang", "langs", "named"),
    [
        ("ru_RU", LANGS, "ru_RU is none of the languages"),
        ("fr_XX", ["fr_XX", "xx_YY"], "'xx_YY'"),
        ("klingon", LANGS, "'klingon'"),
    ],
)
def test_unknown_languages_are_refused(lang: str, langs: list[str], named: str) -> None:
    with pytest.raises(LaftError, match=named):
        right_language(["un texte"], lang, langs)
