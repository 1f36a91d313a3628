"""Texts in and out of the page: uploads as lines, limits, outputs as HTML and as JSONL."""

import csv
import html
import io
import json
from collections.abc import Sequence
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.measures import marked_words

MAX_TEXTS = 200
MAX_CHARACTERS = 10_000  # of a text
MAX_BYTES = 4 * MAX_TEXTS * MAX_CHARACTERS  # of an upload, in UTF-8
FIELDS = ("text", "source")  # of a JSON object or a CSV header, whichever is there first


def texts_of_file(name: str, data: bytes) -> list[str]:
    """Return the texts of an upload, line breaks in them as spaces.

    `.jsonl`: a string or an object with `text` or `source` a line; `.csv`: the column of that
    name; anything else: a text a line.

    Raises:
        LaftError: not UTF-8, not JSON, no such field.
    """
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LaftError(f"{name}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    if name.lower().endswith(".jsonl"):
        lines = enumerate(content.split("\n"), 1)
        texts = [_of_json(line, f"{name}, line {n}") for n, line in lines if line.strip()]
    elif name.lower().endswith(".csv"):
        rows = csv.DictReader(io.StringIO(content, newline=""), strict=True)
        column = next((field for field in FIELDS if field in (rows.fieldnames or ())), None)
        if column is None:
            raise LaftError(f"{name}: its header has no column {' or '.join(FIELDS)}; name one so")
        try:
            texts = [row[column] or "" for row in rows]
        except csv.Error as error:
            raise LaftError(f"{name}, after line {rows.line_num}: not CSV ({error})") from None
    else:
        texts = content.splitlines()
    return [" ".join(text.split()) for text in texts]


def _of_json(line: str, place: str) -> str:
    """The text of a line of JSON."""
    try:
        value = json.loads(line)
    except ValueError as error:
        raise LaftError(f"{place}: not JSON ({error})") from None
    if isinstance(value, dict):
        value = next((value[field] for field in FIELDS if field in value), None)
    if not isinstance(value, str):
        raise LaftError(f"{place}: neither a string nor an object with {' or '.join(FIELDS)}")
    return value


def check_limits(texts: Sequence[str]) -> None:
    """Refuse more or longer texts than the page takes.

    Raises:
        LaftError: names the text and the limit.
    """
    if not any(text.strip() for text in texts):
        raise LaftError("no text: paste one or upload a file")
    if len(texts) > MAX_TEXTS:
        raise LaftError(f"{len(texts)} texts, at most {MAX_TEXTS}; laft generate takes any number")
    for number, text in enumerate(texts, 1):
        if len(text) > MAX_CHARACTERS:
            length = f"{len(text):,} characters, at most {MAX_CHARACTERS:,}"
            raise LaftError(f"text {number}: {length}; shorten it")


def escaped(text: str) -> str:
    """Return text for HTML, in which neither a tag nor a template's expression is left."""
    text = html.escape(text)
    for character in "$`{}":
        text = text.replace(character, f"&#{ord(character)};")
    return text


def marked(text: str, other: str) -> str:
    """Return text as HTML, the words that the other text has in <mark>."""
    return "".join(
        f"<mark>{escaped(part)}</mark>" if copied else escaped(part)
        for part, copied in marked_words(text, other)
    )


def as_html(records: Sequence[dict[str, Any]]) -> str:
    """Return a table of the results, a source a row, its outputs and LEAD-1 beside it."""
    rows = []
    for record in records:
        source, cells = record["source"], []
        for output in record["outputs"]:
            numbers = [f"score {output['score']:.2f}", f"language {output['language']}"]
            if output["copied"] is not None:
                numbers.append(f"{output['copied']:.0f} % of the words are in the source")
            cells.append(
                f"<p>{marked(output['text'], source)}<br><small>{' · '.join(numbers)}</small></p>"
            )
        best = record["outputs"][0]["text"]
        cut = f"<br><small>{escaped(record['note'])}</small>" if record["note"] else ""
        rows.append(
            f"<tr><td>{marked(source, best)}{cut}</td><td>{''.join(cells)}</td>"
            f"<td>{escaped(record['lead1'])}</td></tr>"
        )
    header = "<tr><th>source</th><th>output</th><th>first sentence (LEAD-1)</th></tr>"
    return f"<table class='outputs'>{header}{''.join(rows)}</table>"


def as_jsonl(records: Sequence[dict[str, Any]]) -> str:
    """Return a line of JSON for each result."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
