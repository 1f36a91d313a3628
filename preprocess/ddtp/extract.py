"""Cut a modest extract from the full DDTP set: pairs, a parallel test, monolingual lines."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from laft_fairseq.errors import LaftError
from preprocess.common.files import read_lines, read_tsv, write_lines
from preprocess.common.text import PARAGRAPH, han_share, is_cjk, shingles, stable_hash
from preprocess.ddtp.index import Description

TAGS = {"en": "en_XX", "fr": "fr_XX", "zh_CN": "zh_CN", "de": "de_DE"}
MONO_SOURCES = ("shipped", "debian-handbook", "installation-guide", "debian-reference",
                "gnome-user-docs", "wesnoth", "linux-doc")  # fmt: skip
SHARE_WITH_HELD_OUT = 0.5
_SENTENCE_START = re.compile(r"[\w“《（「『(](?![，、])")
_SENTENCE_END = re.compile(r"[.!?。！？…][)”»」』\"')]*$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]|%[sdu]")

Examples = dict[str, list[Description]]  # by language


class HeldOut:
    """The valid and test examples of one language, to keep out of everything that trains."""

    def __init__(self, examples: Iterable[Description]) -> None:
        self.lines: set[str] = set()
        self.shingles: set[str] = set()
        for each in examples:
            self.lines |= {each.synopsis, each.text, *each.text.split(PARAGRAPH)}
            self.shingles |= shingles(each.text)

    def share(self, line: str) -> float:
        """The share of a line's shingles that a held-out description has."""
        of_line = shingles(line)
        return len(of_line & self.shingles) / len(of_line) if of_line else 0.0

    def holds(self, line: str) -> bool:
        """Whether a line is a held-out one, or shares half of its shingles with them."""
        return line in self.lines or self.share(line) >= SHARE_WITH_HELD_OUT


def extract(options: argparse.Namespace) -> None:
    """Write the extract's files and print what each holds."""
    langs = options.langs.split(",")
    if langs[0] != "en" or set(langs) - set(TAGS):
        raise LaftError(f"--langs {options.langs}: en first, then any of {', '.join(TAGS)}")
    train, valid, test = (read_split(options.ddtp, langs, s) for s in ("train", "valid", "test"))
    held_out = {lang: HeldOut([*valid[lang], *test[lang]]) for lang in langs}
    for lang in langs:
        fresh = (each for each in train[lang] if each.synopsis not in held_out[lang].lines)
        train[lang] = [each for each in fresh if not held_out[lang].holds(each.text)]
    pairs = choose_pairs(train, options.pairs, options.mono_bytes)
    write_pairs(options.out, "train", {"en": pairs})
    chosen = most_parallel(valid, options.valid)
    for lang in langs[1:]:
        chosen[lang] = chosen[lang][: options.valid_target or None]
    write_pairs(options.out, "valid", chosen)
    write_pairs(options.out, "test", parallel(test))
    write_mono(options, train, pairs, held_out)


def read_split(folder: Path, langs: Sequence[str], split: str) -> Examples:
    """The examples of one split, in the order of a hash of the md5."""
    examples = {}
    for lang in langs:
        rows = (Description(*row) for row in read_tsv(folder / f"{lang}.{split}.tsv.xz", 4))
        examples[lang] = sorted(rows, key=lambda each: stable_hash("extract", each.md5))
    return examples


def most_parallel(examples: Examples, cap: int) -> Examples:
    """At most `cap` examples a language, those that exist in most languages first."""
    count = Counter(each.md5 for lang in examples for each in examples[lang])
    return {
        lang: sorted(examples[lang], key=lambda each: -count[each.md5])[: cap or None]
        for lang in examples
    }


def parallel(examples: Examples) -> Examples:
    """The examples that exist in every language, in one order."""
    shared = set.intersection(*({each.md5 for each in examples[lang]} for lang in examples))
    return {lang: [each for each in examples[lang] if each.md5 in shared] for lang in examples}


def choose_pairs(train: Examples, count: int, mono_bytes: int) -> list[Description]:
    """English pairs; last those that a language translates whose every description is needed."""
    needed = {
        each.md5
        for lang in train
        if lang != "en" and byte_size(each.text for each in train[lang]) < mono_bytes
        for each in train[lang]
    }
    return sorted(train["en"], key=lambda each: each.md5 in needed)[: count or None]


def byte_size(lines: Iterable[str]) -> int:
    """The size of lines in a file."""
    return sum(len(line.encode("utf-8")) + 1 for line in lines)


def write_pairs(out: Path, split: str, examples: Examples) -> None:
    """Write `{tag}.{split}.tsv.xz` for each language and print the counts."""
    for lang in examples:
        name = f"{TAGS[lang]}.{split}.tsv.xz"
        print(f"{name}: {write_lines(out / name, (e.row() for e in examples[lang])):,} pairs")


def write_mono(
    options: argparse.Namespace, train: Examples, pairs: list[Description],
    held_out: dict[str, HeldOut],
) -> None:  # fmt: skip
    """Write `mono.{tag}.txt.xz`, rarest language first, so that no line translates another."""
    seen = {each.md5 for each in pairs}
    for lang in sorted(train, key=lambda lang: len(train[lang])):
        lines = mono_lines(lang, train[lang], seen, options.mono, options.mono_bytes)
        taken, counts = take(lines, held_out[lang], options.mono_bytes)
        name = f"mono.{TAGS[lang]}.txt.xz"
        write_lines(options.out / name, sorted(taken, key=lambda line: stable_hash("order", line)))
        md5s = {each.text: each.md5 for each in train[lang]}
        seen |= {md5s[line] for line in taken if line in md5s}
        sources = ", ".join(f"{source} {count:,}" for source, count in counts.items())
        print(f"{name}: {len(taken):,} lines, {byte_size(taken):,} bytes ({sources})")


def mono_lines(
    lang: str, examples: Sequence[Description], seen: set[str], folder: Path | None, limit: int
) -> Iterator[tuple[str, str]]:
    """Yield (line, source): descriptions, those not `seen` elsewhere first, then other sources."""
    for each in sorted(examples, key=lambda each: each.md5 in seen):
        yield each.text, "ddtp"
    if folder is None or byte_size(each.text for each in examples) >= limit > 0:
        return
    more = [(text, source) for text, source in read_mono(folder, lang)
            if source in MONO_SOURCES and is_clean(text, lang)]  # fmt: skip
    more.sort(key=lambda pair: (MONO_SOURCES.index(pair[1]), stable_hash("mono", pair[0])))
    yield from more


def read_mono(folder: Path, lang: str) -> Iterator[tuple[str, str]]:
    """Yield (text, source) from `{lang}.txt.xz`, or from an extract's `mono.{tag}.txt.xz`."""
    if not (path := folder / f"{lang}.txt.xz").is_file():
        path = folder / f"mono.{TAGS[lang]}.txt.xz"
    for line in read_lines(path):
        text, tab, source = line.rpartition("\t")
        yield (text.strip(), source) if tab else (line, "shipped")


def is_clean(text: str, lang: str) -> bool:
    """Whether a monolingual line is a whole sentence or more, in its language, without codes."""
    if not _SENTENCE_START.match(text) or not _SENTENCE_END.search(text) or _CONTROL.search(text):
        return False
    if is_cjk(text):
        return lang == "zh_CN" and len(text) >= 20 and han_share(text) >= 0.6
    return lang != "zh_CN" and len(text) >= 80


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
