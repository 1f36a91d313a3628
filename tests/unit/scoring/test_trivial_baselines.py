"""Sentences of every script, LEAD-1, the extractive oracle."""

import pytest

from laft_fairseq.scoring import trivial_baselines
from laft_fairseq.scoring.tokenizers import normalise, unicode_tokens


@pytest.mark.parametrize(
    ("lang", "text", "sentences"),
    [
        ("en", "A game. It runs (fast!) on 2.6 kernels. Here",
         ["A game.", "It runs (fast!) on 2.6 kernels.", "Here"]),
        ("fr", "Quoi ? « Rien. » Voilà... Fin", ["Quoi ?", "« Rien. »", "Voilà...", "Fin"]),
        ("en", "Dr. Roe left, e.g. by car. It rained", ["Dr. Roe left, e.g. by car.", "It rained"]),
        ("de", "Z. B. am 3. Mai. Ende", ["Z. B. am 3. Mai.", "Ende"]),
        ("zh_CN", "一个游戏。很快！“好？”他说。", ["一个游戏。", "很快！", "“好？”", "他说。"]),
        ("zh_CN", "支持 v2.6 内核 ⏎ 功能： ⏎ ⏎ 快。", ["支持 v2.6 内核", "功能：", "快。"]),
        ("zh_CN", "你来吗?我来!他也来。", ["你来吗?", "我来!", "他也来。"]),
        ("zh_CN", "用ASP.NET写的。libx 是库.好", ["用ASP.NET写的。", "libx 是库.", "好"]),
        ("en", "It works.The next one", ["It works.The next one"]),
        ("en", "  ", []),
    ],
)  # fmt: skip
def test_sentences_are_cut_at_their_ends(lang: str, text: str, sentences: list[str]) -> None:
    assert trivial_baselines.sentences(text, lang) == sentences


@pytest.mark.parametrize(
    ("lang", "marks"),
    [
        ("hi_IN", "।॥?!"), ("ar_AR", "؟.!"), ("ur_PK", "۔؟!"), ("am", "።፧!"), ("hy", "։"),
        ("my_MM", "။"), ("km_KH", "។៕?"), ("dz", "།"), ("bn_IN", "।"), ("si_LK", "."),
        ("th_TH", "?!"), ("el", ";."), ("ka_GE", "."), ("ja_XX", "。！？?!｡"),
        ("zh_CN", "。！？?!"), ("fa_IR", ".؟"), ("he_IL", ".?"),
    ],
)  # fmt: skip
def test_first_sentences_end_at_the_marks_of_every_script(lang: str, marks: str) -> None:
    first, rest = {"zh_CN": ("部长宣布", "国家派队"), "ja_XX": ("大臣が発表", "国が送る")}.get(
        lang, ("მინისტრმა თქვა", "მთავრობა წავიდა")
    )
    for mark in marks:
        for text in (f"{first}{mark} {rest}{mark}", f"{first}{mark}» {rest}"):
            for given in (text, normalise(text)):
                sentence = trivial_baselines.sentences(given, lang)[0]
                assert unicode_tokens(sentence) == unicode_tokens(first), (mark, given)


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
