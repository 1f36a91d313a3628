"""A whole report on four outputs whose numbers are known."""

import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from laft_fairseq.scoring.report import Settings, score, score_trivial_baselines
from laft_fairseq.scoring.report_table import format_report
from laft_fairseq.scoring.tokenizers import normalise

SOURCES = ["文本编辑器。很小。", "图形界面的游戏。", "桌面环境。", "GNOME 查看器。"]
REFERENCES = ["文本编辑器", "好玩的游戏", "桌面", "文档查看器"]
OUTPUTS = ["文本编辑器", "a game that is really fun to play", "", "查看器"]
SETTINGS = Settings("zh_CN", langs=["en_XX", "zh_CN"], resamples=200)


def test_numbers_of_a_small_set() -> None:
    report, items = score(OUTPUTS, REFERENCES, SETTINGS, SOURCES)
    rouge_l = [100.0, 0.0, 0.0, 100 * 6 / 8]
    assert items.tolist() == pytest.approx(rouge_l)
    assert report["rougeL"]["f"] == pytest.approx(sum(rouge_l) / 4)
    assert report["rougeL"]["low"] < report["rougeL"]["f"] < report["rougeL"]["high"]
    assert report["right_language"] == pytest.approx(100 * 2 / 4)
    assert report["undecidable"] == 0.0
    assert report["reference_right_language"] == 100.0
    assert report["rougeL_right_language"] == pytest.approx((100 + 75) / 2)
    assert report["right_language_n"] == 2
    assert (report["copied"], report["reference_copied"]) == (50.0, 50.0)
    # References keep [好 玩] and [文 档] beside their sources, outputs nothing of that.
    assert (report["novel_rougeL"], report["novel_n"]) == (0.0, 2)
    assert report["length_ratio"] == (5 + 8 + 0 + 3) / 17
    assert (report["empty"], report["n"]) == (1, 4)
    assert report["signature"].endswith("|langs:en+zh")


def test_perfect_outputs_reach_the_top_of_every_scale() -> None:
    report, _ = score(REFERENCES, REFERENCES, SETTINGS, SOURCES)
    for metric in ("rouge1", "rouge2", "rougeL"):
        assert report[metric] == {"f": 100.0, "low": 100.0, "high": 100.0}
    for name in ("bleu", "chrf", "right_language", "rougeL_right_language", "novel_rougeL"):
        assert report[name] == pytest.approx(100.0)
    assert report["length_ratio"] == 1.0


@pytest.fixture(scope="module")
def through_the_model(repository: Path) -> Callable[[str], str]:
    """What a model that writes a text exactly hands back: the text by its subwords."""
    from sentencepiece import SentencePieceProcessor

    path = repository / "examples" / "mini" / "model" / "sentence.bpe.model"
    model = SentencePieceProcessor(model_file=str(path))
    return lambda text: str(model.decode(model.encode(text)))


@pytest.mark.parametrize(
    ("lang", "protocol", "text"),
    [
        ("fa", "unicode", "نخست\u200cوزیر گفت که می\u200cخواهد برنامه\u200cها را بررسی کند"),
        ("te", "unicode", "కాంటాక్ట్\u200cలలో వాట్సాప్\u200cలో సమాచారం"),
        ("ko", "unicode", "㈜한국전력은 ㎏당 가격을 발표했다, 제Ⅲ차 회의"),
        ("ja", "unicode", "ｶﾞｽは㍿と１０％～２０％、第①回……"),
        ("ar", "unicode", "\u200fقال ﷺ الوزير\u200e ﻻ يوجد"),
        ("si", "unicode", "ශ්\u200dරී ලංකා ප්\u200dරකාශ\u200c කළේය"),
        ("zh", "unicode", "今日气温30℃，面积100㎡；第Ⅱ期工程①启动……"),
        ("zh", "xnlg", "今日气温30℃，面积100㎡；第Ⅱ期工程①启动……"),
        ("fr", "unicode", "Le XIXᵉ\u00a0siècle, 100\u202fm² et n° 5…, un demi (½) l´ﬁlet"),
        ("fr", "xnlg", "Le XIXᵉ\u00a0siècle, 100\u202fm² et n° 5…, un demi (½) l´ﬁlet"),
        ("en", "xnlg-literal", "The ﬁrst ½ — 5\u00a0µm²\u200b wide™"),
    ],
)
def test_an_output_that_is_the_reference_is_perfect_after_sentencepiece(
    through_the_model: Callable[[str], str], lang: str, protocol: str, text: str
) -> None:
    """Either side may be the normalised one, as with T- and S- lines."""
    settings = Settings(lang, protocol, resamples=10)
    normalised = through_the_model(text)
    assert normalised != text
    for output, raw in ((normalised, text), (text, normalised)):
        report, _ = score([output], [raw], settings, [f"{raw} {raw}"])
        for metric in ("rouge1", "rouge2", "rougeL"):
            assert report[metric]["f"] == 100.0
        for name in ("bleu", "chrf", "copied", "reference_copied"):
            assert report[name] == pytest.approx(100.0)
        assert (report["length_ratio"], report["novel_n"]) == (1.0, 0)
        assert report["right_language"] == report["reference_right_language"]
        novel, _ = score([output], [raw], settings, ["x"])
        assert novel["novel_rougeL"] == 100.0
        for baseline in score_trivial_baselines([output], settings, [raw], [raw]).values():
            assert baseline["rougeL"]["f"] == 100.0


def test_normalisation_covers_sentencepieces_and_a_second_time_changes_nothing(
    through_the_model: Callable[[str], str],
) -> None:
    for character in map(chr, range(0x20, sys.maxunicode + 1)):
        category = unicodedata.category(character)
        changed = category[0] in "CZ" or not unicodedata.is_normalized("NFKC", character)
        if changed and category not in ("Cs", "Cn", "Co"):
            text = f"a{character}b"
            assert normalise(through_the_model(text)) == normalise(text), ascii(text)
            assert normalise(normalise(text)) == normalise(text), ascii(text)


def test_empty_outputs_score_nothing_and_say_so() -> None:
    report, _ = score(["", "", "", ""], REFERENCES, SETTINGS, SOURCES)
    assert report["rougeL"] == {"f": 0.0, "low": 0.0, "high": 0.0}
    assert (report["right_language"], report["undecidable"]) == (0.0, 0.0)
    assert (report["rougeL_right_language"], report["copied"]) == (None, 0.0)
    assert (report["empty"], report["length_ratio"], report["bleu"]) == (4, 0.0, 0.0)
    assert "right language % 0.00 references 100.00, undecidable 0.00" in " ".join(
        format_report(report).split()
    )


def test_without_sources_what_needs_them_is_undefined() -> None:
    report, _ = score(OUTPUTS, REFERENCES, SETTINGS)
    assert [report[name] for name in ("copied", "reference_copied", "novel_rougeL")] == [None] * 3
    assert report["rougeL"]["f"] == pytest.approx(175 / 4)


def test_trivial_baselines_are_scored_on_the_same_items() -> None:
    baselines = score_trivial_baselines(REFERENCES, SETTINGS, SOURCES, english=OUTPUTS)
    assert baselines["lead1"]["rougeL"]["f"] == pytest.approx(
        100 * (1 + 2 * 3 / 12 + 2 * 2 / 6 + 2 * 3 / 9) / 4
    )
    assert baselines["oracle"]["rougeL"]["f"] >= baselines["lead1"]["rougeL"]["f"]
    assert baselines["english_reference"]["rougeL"]["f"] == pytest.approx(175 / 4)
    assert score_trivial_baselines(REFERENCES, SETTINGS) == {}


def test_the_difference_to_a_trivial_baseline_is_paired() -> None:
    """The interval is that of the items' own differences, as scipy's bootstrap has it."""
    settings = Settings("en_XX", resamples=4000)
    rng = np.random.default_rng(1)
    words = [[f"w{n}" for n in rng.permutation(12)] for _ in range(60)]
    sources = [" ".join(row) + ". rest of it." for row in words]
    references = [" ".join(row[:6]) for row in words]
    outputs = [" ".join(row[: 6 + k % 4]) for k, row in enumerate(words)]
    _, rouge_l = score(outputs, references, settings, sources)
    lead = score_trivial_baselines(references, settings, sources, rouge_l=rouge_l)["lead1"]
    lead_l = settings.rouge([" ".join(row) for row in words], references)[1]
    expected = scipy.stats.bootstrap(
        (rouge_l - lead_l,), np.mean, n_resamples=4000, method="percentile", rng=rng
    ).confidence_interval
    assert lead["difference"]["f"] == pytest.approx(float((rouge_l - lead_l).mean()))
    assert lead["difference"]["low"] == pytest.approx(expected.low, abs=0.3)
    assert lead["difference"]["high"] == pytest.approx(expected.high, abs=0.3)


def test_the_language_joins_the_usual_ones() -> None:
    assert Settings("ru_RU").languages == ("de", "en", "fr", "ru", "zh")


def test_several_references() -> None:
    """ROUGE by the best of each item, BLEU and chrF as sacrebleu has them, the rest of all."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import corpus_bleu, corpus_chrf

    outputs = ["a dog barks at night", "the fox sleeps", ""]
    first = ["the dog barks", "a lazy fox", "nothing"]
    more = [["one dog barks at night", "fox", "b c"], ["x y", "the fox sleeps now", "d"]]
    settings = Settings("en_XX", resamples=50)
    sources = ["dog and fox", "sleeps now", "e"]
    report, rouge_l = score(outputs, first, settings, sources, more)
    metrics = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    library = RougeScorer(metrics)
    expected = [library.score_multi(list(refs), output)
                for output, *refs in zip(outputs, first, *more, strict=True)]  # fmt: skip
    for metric in metrics:
        mean = 100 * sum(item[metric].fmeasure for item in expected) / 3
        assert report[metric]["f"] == pytest.approx(mean)
    assert rouge_l.tolist() == pytest.approx([100 * item["rougeL"].fmeasure for item in expected])
    everything = [first, *more]
    assert report["bleu"] == pytest.approx(corpus_bleu(outputs, everything).score)
    assert report["chrf"] == pytest.approx(corpus_chrf(outputs, everything).score)
    assert report["length_ratio"] == pytest.approx(8 * 3 / (7 + 8 + 7))
    assert (report["n"], report["references"], report["novel_n"]) == (3, 3, 3)
    # against [one barks at night], [the fox], and [nothing], without the sources' tokens
    assert report["novel_rougeL"] == pytest.approx(100 * (2 * 3 / 8 + 1 + 0) / 3)
    assert "|refs:3-best|" in report["signature"] and "nrefs:3" in report["bleu_signature"]
    baselines = score_trivial_baselines(first, settings, sources, more=more)
    assert baselines["oracle"]["rougeL"]["f"] > baselines["oracle"]["rouge2"]["f"] > 0
    alone, _ = score(outputs, first, settings, sources)
    assert alone["references"] == 1 and "refs:" not in alone["signature"]


def test_the_oracle_looks_at_every_reference() -> None:
    sources = ["A dog barks. The fox sleeps."]
    for references in (["a dog"], ["x"]), (["x"], ["a dog"]):
        report = score_trivial_baselines(
            references[0], Settings("en_XX", resamples=10), sources, more=references[1:]
        )
        assert report["oracle"]["rougeL"]["f"] == pytest.approx(100 * 2 * 2 / (3 + 2))


def test_a_language_that_only_its_script_tells() -> None:
    settings = Settings("bo_CN", resamples=10)
    report, _ = score(["བོད་ཡིག་གི་ཚིག་གྲུབ"], ["བོད་ཡིག་གི་ཚིག་གྲུབ"], settings)
    assert (report["right_language"], report["right_language_by"]) == (100.0, "script")
    assert report["signature"].endswith("|langs:bo+de+en+fr+zh|right-language:script")
    assert "by script alone" in format_report(report)
