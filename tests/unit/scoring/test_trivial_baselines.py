"""Sentences by rule, LEAD-1, the extractive oracle."""

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring import trivial_baselines


@pytest.mark.parametrize(
    ("lang", "text", "sentences"),
    [
        (
            "en",
            "A game. It runs (fast!) on 2.6 kernels",
            ["A game.", "It runs (fast!)", "on 2.6 kernels"],
        ),
        ("fr", "Quoi ? « Rien. » Voilà… fin", ["Quoi ?", "« Rien. »", "Voilà…", "fin"]),
        (
            "de",
            "Erster Absatz ⏎ Zweiter Absatz. Ende",
            ["Erster Absatz", "Zweiter Absatz.", "Ende"],
        ),
        ("zh_CN", "一个游戏。很快！“好？”他说。", ["一个游戏。", "很快！", "“好？”", "他说。"]),
        ("zh_CN", "支持 v2.6 内核 ⏎ 功能： ⏎ ⏎ 快。", ["支持 v2.6 内核", "功能：", "快。"]),
        ("en", "  ", []),
    ],
)
def test_sentences_are_cut_by_rule(lang: str, text: str, sentences: list[str]) -> None:
    assert trivial_baselines.sentences(text, lang) == sentences


def test_lead_is_the_first_sentence_and_empty_of_nothing() -> None:
    assert trivial_baselines.lead("Un jeu. Il est libre.", "fr_XX") == "Un jeu."
    assert trivial_baselines.lead("", "fr_XX") == ""


def test_oracle_picks_the_sentence_nearest_to_the_reference() -> None:
    source = "这个软件很小。它是文本编辑器。欢迎使用。"
    assert trivial_baselines.oracle(source, "文本编辑器", "zh_CN") == "它是文本编辑器。"
    assert trivial_baselines.oracle(source, "xyz", "zh_CN") == "这个软件很小。"
    assert trivial_baselines.oracle("", "文本", "zh_CN") == ""


def test_baselines_depend_on_what_is_given() -> None:
    source, reference = "Un jeu. Il est ⏎ libre.", "il est libre"
    outputs = trivial_baselines.baseline_outputs(
        [reference], "fr_XX", sources=[source], english=["it is free"]
    )
    assert outputs == {
        "lead1": ["Un jeu."],
        "source_copy": ["Un jeu. Il est libre."],
        "oracle": ["Il est"],
        "english_reference": ["it is free"],
    }
    assert trivial_baselines.baseline_outputs([reference], "fr_XX") == {}


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(LaftError, match="'xx'"):
        trivial_baselines.sentences("A. B.", "xx")
