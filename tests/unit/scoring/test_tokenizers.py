"""What a token is: by script, by protocol, by language."""

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.tokenizers import tokenizer, unicode_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("用GTK3写的程序。", "用 gtk3 写 的 程 序"),
        ("Ｌｉｎｕｘ，内核 ２．６！", "linux 内 核 2 6"),
        ("コンピューター ｶﾞ々", "コ ン ピ ュ ー タ ー ガ 々"),
        ("L’homme n'a qu’un café", "l homme n a qu un café"),
        ("Cafe\u0301 STRASSE Straße", "café strasse strasse"),
        ("Привет, мир — ёж!", "привет мир ёж"),
        ("हिन्दी में", "हिन्दी में"),
        ("한국어 문장", "한국어 문장"),
        ("รับ", "รั บ"),
        ("zero\u00adwidth\u200djoined or\u200cnot", "zerowidthjoined or not"),
        ("30℃ ㎡ ½ ﬁn \u0301l´eau", "30 c m2 1 2 fin l eau"),
        ("don\u02bct stop ... ⏎ 3.14", "don t stop 3 14"),
        ("…!?", ""),
    ],
)
def test_unicode_cuts_by_script(text: str, tokens: str) -> None:
    assert unicode_tokens(text) == tokens.split()


def test_xnlg_cuts_latin_as_rouge_155_and_chinese_by_character() -> None:
    english = tokenizer("xnlg", "en_XX")("The editors' tools, re-written")
    assert english == "the editor tool re written".split()
    assert tokenizer("xnlg", "fr")("Éditeur été") == ["diteur", "t"]
    assert tokenizer("xnlg", "zh_CN")(" 用 GTK 写 ") == ["用", "G", "T", "K", "写"]


@pytest.mark.parametrize(
    ("protocol", "lang", "named"),
    [
        ("unicode", "klingon", "'klingon'"),
        ("unicode", "qq_QQ", "'qq_QQ'"),
        ("char", "zh_CN", "'char'"),
        ("xnlg", "ja_XX", "not defined for ja_XX"),
        ("xnlg-literal", "de_DE", "use --protocol unicode"),
    ],
)
def test_unknown_protocols_and_languages_are_refused(protocol: str, lang: str, named: str) -> None:
    with pytest.raises(LaftError, match=named):
        tokenizer(protocol, lang)
