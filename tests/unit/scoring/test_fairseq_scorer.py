"""`--scoring rouge`, built as fairseq-generate builds it."""

import pytest
from fairseq import options, scoring
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.fairseq_scorer import RougeConfig, RougeScorer


def test_built_from_the_command_line_it_scores_with_signature() -> None:
    words = "data-bin --path model.pt --task translation --scoring rouge --rouge-lang zh_CN"
    args = options.parse_args_and_arch(
        options.get_generation_parser(), [*words.split(), "--rouge-protocol", "xnlg-literal"]
    )
    scorer = scoring.build_scorer(convert_namespace_to_omegaconf(args).scoring, None)
    assert isinstance(scorer, RougeScorer)
    scorer.add_string("编辑文本文件", "编辑文本文件")
    scorer.add_string("编辑", "")
    assert scorer.score() == pytest.approx(100 * 12 / 13 / 2)
    line = scorer.result_string()
    assert line.startswith("ROUGE-L: 46.15 rouge:F|protocol:xnlg-literal|lang:zh|")
    assert "|n:2|" in line


def test_the_default_needs_no_language() -> None:
    scorer = scoring.build_scorer("rouge", None)
    scorer.add_string("l'homme rit", "L’homme")
    assert scorer.score() == pytest.approx(80.0)
    assert "protocol:unicode|lang:any|" in scorer.result_string()


def test_nothing_generated_scores_nothing() -> None:
    assert RougeScorer(RougeConfig()).result_string().startswith("ROUGE-L: 0.00 ")


@pytest.mark.parametrize(
    ("lang", "protocol", "named"),
    [
        (None, "xnlg", "needs --rouge-lang"),
        ("klingon", "unicode", "'klingon'"),
        ("ru_RU", "xnlg", "not defined for ru_RU"),
    ],
)
def test_wrong_options_are_refused_before_generation(
    lang: str | None, protocol: str, named: str
) -> None:
    with pytest.raises(LaftError, match=named):
        RougeScorer(RougeConfig(rouge_lang=lang, rouge_protocol=protocol))
