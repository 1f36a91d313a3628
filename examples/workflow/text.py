"""The text of a data set of package descriptions or questions, chosen in the order of a hash.

    python text.py NAME OUT --settings JSON

writes `OUT/<tag>.{train,valid,test}.tsv` (package, md5 of the English, source, target), the test's
two sides, `OUT/mono.<tag>.{train,valid}`, and OUT.json, what a result records of the data, last.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.files import lines, write_json

SHORT = {"zh_CN": "zh_CN"}  # as preprocess/ddtp.sh calls a language; others by their two letters
MONO_VALID = 50
HUMAN_PAIRS = 1000  # fewer do not make a training set
FEW_SHOT_SHARE = 0.2  # of a few-shot data set's pairs that are the target's, by repetition
PARAGRAPH = " ⏎ "  # between the paragraphs of a description
Pair = list[str]  # package, md5 of the English text, source, target


def file_of(folder: str | Path, lang: str, ending: str, prefix: str = "") -> Path | None:
    """Return a language's file in a folder, by either of its names; None if there is none."""
    names = (f"{prefix}{lang}", SHORT.get(lang, lang.split("_")[0]))
    paths = (Path(folder) / f"{name}.{ending}.xz" for name in names)
    return next((path for path in paths if path.exists()), None)


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Sort pairs by a hash, so that the first n are a fair sample."""
    return sorted(pairs, key=lambda pair: hashlib.sha256(f"tables {pair[1]}".encode()).hexdigest())


def read_tsv(path: Path) -> list[Pair]:
    """Return the pairs of a TSV file."""
    pairs = [line.split("\t") for line in lines(path)]
    if any(len(pair) != 4 for pair in pairs):
        raise LaftError(f"{path}: a line does not have 4 columns")
    return pairs


def read_pairs(folder: str, lang: str, split: str) -> list[Pair]:
    """Return all pairs of a language and split in the order of a hash; none without a file."""
    path = file_of(folder, lang, f"{split}.tsv")
    return in_order(read_tsv(path)) if path else []


def read_mono(folder: str, lang: str) -> list[str]:
    """Return monolingual lines, without what follows a tab (where a line is from)."""
    path = file_of(folder, lang, "txt", prefix="mono.")
    if path is None:
        raise LaftError(f"{folder}: no monolingual text in {lang} (mono.{lang}.txt.xz)")
    return [line.split("\t")[0] for line in lines(path)]


def write_lines(path: Path, texts: Iterable[str]) -> None:
    """Write a file, a line each."""
    text = "".join(f"{line}\n" for line in texts)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_pairs(folder: Path, lang: str, split: str, pairs: Sequence[Pair]) -> None:
    """Write pairs; of the test both sides as well. None at all is an error."""
    if not pairs:
        raise LaftError(f"no {split} pairs in {lang}")
    write_lines(folder / f"{lang}.{split}.tsv", ("\t".join(pair) for pair in pairs))
    if split == "test":
        write_lines(folder / f"{lang}.test.src", (pair[2] for pair in pairs))
        write_lines(folder / f"{lang}.test.tgt", (pair[3] for pair in pairs))


def write_english(folder: Path, lang: str, english: dict[str, str], keys: Sequence[str]) -> None:
    """Write the test's references in English, where every test item has one."""
    if all(key in english for key in keys):
        write_lines(folder / f"{lang}.test.english", (english[key] for key in keys))


def write_mono(folder: Path, lang: str, texts: Sequence[str]) -> None:
    """Write monolingual text, of which the last lines are for validation."""
    if len(texts) <= MONO_VALID:
        raise LaftError(f"{lang}: {len(texts)} monolingual lines, over {MONO_VALID} are needed")
    write_lines(folder / f"mono.{lang}.train", texts[:-MONO_VALID])
    write_lines(folder / f"mono.{lang}.valid", texts[-MONO_VALID:])


def english_pairs(settings: dict[str, Any], mono: dict[str, list[str]]) -> list[Pair]:
    """Return English pairs, none of which stands translated in a target's monolingual text."""
    translated = set()
    for lang in settings["targets"]:
        texts = set(mono[lang])
        translated |= {
            pair[1] for pair in read_pairs(settings["ddtp"], lang, "train")
            if not texts.isdisjoint([pair[2], *pair[2].split(PARAGRAPH)])
        }  # fmt: skip
    pairs = read_pairs(settings["ddtp"], settings["source"], "train")
    return [pair for pair in pairs if pair[1] not in translated][: settings["pairs"] or None]


def oracle(
    pairs: Sequence[Pair], english: Iterable[str], most: int
) -> tuple[list[Pair], dict[str, Any]]:
    """Return as many human pairs as translate-train has, translations of its English ones first."""
    known = set(english)
    first = [pair for pair in pairs if pair[1] in known]
    chosen = [*first, *(pair for pair in pairs if pair[1] not in known)][: most or None]
    return chosen, {"pairs": len(chosen), "translations": min(len(first), len(chosen))}


def few_shot(pairs: Sequence[Pair], english: int, count: int) -> tuple[list[Pair], dict[str, Any]]:
    """Return the first `count` pairs, repeated to a fifth of all, and what a result records."""
    if not 0 < count <= len(pairs):
        raise LaftError(f"{len(pairs)} human pairs, few-shot-{count} asks for {count}")
    times = max(1, round(FEW_SHOT_SHARE / (1 - FEW_SHOT_SHARE) * english / count))
    share = count * times / (english + count * times)
    return list(pairs[:count]) * times, {"pairs": count, "repeats": times, "share": round(share, 4)}


def headlines(settings: dict[str, Any], out: Path) -> None:
    """Annotated English, unlabelled text of the targets, and everybody's validation and test."""
    ddtp, source = settings["ddtp"], settings["source"]
    mono = {lang: read_mono(settings["mono"], lang) for lang in settings["langs"]}
    english = {pair[1]: pair[3] for pair in read_pairs(ddtp, source, "test")}
    write_pairs(out, source, "train", english_pairs(settings, mono))
    for lang in settings["langs"]:
        for split in ("valid", "test"):
            pairs = read_pairs(ddtp, lang, split)[: settings[f"{split}_items"] or None]
            write_pairs(out, lang, split, pairs)
        if lang != source:
            write_english(out, lang, english, [pair[1] for pair in pairs])
        write_mono(out, lang, mono[lang])


def parallel(settings: dict[str, Any], out: Path) -> None:
    """The test items that exist in every language, line by line."""
    pairs = {lang: {pair[1]: pair for pair in read_pairs(settings["ddtp"], lang, "test")}
             for lang in settings["langs"]}  # fmt: skip
    shared = set.intersection(*(set(by_md5) for by_md5 in pairs.values()))
    for lang, by_md5 in pairs.items():
        write_pairs(out, lang, "test", in_order(by_md5[md5] for md5 in shared))


def questions(settings: dict[str, Any], out: Path, mono: bool) -> None:
    """Pairs that preprocess/qg.sh has made, cut to so many items."""
    most = {"train": settings["pairs"], "valid": settings["valid_items"],
            "test": settings["test_items"]}  # fmt: skip
    folder, source = Path(settings["questions"]), settings["source"]
    asked = folder / f"{source}.test.tsv"
    english = {pair[0]: pair[3] for pair in read_tsv(asked)} if asked.exists() else {}
    for path in sorted(folder.glob("*.*.tsv")):
        lang, split, _ = path.name.split(".")
        if lang not in settings["langs"] or split not in most:
            continue
        pairs = read_tsv(path)[: most[split] or None]
        write_pairs(out, lang, split, pairs)
        if split == "test" and lang != source:
            write_english(out, lang, english, [pair[0] for pair in pairs])
    for lang in settings["langs"] if mono else ():
        write_mono(out, lang, read_mono(settings["mono"], lang))


def human(settings: dict[str, Any], out: Path, kind: str, lang: str) -> dict[str, Any]:
    """Human training pairs of a target: all, as many as there are English ones, or a few."""
    pairs, recorded = read_pairs(settings["ddtp"], lang, "train"), dict[str, Any]()
    if len(pairs) < HUMAN_PAIRS:
        raise LaftError(f"{settings['ddtp']}: {len(pairs)} human training pairs in {lang}, "
                        f"{HUMAN_PAIRS} are needed; take {kind} out of the settings")  # fmt: skip
    if kind != "human":
        english = read_tsv(out.parent / "zero-shot" / f"{settings['source']}.train.tsv")
        if kind == "oracle":
            pairs, recorded = oracle(pairs, (pair[1] for pair in english), settings["pairs"])
        else:
            count = int(kind.removeprefix("few-shot-"))
            pairs, recorded = few_shot(pairs, len(english), count)
    write_pairs(out, lang, "train", pairs)
    return {"training_pairs": recorded} if recorded else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("--settings", type=json.loads, required=True)
    given = parser.parse_args()
    out, settings, recorded = given.out, given.settings, dict[str, Any]()
    out.mkdir(parents=True, exist_ok=True)
    try:
        if given.name == "parallel":
            parallel(settings, out)
        elif given.name == "questions" or settings["data"] == "qg":
            questions(settings, out, mono=given.name == "zero-shot")
        elif given.name == "zero-shot":
            headlines(settings, out)
        else:
            recorded = human(settings, out, *given.name.rsplit(".", 1))
        write_json(out.with_name(f"{out.name}.json"), recorded)
    except (LaftError, OSError) as error:
        sys.exit(f"{given.name}: {error}")


if __name__ == "__main__":
    main()
