"""Clean, deduplicate, shuffle and split monolingual text, one language after another.

Reads ``MONO/<name>.txt.xz`` (``text<TAB>source`` a line) and the third column of
``DDTP/<name>.train.tsv.xz``; writes ``OUT/text/{train,valid}.<tag>``, an item a line.

Memory stays small: cleaned items go to bucket files by a seeded hash of what makes two
items the same. Equal items meet in one bucket, and reading the buckets in order, each
sorted by that hash, is a shuffle.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import lzma
import re
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

TAGS = {"en": "en_XX", "fr": "fr_XX", "zh_CN": "zh_CN", "de": "de_DE"}
BREAK = "⏎"  # stands between the paragraphs of a description
BUCKETS = 64
LONGEST, LONGEST_ZH = 1200, 500  # characters

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
COLOUR = re.compile(r"\x1b?\[\d+(?:;\d+)*m|\x1b\[m|\[m(?![\w\]])")
CONTROL = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u2064\ufeff\ue000-\uf8ff]"
)
GAP_IN_HAN = re.compile(rf"(?<=[{HAN}，。、；：！？）」”]) (?=[{HAN}，。、；：！？（「“])")
BROKEN = re.compile("\ufffd|Ã[\x80-\xbf©¨ª¼]|â€")
ROFF = re.compile(
    r"\\f[BIRPC\[(]|\\\*?[\[(]\w|\\s[-+]?\d|\\[&|]|[BIEFCL]<[^<>]*>"
    r"|(?:^|\s)\.(?:SH|SS|TH|TP|PP|LP|IP|BR|BI|IR|RI|RB|IB|RS|RE|B|I|nf|fi|br|sp|ad|de)\b"
)
FORMAT = re.compile(
    r"%[-+ #0']*[\d.*$]*[hlzjt]*[a-zA-Z]|[$%@]?\{[^{}]*\}|\$\w+|<[^<>]*>|https?://\S+"
)
LETTER = re.compile(r"[^\W\d_]")
LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]")
IS_HAN = re.compile(rf"[{HAN}]")
WORD = re.compile(r"[^\W\d_]+")
SENTENCE_END = re.compile(rf"\s{BREAK}\s|(?<=[.!?;:])\s+|(?<=[。！？；])\s*")

FUNCTION_WORDS = {
    "en": "the of and is to for with this that are be by from it you not can or if",
    "fr": "le la les de des du un une et est pour dans que qui par sur au aux ne pas ce cette il "
    "vous à l d ou",
    "de": "der die das und ist ein eine einen einer mit von zu den dem des für auf nicht im werden "
    "wird sie es aus bei als auch oder kann",
}
WORDS_OF = {name: frozenset(words.split()) for name, words in FUNCTION_WORDS.items()}


class InputError(Exception):
    """An input that cannot be used; its text is the one line the user sees."""


def normalise(text: str, name: str) -> str:
    """NFC, no control codes, single spaces, and none that a line break left between Han."""
    text = CONTROL.sub("", COLOUR.sub("", unicodedata.normalize("NFC", text)))
    text = " ".join(text.replace("\\-", "-").split())
    return GAP_IN_HAN.sub("", text) if name == "zh_CN" else text


def pieces(text: str, limit: int) -> Iterator[str]:
    """Split a text that is too long at its last sentence end, else space, before the limit."""
    while len(text) > limit:
        ends = [m for m in SENTENCE_END.finditer(text, 0, limit) if m.start() > limit // 4]
        space = text.rfind(" ", limit // 4, limit)
        cut = space if space > 0 else limit
        start, end = ends[-1].span() if ends else (cut, cut)
        yield text[:start].strip()
        text = text[end:].strip()
    yield text


def wrong_language(text: str, name: str) -> bool:
    """Whether the text is in another script or, by its function words, in another language."""
    letters = len(LETTER.findall(text))
    if name == "zh_CN":
        return len(IS_HAN.findall(text)) < 0.3 * letters
    if len(LATIN.findall(text)) < 0.9 * letters:
        return True
    hits = Counter(dict.fromkeys(WORDS_OF, 0))
    for word in WORD.findall(text.lower()):
        for other, words in WORDS_OF.items():
            hits[other] += word in words
    own = hits.pop(name)
    return max(hits.values()) >= 2 + 3 * own


def reason_to_drop(text: str, name: str) -> str | None:
    """Why an item is of no use, or None."""
    shortest = 6 if name == "zh_CN" else 15
    if len(text) < shortest:
        return "short"
    if BROKEN.search(text):
        return "encoding"
    if ROFF.search(text):
        return "roff"
    solid = sum(not char.isspace() for char in text)
    letters = len(LETTER.findall(FORMAT.sub("", text)))
    if letters < 0.6 * solid or letters < 0.6 * shortest:
        return "symbols"
    return "language" if wrong_language(text, name) else None


def fold(text: str) -> str:
    """What makes two items the same: the letters in one case, every number alike."""
    return " ".join(re.sub(r"\d+", "0", re.sub(r"[^\w\s]|_", " ", text.casefold())).split())


def digest(text: str, seed: int) -> str:
    """A short seeded hash, in hexadecimal."""
    salt = seed.to_bytes(8, "little")
    return hashlib.blake2b(text.encode(), digest_size=12, salt=salt).hexdigest()


def segments(text: str) -> set[str]:
    """The folded sentences of an item that are long enough to tell it from others."""
    folded = (fold(part) for part in SENTENCE_END.split(text))
    return {part for part in folded if len(part) >= (10 if IS_HAN.search(part) else 40)}


def read_lines(path: Path) -> Iterator[str]:
    """Lines of an xz file."""
    try:
        with lzma.open(path, "rt", encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                yield line.rstrip("\n")
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def raw_texts(name: str, mono: Path, ddtp: Path, dropped: Counter[str]) -> Iterator[str]:
    """Every text of a language: whole descriptions first, then lines."""
    sources = ((ddtp / f"{name}.train.tsv.xz", 4, 2), (mono / f"{name}.txt.xz", 2, 0))
    for path, width, column in sources:
        for row in read_lines(path):
            columns = row.rsplit("\t", width - 1)
            if len(columns) == width:
                yield columns[column]
            else:
                dropped["malformed"] += 1


def fill_buckets(folder: Path, name: str, args: argparse.Namespace, dropped: Counter[str]) -> None:
    """Write the items worth keeping to bucket files."""
    limit = LONGEST_ZH if name == "zh_CN" else LONGEST
    with ExitStack() as stack:
        paths = (folder / f"{i:03d}" for i in range(BUCKETS))
        files = [stack.enter_context(path.open("w", encoding="utf-8")) for path in paths]
        for text in raw_texts(name, args.mono, args.ddtp, dropped):
            for piece in pieces(normalise(text, name), limit):
                if reason := reason_to_drop(piece, name):
                    dropped[reason] += 1
                else:
                    key = digest(fold(piece), args.seed)
                    files[int(key[:4], 16) * BUCKETS >> 16].write(f"{key}\t{piece}\n")


def shuffled(folder: Path, dropped: Counter[str]) -> Iterator[str]:
    """Items in the order of their hashes, each once."""
    for path in sorted(folder.iterdir()):
        rows = path.read_text(encoding="utf-8").split("\n")[:-1]
        rows.sort(key=lambda row: row[:24])
        last = ""
        for key, _, text in (row.partition("\t") for row in rows):
            if key == last:
                dropped["duplicate"] += 1
            else:
                yield text
            last = key


def write_splits(
    items: Iterator[str], tag: str, args: argparse.Namespace, dropped: Counter[str]
) -> tuple[int, int]:
    """The first items become valid; train is the others that share no sentence with them."""
    out: Path = args.out / "text"
    held_out = list(itertools.islice(items, args.valid))
    seen = {fold(item) for item in held_out}.union(*map(segments, held_out))
    if len(held_out) < args.valid:
        raise InputError(f"{tag}: only {len(held_out)} items left, fewer than --valid {args.valid}")
    kept = characters = 0
    partial = out / f"train.{tag}.partial"
    with partial.open("w", encoding="utf-8") as train:
        for item in items:
            if not seen.isdisjoint(segments(item)) or fold(item) in seen:
                dropped["in valid"] += 1
            else:
                characters += len(item)
                train.write(item + "\n")
                kept += 1
    partial.replace(out / f"train.{tag}")
    (out / f"valid.{tag}").write_text("\n".join([*held_out, ""]), encoding="utf-8")
    return kept, characters


def prepare(name: str, args: argparse.Namespace) -> None:
    """One language, from its files to its splits, with a report on standard output."""
    dropped: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=args.out) as folder:
        fill_buckets(Path(folder), name, args, dropped)
        items = shuffled(Path(folder), dropped)
        kept, characters = write_splits(items, TAGS[name], args, dropped)
    reasons = ", ".join(f"{reason} {count}" for reason, count in dropped.most_common())
    size = f"{kept} train ({characters / 1e6:.1f}M characters), {args.valid} valid"
    print(f"{TAGS[name]}: {size}; dropped: {reasons}", flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Clean and split text for pretraining.")
    add = parser.add_argument
    add("--mono", type=Path, required=True, help="folder with {en,fr,zh_CN,de}.txt.xz")
    add("--ddtp", type=Path, required=True, help="folder with {en,fr,zh_CN,de}.train.tsv.xz")
    add("--out", type=Path, required=True, help="folder to write text/ in")
    add("--valid", type=int, default=1000, help="held-out items a language")
    add("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Check every input first, then prepare the languages one by one."""
    args = arguments()
    try:
        for name in TAGS:
            for path in (args.mono / f"{name}.txt.xz", args.ddtp / f"{name}.train.tsv.xz"):
                if not path.is_file():
                    raise InputError(f"{path}: no such file")
        (args.out / "text").mkdir(parents=True, exist_ok=True)
        for name in TAGS:
            prepare(name, args)
    except (InputError, OSError) as error:
        print(f"prepare.py: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
