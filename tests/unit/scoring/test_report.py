"""A whole report on four outputs whose numbers are known."""

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.report import Settings, score, score_trivial_baselines
from laft_fairseq.scoring.report_table import format_report

SOURCES = ["文本编辑器。很小。", "图形界面的游戏。", "桌面环境。", "GNOME 查看器。"]
REFERENCES = ["文本编辑器", "好玩的游戏", "桌面", "文档查看器"]
OUTPUTS = ["文本编辑器", "a game that is really fun to play", "", "查看器"]
SETTINGS = Settings("zh_CN", langs=["en_XX", "zh_CN"], resamples=200)


def test_numbers_of_a_small_set() -> None:
    report = score(OUTPUTS, REFERENCES, SETTINGS, SOURCES)
    rouge_l = [100.0, 0.0, 0.0, 100 * 6 / 8]
    assert report["rougeL"]["f"] == pytest.approx(sum(rouge_l) / 4)
    assert report["rougeL"]["low"] < report["rougeL"]["f"] < report["rougeL"]["high"]
    assert report["right_language"] == pytest.approx(100 * 2 / 3)
    assert report["undecidable"] == 25.0
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
    report = score(REFERENCES, REFERENCES, SETTINGS, SOURCES)
    for metric in ("rouge1", "rouge2", "rougeL"):
        assert report[metric] == {"f": 100.0, "low": 100.0, "high": 100.0}
    for name in ("bleu", "chrf", "right_language", "rougeL_right_language", "novel_rougeL"):
        assert report[name] == pytest.approx(100.0)
    assert report["length_ratio"] == 1.0


def test_empty_outputs_score_nothing_and_say_so() -> None:
    report = score(["", "", "", ""], REFERENCES, SETTINGS, SOURCES)
    assert report["rougeL"] == {"f": 0.0, "low": 0.0, "high": 0.0}
    assert (report["right_language"], report["undecidable"]) == (None, 100.0)
    assert (report["rougeL_right_language"], report["copied"]) == (None, 0.0)
    assert (report["empty"], report["length_ratio"], report["bleu"]) == (4, 0.0, 0.0)
    assert "right language % - references 100.00" in " ".join(format_report(report).split())


def test_without_sources_what_needs_them_is_undefined() -> None:
    report = score(OUTPUTS, REFERENCES, SETTINGS)
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


def test_settings_are_checked_before_any_text() -> None:
    assert Settings("ru_RU").languages == ("de", "en", "fr", "ru", "zh")
    with pytest.raises(LaftError, match="--lang zh_CN is none of --langs en,fr"):
        Settings("zh_CN", langs=["en_XX", "fr_XX"]).check()
    with pytest.raises(LaftError, match="--bootstrap 0"):
        Settings("zh_CN", resamples=0).check()
