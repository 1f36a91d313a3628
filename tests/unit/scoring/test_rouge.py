"""ROUGE: tables worked out by hand, the library's own scores, intervals, signatures."""

import tracemalloc

import numpy as np
import pytest
import scipy.stats

from laft_fairseq.scoring.measures import copied
from laft_fairseq.scoring.rouge import bootstrap_means, rouge_items, signature, summarise

# F = 2 * common / (tokens of the hypothesis + tokens of the reference)
UNICODE = [
    # lang, hypothesis, reference, ROUGE-1, ROUGE-2, ROUGE-L
    ("en", "the cat sat", "the cat ran home", 4 / 7, 2 / 5, 4 / 7),
    ("en", "b a", "a b", 1, 0, 1 / 2),
    ("en", "a a a", "a b", 2 / 5, 0, 2 / 5),
    ("fr", "l’homme", "L'homme rit", 4 / 5, 2 / 3, 4 / 5),
    ("fr", "elle mange", "Elle a mangé", 2 / 5, 0, 2 / 5),
    ("zh_CN", "文本编辑器", "图形文本编辑工具", 8 / 13, 6 / 11, 8 / 13),
    ("zh_CN", "GTK编辑器", "gtk的编辑器", 8 / 9, 4 / 7, 8 / 9),
    ("zh_CN", "ＧＴＫ 程序", "gtk3程序", 4 / 6, 2 / 4, 4 / 6),
    ("zh_CN", "gnu", "gtk", 0, 0, 0),
    ("ja_XX", "東京タワー", "東京の塔", 4 / 9, 2 / 7, 4 / 9),
    ("ru_RU", "Большой дом", "большой белый дом", 4 / 5, 0, 4 / 5),
    ("de_DE", "", "ein Haus", 0, 0, 0),
    ("de_DE", "ein Haus", "", 0, 0, 0),
]
XNLG = [
    ("en", "the editors", "The editor!", 1, 1, 1),
    ("fr", "éditeur", "editeur", 0, 0, 0),
    ("zh", "我 爱 你 们 大 家", "我爱你们大家", 1, 1, 1),
    ("zh", "gnu", "gtk", 2 / 6, 0, 2 / 6),
]


@pytest.mark.parametrize(
    ("protocol", "lang", "hypothesis", "reference", "scores"),
    [("unicode", *row[:3], row[3:]) for row in UNICODE]
    + [("xnlg", *row[:3], row[3:]) for row in XNLG]
    + [("xnlg-literal", "zh", "我爱你们大家", "我爱你们大家", (12 / 13, 10 / 11, 12 / 13))]
    + [("xnlg-literal", "fr", "un chat", "un chat", (1, 1, 1))],
)
def test_scores_are_those_worked_out_by_hand(
    protocol: str, lang: str, hypothesis: str, reference: str, scores: tuple[float, ...]
) -> None:
    items = rouge_items([hypothesis], [reference], lang, protocol)
    computed = [float(items[metric][0]) for metric in ("rouge1", "rouge2", "rougeL")]
    assert computed == pytest.approx([100 * score for score in scores])


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("zh_CN", "基于 GTK+ 的图形化文本编辑器"),
        ("fr_XX", "L’éditeur de texte n'est pas « lourd »"),
        ("ja_XX", "デスクトップ用のテキストエディター"),
        ("hi_IN", "सरल पाठ संपादक"),
        ("th_TH", "โปรแกรมแก้ไขข้อความ"),
    ],
)
def test_identical_texts_score_100_in_every_script(lang: str, text: str) -> None:
    items = rouge_items([text, "", text], [text, text, text], lang)  # in order
    assert [scores.tolist() for scores in items.values()] == [[100.0, 0.0, 100.0]] * 3


@pytest.mark.parametrize(
    ("lang", "hypothesis", "reference"),
    [
        ("en", "Generates and re-writes documents, quickly", "quick generation of a document"),
        ("en", "tools for editing U.S. maps (2nd edition)", "The tool edits maps of the U.S."),
        ("en", "libraries' flies dying happily", "library fly dies, happy"),
        ("fr", "L’éditeur de textes était déjà prêt", "l'éditeur d’un texte étonnant"),
        ("fr", "Bibliothèques partagées — développement", "bibliothèque de développement"),
        ("fr", "où ça ?", "Voilà où ça mène"),
    ],
)
def test_xnlg_agrees_with_the_stemmed_default_of_rouge_score(
    lang: str, hypothesis: str, reference: str
) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    expected = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True).score(
        reference, hypothesis
    )
    items = rouge_items([hypothesis], [reference], lang, "xnlg")
    assert expected["rougeL"].fmeasure > 0
    for metric, scores in items.items():
        assert scores[0] == pytest.approx(100 * expected[metric].fmeasure, abs=0.01)


def test_rouge_l_of_many_pairs_is_rouge_scores() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    draws, scorer = np.random.default_rng(5), RougeScorer(["rougeL"])
    for _ in range(200):
        sides = [" ".join(draws.choice([*"abcdef", "word"], n)) for n in draws.integers(0, 90, 2)]
        (score,) = rouge_items([sides[0]], [sides[1]], "en", metrics=["rougeL"])["rougeL"]
        assert score == 100 * scorer.score(sides[1], sides[0])["rougeL"].fmeasure


def test_long_texts_take_little_memory() -> None:
    """A table of all pairs of 6,000 words would take 290 MB, tuples of all runs as much."""
    texts = [" ".join(map(str, range(start, start + 6000))) for start in (0, 3000)]
    tracemalloc.start()
    assert rouge_items(texts[:1], texts[1:], "en")["rougeL"][0] == pytest.approx(50.0)
    assert copied(texts[:1], texts[1:]).tolist() == [False]
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


def test_interval_of_shares_is_the_binomials() -> None:
    """Means of resamples of 30 ones among 100 are Binomial(100, 0.3) / 100."""
    ones = np.repeat([100.0, 0.0], [30, 70])
    interval = summarise({"rougeL": ones}, resamples=4000)["rougeL"]
    low, high = scipy.stats.binom.ppf([0.025, 0.975], 100, 0.3)
    assert interval == {"f": 30.0, "low": pytest.approx(low, abs=1),
                        "high": pytest.approx(high, abs=1)}  # fmt: skip


def test_interval_agrees_with_scipys_percentile_bootstrap() -> None:
    scores = np.random.default_rng(1).gamma(2.0, 15.0, size=200)
    expected = scipy.stats.bootstrap(
        (scores,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    interval = summarise({"rougeL": scores}, resamples=4000)["rougeL"]
    assert (interval["low"], interval["high"]) == pytest.approx(tuple(expected), abs=0.25)


def test_resampling_is_seeded_and_shared_by_the_metrics() -> None:
    scores = np.array([[10.0, 20.0, 60.0], [20.0, 40.0, 120.0]])
    means = bootstrap_means(scores, resamples=250, seed=3)
    assert means.shape == (2, 250)
    assert np.array_equal(means, bootstrap_means(scores, resamples=250, seed=3))
    assert not np.array_equal(means, bootstrap_means(scores, resamples=250, seed=4))
    assert np.allclose(means[1], 2 * means[0])
    one = summarise({"rougeL": np.array([42.0])})["rougeL"]
    assert one == {"f": 42.0, "low": 42.0, "high": 42.0}


def test_signature_says_how_the_score_was_made() -> None:
    parts = dict(part.split(":") for part in signature("xnlg", "fr_XX", 7, 1000, 5).split("|"))
    assert parts.pop("rouge-score")
    assert parts == {
        "rouge": "F", "protocol": "xnlg", "lang": "fr", "tok": "a-z0-9", "norm": "nmt_nfkc",
        "case": "lower", "stem": "porter", "n": "7", "ci": "95", "bootstrap": "1000", "seed": "5",
        "version": "2",
    }  # fmt: skip
    assert (
        "protocol:unicode|lang:zh|tok:unicode|norm:nmt_nfkc|case:folded|stem:no|n:7|"
        in signature("unicode", "zh_CN", 7)
    )
