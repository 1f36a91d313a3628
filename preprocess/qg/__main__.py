"""What `qg.sh` runs: evidence and answer in, question out, as pairs for `binarize.sh`.

Rows are `id, answer, source, question`; columns 3 and 4 are the pair. `provenance.json` beside them
records the files, the choices, and every item that was not taken as it stood.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.files import write_json
from laft_fairseq.languages.tags import check_tag
from preprocess.common.command import command_parser, positive, run_command
from preprocess.common.files import sha256, write_lines
from preprocess.common.text import stable_hash
from preprocess.common.vocabulary import load_model
from preprocess.qg.evidence import KINDS, Item, Report, new_report, read_items
from preprocess.qg.limits import Limits, encodes

SEPARATOR = "⏎"  # one subword of the small backbone's sentencepiece model
# The files of XNLG's data, and what they are in the general form.
NAMED = {"nqg": "train en_XX", "xquad_en": "test en_XX", "xquad_zh": "test zh_CN",
         "cmrc": "valid zh_CN"}  # fmt: skip
EXAMPLE = """\
examples:
  preprocess/qg.sh --train en_XX=train-v1.1.json --test en_XX=xquad.en.json \\
      --test es_XX=xquad.es.json --test zh_CN=xquad.zh.json --valid zh_CN=cmrc2018_trial.json \\
      --out qg
  preprocess/qg.sh --nqg nqg.test.jsonl.xz --xquad-en xquad.en.jsonl.xz \\
      --xquad-zh xquad.zh.jsonl.xz --cmrc cmrc2018.trial.jsonl.xz --out qg
  preprocess/binarize.sh pairs --backbone DIR --lang en_XX --out data-bin \\
      --train qg/en_XX.train.tsv --valid qg/en_XX.valid.tsv --test qg/en_XX.test.tsv
"""

Splits = dict[str, list[Item]]  # by "en_XX.train" and so on


def in_order(items: Iterable[Item], seed: int) -> list[Item]:
    """By a hash of the name: the first n items are a random sample, the same in each language."""
    return sorted(items, key=lambda item: stable_hash(str(seed), item.name))


def hold_out(items: list[Item], share: float, seed: int) -> tuple[list[Item], list[Item]]:
    """Items for training and for validation, by a hash of the evidence: none is in both."""
    parts: tuple[list[Item], list[Item]] = ([], [])
    for item in items:
        parts[stable_hash(str(seed), "valid", item.evidence) < share * 2**64].append(item)
    return parts


def letters(text: str) -> str:
    """The text's letters and digits in lower case, which tokenising does not change."""
    return "".join(character for character in text.casefold() if character.isalnum())


def without_test(items: list[Item], test: list[Item], report: Report) -> list[Item]:
    """The items of which no test item has the evidence or the question, tokenised or not."""
    known = {letters(text) for item in test for text in (item.evidence, item.question)}
    fresh = []
    for item in items:
        if letters(item.evidence) in known or letters(item.question) in known:
            report["in_test"].append(item.name)
        else:
            fresh.append(item)
    return fresh


@dataclass(frozen=True)
class Input:
    """A file: what provenance calls it, `train`, `valid` or `test`, its language."""

    name: str
    split: str
    lang: str
    path: Path


def inputs_of(options: argparse.Namespace) -> list[Input]:
    """The files of the command line, training first.

    Raises:
        LaftError: none to train on or to test on, two for one split, or a file that is missing.
    """
    inputs = []
    for name, use in NAMED.items():
        split, lang = use.split()
        if getattr(options, name):
            inputs.append(Input(name, split, lang, getattr(options, name)))
    for split in ("train", "valid", "test"):
        for given in getattr(options, split):
            lang, equals, path = given.partition("=")
            if not equals or not path:
                raise LaftError(f"--{split} {given}: give TAG=FILE, such as es_XX=xquad.es.json")
            check_tag(lang, f"--{split}")
            inputs.append(Input(f"{split}.{lang}", split, lang, Path(path)))
    inputs.sort(key=lambda given: ("train", "valid", "test").index(given.split))
    places = [(given.split, given.lang) for given in inputs]
    for split, lang in places:
        if places.count((split, lang)) > 1:
            raise LaftError(f"two files for {split} in {lang}: give one")
    if [split for split, _ in places].count("train") != 1:
        raise LaftError("give one file to train on, by --train TAG=FILE or --nqg")
    if "test" not in dict(places):
        raise LaftError("give a file to test on, by --test TAG=FILE, for each language")
    for given in inputs:
        if not given.path.exists():
            raise LaftError(f"{given.path}: no such file")
    return inputs


def build(options: argparse.Namespace) -> tuple[Splits, dict[str, Any]]:
    """All splits, and their provenance."""
    inputs = inputs_of(options)
    limits = limits_of(options)
    reports = {given.name: new_report() for given in inputs}
    items = {
        given.name: read_items(given.path, given.lang, reports[given.name]) for given in inputs
    }
    train_file, tests = inputs[0], [given for given in inputs if given.split == "test"]
    for given in tests:
        for lacking in reports[given.name]["no_question"]:
            raise LaftError(f"{given.path}: {lacking}: no question")
    check_pairing(options, items)
    of_tests = [item for given in tests for item in items[given.name]]
    usable = without_test(items[train_file.name], of_tests, reports[train_file.name])
    places = {f"{given.lang}.{given.split}": given.name for given in inputs}
    chosen = {place: items[name] for place, name in places.items()}
    train, valid = f"{train_file.lang}.train", f"{train_file.lang}.valid"
    chosen[train] = usable
    if valid not in chosen:
        chosen[train], chosen[valid] = hold_out(usable, options.valid_share, options.seed)
        places[valid] = train_file.name
    for name, part in (("training", chosen[train]), ("validation", chosen[valid])):
        if not part:
            raise LaftError(f"{train_file.path}: nothing for {name} of {len(usable)} items; "
                            "choose another --valid-share")  # fmt: skip
    has_answers = with_answers(usable, options.source, train_file.path)
    splits = {}
    for place, name in places.items():
        kept = limits.apply(chosen[place], place == train, reports[name])
        splits[place] = in_order(kept, options.seed)
    return splits, provenance(options, inputs, splits, reports, has_answers)


def check_pairing(options: argparse.Namespace, items: dict[str, list[Item]]) -> None:
    """Refuse XQuAD's two named files where they do not hold the same items."""
    if options.xquad_en and options.xquad_zh:
        unpaired = {i.name for i in items["xquad_en"]} ^ {i.name for i in items["xquad_zh"]}
        if unpaired:
            raise LaftError(
                f"{options.xquad_en} and {options.xquad_zh}: only one of them has {min(unpaired)}"
            )


def limits_of(options: argparse.Namespace) -> Limits:
    """The limits of length, after a check that the model can encode the separator."""
    model = load_model(options.spm) if options.spm else None
    limits = Limits.of(options, model)
    if model is None and {limits.evidence, limits.answer, limits.question} != {None}:
        raise LaftError("a limit counts subwords: give --spm FILE")
    if model is not None and not encodes(model, options.separator):
        raise LaftError(f"{options.spm} cannot encode the separator {options.separator!r}")
    return limits


def with_answers(trained: list[Item], source: str, path: Path) -> bool:
    """Whether sources hold the answer: in training and in every test alike."""
    missing = [item.name for item in trained if not item.answer]
    if source == "evidence-answer" and missing:
        raise LaftError(
            f"{path}: {len(missing)} items hold no answer (first {missing[0]}); "
            "give records with one, or --source evidence"
        )
    return source != "evidence" and not missing


def provenance(options: argparse.Namespace, inputs: list[Input], splits: Splits,
               reports: dict[str, Report], has_answers: bool) -> dict[str, Any]:  # fmt: skip
    """What `provenance.json` records."""

    def described(path: Path) -> dict[str, str]:
        return {"name": path.name, "sha256": sha256(path)}

    mark = options.separator
    with_mark = {
        split: [item.name for item in items if mark in f"{item.evidence} {item.answer}"]
        for split, items in splits.items()
    }
    chosen = ("valid_share", "seed", "max_evidence", "max_answer", "max_question")
    return {
        "format": "laft-questions/1",
        "source": "evidence-answer" if has_answers else "evidence",
        "separator": mark if has_answers else None,
        "files": {given.name: described(given.path) for given in inputs},
        "spm": options.spm and described(options.spm),
        **{name: getattr(options, name) for name in chosen},
        "splits": {split: len(items) for split, items in splits.items()},
        "separator_in_text": {split: names for split, names in with_mark.items() if names},
        "items": {
            name: {kind: {"count": len(ids), "ids": ids} for kind, ids in report.items()}
            for name, report in reports.items()
        },
    }


def write(out: Path, splits: Splits, record: dict[str, Any]) -> None:
    """Write the TSV files and, last, the provenance."""
    for split, items in splits.items():
        rows = ((i.name, i.answer, i.source(record["separator"]), i.question) for i in items)
        write_lines(out / f"{split}.tsv", map("\t".join, rows))
    write_json(out / "provenance.json", record)


def summary(record: dict[str, Any]) -> Iterator[str]:
    """What a person has to know, a line each."""
    for split, count in record["splits"].items():
        yield f"qg: {split}: {count:,} questions"
    for name, kinds in record["items"].items():
        for kind, items in kinds.items():
            if items["count"]:
                some = ", ".join(items["ids"][:5]) + (", ..." if items["count"] > 5 else "")
                yield f"qg: {name}: {items['count']} items: {KINDS[kind]} ({some})"
    if record["source"] == "evidence":
        yield "qg: sources hold the evidence alone, in every split: see --source"


def parser() -> argparse.ArgumentParser:
    """The command line, as `qg.sh` shows it."""
    top = command_parser(
        "qg.sh", "Question-answering data -> pairs for question generation.", EXAMPLE
    )
    add = top.add_argument
    for split, words in (("train", "to train on, and for validation"),
                         ("valid", "for validation; without one in the language of --train a share "
                          "of that"), ("test", "for test; several, one a language")):  # fmt: skip
        add(f"--{split}", action="append", default=[], metavar="TAG=FILE", help=words)
    add("--nqg", type=Path, metavar="FILE", help="--train en_XX=FILE")
    add("--xquad-en", type=Path, metavar="FILE", help="--test en_XX=FILE")
    add("--xquad-zh", type=Path, metavar="FILE", help="--test zh_CN=FILE, XQuAD-en's items")
    add("--cmrc", type=Path, metavar="FILE", help="--valid zh_CN=FILE")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--source", choices=("auto", "evidence-answer", "evidence"), default="auto",
        help="what a source holds; auto: the answer too if every training item has one "
        "(%(default)s)")  # fmt: skip
    add("--separator", default=SEPARATOR, help="between evidence and answer (%(default)s)")
    add("--spm", type=Path, metavar="FILE", help="sentencepiece model: checks the separator")
    add("--max-evidence", type=positive, metavar="N", help="subwords, longer is cut; XNLG: 230")
    add("--max-answer", type=positive, metavar="N", help="subwords, longer is cut; XNLG: 20")
    add("--max-question", type=positive, metavar="N",
        help="subwords, longer is left out of train; XNLG: 256")  # fmt: skip
    add("--valid-share", type=float, default=0.05, metavar="P",
        help="share of --train held out for validation (%(default)s)")  # fmt: skip
    add("--seed", type=int, default=1, help="of the held-out share and the order (%(default)s)")
    return top


def main(options: argparse.Namespace) -> None:
    """Build, write and summarise."""
    if options.separator.split() != [options.separator]:
        raise LaftError(f"--separator {options.separator!r}: one word or mark, without spaces")
    splits, record = build(options)
    write(options.out, splits, record)
    print("\n".join(summary(record)))


if __name__ == "__main__":
    arguments = parser().parse_args()
    sys.exit(run_command("qg", lambda: main(arguments)))
