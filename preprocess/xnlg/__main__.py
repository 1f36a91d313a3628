"""What `xgiga.sh` and `xqg.sh` run: the XNLG project's files -> text, pairs and `data-bin`.

    OUT/raw/<tag>.{train,valid,test}.tsv     name, answer, source, target; train in English only
    OUT/raw/<tag>.test.{src,tgt}             the test at full length, for scoring
    OUT/raw/mono.<tag>.{train,valid}         unlabelled text
    OUT/raw/provenance.json                  files, choices, counts, items not taken as they stood
    OUT/translated.json                      digests of the translated pairs, where there are any
    OUT/data-bin/                            all of it, binarised

Text is detokenised and keeps its case. OUT/raw is renamed into place when it is whole.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from binary_layout import digest
from detokenize import detokenizer
from qg_evidence import Item, Report
from qg_limits import limited, tokens_of
from text_files import DataError, one_line, read_lines
from xnlg_layout import LANGUAGES, LAYOUTS, SPLITS, Counts, Layout, check, notes
from xnlg_options import parser, tags_of, usable_separator
from xnlg_translated import check_translated, keep_translated

ENGLISH = "en_XX"
FORMAT = "laft-xnlg/1"


def read_items(layout: Layout, folder: Path, split: str, tag: str) -> list[Item]:
    """All items of a split, detokenised; where there is no answer side, the answer is empty."""
    join = detokenizer(LANGUAGES[tag][0])
    items = []
    for number, sides in enumerate(layout.items(folder, split, tag), 1):
        texts = [join(side) for side in sides]
        answer = texts[1] if len(texts) > 2 else ""
        items.append(Item(f"{split}-{number}", texts[0], answer, texts[-1]))
    return items


def blank(layout: Layout, item: Item) -> bool:
    """Whether a side of the item is empty."""
    return not (item.evidence and item.question and (item.answer or len(layout.sides) == 2))


def source_of(item: Item, separator: str | None) -> str:
    """Evidence and answer, or the text alone."""
    if separator is None:
        return item.evidence
    return f"{item.evidence} {separator} {item.answer}".strip()


def write_split(layout: Layout, options: argparse.Namespace, split: str, tag: str, work: Path,
                ) -> dict[str, Any]:  # fmt: skip
    """Write one split's TSV file, of the test both sides too; return what there is to tell."""
    test = split == "test"
    items = read_items(layout, options.data, split, tag)
    empty = [item.name for item in items if blank(layout, item)]
    if not test:
        items = [item for item in items if not blank(layout, item)]
    wanted = {"dev": options.valid_items, "test": options.test_items}.get(split)
    whole, report = items[:wanted], Report()
    kept = limited(whole, options, options.count, split == "train", report)
    if not kept:
        raise DataError(f"{options.data}: {split} in {LANGUAGES[tag][1]} ({tag}): no item is left; "
                        f"raise --max-target, or {layout.remedy}")  # fmt: skip
    mark = options.separator
    rows = ("\t".join([i.name, i.answer, source_of(i, mark), i.question]) for i in kept)
    write_lines(work / f"{tag}.{SPLITS[split]}.tsv", rows)
    if test:
        write_lines(work / f"{tag}.test.src", (source_of(item, mark) for item in whole))
        write_lines(work / f"{tag}.test.tgt", (item.question for item in whole))
    return {
        "items": len(kept),
        "empty_kept" if test else "empty_left_out": empty,
        "source_cut": sorted({*report.cut_evidence, *report.cut_answer}, key=_number),
        "target_too_long": report.long_question,
    }


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def unlabelled(layout: Layout, options: argparse.Namespace, tag: str) -> list[str]:
    """A language's texts, each once: those of its training sources, or of a file of `--mono`."""
    if options.mono == "sources":
        join = detokenizer(LANGUAGES[tag][0])
        lines = read_lines(layout.path(options.data, "train", layout.sides[0], tag))
        texts = (join(line) for line in lines)
    else:
        texts = (" ".join(line.split()) for line in read_lines(mono_file(options.mono, tag)))
    return list(dict.fromkeys(text for text in texts if text))


def mono_file(folder: str, tag: str) -> Path:
    """The file of a language in `--mono`."""
    ends = (".xz", ".gz", "")
    names = [f"{stem}{tag}.txt{end}" for stem in ("mono.", "") for end in ends]
    for name in names:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise DataError(f"{folder}: no text in {LANGUAGES[tag][1]}: {' or '.join(names)}; "
                    "--mono sources takes the training sources")  # fmt: skip


def write_mono(layout: Layout, options: argparse.Namespace, tag: str, work: Path) -> dict[str, Any]:
    """Write a language's unlabelled text; its last texts, at most a tenth, are for validation."""
    texts = unlabelled(layout, options, tag)
    if len(texts) < 2:
        raise DataError(f"--mono {options.mono}: {len(texts)} different texts in "
                        f"{LANGUAGES[tag][1]} ({tag}), two are needed")  # fmt: skip
    held = min(options.mono_valid, max(1, len(texts) // 10))
    write_lines(work / f"mono.{tag}.train", texts[:-held])
    write_lines(work / f"mono.{tag}.valid", texts[-held:])
    return {"train": len(texts) - held, "valid": held}


def write_lines(path: Path, lines: Any) -> None:
    """Write a line each."""
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(f"{line}\n" for line in lines)


def identity(layout: Layout, options: argparse.Namespace) -> dict[str, Any]:
    """What the text is made from and how: the same gives the same `raw`."""
    files = [layout.path(options.data, split, side, tag)
             for tag in options.tags for split in SPLITS for side in layout.sides]  # fmt: skip
    if options.mono != "sources":
        files += [mono_file(options.mono, tag) for tag in options.tags]
    chosen = ("separator", "max_evidence", "max_answer", "max_question", "valid_items",
              "test_items", "mono_valid")  # fmt: skip
    return {
        "format": FORMAT,
        "data": layout.name,
        "languages": options.tags,
        "mono": "sources" if options.mono == "sources" else "files",
        "files": {path.name: digest(path) for path in files},
        "spm": digest(options.spm),
        **{name: getattr(options, name) for name in chosen},
    }


def write_raw(layout: Layout, options: argparse.Namespace, counts: Counts) -> None:
    """Make `OUT/raw`, unless it is there from the same files and choices; say what was done.

    Raises:
        DataError: it is there from others.
    """
    raw, made = options.out / "raw", identity(layout, options)
    if raw.is_dir():
        told = json.loads((raw / "provenance.json").read_text(encoding="utf-8"))
        if {name: told.get(name) for name in made} != made:
            raise DataError(f"{raw} was made from other files or with other options; "
                            "name another --out, or remove it")  # fmt: skip
        print(f"{layout.name}: {raw}: up to date")
        return
    work = raw.with_name("raw.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    splits: dict[str, Any] = {}
    for tag in options.tags:
        for split in SPLITS if tag == ENGLISH else ("dev", "test"):
            splits[f"{tag}.{SPLITS[split]}"] = write_split(layout, options, split, tag, work)
    texts = {tag: write_mono(layout, options, tag, work) for tag in options.tags}
    told = {**made, "counts": counts, "notes": list(notes(layout, options.data, counts)),
            "splits": splits, "texts": texts}  # fmt: skip
    text = json.dumps(told, indent=1, ensure_ascii=False)
    (work / "provenance.json").write_text(f"{text}\n", encoding="utf-8")
    work.replace(raw)
    print("\n".join(summary(layout, told)))


def summary(layout: Layout, told: dict[str, Any]) -> Iterator[str]:
    """What a person has to know of a new `raw`, a line each."""
    for tag, splits in told["counts"].items():
        shown = ", ".join(f"{split} {count:,}" for split, count in splits.items())
        yield f"{layout.name}: {tag}: {shown} items, aligned"
    yield from (f"{layout.name}: note: {note}" for note in told["notes"])
    words = {
        "empty_left_out": "left out, an empty side",
        "empty_kept": "with an empty side, kept",
        "source_cut": "with a source cut to the limit",
        "target_too_long": "left out, target over the limit",
    }
    for name, split in told["splits"].items():
        for kind, said in words.items():
            if split.get(kind):
                yield f"{layout.name}: {name}: {len(split[kind]):,} items {said}"
    where = {"sources": "the training sources", "files": "--mono"}.get(told["mono"])
    for tag, text in told["texts"].items():
        yield f"{layout.name}: {tag}: {text['train']:,} + {text['valid']:,} texts from {where}"


def binarize(options: argparse.Namespace) -> bool:
    """Run `binarize.sh` on everything; what is in place already, it leaves alone."""
    raw, script = options.out / "raw", Path(__file__).with_name("binarize.sh")
    environment = {"PYTHON": sys.executable, **os.environ}
    for tag in options.tags:
        pairs = {split: raw / f"{tag}.{split}.tsv" for split in ("train", "valid", "test")}
        if options.translated and tag != ENGLISH:
            pairs["train"] = options.translated / f"{tag}.train.tsv"
        texts = {split: raw / f"mono.{tag}.{split}" for split in ("train", "valid")}
        for kind, files in (("pairs", pairs), ("mono", {} if options.pairs_only else texts)):
            given = [w for s, p in files.items() if p.is_file() for w in (f"--{s}", str(p))]
            command = [str(script), kind, "--backbone", str(options.backbone), "--lang", tag,
                       "--out", str(options.out / "data-bin"), "--workers", str(options.workers),
                       *given]  # fmt: skip
            if given and subprocess.run(command, env=environment, check=False).returncode:
                return False
    return True


def main(arguments: list[str]) -> int:
    """Check, write, binarise; an input error is one line."""
    layout = LAYOUTS[arguments[0]]
    options = parser(layout).parse_args(arguments[1:])
    try:
        options.tags = tags_of(layout, options.targets)
        options.spm = options.backbone / "sentence.bpe.model"
        if not options.spm.is_file():
            raise DataError(f"{options.spm}: missing; --backbone names the backbone's folder")
        options.separator = usable_separator(layout, options)
        options.count = tokens_of(options)
        write_raw(layout, options, check(layout, options.data, options.tags))
        if options.translated:
            check_translated(options)
            keep_translated(options)
    except (DataError, OSError) as error:
        print(f"{layout.name}: {one_line(error)}", file=sys.stderr)
        return 1
    return 0 if binarize(options) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
