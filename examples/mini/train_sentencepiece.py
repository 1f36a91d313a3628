"""Train the sentencepiece model of the small backbone, and encode text with it.

``train`` writes ``OUT/sentence.bpe.model`` and, in fairseq's terms, ``OUT/dict.txt``
(the pieces from the fourth on, in order, so that a piece's fairseq id is its own id + 1)
and ``OUT/langs.txt``. ``encode`` writes ``OUT/spm/{train,valid}.<tag>``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import sentencepiece as spm

LANGS = ("de_DE", "en_XX", "fr_XX", "zh_CN")
PARAGRAPH = "\u2581⏎"  # a paragraph break and the space before it are one piece
MODEL = "sentence.bpe.model"


class InputError(Exception):
    """An input that cannot be used; its text is the one line the user sees."""


def text_file(out: Path, split: str, lang: str) -> Path:
    """A prepared text file, which must have something in it."""
    path = out / "text" / f"{split}.{lang}"
    if not path.is_file() or not path.stat().st_size:
        raise InputError(f"{path}: missing or empty; run prepare.py first")
    return path


def lines_a_language(out: Path, alpha: float, most: int) -> dict[str, int]:
    """How many lines to take of each, in proportion to (number of lines)^alpha."""
    available: dict[str, int] = {}
    for lang in LANGS:
        with text_file(out, "train", lang).open(encoding="utf-8") as lines:
            available[lang] = sum(1 for _ in lines)
    weight = {lang: count**alpha for lang, count in available.items()}
    scale = min(most / sum(weight.values()), *(available[lang] / weight[lang] for lang in LANGS))
    return {lang: int(scale * weight[lang]) for lang in LANGS}


def sample(out: Path, counts: dict[str, int]) -> Iterator[str]:
    """The first lines of each shuffled file."""
    for lang, count in counts.items():
        with text_file(out, "train", lang).open(encoding="utf-8") as lines:
            for line in itertools.islice(lines, count):
                yield line.rstrip("\n")


def train(args: argparse.Namespace) -> None:
    """Train the model, then write the dictionary and the list of tags."""
    counts = lines_a_language(args.out, args.alpha, args.max_lines)
    print("lines: " + ", ".join(f"{lang} {count}" for lang, count in counts.items()), flush=True)
    partial = args.out / f"{MODEL}.partial"
    with partial.open("wb") as writer:
        spm.SentencePieceTrainer.train(
            sentence_iterator=sample(args.out, counts),
            model_writer=writer,
            model_type="unigram",
            vocab_size=args.vocab_size,
            byte_fallback=True,
            character_coverage=args.coverage,
            normalization_rule_name="nmt_nfkc",  # as mBART's own model
            user_defined_symbols=[PARAGRAPH],
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            num_threads=args.threads,
            minloglevel=1,
        )
    partial.replace(args.out / MODEL)
    write_dictionary(args.out)


def write_dictionary(out: Path) -> None:
    """The model's pieces as fairseq's dict.txt, and the tags that follow them."""
    model = spm.SentencePieceProcessor(model_file=str(out / MODEL))
    names = [model.id_to_piece(i) for i in range(model.get_piece_size())]
    if names[:3] != ["<unk>", "<s>", "</s>"]:
        raise InputError(f"{out / MODEL}: ids 0 to 2 are {names[:3]}, not <unk>, <s>, </s>")
    (out / "dict.txt").write_text("".join(f"{name} 1\n" for name in names[3:]), encoding="utf-8")
    (out / "langs.txt").write_text("".join(f"{lang}\n" for lang in LANGS), encoding="utf-8")


def encode(args: argparse.Namespace) -> None:
    """Segment every split; lines stay lines."""
    if not (args.out / MODEL).is_file():
        raise InputError(f"{args.out / MODEL}: no such file; run train first")
    model = spm.SentencePieceProcessor(model_file=str(args.out / MODEL))
    (args.out / "spm").mkdir(exist_ok=True)
    for lang, split in itertools.product(LANGS, ("train", "valid")):
        target = args.out / "spm" / f"{split}.{lang}"
        partial = target.with_name(target.name + ".partial")
        source = text_file(args.out, split, lang)
        with source.open(encoding="utf-8") as texts, partial.open("w", encoding="utf-8") as to:
            while batch := [line.rstrip("\n") for line in itertools.islice(texts, 10000)]:
                encoded = model.encode(batch, out_type=str, num_threads=args.threads)
                to.writelines(" ".join(pieces) + "\n" for pieces in encoded)
        partial.replace(target)


def main() -> int:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description="Train sentencepiece; encode text with it.")
    parser.add_argument("step", choices=("train", "encode"))
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder that prepare.py wrote text/ in")
    add("--vocab-size", type=int, default=12000)
    add("--coverage", type=float, default=0.9995, help="share of the characters that get a piece")
    add("--alpha", type=float, default=0.5, help="0: languages alike, 1: as their sizes")
    add("--max-lines", type=int, default=400_000)
    add("--threads", type=int, default=2)
    args = parser.parse_args()
    try:
        train(args) if args.step == "train" else encode(args)
    except (InputError, OSError) as error:
        print(f"train_sentencepiece.py: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
