"""Sentences by rule, LEAD-1, the extractive oracle."""

import pytest

from laft_fairseq.scoring import trivial_baselines


@pytest.mark.parametrize(
    ("lang", "text", "sentences"),
    [
        ("en", "A game. It runs (fast!) on 2.6 kernels",
         ["A game.", "It runs (fast!)", "on 2.6 kernels"]),
        ("fr", "Quoi ? « Rien. » Voilà… fin", ["Quoi ?", "« Rien. »", "Voilà…", "fin"]),
        ("de", "Erster Absatz ⏎ Zweiter Absatz. Ende",
         ["Erster Absatz", "Zweiter Absatz.", "Ende"]),
        ("zh_CN", "一个游戏。很快！“好？”他说。", ["一个游戏。", "很快！", "“好？”", "他说。"]),
        ("zh_CN", "支持 v2.6 内核 ⏎ 功能： ⏎ ⏎ 快。", ["支持 v2.6 内核", "功能：", "快。"]),
        ("en", "  ", []),
    ],
)  # fmt: skip
def test_sentences_are_cut_by_rule(lang: str, text: str, sentences: list[str]) -> None:
    assert trivial_baselines.sentences(text, lang) == sentences


def test_oracle_picks_the_sentence_nearest_to_the_reference() -> None:
    source = "这个软件很小。它是文本编辑器。欢迎使用。"
    assert trivial_baselines.oracle(source, "文本编辑器", "zh_CN") == "它是文本编辑器。"
    assert trivial_baselines.oracle(source, "xyz", "zh_CN") == "这个软件很小。"
    assert trivial_baselines.oracle("", "文本", "zh_CN") == ""


def test_baselines_depend_on_what_is_given() -> None:
    sources, references = ["Un jeu. Il est ⏎ libre.", ""], ["il est libre", "rien"]
    outputs = trivial_baselines.baseline_outputs(
        references, "fr_XX", sources=sources, english=["it is free", "none"]
    )
    assert outputs == {
        "lead1": ["Un jeu.", ""],
        "source_copy": ["Un jeu. Il est libre.", ""],
        "oracle": ["Il est", ""],
        "english_reference": ["it is free", "none"],
    }
    assert trivial_baselines.baseline_outputs(references, "fr_XX") == {}
