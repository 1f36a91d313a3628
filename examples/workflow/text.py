"""The text of a data set of package descriptions or questions, chosen in the order of a hash.

    python text.py NAME OUT --settings JSON

writes `OUT/<tag>.{train,valid,test}.tsv` (package, md5 of the English, source, target), the test's
two sides, `OUT/mono.<tag>.{train,valid}`, and OUT.json, with counts, last.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from command import write_json

SHORT = {"zh_CN": "zh_CN"}  # as preprocess/ddtp.sh calls a language; others by their two letters
MONO_VALID = 50
HUMAN_PAIRS = 1000  # fewer do not make a training set
FEW_SHOT_SHARE = 0.2  # of a few-shot data set's pairs that are the target's, by repetition
PARAGRAPH = " ⏎ "  # between the paragraphs of a description
Row = list[str]  # package, md5 of the English text, source, target


def file_of(folder: str | Path, lang: str, ending: str, prefix: str = "") -> Path | None:
    """Return a language's file in a folder, by either of its names; None if there is none."""
    names = (f"{prefix}{lang}", SHORT.get(lang, lang.split("_")[0]))
    paths = (Path(folder) / f"{name}.{ending}.xz" for name in names)
    return next((path for path in paths if path.exists()), None)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort rows by a hash, so that the first n are a fair sample."""
    return sorted(rows, key=lambda row: hashlib.sha256(f"tables {row[1]}".encode()).hexdigest())


def read_pairs(folder: str, lang: str, split: str) -> list[Row]:
    """Return all pairs of a language and split in the order of a hash; none without a file."""
    path = file_of(folder, lang, f"{split}.tsv")
    if path is None:
        return []
    try:
        with lzma.open(path, "rt", encoding="utf-8", newline="\n") as handle:
            rows = [line.rstrip("\n").split("\t") for line in handle]
    except (lzma.LZMAError, EOFError, UnicodeError) as error:
        raise ValueError(f"{path}: damaged ({error})") from error
    if any(len(row) != 4 for row in rows):
        raise ValueError(f"{path}: a row does not have 4 columns")
    return in_order(rows)


def read_mono(folder: str, lang: str) -> list[str]:
    """Return monolingual lines, without what follows a tab (where a line is from)."""
    path = file_of(folder, lang, "txt", prefix="mono.")
    if path is None:
        raise ValueError(f"{folder}: no monolingual text in {lang} (mono.{lang}.txt.xz)")
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as handle:
        return [line.rstrip("\n").split("\t")[0] for line in handle]


def read_tsv(path: Path) -> list[Row]:
    """Return the rows of a plain TSV file, parted by line feeds alone."""
    text = path.read_text(encoding="utf-8")
    return [line.split("\t") for line in text.removesuffix("\n").split("\n")] if text else []


def english_pairs(settings: dict[str, Any], mono: dict[str, list[str]]) -> list[Row]:
    """Return English pairs, none of which stands translated in a target's monolingual text."""
    translated = set()
    for lang in settings["targets"]:
        lines = set(mono[lang])
        translated |= {
            row[1] for row in read_pairs(settings["ddtp"], lang, "train")
            if row[2] in lines or any(part in lines for part in row[2].split(PARAGRAPH))
        }  # fmt: skip
    rows = read_pairs(settings["ddtp"], settings["source"], "train")
    return [row for row in rows if row[1] not in translated][: settings["pairs"] or None]


def oracle(
    rows: Sequence[Row], english: Iterable[str], most: int
) -> tuple[list[Row], dict[str, Any]]:
    """Return as many human pairs as translate-train has, translations of its English ones first."""
    known = set(english)
    first = [row for row in rows if row[1] in known]
    chosen = [*first, *(row for row in rows if row[1] not in known)][: most or None]
    return chosen, {"pairs": len(chosen), "translations": min(len(first), len(chosen))}


def few_shot(rows: Sequence[Row], english: int, count: int) -> tuple[list[Row], dict[str, Any]]:
    """Return the first `count` pairs, repeated to a fifth of all, and what a result records."""
    if not 0 < count <= len(rows):
        raise ValueError(f"{len(rows)} human pairs, few-shot-{count} asks for {count}")
    times = max(1, round(FEW_SHOT_SHARE / (1 - FEW_SHOT_SHARE) * english / count))
    share = count * times / (english + count * times)
    return list(rows[:count]) * times, {"pairs": count, "repeats": times, "share": round(share, 4)}


class Folder:
    """The folder of a data set's text, and the counts of what was written."""

    def __init__(self, path: Path) -> None:
        self.path, self.counts = path, dict[str, int]()
        path.mkdir(parents=True, exist_ok=True)

    def lines(self, name: str, lines: Iterable[str]) -> None:
        """Write a file, a line each."""
        text = "".join(f"{line}\n" for line in lines)
        (self.path / name).write_text(text, encoding="utf-8", newline="\n")

    def pairs(self, lang: str, split: str, rows: Sequence[Row]) -> None:
        """Write pairs; of the test both sides as well. None at all is an error."""
        self.counts[f"{lang}.{split}"] = len(rows)
        if not rows:
            raise ValueError(f"no {split} pairs in {lang}")
        self.lines(f"{lang}.{split}.tsv", ("\t".join(row) for row in rows))
        if split == "test":
            self.lines(f"{lang}.test.src", (row[2] for row in rows))
            self.lines(f"{lang}.test.tgt", (row[3] for row in rows))

    def mono(self, lang: str, lines: Sequence[str]) -> None:
        """Write monolingual text, of which the last lines are for validation."""
        self.counts[f"{lang}.mono"] = len(lines) - MONO_VALID
        if len(lines) <= MONO_VALID:
            raise ValueError(
                f"{lang}: {len(lines)} monolingual lines, over {MONO_VALID} are needed"
            )
        self.lines(f"mono.{lang}.train", lines[:-MONO_VALID])
        self.lines(f"mono.{lang}.valid", lines[-MONO_VALID:])


def headlines(settings: dict[str, Any], out: Folder) -> None:
    """Annotated English, unlabelled text of the targets, and everybody's validation and test."""
    ddtp, source = settings["ddtp"], settings["source"]
    mono = {lang: read_mono(settings["mono"], lang) for lang in settings["langs"]}
    english = {row[1]: row[3] for row in read_pairs(ddtp, source, "test")}
    out.pairs(source, "train", english_pairs(settings, mono))
    for lang in settings["langs"]:
        rows = read_pairs(ddtp, lang, "test")[: settings["test_items"] or None]
        out.pairs(lang, "test", rows)
        out.pairs(lang, "valid", read_pairs(ddtp, lang, "valid")[: settings["valid_items"] or None])
        if lang != source and all(row[1] in english for row in rows):
            out.lines(f"{lang}.test.english", (english[row[1]] for row in rows))
        out.mono(lang, mono[lang])


def parallel(settings: dict[str, Any], out: Folder) -> None:
    """The test items that exist in every language, line by line."""
    rows = {lang: {row[1]: row for row in read_pairs(settings["ddtp"], lang, "test")}
            for lang in settings["langs"]}  # fmt: skip
    shared = set.intersection(*(set(found) for found in rows.values()))
    for lang, found in rows.items():
        out.pairs(lang, "test", in_order(found[md5] for md5 in shared))


def questions(settings: dict[str, Any], out: Folder, mono: bool) -> None:
    """Pairs that preprocess/qg.sh has made, cut to so many items."""
    most = {"train": settings["pairs"], "valid": settings["valid_items"],
            "test": settings["test_items"]}  # fmt: skip
    folder, source = Path(settings["questions"]), settings["source"]
    asked = folder / f"{source}.test.tsv"
    english = {row[0]: row[3] for row in read_tsv(asked)} if asked.exists() else {}
    for path in sorted(folder.glob("*.*.tsv")):
        lang, split, _ = path.name.split(".")
        if lang not in settings["langs"] or split not in most:
            continue
        rows = read_tsv(path)[: most[split] or None]
        out.pairs(lang, split, rows)
        if split == "test" and lang != source and all(row[0] in english for row in rows):
            out.lines(f"{lang}.test.english", (english[row[0]] for row in rows))
    for lang in settings["langs"] if mono else ():
        out.mono(lang, read_mono(settings["mono"], lang))


def human(settings: dict[str, Any], out: Folder, kind: str, lang: str) -> dict[str, Any]:
    """Human training pairs of a target: all, as many as there are English ones, or a few."""
    rows, told = read_pairs(settings["ddtp"], lang, "train"), dict[str, Any]()
    if len(rows) < HUMAN_PAIRS:
        raise ValueError(f"{settings['ddtp']}: {len(rows)} human training pairs in {lang}, "
                         f"{HUMAN_PAIRS} are needed; take {kind} out of the settings")  # fmt: skip
    if kind != "human":
        english = read_tsv(out.path.parent / "zero-shot" / f"{settings['source']}.train.tsv")
        if kind == "oracle":
            rows, told = oracle(rows, (row[1] for row in english), settings["pairs"])
        else:
            rows, told = few_shot(rows, len(english), int(kind.removeprefix("few-shot-")))
    out.pairs(lang, "train", rows)
    return {"training_pairs": told} if told else {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("--settings", type=json.loads, required=True)
    given = parser.parse_args()
    out, settings, told = Folder(given.out), given.settings, dict[str, Any]()
    try:
        if given.name == "parallel":
            parallel(settings, out)
        elif given.name == "questions" or settings["data"] == "qg":
            questions(settings, out, mono=given.name == "zero-shot")
        elif given.name == "zero-shot":
            headlines(settings, out)
        else:
            told = human(settings, out, *given.name.rsplit(".", 1))
    except (ValueError, OSError) as error:
        print(f"{given.name}: {error}", file=sys.stderr)
        return 1
    write_json(given.out.with_name(f"{given.out.name}.json"), out.counts | told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
