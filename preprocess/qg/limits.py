"""Limits on the length of evidence, answer and question, in subwords of a sentencepiece model.

XNLG (Chi et al., AAAI 2020) takes 230, 20 and 256 tokens.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from preprocess.common.text import is_cjk
from preprocess.qg.evidence import Item, Report

Count = Callable[[str], int]  # subwords of a text


@dataclasses.dataclass(frozen=True)
class Limits:
    """The most subwords of each part, None for any number, and how subwords are counted."""

    evidence: int | None
    answer: int | None
    question: int | None
    count: Count = len

    @classmethod
    def of(cls, options: argparse.Namespace, model: Any) -> Limits:
        """The limits that options name, in subwords of a sentencepiece model."""
        numbers = (options.max_evidence, options.max_answer, options.max_question)
        if model is None:
            return cls(*numbers)
        return cls(*numbers, count=lambda text: len(model.encode(text)))

    def apply(self, items: list[Item], train: bool, report: Report) -> list[Item]:
        """Items with evidence and answer cut; of training, too long questions left out."""
        kept = []
        for item in items:
            if train and self.question is not None and self.count(item.question) > self.question:
                report["long_question"].append(item.name)
                continue
            evidence = shorten(item.evidence, self.evidence, self.count)
            answer = shorten(item.answer, self.answer, self.count)
            if evidence != item.evidence:
                report["cut_evidence"].append(item.name)
            if answer != item.answer:
                report["cut_answer"].append(item.name)
            kept.append(dataclasses.replace(item, evidence=evidence, answer=answer))
        return kept


def shorten(text: str, limit: int | None, count: Count) -> str:
    """The longest beginning of at most `limit` subwords: whole words, in CJK text characters."""
    if limit is None or count(text) <= limit:
        return text
    glue = " " if " " in text and not is_cjk(text) else ""
    units = text.split() if glue else list(text)
    low, high = 0, len(units)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(glue.join(units[:middle])) <= limit else (low, middle)
    return glue.join(units[: max(low, 1)]).rstrip()


def encodes(model: Any, text: str) -> bool:
    """Whether a sentencepiece model has subwords for all of a text."""
    return model.unk_id() not in model.encode(text)
