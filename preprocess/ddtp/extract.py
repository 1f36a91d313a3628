"""Cut a modest extract from the full DDTP set: pairs, a parallel test, monolingual lines."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ddtp_index import Text
from text_files import (
    PARAGRAPH,
    DataError,
    han_share,
    is_cjk,
    read_lines,
    read_tsv,
    shingles,
    stable_hash,
    write_xz,
)

TAGS = {"en": "en_XX", "fr": "fr_XX", "zh_CN": "zh_CN", "de": "de_DE"}
MONO_SOURCES = (
    "shipped",
    "debian-handbook",
    "installation-guide",
    "debian-reference",
    "gnome-user-docs",
    "wesnoth",
    "linux-doc",
)
SHARE_WITH_HELD_OUT = 0.5
_SENTENCE_START = re.compile(r"[\w“《（「『(](?![，、])")
_SENTENCE_END = re.compile(r"[.!?。！？…][)”»」』\"')]*$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]|%[sdu]")

Rows = dict[str, list[Text]]


def read_split(folder: Path, langs: Sequence[str], split: str) -> Rows:
    """The rows of one split, {lang: rows}, in the order of a hash of the md5."""
    rows = {}
    for lang in langs:
        found = (Text(*row) for row in read_tsv(folder / f"{lang}.{split}.tsv.xz", 4))
        rows[lang] = sorted(found, key=lambda text: stable_hash("extract", text.md5))
    return rows


def most_parallel(rows: Rows, cap: int) -> Rows:
    """At most `cap` rows a language, those that exist in most languages first."""
    count = Counter(text.md5 for lang in rows for text in rows[lang])
    return {
        lang: sorted(rows[lang], key=lambda text: -count[text.md5])[: cap or None] for lang in rows
    }


def parallel(rows: Rows) -> Rows:
    """The rows that exist in every language, in one order."""
    shared = set.intersection(*({text.md5 for text in rows[lang]} for lang in rows))
    return {lang: [text for text in rows[lang] if text.md5 in shared] for lang in rows}


class HeldOut:
    """The valid and test texts of one language, to keep out of everything that trains."""

    def __init__(self, texts: Iterable[Text]) -> None:
        """Remember every line of the texts and their shingles."""
        self.lines: set[str] = set()
        self.shingles: set[str] = set()
        for text in texts:
            self.lines |= {text.synopsis, text.description, *text.description.split(PARAGRAPH)}
            self.shingles |= shingles(text.description)

    def share(self, line: str) -> float:
        """The share of a line's shingles that stand in a held-out text."""
        own = shingles(line)
        return len(own & self.shingles) / len(own) if own else 0.0

    def holds(self, line: str) -> bool:
        """Whether a line is a held-out one, or shares half of its shingles with them."""
        return line in self.lines or self.share(line) >= SHARE_WITH_HELD_OUT


def read_mono(folder: Path, lang: str) -> Iterator[tuple[str, str]]:
    """Yield (text, source) from `{lang}.txt.xz`, or from an extract's `mono.{tag}.txt.xz`."""
    path = folder / f"{lang}.txt.xz"
    if path.is_file():
        for line in read_lines(path):
            text, _, source = line.rpartition("\t")
            yield text.strip(), source
    else:
        for line in read_lines(folder / f"mono.{TAGS[lang]}.txt.xz"):
            yield line, "shipped"


def clean(text: str, lang: str) -> bool:
    """Whether a monolingual line is a whole sentence or more, in its language, without codes."""
    if not _SENTENCE_START.match(text) or not _SENTENCE_END.search(text) or _CONTROL.search(text):
        return False
    if is_cjk(text):
        return lang == "zh_CN" and len(text) >= 20 and han_share(text) >= 0.6
    return lang != "zh_CN" and len(text) >= 80


def mono_lines(
    lang: str, own: Sequence[Text], seen: set[str], folder: Path | None, limit: int
) -> Iterator[tuple[str, str]]:
    """Yield (line, source): descriptions, those not `seen` elsewhere first, then other sources."""
    for text in sorted(own, key=lambda text: text.md5 in seen):
        yield text.description, "ddtp"
    if folder is None or byte_size(text.description for text in own) >= limit > 0:
        return
    found = [(t, s) for t, s in read_mono(folder, lang) if s in MONO_SOURCES and clean(t, lang)]
    found.sort(key=lambda pair: (MONO_SOURCES.index(pair[1]), stable_hash("mono", pair[0])))
    yield from found


def take(
    lines: Iterable[tuple[str, str]], held_out: HeldOut, limit: int
) -> tuple[list[str], Counter[str]]:
    """Take new lines up to `limit` bytes; count them by source, and the held-out ones left out."""
    taken: dict[str, None] = {}
    counts: Counter[str] = Counter()
    size = 0
    for line, source in lines:
        if line in taken:
            continue
        if held_out.holds(line):
            counts["held out"] += 1
            continue
        size += byte_size([line])
        if limit and size > limit:
            break
        taken[line] = None
        counts[source] += 1
    return list(taken), counts


def without_held_out(rows: Sequence[Text], held_out: HeldOut) -> list[Text]:
    """Training pairs of which neither description nor synopsis is held out."""
    fresh = (text for text in rows if text.synopsis not in held_out.lines)
    return [text for text in fresh if not held_out.holds(text.description)]


def choose_pairs(train: Rows, count: int, mono_bytes: int) -> list[Text]:
    """English pairs; last those that a language translates whose every description is needed."""
    needed = {
        text.md5
        for lang in train
        if lang != "en" and byte_size(text.description for text in train[lang]) < mono_bytes
        for text in train[lang]
    }
    return sorted(train["en"], key=lambda text: text.md5 in needed)[: count or None]


def byte_size(lines: Iterable[str]) -> int:
    """The size of lines in a file."""
    return sum(len(line.encode("utf-8")) + 1 for line in lines)


def write_pairs(out: Path, split: str, rows: Rows, langs: Sequence[str]) -> None:
    """Write `{tag}.{split}.tsv.xz` for some languages and print the counts."""
    for lang in langs:
        name = f"{TAGS[lang]}.{split}.tsv.xz"
        print(f"{name}: {write_xz(out / name, (text.row() for text in rows[lang])):,} pairs")


def extract(options: argparse.Namespace) -> None:
    """Write the extract's files and print what each holds."""
    langs = options.langs.split(",")
    unknown = [lang for lang in langs if lang not in TAGS]
    if unknown or langs[0] != "en":
        raise DataError(f"--langs {options.langs}: en first, then any of {', '.join(TAGS)}")
    train, valid, test = (read_split(options.ddtp, langs, s) for s in ("train", "valid", "test"))
    held_out = {lang: HeldOut([*valid[lang], *test[lang]]) for lang in langs}
    train = {lang: without_held_out(train[lang], held_out[lang]) for lang in langs}
    pairs = choose_pairs(train, options.pairs, options.mono_bytes)
    write_pairs(options.out, "train", {"en": pairs}, ["en"])
    chosen = most_parallel(valid, options.valid)
    targets = {lang: chosen[lang][: options.valid_target or None] for lang in langs[1:]}
    write_pairs(options.out, "valid", {"en": chosen["en"], **targets}, langs)
    write_pairs(options.out, "test", parallel(test), langs)
    write_mono(options, train, pairs, held_out)


def write_mono(
    options: argparse.Namespace,
    train: Rows,
    pairs: Sequence[Text],
    held_out: Mapping[str, HeldOut],
) -> None:
    """Write `mono.{tag}.txt.xz`, rarest language first, so that no line translates another."""
    seen = {text.md5 for text in pairs}
    for lang in sorted(train, key=lambda lang: len(train[lang])):
        lines = mono_lines(lang, train[lang], seen, options.mono, options.mono_bytes)
        taken, counts = take(lines, held_out[lang], options.mono_bytes)
        name = f"mono.{TAGS[lang]}.txt.xz"
        write_xz(options.out / name, sorted(taken, key=lambda line: stable_hash("order", line)))
        by_description = {text.description: text.md5 for text in train[lang]}
        seen |= {by_description[line] for line in taken if line in by_description}
        sources = ", ".join(f"{source} {count:,}" for source, count in counts.items())
        print(f"{name}: {len(taken):,} lines, {byte_size(taken):,} bytes ({sources})")


def add_extract_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `ddtp.py extract`."""
    command.add_argument("--ddtp", type=Path, required=True, help="folder that `build` wrote")
    command.add_argument("--out", type=Path, required=True, help="folder for the extract")
    command.add_argument(
        "--mono", type=Path, help="more text: {lang}.txt.xz (text, tab, source) or an extract"
    )
    command.add_argument("--langs", default="en,fr,zh_CN", help="Debian codes, en first")
    command.add_argument("--pairs", type=int, default=4000, help="training pairs; 0: all")
    command.add_argument("--valid", type=int, default=500, help="English valid pairs; 0: all")
    command.add_argument("--valid-target", type=int, default=200, help="others'; 0: all")
    command.add_argument("--mono-bytes", type=int, default=1_000_000, help="a language; 0: all")
