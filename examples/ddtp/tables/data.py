"""The data sets: text as the recipes use it, chosen by a hash, then binarised."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from examples.ddtp.tables import human_pairs, translation
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.files import read_lines, write_json, write_lines
from examples.ddtp.tables.sources import (
    QUESTION_FILES,
    Row,
    Sources,
    english_pairs,
    in_order,
    read_mono,
    read_pairs,
)

MONO_VALID = 50
Call = Callable[[Sequence[str], Path], object]


def _write_pairs(folder: Path, lang: str, split: str, rows: list[Row]) -> None:
    write_lines(folder / f"{lang}.{split}.tsv", ("\t".join(row) for row in rows))
    if split == "test":
        write_lines(folder / f"{lang}.test.src", (row[2] for row in rows))
        write_lines(folder / f"{lang}.test.tgt", (row[3] for row in rows))


def _test_rows(sources: Sources, budget: Budget) -> dict[str, list[Row]]:
    """The test of each language, cut to the budget's items."""
    rows = {lang: read_pairs(sources.pairs(lang, "test")) for lang in budget.langs}
    return {lang: found[: budget.test_items or None] for lang, found in rows.items()}


def zero_shot_text(sources: Sources, budget: Budget, raw: Path) -> dict[str, int]:
    """Annotated English, text alone in the targets, and everybody's validation and test."""
    mono = {lang: read_mono(sources, lang) for lang in budget.langs}
    english = {row[1]: row[3] for row in read_pairs(sources.pairs("en_XX", "test"))}
    train = english_pairs(sources, budget, mono)
    _write_pairs(raw, "en_XX", "train", train)
    counts = {"en_XX.train": len(train)}
    for lang, rows in _test_rows(sources, budget).items():
        _write_pairs(raw, lang, "test", rows)
        valid = read_pairs(sources.pairs(lang, "valid"))[: budget.valid_items]
        _write_pairs(raw, lang, "valid", valid)
        if lang != "en_XX" and all(row[1] in english for row in rows):
            write_lines(raw / f"{lang}.test.english", (english[row[1]] for row in rows))
        write_lines(raw / f"{lang}.mono.train", mono[lang][:-MONO_VALID])
        write_lines(raw / f"{lang}.mono.valid", mono[lang][-MONO_VALID:])
        counts |= {f"{lang}.test": len(rows), f"{lang}.valid": len(valid),
                   f"{lang}.mono": len(mono[lang]) - MONO_VALID}  # fmt: skip
    return counts


def parallel_text(sources: Sources, budget: Budget, raw: Path) -> dict[str, int]:
    """The test items that exist in every language, line by line."""
    rows = {
        lang: {row[1]: row for row in read_pairs(sources.pairs(lang, "test"))}
        for lang in budget.langs
    }
    shared = set.intersection(*(set(found) for found in rows.values()))
    for lang, found in rows.items():
        _write_pairs(raw, lang, "test", in_order([found[md5] for md5 in shared]))
    return {"parallel": len(shared)}


def run_pairs(place: Place) -> list[Row]:
    """The run's English training pairs, as its zero-shot data set has them."""
    lines = read_lines(place.out / "raw" / "zero-shot" / "en_XX.train.tsv")
    return [line.split("\t") for line in lines]


def target_text(raw: Path, lang: str, rows: list[Row]) -> dict[str, int]:
    """Human training pairs of a target."""
    _write_pairs(raw, lang, "train", rows)
    return {f"{lang}.train": len(rows)}


def question_text(
    place: Place, sources: Sources, budget: Budget, raw: Path, call: Call
) -> dict[str, int]:
    """Pairs of preprocess/qg.sh: made before, or made now of the four files that it reads."""
    folder = sources.questions
    if folder is None:
        raise ValueError("QG names no folder")
    if not sources.made:
        options = [
            word
            for option, name in QUESTION_FILES.items()
            for word in (f"--{option}", str(folder / f"{name}.jsonl.xz"))
        ]
        made = place.out / "raw" / "questions.made"
        call(["bash", "preprocess/qg.sh", *options, "--spm",
              str(place.backbone / "sentence.bpe.model"), "--out", str(made)],
             place.out / "logs" / "questions.log")  # fmt: skip
        folder = made
    most = {"train": budget.pairs, "valid": budget.valid_items, "test": budget.test_items or None}
    counts = {}
    for path in sorted(folder.glob("*.*.tsv")):
        lang, split, _ = path.name.split(".")
        if lang in budget.langs and split in most:
            rows = [line.split("\t") for line in read_lines(path)][: most[split]]
            _write_pairs(raw, lang, split, rows)
            counts[f"{lang}.{split}"] = len(rows)
    return counts


def binarise(place: Place, call: Call, name: str, lang: str, kind: str) -> None:
    """`preprocess/binarize.sh` on what there is of a data set's language."""
    raw, log = place.out / "raw" / name, place.out / "logs" / f"data.{name}.log"
    ending = "tsv" if kind == "pairs" else ""
    splits = []
    for split in ("train", "valid", "test"):
        path = raw / (f"{lang}.{split}.{ending}" if kind == "pairs" else f"{lang}.mono.{split}")
        if path.exists() and path.stat().st_size:
            splits += [f"--{split}", str(path)]
    if splits:
        command = ["bash", "preprocess/binarize.sh", kind, "--backbone", str(place.backbone),
                   "--lang", lang, "--out", str(place.data(name)), *splits]  # fmt: skip
        call(command, log)


def borrow(place: Place, budget: Budget, name: str) -> None:
    """Link what a data set does not have itself from the zero-shot one."""
    for lang in budget.langs:
        source, own = place.data("zero-shot") / lang, place.data(name) / lang
        own.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.iterdir()):
            if not path.name.startswith(".") and not (own / path.name).exists():
                os.link(path, own / path.name)


def prepare(place: Place, budget: Budget, sources: Sources, name: str, call: Call) -> None:
    """Text, then binarised text of a data set; its JSON, with the counts, comes last."""
    raw = place.out / "raw" / name
    kind, _, lang = name.partition(".")
    told: dict[str, Any] = {}
    if name == "zero-shot":
        counts = zero_shot_text(sources, budget, raw)
    elif name == "parallel":
        counts = parallel_text(sources, budget, raw)
    elif kind == "human":
        counts = target_text(raw, lang, read_pairs(sources.pairs(lang, "train")))
    elif kind == "oracle" or kind.startswith("few-shot-"):
        human = read_pairs(sources.pairs(lang, "train"))
        rows, pairs = human_pairs.chosen(human, budget, kind, run_pairs(place))
        counts, told = target_text(raw, lang, rows), {"training_pairs": pairs}
    elif kind == "translated":
        raw.mkdir(parents=True, exist_ok=True)
        english = place.out / "raw" / "zero-shot" / "en_XX.train.tsv"
        made = raw / f"{lang}.train.tsv"
        call(translation.pairs(lang, english, made), place.out / "logs" / f"data.{name}.log")
        counts = {f"{lang}.train": len(read_lines(made))}
    elif name == "questions":
        counts = question_text(place, sources, budget, raw, call)
    else:
        raise ValueError(f"no data set {name}")
    if any(not count for count in counts.values()):
        empty = next(key for key, count in counts.items() if not count)
        raise ValueError(f"{sources.ddtp}: no text for {empty} of data set {name}")
    for each in budget.langs:
        binarise(place, call, name, each, "pairs")
        binarise(place, call, name, each, "mono")
    if name not in {"zero-shot", "parallel"}:
        borrow(place, budget, name)
    write_json(place.out / "data" / f"{name}.json", counts | told)


def samples(place: Place, langs: Sequence[str], count: int = 10) -> dict[str, dict[str, list[str]]]:
    """The first inputs and references of each language's test."""
    raw = place.out / "raw" / "zero-shot"
    return {
        lang: {
            "inputs": read_lines(raw / f"{lang}.test.src")[:count],
            "references": read_lines(raw / f"{lang}.test.tgt")[:count],
        }
        for lang in langs
    }
