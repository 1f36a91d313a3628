"""What `xgiga.sh` and `xqg.sh` run: the XNLG project's files -> text, pairs and `data-bin`.

    OUT/raw/<tag>.{train,valid,test}.tsv     name, answer, source, target; train in English only
    OUT/raw/<tag>.test.{src,tgt}             the test at full length, for scoring
    OUT/raw/mono.<tag>.{train,valid}         unlabelled text
    OUT/raw/provenance.json                  files, choices, counts, items not taken as they stood
    OUT/data-bin/                            all of it, binarised

Text is detokenised and keeps its case. OUT/raw is renamed into place when it is complete.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.files import write_json
from laft_fairseq.languages.tags import split_tags
from preprocess.common.command import command_parser, positive, run_command
from preprocess.common.files import difference, digest, read_json, read_lines, read_tsv, write_lines
from preprocess.common.text import squeeze
from preprocess.common.vocabulary import load_model
from preprocess.qg.evidence import new_report
from preprocess.qg.limits import Limits, encodes
from preprocess.xnlg.detokenize import detokenizer
from preprocess.xnlg.layout import LAYOUTS, SPLITS, Counts, Layout, check, language, notes

ENGLISH = "en_XX"
FORMAT = "laft-xnlg/1"
MONO_VALID = 500  # texts at most, the last ones
KINDS = {
    "empty_left_out": "left out, an empty side",
    "empty_kept": "with an empty side, kept",
    "source_cut": "with a source cut to the limit",
    "target_too_long": "left out, target over the limit",
}

SEPARATORS = ("⏎", "|")  # the first that the backbone's sentencepiece model can encode
EXAMPLE = """\
files: {{train,dev,test}}.{{{sides}}}.{{{langs}}}{suffix}
  of the XNLG project, CZWin32768/XNLG

example:
  preprocess/{name}.sh --data {name} --backbone mbart.cc25 --out out/{name}
"""


def write_split(
    layout: Layout, options: argparse.Namespace, split: str, tag: str, work: Path
) -> dict[str, Any]:
    """Write one split's TSV file, of the test both sides too; return what provenance records."""
    test = split == "test"
    items, empty = [], []
    for item in layout.items(options.data, split, tag):
        is_empty = not (item.evidence and item.question and (item.answer or not layout.has_answers))
        if is_empty:
            empty.append(item.name)
        if test or not is_empty:
            items.append(item)
    whole = items[: {"dev": options.valid_items, "test": options.test_items}.get(split)]
    report, mark = new_report(), options.separator
    kept = options.limits.apply(whole, split == "train", report)
    if not kept:
        raise layout.wrong(f"{options.data}: {split} ({language(tag)}): no item is left; "
                           "raise --max-target")  # fmt: skip
    rows = ((item.name, item.answer, item.source(mark), item.question) for item in kept)
    write_lines(work / f"{tag}.{SPLITS[split]}.tsv", map("\t".join, rows))
    if test:
        write_lines(work / f"{tag}.test.src", (item.source(mark) for item in whole))
        write_lines(work / f"{tag}.test.tgt", (item.question for item in whole))
    cut = {*report["cut_evidence"], *report["cut_answer"]}
    return {
        "items": len(kept),
        "empty_kept" if test else "empty_left_out": empty,
        "source_cut": [item.name for item in kept if item.name in cut],
        "target_too_long": report["long_question"],
    }


def mono_file(folder: str, tag: str) -> Path:
    """The file of a language in `--mono`."""
    ends = (".xz", ".gz", "")
    names = [f"{stem}{tag}.txt{end}" for stem in ("mono.", "") for end in ends]
    for name in names:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise LaftError(f"{folder}: no text ({language(tag)}): {' or '.join(names)}; "
                    "--mono sources takes the training sources")  # fmt: skip


def write_mono(layout: Layout, options: argparse.Namespace, tag: str, work: Path) -> dict[str, Any]:
    """Write a language's unlabelled text; its last lines, at most a tenth, are for validation."""
    if options.mono == "sources":
        path, join = layout.path(options.data, "train", layout.sides[0], tag), detokenizer(tag)
    else:
        path, join = mono_file(options.mono, tag), squeeze
    texts = list(dict.fromkeys(filter(None, map(join, read_lines(path)))))
    if len(texts) < 2:
        raise LaftError(f"--mono {options.mono}: {len(texts)} different texts ({language(tag)}), "
                        "two are needed")  # fmt: skip
    valid = min(MONO_VALID, max(1, len(texts) // 10))
    write_lines(work / f"mono.{tag}.train", texts[:-valid])
    write_lines(work / f"mono.{tag}.valid", texts[-valid:])
    return {"train": len(texts) - valid, "valid": valid}


def settings_of(layout: Layout, options: argparse.Namespace) -> dict[str, Any]:
    """What the text is made from and how: the same gives the same `raw`."""
    files = [path for tag in options.tags for split in SPLITS
             for path in layout.paths(options.data, split, tag)]  # fmt: skip
    if options.mono != "sources":
        files += [mono_file(options.mono, tag) for tag in options.tags]
    chosen = ("separator", "max_evidence", "max_answer", "max_question", "valid_items",
              "test_items")  # fmt: skip
    return {
        "format": FORMAT,
        "data": layout.name,
        "languages": options.tags,
        "mono": "sources" if options.mono == "sources" else "files",
        "files": {path.name: digest(path) for path in files},
        "spm": digest(options.backbone / "sentence.bpe.model"),
        **{name: getattr(options, name) for name in chosen},
        "mono_valid": MONO_VALID,
    }


def write_raw(layout: Layout, options: argparse.Namespace, counts: Counts) -> None:
    """Make `OUT/raw`, unless it is there from the same files and choices; say what was done."""
    raw, settings = options.out / "raw", settings_of(layout, options)
    if raw.is_dir():
        if difference(settings, read_json(raw / "provenance.json")):
            raise LaftError(f"{raw} was made from other files or with other options; "
                            "name another --out, or remove it")  # fmt: skip
        print(f"{layout.name}: {raw}: up to date")
        return
    work = raw.with_name("raw.partial")
    shutil.rmtree(work, ignore_errors=True)
    splits = {
        f"{tag}.{SPLITS[split]}": write_split(layout, options, split, tag, work)
        for tag in options.tags
        for split in (SPLITS if tag == ENGLISH else ("dev", "test"))
    }
    texts = {tag: write_mono(layout, options, tag, work) for tag in options.tags}
    record = {**settings, "counts": counts, "notes": list(notes(layout, options.data, counts)),
              "splits": splits, "texts": texts}  # fmt: skip
    write_json(work / "provenance.json", record)
    work.replace(raw)
    print("\n".join(f"{layout.name}: {line}" for line in summary(record)))


def summary(record: dict[str, Any]) -> Iterator[str]:
    """What a person has to know of a new `raw`, a line each."""
    for tag, splits in record["counts"].items():
        counts = ", ".join(f"{split} {count:,}" for split, count in splits.items())
        yield f"{tag}: {counts} items, aligned"
    yield from (f"note: {note}" for note in record["notes"])
    for name, split in record["splits"].items():
        for kind, words in KINDS.items():
            if split.get(kind):
                yield f"{name}: {len(split[kind]):,} items {words}"
    where = {"sources": "the training sources", "files": "--mono"}[record["mono"]]
    for tag, text in record["texts"].items():
        yield f"{tag}: {text['train']:,} + {text['valid']:,} texts from {where}"


def binarize(options: argparse.Namespace) -> None:
    """Run `binarize.sh` on everything; what is up to date is not made again."""
    raw, script = options.out / "raw", Path(__file__).parents[1] / "binarize.sh"
    for tag in options.tags:
        pairs = {split: raw / f"{tag}.{split}.tsv" for split in ("train", "valid", "test")}
        if options.translated and tag != ENGLISH:
            pairs["train"] = options.translated / f"{tag}.train.tsv"
        texts = {split: raw / f"mono.{tag}.{split}" for split in ("train", "valid")}
        for kind, files in (("pairs", pairs), ("mono", {} if options.pairs_only else texts)):
            splits = [w for s, p in files.items() if p.is_file() for w in (f"--{s}", str(p))]
            command = [str(script), kind, "--backbone", str(options.backbone), "--lang", tag,
                       "--out", str(options.out / "data-bin"), "--workers", str(options.workers),
                       *splits]  # fmt: skip
            environment = {"PYTHON": sys.executable, **os.environ}
            if splits and subprocess.run(command, env=environment, check=False).returncode:
                sys.exit(1)  # it has said why


def check_translated(options: argparse.Namespace) -> None:
    """Check that the files of `--translated` have the rows of the English ones."""
    english = options.out / "raw" / f"{ENGLISH}.train.tsv"
    names = [row[0] for row in read_tsv(english, 4)]
    for tag in options.tags[1:]:
        path = options.translated / f"{tag}.train.tsv"
        remedy = f"preprocess/translate.sh --in {english} --out {path} makes it"
        if not path.is_file():
            raise LaftError(f"{path}: missing ({language(tag)}); {remedy}")
        rows = [row[0] for row in read_tsv(path, 4)]
        if rows != names:
            raise LaftError(f"{path}: {len(rows):,} rows that are not the {len(names):,} of "
                            f"{english} ({language(tag)}); {remedy}")  # fmt: skip


def usable_separator(layout: Layout, option: str | None, model: Any) -> str | None:
    """What stands between evidence and answer; None where there is no answer."""
    if not layout.has_answers:
        return None
    if option is not None and option.split() != [option]:
        raise LaftError(f"--separator {option!r}: one word or mark, without spaces")
    for mark in SEPARATORS if option is None else [option]:
        if encodes(model, mark):
            return mark
    marks = option or " ".join(SEPARATORS)
    raise LaftError(f"the backbone's sentencepiece model cannot encode {marks}: give --separator")


def parser(layout: Layout) -> argparse.ArgumentParser:
    """The command line; limits are XNLG's, counted in subwords of the backbone's model."""
    langs = ",".join(tag[:2] for tag in layout.languages)
    example = EXAMPLE.format(
        sides=",".join(layout.sides), langs=langs, suffix=layout.suffix, name=layout.name
    )
    top = command_parser(f"{layout.name}.sh", layout.about, example)
    evidence, answer, target = layout.limits
    add = top.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder of the files below")
    add("--backbone", type=Path, required=True, metavar="DIR",
        help="folder with sentence.bpe.model and dict.txt (and langs.txt)")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="gets raw/ and data-bin/")
    add("--targets", default=",".join(layout.languages[1:]), metavar="L,L",
        help="languages beside English (%(default)s)")  # fmt: skip
    add("--mono", default="sources", metavar="FROM",
        help="unlabelled text: sources (those of training), or a folder with mono.<tag>.txt or "
        "<tag>.txt, plain, .gz or .xz (%(default)s)")  # fmt: skip
    add("--pairs-only", action="store_true", help="binarise no unlabelled text")
    add("--translated", type=Path, metavar="DIR",
        help="translate-train: folder with <tag>.train.tsv, raw/en_XX.train.tsv as translate.sh "
        "translates it")  # fmt: skip
    top.set_defaults(max_evidence=evidence, max_answer=answer, separator=None)
    if layout.has_answers:
        add("--max-evidence", type=positive, default=evidence, metavar="N",
            help="subwords, longer is cut (%(default)s)")  # fmt: skip
        add("--max-answer", type=positive, default=answer, metavar="N",
            help="subwords, longer is cut (%(default)s)")  # fmt: skip
        add("--separator", metavar="MARK", help="between evidence and answer (the first of "
            f"{' '.join(SEPARATORS)} that the model can encode)")  # fmt: skip
    add("--max-target", dest="max_question", type=positive, default=target, metavar="N",
        help="subwords, longer is left out of training (%(default)s)")  # fmt: skip
    for split in ("valid", "test"):
        add(f"--{split}-items", type=positive, metavar="N", help="the first N items only")
    add("--workers", type=positive, default=1, metavar="N", help="processes that binarise (1)")
    return top


def main(layout: Layout, options: argparse.Namespace) -> None:
    """Check, write, binarise."""
    options.tags = [ENGLISH, *split_tags(options.targets, "--targets")]
    for tag in options.tags[1:]:
        if tag not in layout.languages[1:]:
            known = ", ".join(layout.languages[1:])
            raise LaftError(f"--targets {tag}: beside English, {layout.name} has {known}")
    model = load_model(options.backbone / "sentence.bpe.model")
    options.separator = usable_separator(layout, options.separator, model)
    options.limits = Limits.of(options, model)
    write_raw(layout, options, check(layout, options.data, options.tags))
    if options.translated:
        check_translated(options)
    binarize(options)


if __name__ == "__main__":
    chosen = LAYOUTS[sys.argv[1]]
    arguments = parser(chosen).parse_args(sys.argv[2:])
    sys.exit(run_command(chosen.name, lambda: main(chosen, arguments)))
