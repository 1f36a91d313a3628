"""Tokenised text joined again; what is expected is written out."""

import pytest

from laft_fairseq.scoring.tokenizers import tokenizer
from preprocess.xnlg.detokenize import detokenizer

CASES = [
    ("en", "the company 's shares rose 3.5 % , said mr. smith .",
     "the company's shares rose 3.5%, said mr. smith."),
    ("en", 'he doesn &apos;t " know " ( or care ) : a u.s.-led plan @-@ b &amp; c',
     'he doesn\'t "know" (or care): a u.s.-led plan-b & c'),
    ("en", "the students ' well-known $ 5 million -- isn 't it ?",
     "the students' well-known $5 million -- isn't it?"),
    ("en", "`` yes '' -lrb- no -rrb- &#91; x &#93; 4 &lt; 5 &quot; a &quot;",
     '"yes" (no) [x] 4 < 5 "a"'),
    ("fr", "l&apos; union n&apos; a pas d&apos; avis , qu' on le dise !",
     "l'union n'a pas d'avis, qu'on le dise !"),
    ("fr", "aujourd' hui , dit-il : « c' est peut-être fini » ?",
     "aujourd'hui, dit-il : « c'est peut-être fini » ?"),
    ("fr", "a-t-il perdu 30 % ( ou 2,5 millions ) ; voilà .",
     "a-t-il perdu 30 % (ou 2,5 millions) ; voilà."),
    ("zh", "中国 商代 最后 一 个 君王 是 谁 ?", "中国商代最后一个君王是谁?"),
    ("zh", "使用 windows 10 系统 和 nokia n95 手机 。", "使用 windows 10系统和 nokia n95手机。"),
    ("zh", "2008 年 8 月 , gdp 增长 9.6 % （ at &amp; t 公司 ）",
     "2008年8月,gdp 增长9.6%（at&t 公司）"),
    ("zh", "“ 你 好 ” , new york 说 &quot; hello &quot;", "“你好”,new york 说\"hello\""),
    ("zh", "电话 123 456", "电话123 456"),
]  # fmt: skip


@pytest.mark.parametrize(("lang", "tokens", "text"), CASES)
def test_tokens_are_joined(lang: str, tokens: str, text: str) -> None:
    assert detokenizer(lang)(tokens) == text
    assert detokenizer(lang)("") == detokenizer(lang)("  \t ") == ""


@pytest.mark.parametrize(
    ("lang", "tokens", "text"), [c for c in CASES if "&" not in c[1] and "-lrb-" not in c[1]]
)
def test_the_scored_tokens_are_those_of_the_tokenised_text(
    lang: str, tokens: str, text: str
) -> None:
    """So that a reference may be scored joined: XNLG's scores know no difference."""
    cut = tokenizer("xnlg", lang)
    assert cut(detokenizer(lang)(tokens)) == cut(tokens)
