"""Copying, novel tokens, lengths, BLEU and chrF."""

import pytest

from laft_fairseq.scoring import measures

SOURCE = "The quick brown fox jumps over the lazy dog. It sleeps."


@pytest.mark.parametrize(
    ("text", "source", "copied"),
    [
        ("the quick brown fox", SOURCE, True),
        ("QUICK BROWN FOX!", SOURCE, True),
        ("quick fox jumps", SOURCE, False),
        (SOURCE, SOURCE, True),
        # 9 of 10 tokens in one piece, then 8 of 10
        ("the quick brown fox jumps over the lazy dog barks", SOURCE, True),
        ("a quick brown fox jumps over the lazy dog barks", SOURCE, False),
        ("dog it sleeps today", SOURCE, False),
        ("文档查看", "GNOME 文档查看器", True),
        ("文档查阅", "GNOME 文档查看器", False),
        ("", SOURCE, False),
        ("fox", "", False),
    ],
)
def test_copied_is_nine_tenths_in_one_piece(text: str, source: str, copied: bool) -> None:
    assert measures.copied([text], [source]).tolist() == [copied]


def test_novel_rouge_leaves_the_sources_tokens_out() -> None:
    hypotheses = ["fox sleeps in summer", "the fox", "the lazy dog", "a fox"]
    references = ["a fox rests in summer", "the dog", "an idle dog", "a cat"]
    sources = [SOURCE] * 4
    # [in summer] to [a rests in summer]; no novel reference; [] to [an idle]; [a] to [a cat]
    expected = [100 * 2 * 2 / 6, 0.0, 100 * 2 * 1 / 3]
    scores = measures.novel_rouge_l(hypotheses, references, sources)
    assert scores.tolist() == pytest.approx(expected)


def test_lengths_are_counted_in_tokens() -> None:
    assert measures.length_ratio(["用GTK写", ""], ["程序", "a b c d"]) == 3 / 6
    assert measures.length_ratio(["a"], ["..."]) is None


def test_bleu_cuts_chinese_as_chinese() -> None:
    text = "基于图形界面的文本编辑器"
    perfect, signature = measures.bleu([text], [text], "zh_CN")
    assert perfect == pytest.approx(100.0)
    assert "tok:zh" in signature
    # One character of twelve differs: n-gram precisions 11/12, 10/11, 9/10, 8/9.
    almost, _ = measures.bleu(["基于图形界面的文本编辑机"], [text], "zh_CN")
    assert almost == pytest.approx(100 * (11 / 12 * 10 / 11 * 9 / 10 * 8 / 9) ** 0.25)
    assert "tok:13a" in measures.bleu(["a b"], ["a b"], "fr_XX")[1]
    assert "tok:char" in measures.bleu(["あい"], ["あい"], "ja_XX")[1]


def test_chrf_of_equal_and_of_disjoint_texts() -> None:
    assert measures.chrf(["abcdefg"], ["abcdefg"])[0] == pytest.approx(100.0)
    assert measures.chrf(["hijklmn"], ["abcdefg"])[0] == 0.0


SUMMARIES = (
    "The fox sleeps. It is summer. A dog barks at the fox.",
    "A dog barks. The lazy fox sleeps in summer.",
    "it is summer and the fox sleeps",
    "One sentence. ",
    "",
)


@pytest.mark.parametrize("protocol", ["unicode", "xnlg"])
def test_rouge_lsum_is_the_librarys(protocol: str) -> None:
    """Of sentences on lines, in English, where tokens agree; within one sentence it is ROUGE-L."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeLsum", "rougeL"], use_stemmer=protocol == "xnlg")
    pairs = [(one, other) for one in SUMMARIES for other in SUMMARIES]
    actual = measures.rouge_lsum(*zip(*pairs, strict=True), "en_XX", protocol)
    expected = [
        scorer.score(*(text.replace(". ", ".\n") for text in reversed(pair))) for pair in pairs
    ]
    assert actual.tolist() == pytest.approx([100 * e["rougeLsum"].fmeasure for e in expected])
    assert any(abs(e["rougeLsum"].fmeasure - e["rougeL"].fmeasure) > 0.05 for e in expected)
    long = " ".join(map(str, range(5000)))
    assert measures.rouge_lsum([f"{long}. And more."], [long], "en_XX")[0] == pytest.approx(
        100 * 2 * 5000 / (5002 + 5000)
    )
