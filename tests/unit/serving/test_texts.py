"""What the page reads and shows, without a browser."""

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.serving.texts import as_html, check_limits, escaped, marked, texts_of_file


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.txt", "un\ndeux\n", ["un", "deux"]),
        ("a.jsonl", '{"text": "un\\nmot"}\n\n"deux"\n{"source": "3"}\n', ["un mot", "deux", "3"]),
        ("a.csv", 'id,text\n1,"un, et\nun"\n2,deux\n', ["un, et un", "deux"]),
        ("A.CSV", "\ufeffsource\nun\n", ["un"]),
    ],
)  # fmt: skip
def test_uploads(name: str, content: str, texts: list[str]) -> None:
    assert texts_of_file(name, content.encode()) == texts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\xff", "a.txt: not UTF-8"),
        ("a.jsonl", b'"un"\n{', "a.jsonl, line 2: not JSON"),
        ("a.jsonl", b'{"title": "un"}', "a.jsonl, line 1: neither a string"),
        ("a.csv", b"id,title\n1,un\n", "a.csv: its header has no column text or source"),
        ("a.csv", b'text\n"un" deux\n', "a.csv, after line 1: not CSV"),
    ],
)
def test_wrong_uploads_are_refused(name: str, content: bytes, message: str) -> None:
    with pytest.raises(LaftError, match=message):
        texts_of_file(name, content)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["", " "], "no text"),
        (["x"] * 201, "201 texts, at most 200"),
        (["x", "x" * 10_001], "text 2: 10,001 characters"),
    ],
)
def test_limits(texts: list[str], message: str) -> None:
    check_limits(["x" * 10_000] * 200)
    with pytest.raises(LaftError, match=message):
        check_limits(texts)


def test_html_holds_no_tag_and_no_expression_of_a_text() -> None:
    hostile = "<b>${x}</b> `{{y}}` \"'&"
    assert not set("<>\"'`${}") & set(escaped(hostile))
    output = {"text": hostile, "score": -1.0, "language": "fr", "copied": None}
    record = {"source": hostile, "lead1": hostile, "note": hostile, "outputs": [output]}
    table = as_html([record]).replace("<mark>", "").replace("</mark>", "")
    assert "<b>" not in table
    assert not set("`${}") & set(table)


def test_copied_words_are_marked() -> None:
    assert marked("Le GTK d'écran", "gtk 3, d’Écran") == (
        "Le <mark>GTK</mark> <mark>d</mark>&#x27;<mark>écran</mark>"
    )
    assert marked("用GTK写", "写 gtk") == "用<mark>GTK</mark><mark>写</mark>"
