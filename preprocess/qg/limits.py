"""Limits on the length of evidence, answer and question, in sentencepiece pieces.

XNLG (Chi et al., AAAI 2020) takes 230, 20 and 256 tokens.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qg_evidence import Item, Report
from text_files import DataError, is_cjk

Count = Callable[[str], int]  # tokens of a text


def shorten(text: str, limit: int | None, count: Count) -> str:
    """The longest beginning of at most `limit` tokens; whole words, but of CJK text characters."""
    if limit is None or count(text) <= limit:
        return text
    glue = " " if " " in text and not is_cjk(text) else ""
    units = text.split() if glue else list(text)
    low, high = 0, len(units)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(glue.join(units[:middle])) <= limit else (low, middle)
    return glue.join(units[: max(low, 1)]).rstrip()


def limited(items: list[Item], options: argparse.Namespace, count: Count, train: bool,
            report: Report) -> list[Item]:  # fmt: skip
    """Evidence and answer cut to their limits; of training, too long questions left out."""
    kept = []
    for item in items:
        limit = options.max_question
        if train and limit is not None and count(item.question) > limit:
            report.long_question.append(item.name)
            continue
        evidence = shorten(item.evidence, options.max_evidence, count)
        answer = shorten(item.answer, options.max_answer, count)
        if evidence != item.evidence:
            report.cut_evidence.append(item.name)
        if answer != item.answer:
            report.cut_answer.append(item.name)
        kept.append(dataclasses.replace(item, evidence=evidence, answer=answer))
    return kept


def tokens_of(options: argparse.Namespace) -> Count:
    """How many pieces a text has, by `--spm`; refuse a separator that the model cannot encode."""
    if options.spm is None:
        for name in ("max_evidence", "max_answer", "max_question"):
            if getattr(options, name) is not None:
                raise DataError(f"--{name.replace('_', '-')} counts pieces: give --spm FILE")
        return len
    model = load_model(options.spm)
    if options.separator is not None and not encodes(model, options.separator):
        raise DataError(f"{options.spm} cannot encode the separator {options.separator!r}")
    return lambda text: len(model.encode(text))


def load_model(path: Path) -> Any:
    """A sentencepiece model."""
    import sentencepiece

    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: not a sentencepiece model") from error


def encodes(model: Any, text: str) -> bool:
    """Whether a sentencepiece model has pieces for all of a text."""
    return model.unk_id() not in model.encode(text)
