"""Reading question data: records, and the sentence of a context that holds the answer.

A file, plain or compressed, is JSON or one JSON object a line, in any of these forms, in which the
first answer counts:

    sentence, question, optionally answer                English training pairs
    id, context, question, answer, answer_start          a record
    id, context, question, answers                       Hugging Face's columns
    data / paragraphs / context, qas / answers           SQuAD 1.1 and 2.0, XQuAD, MLQA, CMRC 2018
    context_text, qas / query_id, query_text, answers    CMRC 2018's own trial and development files

or CSV, Parquet or a folder that `datasets` has saved, with the columns of a record.
`answers` is a list of texts, of `text` and `answer_start`, or one of each of these lists. Where
there is none, the question cannot be answered; it is left out and reported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.trivial_baselines import sentences
from preprocess.common.files import read_lines
from preprocess.common.tables import BINARY, format_of, records
from preprocess.common.text import squeeze

Span = tuple[int, int]
MAX_JSON_BYTES = 2**28
DEEPEST = 5  # an article's paragraph's question, in a list
UNANSWERABLE = object()  # in place of an answer
# Why an item is not taken as it stands.
KINDS = {
    "no_question": "left out, empty question",
    "unanswerable": "left out, without an answer",
    "relocated": "wrong answer offset, found at its only place",
    "first_place": "no answer offset, the first of several places taken",
    "joined": "answer crosses a sentence end, all its sentences taken",
    "cut_evidence": "evidence cut to --max-evidence",
    "cut_answer": "answer cut to --max-answer",
    "long_question": "left out of training, question over --max-question",
    "in_test": "left out, evidence or question of a test item",
}
Report = dict[str, list[str]]  # by kind, the names of such items


@dataclass(frozen=True)
class Item:
    """A question with what it is asked of, each on one line; a record may have no answer."""

    name: str
    evidence: str
    answer: str
    question: str

    def source(self, separator: str | None) -> str:
        """Evidence and answer with a separator between, or without one the evidence alone."""
        if separator is None:
            return self.evidence
        return f"{self.evidence} {separator} {self.answer}".strip()


def new_report() -> Report:
    """A report of nothing yet."""
    return {kind: [] for kind in KINDS}


def sentence_spans(text: str, lang: str) -> list[Span]:
    """Where the sentences of a text begin and end in it, in characters."""
    spans, end = [], 0
    for sentence in sentences(text, lang):
        start = text.index(sentence, end)
        end = start + len(sentence)
        spans.append((start, end))
    return spans


def evidence(context: str, answer: Span, lang: str) -> tuple[str, int]:
    """The sentences of a context that an answer touches, as one text, and their number."""
    touched = [
        (start, end)
        for start, end in sentence_spans(context, lang)
        if start < answer[1] and answer[0] < end
    ]
    return squeeze(context[touched[0][0] : touched[-1][1]]), len(touched)


def answer_span(record: dict[str, Any], where: str) -> tuple[Span, str]:
    """Where the answer stands in the context, and the kind in `KINDS` that it is told by.

    A wrong offset is corrected if the context holds the answer exactly once. Where the record has
    none, as in CMRC 2018's own files, the first place counts.

    Raises:
        LaftError: the answer is not in the context, or there several times and not at its offset.
    """
    context, answer, start = record["context"], record["answer"], record.get("answer_start")
    if isinstance(start, str):  # of CSV
        start = int(start) if start.isdecimal() else None
    if isinstance(start, int) and start >= 0 and context.startswith(answer, start):
        return (start, start + len(answer)), ""
    count = context.count(answer)
    if count == 0 or (count > 1 and start is not None):
        times = f"{count} times in the context" if count else "not in the context"
        raise LaftError(f"{where}: answer_start {start} is not where {answer!r} stands ({times})")
    place = context.index(answer)
    kind = "first_place" if count > 1 else "relocated" if start is not None else ""
    return (place, place + len(answer)), kind


def read_items(path: Path, lang: str, report: Report) -> list[Item]:
    """All items of a file that ask something, in its order; an empty question is reported.

    Raises:
        LaftError: the file cannot be read, a record lacks a field, a name stands twice, or an
            answer is not found; the message names the record.
    """
    items: dict[str, Item] = {}
    for name, record in _records(path):
        if name in items:
            raise LaftError(f"{path}: {name}: stands twice")
        if isinstance(record.get("question"), str) and not record["question"].strip():
            report["no_question"].append(name)
            continue
        if record.get("answer") is UNANSWERABLE:
            report["unanswerable"].append(name)
            continue
        items[name] = _item(name, record, lang, f"{path}: {name}", report)
    if not items:
        left_out = sum(map(len, report.values()))
        raise LaftError(f"{path}: empty" + f" ({left_out} questions left out)" * bool(left_out))
    return list(items.values())


def _item(name: str, record: dict[str, Any], lang: str, where: str, report: Report) -> Item:
    needed = ("sentence",) if "sentence" in record else ("context", "answer")
    for key in (*needed, "question"):
        if not isinstance(record.get(key), str) or not record[key].strip():
            raise LaftError(f"{where}: no {key}")
    question, answer = squeeze(record["question"]), squeeze(record.get("answer") or "")
    if "sentence" in record:
        return Item(name, squeeze(record["sentence"]), answer, question)
    span, kind = answer_span(record, where)
    text, count = evidence(record["context"], span, lang)
    if kind:
        report[kind].append(name)
    if count > 1:
        report["joined"].append(name)
    return Item(name, text, answer, question)


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record with its name: its id, or its line or place."""
    if format_of(path) in (".csv", *BINARY):
        for number, record in records(path):
            yield from _flattened(record, f"record-{number}", path)
        return
    lines = list(read_lines(path, max_bytes=MAX_JSON_BYTES))  # SQuAD's stands on one
    try:
        content = json.loads("\n".join(lines)) if lines else []
    except RecursionError:
        raise LaftError(f"{path}: JSON nested too deeply") from None
    except json.JSONDecodeError:  # several values: one a line
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                raise LaftError(f"{path}: line {number} is not JSON ({error})") from error
            yield from _flattened(entry, f"line-{number}", path)
    else:
        entries = content if isinstance(content, list) else [content]
        for number, entry in enumerate(entries, 1):
            yield from _flattened(entry, f"{'line' if len(lines) == 1 else 'item'}-{number}", path)


def _flattened(
    entry: Any, name: str, path: Path, context: Any = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records in an entry of any form, `context` that of what it stands in."""
    if not isinstance(entry, dict):
        raise LaftError(f"{path}: {name} is not a JSON object")
    if name.count("-") > DEEPEST:
        raise LaftError(f"{path}: JSON nested too deeply")
    context = entry.get("context", entry.get("context_text", context))
    nested = [key for key in ("data", "paragraphs", "qas") if key in entry]
    for key in nested:
        inner = entry[key]
        if not isinstance(inner, list):
            raise LaftError(f"{path}: {name}: its {key} is no list")
        for number, part in enumerate(inner, 1):
            yield from _flattened(part, f"{name}-{number}", path, context)
    if not nested:
        names = [entry[key] for key in ("id", "query_id", "qid") if entry.get(key)]
        record = {**entry, "question": entry.get("question", entry.get("query_text"))}
        record |= {} if context is None else {"context": context}
        yield str(names[0] if names else name), record | _first_answer(entry)


def _first_answer(entry: dict[str, Any]) -> dict[str, Any]:
    """The `answer` and `answer_start` of a question, for one that has none `UNANSWERABLE`."""
    if "answers" not in entry:
        return {"answer": UNANSWERABLE} if entry.get("is_impossible") is True else {}
    texts, starts = entry["answers"], None
    if isinstance(texts, dict):
        texts, starts = texts.get("text"), texts.get("answer_start")
    texts = [texts] if isinstance(texts, str) else texts
    if entry.get("is_impossible") is True or texts == []:
        return {"answer": UNANSWERABLE}
    first = texts[0] if isinstance(texts, list) else None
    if isinstance(first, dict):
        return {"answer": first.get("text"), "answer_start": first.get("answer_start")}
    return {
        "answer": first,
        "answer_start": starts[0] if isinstance(starts, list) and starts else starts,
    }
