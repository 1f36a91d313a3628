"""What `qg.sh` runs: evidence and answer in, question out, as pairs for `binarize.sh`.

Rows are `id, answer, source, question`; columns 3 and 4 are the pair. `provenance.json` beside them
says from which files, with which choices, and names every item that was not taken as it stood.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qg_evidence import Item, Report, read_items
from qg_limits import limited, tokens_of
from text_files import DataError, one_line, stable_hash

SEPARATOR = "⏎"  # one piece of the small backbone's sentencepiece model
SOURCES = ("auto", "evidence-answer", "evidence")
INPUTS = {"nqg": "en_XX", "xquad_en": "en_XX", "xquad_zh": "zh_CN", "cmrc": "zh_CN"}
EXAMPLE = """\
example:
  preprocess/qg.sh --nqg nqg.test.jsonl.xz --xquad-en xquad.en.jsonl.xz \\
      --xquad-zh xquad.zh.jsonl.xz --cmrc cmrc2018.trial.jsonl.xz --out qg
  preprocess/binarize.sh pairs --backbone DIR --lang en_XX --out data-bin \\
      --train qg/en_XX.train.tsv --valid qg/en_XX.valid.tsv --test qg/en_XX.test.tsv
"""

Splits = dict[str, list[Item]]  # by "en_XX.train" and so on


def order(items: Iterable[Item], seed: int) -> list[Item]:
    """By a hash of the name: the first n items are a random sample, the same in each language."""
    return sorted(items, key=lambda item: stable_hash(str(seed), item.name))


def hold_out(items: list[Item], share: float, seed: int) -> tuple[list[Item], list[Item]]:
    """Part training from validation by a hash of the evidence, so that none stands in both."""
    parts: tuple[list[Item], list[Item]] = ([], [])
    for item in items:
        held = stable_hash(str(seed), "valid", item.evidence) < share * 2**64
        parts[held].append(item)
    return parts


def letters(text: str) -> str:
    """The text's letters and digits, whatever the case: what tokenising leaves alone."""
    return "".join(character for character in text.casefold() if character.isalnum())


def without_test(items: list[Item], test: list[Item], report: Report) -> list[Item]:
    """Leave out the items whose evidence or question a test item has, tokenised or not."""
    known = {letters(text) for item in test for text in (item.evidence, item.question)}
    seen = [i for i in items if letters(i.evidence) in known or letters(i.question) in known]
    report.in_test += [item.name for item in seen]
    out = set(report.in_test)
    return [item for item in items if item.name not in out]


def with_answers(splits: Splits, wanted: str, path: Path) -> bool:
    """Whether sources hold the answer: in training and in every test alike.

    Raises:
        DataError: answers are asked for, and a training item has none.
    """
    trained = splits["en_XX.train"] + splits["en_XX.valid"]
    missing = [item.name for item in trained if not item.answer]
    if wanted == "evidence-answer" and missing:
        raise DataError(
            f"{path}: {len(missing)} items hold no answer (first {missing[0]}); "
            "give records with one, or --source evidence"
        )
    return wanted == "evidence-answer" or (wanted == "auto" and not missing)


def build(options: argparse.Namespace) -> tuple[Splits, dict[str, Any]]:
    """All splits, and their provenance."""
    count = tokens_of(options)
    reports = {name: Report() for name in INPUTS}
    found = {
        name: read_items(getattr(options, name), lang, reports[name])
        for name, lang in INPUTS.items()
    }
    for name in ("xquad_en", "xquad_zh"):
        for lacking in reports[name].no_question:
            raise DataError(f"{getattr(options, name)}: {lacking}: no question")
    ids = [{item.name for item in found[name]} for name in ("xquad_en", "xquad_zh")]
    if ids[0] != ids[1]:
        one = min(ids[0] ^ ids[1])
        raise DataError(f"{options.xquad_en} and {options.xquad_zh}: only one of them has {one}")
    usable = without_test(found["nqg"], found["xquad_en"], reports["nqg"])
    train, valid = hold_out(usable, options.valid_share, options.seed)
    for name, part in (("training", train), ("validation", valid)):
        if not part:
            raise DataError(f"{options.nqg}: nothing for {name} of {len(usable)} items; "
                            "choose another --valid-share")  # fmt: skip
    splits = {"en_XX.train": train, "en_XX.valid": valid, "en_XX.test": found["xquad_en"],
              "zh_CN.valid": found["cmrc"], "zh_CN.test": found["xquad_zh"]}  # fmt: skip
    origin = dict(zip(splits, ("nqg", "nqg", "xquad_en", "cmrc", "xquad_zh"), strict=True))
    answers = with_answers(splits, options.source, options.nqg)
    for split, items in splits.items():
        train_split = split.endswith("train")
        kept = limited(items, options, count, train_split, reports[origin[split]])
        splits[split] = order(kept, options.seed)
    return splits, provenance(options, splits, reports, answers)


def provenance(options: argparse.Namespace, splits: Splits, reports: dict[str, Report],
               answers: bool) -> dict[str, Any]:  # fmt: skip
    """What `provenance.json` says."""
    mark = options.separator
    with_mark = {
        split: [item.name for item in items if mark in f"{item.evidence} {item.answer}"]
        for split, items in splits.items()
    }
    chosen = ("valid_share", "seed", "max_evidence", "max_answer", "max_question")
    return {
        "format": "laft-questions/1",
        "source": "evidence-answer" if answers else "evidence",
        "separator": mark if answers else None,
        "files": {name: _file(getattr(options, name)) for name in INPUTS},
        "spm": options.spm and _file(options.spm),
        **{name: getattr(options, name) for name in chosen},
        "splits": {split: len(items) for split, items in splits.items()},
        "separator_in_text": {split: names for split, names in with_mark.items() if names},
        "items": {name: report.as_json() for name, report in reports.items()},
    }


def _file(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def write(out: Path, splits: Splits, told: dict[str, Any]) -> None:
    """Write the TSV files and, last, the provenance: each under a temporary name, then renamed."""
    out.mkdir(parents=True, exist_ok=True)
    for split, items in splits.items():
        rows = []
        for item in items:
            parts = [item.evidence, told["separator"], item.answer]
            source = " ".join(parts) if told["separator"] else item.evidence
            rows.append("\t".join([item.name, item.answer, source, item.question]))
        _replace(out / f"{split}.tsv", "".join(f"{row}\n" for row in rows))
    _replace(out / "provenance.json", json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)


def summary(told: dict[str, Any]) -> Iterable[str]:
    """What a person has to know, a line each."""
    for split, count in told["splits"].items():
        yield f"qg: {split}: {count:,} questions"
    words = {
        "no_question": "left out, empty question",
        "relocated": "wrong answer offset, found at its only place",
        "joined": "answer crosses a sentence end, all its sentences taken",
        "cut_evidence": "evidence cut to --max-evidence",
        "cut_answer": "answer cut to --max-answer",
        "long_question": "left out of training, question over --max-question",
        "in_test": "left out, evidence or question of a test item",
    }
    for name, kinds in told["items"].items():
        for kind, found in kinds.items():
            if found["count"]:
                shown = ", ".join(found["ids"][:5]) + (", ..." if found["count"] > 5 else "")
                yield f"qg: {name}: {found['count']} items: {words[kind]} ({shown})"
    if told["source"] == "evidence":
        yield "qg: sources hold the evidence alone, in every split: see --source"


def parser() -> argparse.ArgumentParser:
    """The command line, as `qg.sh` shows it."""
    top = argparse.ArgumentParser(
        prog="qg.sh",
        description="Question-answering data -> pairs for question generation.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = top.add_argument
    add("--nqg", type=Path, required=True, metavar="FILE", help="English, for train and valid")
    add("--xquad-en", type=Path, required=True, metavar="FILE", help="XQuAD-en, for test")
    add("--xquad-zh", type=Path, required=True, metavar="FILE", help="XQuAD-zh, for test")
    add("--cmrc", type=Path, required=True, metavar="FILE", help="CMRC 2018 trial, for valid")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--source", choices=SOURCES, default="auto",
        help="what a source holds; auto: the answer too if every training item has one "
        "(%(default)s)")  # fmt: skip
    add("--separator", default=SEPARATOR, help="between evidence and answer (%(default)s)")
    add("--spm", type=Path, metavar="FILE", help="sentencepiece model: checks the separator")
    add("--max-evidence", type=positive, metavar="N", help="pieces, longer is cut; XNLG: 230")
    add("--max-answer", type=positive, metavar="N", help="pieces, longer is cut; XNLG: 20")
    add("--max-question", type=positive, metavar="N",
        help="pieces, longer is left out of train; XNLG: 256")  # fmt: skip
    add("--valid-share", type=float, default=0.05, metavar="P",
        help="share of --nqg held out for validation (%(default)s)")  # fmt: skip
    add("--seed", type=int, default=1, help="of the held-out share and the order (%(default)s)")
    return top


def positive(text: str) -> int:
    """Parse a limit."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return number


def main() -> int:
    """Build and write; an input error is one line."""
    options = parser().parse_args()
    try:
        if not 0 < options.valid_share < 1:
            raise DataError(f"--valid-share {options.valid_share}: between 0 and 1")
        if options.separator.split() != [options.separator]:
            raise DataError(f"--separator {options.separator!r}: one word or mark, without spaces")
        splits, told = build(options)
        write(options.out, splits, told)
    except (DataError, OSError) as error:
        print(f"qg: {one_line(error)}", file=sys.stderr)
        return 1
    print("\n".join(summary(told)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
