"""Reading question data: records, and the sentence of a context that holds the answer.

Two kinds of files are read, plain or compressed: one JSON object a line, of either

    sentence, question, optionally answer          (English training pairs)
    id, context, question, answer, answer_start    (XQuAD, CMRC 2018)

and SQuAD's own JSON (`data` / `paragraphs` / `qas` / `answers`, of which the first answer is read).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.scoring.trivial_baselines import sentences
from preprocess.common.files import read_lines
from preprocess.common.text import squeeze

Span = tuple[int, int]


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


@dataclass
class Report:
    """The names of the items that were not taken as they stood."""

    no_question: list[str] = field(default_factory=list)  # left out, but not of a test
    relocated: list[str] = field(default_factory=list)  # wrong offset, but one place only
    joined: list[str] = field(default_factory=list)  # the answer crosses a sentence end
    cut_evidence: list[str] = field(default_factory=list)
    cut_answer: list[str] = field(default_factory=list)
    long_question: list[str] = field(default_factory=list)  # left out, of training only
    in_test: list[str] = field(default_factory=list)  # left out of training and validation

    def as_json(self) -> dict[str, dict[str, Any]]:
        """By kind the number and the names."""
        return {kind: {"count": len(names), "ids": names} for kind, names in vars(self).items()}


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


def answer_span(record: dict[str, Any], where: str) -> tuple[Span, bool]:
    """Where the answer stands in the context, and whether the record's offset was right.

    A wrong or missing offset is corrected if the context holds the answer exactly once.

    Raises:
        LaftError: the answer is not in the context, or there several times without a right offset.
    """
    context, answer, start = record["context"], record["answer"], record.get("answer_start")
    if isinstance(start, int) and start >= 0 and context.startswith(answer, start):
        return (start, start + len(answer)), True
    count = context.count(answer)
    if count != 1:
        times = f"{count} times in the context" if count else "not in the context"
        raise LaftError(f"{where}: answer_start {start} is not where {answer!r} stands ({times})")
    start = context.index(answer)
    return (start, start + len(answer)), False


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
            report.no_question.append(name)
            continue
        items[name] = _item(name, record, lang, f"{path}: {name}", report)
    if not items:
        raise LaftError(f"{path}: empty")
    return list(items.values())


def _item(name: str, record: dict[str, Any], lang: str, where: str, report: Report) -> Item:
    needed = ("sentence",) if "sentence" in record else ("context", "answer")
    for key in (*needed, "question"):
        if not isinstance(record.get(key), str) or not record[key].strip():
            raise LaftError(f"{where}: no {key}")
    question, answer = squeeze(record["question"]), squeeze(record.get("answer") or "")
    if "sentence" in record:
        return Item(name, squeeze(record["sentence"]), answer, question)
    span, right = answer_span(record, where)
    text, count = evidence(record["context"], span, lang)
    if not right:
        report.relocated.append(name)
    if count > 1:
        report.joined.append(name)
    return Item(name, text, answer, question)


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record with its name: its id, or its line."""
    if ".json" in path.suffixes:
        yield from _squad(path)
        return
    for number, line in enumerate(read_lines(path), 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise LaftError(f"{path}: line {number} is not JSON ({error})") from error
        if not isinstance(record, dict):
            raise LaftError(f"{path}: line {number} is not a JSON object")
        yield str(record.get("id", f"line-{number}")), record


def _squad(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    text = "\n".join(read_lines(path))
    try:
        for article in json.loads(text)["data"]:
            for paragraph in article["paragraphs"]:
                for qa in paragraph["qas"]:
                    first = qa["answers"][0]
                    record = {"context": paragraph["context"], "question": qa["question"]}
                    record |= {"answer": first["text"], "answer_start": first["answer_start"]}
                    yield str(qa["id"]), record
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise LaftError(f"{path}: not SQuAD's JSON ({error!r})") from error
