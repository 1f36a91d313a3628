"""What `examples/own/run.sh data` runs first: a user's files, checked, and parted for validation.

    RAW/{train,valid}.tsv              source, target
    RAW/mono.<tag>.{train,valid}       plain text, a text a line
    RAW/made-from.json                 what they were made from

Wrong files end in one line that names the user's own file, its line and what to do about it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from binary_layout import digest
from text_files import DataError, one_line, read_lines
from vocabulary import known_languages

MOST_PAIRS, MOST_TEXTS = 500, 200  # for validation; a twentieth otherwise
LEAST = 20
PAIR = "a line is source, tab, target"


def find(folder: Path, name: str) -> Path | None:
    """The file of a name, plain, `.gz` or `.xz`.

    Raises:
        DataError: there are two.
    """
    found = [path for end in ("", ".gz", ".xz") if (path := folder / f"{name}{end}").is_file()]
    if len(found) > 1:
        raise DataError(f"{found[0]}: {found[1].name} is there too; take one of them away")
    return found[0] if found else None


def tell_unread(folder: Path, read: Iterable[Path]) -> None:
    """Say which files look like the user's data and are not read.

    Raises:
        DataError: a language's text among them, which would be missed after two trainings.
    """
    used = set(read)
    for path in sorted(folder.iterdir()):
        if path in used or not path.name.startswith(("mono.", "train.", "valid.")):
            continue
        if path.name.startswith("mono."):
            raise DataError(f"{path}: not read: a language's text is mono.<tag>.txt, plain, .gz or "
                            ".xz; give it that name, or take it away")  # fmt: skip
        print(f"own: {path.name}: not read; pairs are in train.tsv and valid.tsv, or .gz or .xz")


def pairs_of(path: Path) -> list[str]:
    """The pairs of a TSV file as lines, those without text aside; says how many these were.

    Raises:
        DataError: a line has not two columns, or no pair is left.
    """
    pairs, blank = [], []
    for number, line in enumerate(read_lines(path), 1):
        sides = [" ".join(side.split()) for side in line.split("\t")]
        if len(sides) != 2 and any(sides):
            columns = f"{len(sides)} column{'s' * (len(sides) > 1)}"
            raise DataError(f"{path}: line {number} has {columns}, not 2: {PAIR}")
        if len(sides) == 2 and all(sides):
            pairs.append("\t".join(sides))
        else:
            blank.append(number)
    tell_blank(path, blank)
    if not pairs:
        raise DataError(f"{path}: empty: {PAIR}")
    return pairs


def texts_of(path: Path) -> list[str]:
    """The texts of a file, blank lines aside; says how many these were."""
    lines = [" ".join(line.split()) for line in read_lines(path)]
    tell_blank(path, [number for number, line in enumerate(lines, 1) if not line])
    return [line for line in lines if line]


def tell_blank(path: Path, numbers: list[int]) -> None:
    """Say which lines were left out, the first few of them."""
    if numbers:
        some = ", ".join(map(str, numbers[:3])) + (", ..." if len(numbers) > 3 else "")
        kind = "with an empty side" if ".tsv" in path.suffixes else "without text"
        print(f"own: {path.name}: {len(numbers):,} lines {kind} left out: {some}")


def parted(lines: list[str], most: int, path: Path) -> tuple[list[str], list[str]]:
    """All but the last twentieth, and that, `most` lines at most.

    Raises:
        DataError: there are too few.
    """
    if len(lines) < LEAST:
        raise DataError(f"{path}: {len(lines)} lines; at least {LEAST} are needed, of which the "
                        "last twentieth is for validation")  # fmt: skip
    held = min(len(lines) // LEAST, most)
    return lines[:-held], lines[-held:]


def check_tags(tags: list[str], langs: Path, new: list[str]) -> None:
    """The backbone knows every language, or it is a new one; the first tag is SOURCE.

    Without `langs.txt` the languages are mBART-cc25's.

    Raises:
        DataError: it does not, or a new one is no new one; the line says what may have been meant.
    """
    known, where = known_languages(langs)
    for tag in new:
        if tag in known:
            raise DataError(f"NEW_LANGS: {tag} is a language of {where}; leave it out")
    for tag in tags:
        if tag in known or tag in new:
            continue
        named = f"SOURCE={tag}" if tag == tags[0] else f"mono.{tag}.txt"
        like = [one for one in known if one.split("_")[0] == tag.split("_")[0].lower()]
        meant = named.replace(tag, like[0]) if like else ""
        remedy = f"call it {meant}" if meant else f"NEW_LANGS={tag} adds it to the backbone's"
        raise DataError(f"{named}: {tag} is not among {', '.join(known)} of {where}; {remedy}")


def gather(folder: Path, tags: list[str]) -> dict[str, Path]:
    """The user's files by what they are for.

    Raises:
        DataError: there are no pairs, a language has no text, or a text no language.
    """
    train = find(folder, "train.tsv")
    if train is None:
        raise DataError(f"{folder}/train.tsv: missing: {PAIR}")
    names = {"valid": "valid.tsv"} | {tag: f"mono.{tag}.txt" for tag in tags}
    found = {key: find(folder, name) for key, name in names.items()}
    for tag in tags[1:]:
        if found[tag] is None:
            raise DataError(f"{folder}/mono.{tag}.txt: missing")
    files = {"train": train} | {key: path for key, path in found.items() if path is not None}
    tell_unread(folder, files.values())
    return files


def write(path: Path, lines: Iterable[str]) -> None:
    """Write a line each."""
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(f"{line}\n" for line in lines)


def make(files: dict[str, Path], tags: list[str], work: Path) -> None:
    """Write all texts into the work folder, and say how many there are of each."""
    pairs = pairs_of(files["train"])
    if "valid" in files:
        train, valid = pairs, pairs_of(files["valid"])
    else:
        train, valid = parted(pairs, MOST_PAIRS, files["train"])
    parts = {tag: parted(texts_of(files[tag]), MOST_TEXTS, files[tag])
             for tag in tags if tag in files}  # fmt: skip
    if tags[0] not in parts:  # the pairs' own texts
        sources = [pair.split("\t")[0] for pair in pairs]
        parts[tags[0]] = parted(sources, MOST_TEXTS, files["train"])
    write(work / "train.tsv", train)
    write(work / "valid.tsv", valid)
    print(f"own: {tags[0]}: {len(train):,} pairs, {len(valid):,} more for validation")
    for tag in tags:
        for split, texts in zip(("train", "valid"), parts[tag], strict=True):
            write(work / f"mono.{tag}.{split}", texts)
        counts = " texts, {:,} more for validation, of {}".format
        name = files.get(tag, files["train"]).name
        print(f"own: {tag}: {len(parts[tag][0]):,}{counts(len(parts[tag][1]), name)}")


def prepare(options: argparse.Namespace) -> None:
    """Make RAW, unless it is there from the same files.

    Raises:
        DataError: a file is wrong, or RAW was made from others.
    """
    new = [tag for tag in options.new_langs.split(",") if tag]
    check_tags(options.langs, options.backbone / "langs.txt", new)
    files = gather(options.folder, options.langs)
    made = {"langs": options.langs, **{path.name: digest(path) for path in files.values()}}
    told = options.raw / "made-from.json"
    if told.is_file() and (options.raw.parent / "data-bin" / "done").is_file():
        before = json.loads(told.read_text(encoding="utf-8"))
        other = [name for name in sorted({*before, *made}) if before.get(name) != made.get(name)]
        if other:
            raise DataError(f"{options.raw} was made from other {', '.join(other)}: "
                            f"remove {options.raw.parent}, or name another OUT")  # fmt: skip
        return
    work = options.raw.with_name("raw.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        make(files, options.langs, work)
        write(work / told.name, [json.dumps(made)])
        shutil.rmtree(options.raw, ignore_errors=True)
        work.replace(options.raw)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> int:
    """Check and write; an input error is one line."""
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("--folder", type=Path, required=True, help="the user's files")
    top.add_argument("--backbone", type=Path, required=True, help="folder with langs.txt")
    top.add_argument("--langs", nargs="+", required=True, help="tags, the pairs' language first")
    top.add_argument("--new-langs", default="", help="tags that the backbone does not know")
    top.add_argument("--raw", type=Path, required=True, help="folder to write")
    try:
        prepare(top.parse_args())
    except (DataError, OSError) as error:
        print(f"own: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
