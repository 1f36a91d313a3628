"""Prepare text for the small backbone: clean and split it, and train its sentencepiece model.

Reads ``MONO/<name>.txt.xz`` (``text<TAB>source`` a line) and the third column of
``DDTP/<name>.train.tsv.xz``. Writes ``OUT/text/{train,valid}.<tag>``, an item a line,
``OUT/sentence.bpe.model``, and in fairseq's terms ``OUT/dict.txt`` (the subwords from the fourth
on, in order, so that a subword's fairseq id is its sentencepiece id + 1) and ``OUT/langs.txt``.
The order of items is that of a seeded hash of what makes two items equal.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import sentencepiece

from laft_fairseq.errors import LaftError
from laft_fairseq.files import lines, replacing
from laft_fairseq.languages.sentencepiece_dictionary import dictionary_text, read_subwords
from laft_fairseq.languages.vocabulary_files import DICTIONARY, LANGS_FILE, SENTENCEPIECE

TAGS = {"en": "en_XX", "fr": "fr_XX", "zh_CN": "zh_CN", "de": "de_DE"}
BREAK = "⏎"  # stands between the paragraphs of a description
LONGEST, LONGEST_ZH = 1200, 500  # characters
PARAGRAPH = f"\u2581{BREAK}"  # a paragraph break and the space before it are one subword
MAX_LINES = 400_000  # to train the sentencepiece model on

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


def normalise(text: str, name: str) -> str:
    """Returns NFC, no control codes, single spaces, and none that a line break left between Han."""
    text = CONTROL.sub("", COLOUR.sub("", unicodedata.normalize("NFC", text)))
    text = " ".join(text.replace("\\-", "-").split())
    return GAP_IN_HAN.sub("", text) if name == "zh_CN" else text


def split_long(text: str, limit: int) -> Iterator[str]:
    """Yields parts of a long text, split at the last sentence end, else space, before the limit."""
    while len(text) > limit:
        ends = [m for m in SENTENCE_END.finditer(text, 0, limit) if m.start() > limit // 4]
        space = text.rfind(" ", limit // 4, limit)
        cut = space if space > 0 else limit
        start, end = ends[-1].span() if ends else (cut, cut)
        yield text[:start].strip()
        text = text[end:].strip()
    yield text


def wrong_language(text: str, name: str) -> bool:
    """Returns whether the script, or by its function words the language, is another one."""
    letters = len(LETTER.findall(text))
    if name == "zh_CN":
        return len(IS_HAN.findall(text)) < 0.3 * letters
    if len(LATIN.findall(text)) < 0.9 * letters:
        return True
    hits = Counter(dict.fromkeys(WORDS_OF, 0))
    for word in WORD.findall(text.lower()):
        for other, words in WORDS_OF.items():
            hits[other] += word in words
    right = hits.pop(name)
    return max(hits.values()) >= 2 + 3 * right


def reason_to_drop(text: str, name: str) -> str | None:
    """Returns why an item is of no use, or None."""
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
    """Returns what makes two items equal: the letters in one case, every number alike."""
    return " ".join(re.sub(r"\d+", "0", re.sub(r"[^\w\s]|_", " ", text.casefold())).split())


def digest(text: str, seed: int) -> str:
    """Returns a short seeded hash, in hexadecimal."""
    salt = seed.to_bytes(8, "little")
    return hashlib.blake2b(text.encode(), digest_size=12, salt=salt).hexdigest()


def segments(text: str) -> set[str]:
    """Returns the folded sentences of an item that are long enough to tell it from others."""
    folded = (fold(part) for part in SENTENCE_END.split(text))
    return {part for part in folded if len(part) >= (10 if IS_HAN.search(part) else 40)}


def raw_texts(name: str, args: argparse.Namespace, dropped: Counter[str]) -> Iterator[str]:
    """Yields every text of a language: whole descriptions first, then lines."""
    for path, width, column in sources(name, args):
        for line in lines(path):
            columns = line.rsplit("\t", width - 1)
            if len(columns) == width:
                yield columns[column]
            else:
                dropped["malformed"] += 1


def sources(name: str, args: argparse.Namespace) -> tuple[tuple[Path, int, int], ...]:
    """Returns the files of a language with the number of their columns and the text's column."""
    return ((args.ddtp / f"{name}.train.tsv.xz", 4, 2), (args.mono / f"{name}.txt.xz", 2, 0))


def clean_items(name: str, args: argparse.Namespace, dropped: Counter[str]) -> Iterator[str]:
    """Yields the items worth keeping, each once, in the order of their hashes."""
    limit = LONGEST_ZH if name == "zh_CN" else LONGEST
    items: dict[str, str] = {}
    for text in raw_texts(name, args, dropped):
        for item in split_long(normalise(text, name), limit):
            if reason := reason_to_drop(item, name):
                dropped[reason] += 1
            elif (key := digest(fold(item), args.seed)) in items:
                dropped["duplicate"] += 1
            else:
                items[key] = item
    return (items[key] for key in sorted(items))


def write_splits(name: str, args: argparse.Namespace) -> int:
    """Write a language's train and valid, print a report, return the size of train.

    The first items become valid; train is the others that share no sentence with them.
    """
    tag, folder = TAGS[name], args.out / "text"
    dropped: Counter[str] = Counter()
    items = clean_items(name, args, dropped)
    held_out = list(islice(items, args.valid))
    if len(held_out) < args.valid:
        raise LaftError(f"{tag}: only {len(held_out)} items left, fewer than --valid {args.valid}")
    seen = {fold(item) for item in held_out}.union(*map(segments, held_out))
    rest = list(items)
    train = [item for item in rest if seen.isdisjoint({fold(item), *segments(item)})]
    dropped["in valid"] = len(rest) - len(train)
    for split, kept in (("train", train), ("valid", held_out)):
        write(folder / f"{split}.{tag}", kept)
    reasons = ", ".join(f"{reason} {count}" for reason, count in dropped.most_common())
    characters = sum(map(len, train)) / 1e6
    print(f"{tag}: {len(train)} train ({characters:.1f}M characters), {args.valid} valid; "
          f"dropped: {reasons}", flush=True)  # fmt: skip
    return len(train)


def train_sentencepiece(sizes: dict[str, int], args: argparse.Namespace) -> None:
    """Train on lines of all languages, in proportion to the square root of their number.

    Then write the model's subwords as fairseq's dict.txt, and the tags that follow them.
    """
    scale = MAX_LINES / sum(size**0.5 for size in sizes.values())
    scale = min(scale, *(size**0.5 for size in sizes.values()))  # no more lines than there are
    counts = {tag: int(scale * size**0.5) for tag, size in sizes.items()}
    print("lines: " + ", ".join(f"{tag} {count}" for tag, count in counts.items()), flush=True)
    files = [(args.out / "text" / f"train.{tag}").open(encoding="utf-8") for tag in counts]
    sampled = (islice(file, count) for file, count in zip(files, counts.values(), strict=True))
    model = args.out / SENTENCEPIECE
    with replacing(model) as partial, partial.open("wb") as writer:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line.rstrip("\n") for line in chain.from_iterable(sampled)),
            model_writer=writer, model_type="unigram", vocab_size=args.vocab_size,
            byte_fallback=True, character_coverage=0.9995,
            normalization_rule_name="nmt_nfkc",  # as mBART's own model
            user_defined_symbols=[PARAGRAPH], unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
            num_threads=args.threads, minloglevel=1,
        )  # fmt: skip
    write(args.out / DICTIONARY, dictionary_text(read_subwords(model)).splitlines())
    write(args.out / LANGS_FILE, counts)


def write(path: Path, items: Iterable[str]) -> None:
    """Write a text file, a line for each item."""
    with replacing(path) as partial:
        partial.write_text("".join(f"{item}\n" for item in items), encoding="utf-8")


def main() -> None:
    """Check every input first, then prepare the languages one by one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--mono", type=Path, required=True, help="folder with {en,fr,zh_CN,de}.txt.xz")
    add("--ddtp", type=Path, required=True, help="folder with {en,fr,zh_CN,de}.train.tsv.xz")
    add("--out", type=Path, required=True, help="folder to write")
    add("--valid", type=int, default=1000, help="held-out items a language")
    add("--vocab-size", type=int, default=12000)
    add("--threads", type=int, default=2, help="of sentencepiece")
    add("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        for path, *_ in chain.from_iterable(sources(name, args) for name in TAGS):
            if not path.is_file():
                raise LaftError(f"{path}: no such file")
        (args.out / "text").mkdir(parents=True, exist_ok=True)
        sizes = {tag: write_splits(name, args) for name, tag in TAGS.items()}
        train_sentencepiece(dict(sorted(sizes.items())), args)
    except (LaftError, OSError) as error:
        sys.exit(f"prepare.py: error: {error}")


if __name__ == "__main__":
    main()
