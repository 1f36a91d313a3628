"""Measure what a small backbone can carry: the numbers of its model card.

1. Held-out denoising: perplexity of all tokens and of those under a mask, beside a unigram filler.
2. Reconstruction: are noised texts restored in their own language, and how closely?
3. Parallel retrieval: is a description's translation the nearest one by the mean encoder output?

Writes the numbers as JSON and prints them as Markdown; the same input gives the same numbers.

example:
  python examples/mini/evaluate.py --model MODEL-DIR --data DATA-BIN \\
      --ddtp examples/ddtp/data --out card.json
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import card as cards
import descriptions
import held_out
import sentencepiece as spm

from laft_fairseq.backbone import read as read_backbone
from laft_fairseq.cli._files import write_json
from laft_fairseq.errors import LaftError
from laft_fairseq.loading import load_model
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.representations import spread
from laft_fairseq.scoring.errors import ScoringError
from laft_fairseq.tasks.infilling import Infilling
from laft_fairseq.tasks.laft_denoising import LaftDenoising, LaftDenoisingOptions
from laft_fairseq.tasks.laft_task import LaftTask
from laft_fairseq.tasks.text_data import load_texts

PAIRS = (("en_XX", "fr_XX"), ("en_XX", "zh_CN"))
FILES = ("model.pt", "dict.txt", "langs.txt", "sentence.bpe.model")


def check(args: argparse.Namespace) -> None:
    """What can be refused before anything is loaded."""
    for folder, names in ((args.model, FILES), (args.data, FILES[1:3])):
        for name in names:
            if not (folder / name).is_file():
                raise LaftError(f"{folder / name}: no such file")
    for name in FILES[1:3]:
        if (args.model / name).read_bytes() != (args.data / name).read_bytes():
            raise LaftError(f"{args.data / name}: not the same as {args.model / name}")
    if not args.out.absolute().parent.is_dir():
        raise LaftError(f"{args.out}: no such folder {args.out.parent}; make it first")
    for option in ("valid_items", "pairs", "reconstruct"):
        if getattr(args, option) < 1:
            raise LaftError(f"--{option.replace('_', '-')} {getattr(args, option)}: at least 1")


def denoising_data(args: argparse.Namespace, model: LAFTMBart) -> tuple[LaftTask, list[Infilling]]:
    """Stage 1's task, and its validation texts with their fixed noise for each language."""
    source, target = model.max_positions()
    options = LaftDenoisingOptions(
        data=str(args.data),
        seed=args.seed,
        max_source_positions=min(source, LaftDenoisingOptions.max_source_positions),
        max_target_positions=min(target, LaftDenoisingOptions.max_target_positions),
    )
    task = LaftDenoising.setup_task(options)
    task.load_dataset("valid")
    return task, task.datasets["valid"].datasets


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All numbers of the card."""
    model, generation = load_model(str(args.model / "model.pt"), str(args.model))
    pieces = spm.SentencePieceProcessor(model_file=str(args.model / "sentence.bpe.model"))
    tags = {tag for pair in PAIRS for tag in pair}
    sides = {tag: descriptions.read_descriptions(args.ddtp, tag, args.pairs) for tag in tags}
    task, parts = denoising_data(args, model)
    card: dict[str, Any] = {
        "fingerprint": read_backbone(str(args.model / "model.pt")).fingerprint,
        "seed": args.seed,
        "langs": task.tags,
        "noise": {"mask": task.cfg.mask, "poisson_lambda": task.cfg.poisson_lambda},
        "beam": held_out.BEAM,
        "denoising": {},
        "reconstruction": {},
        "retrieval": {},
    }
    for a, b in PAIRS:
        say(f"{a} and {b}: retrieval")
        both = (sides[a], sides[b])
        found = descriptions.pair_retrieval(model, generation, pieces, (a, b), both)
        card["retrieval"][f"{a}-{b}"] = found
    for tag, data in zip(task.tags, parts, strict=True):
        say(f"{tag}: denoising and reconstruction")
        train = load_texts(str(args.data / tag / "train"), task.dictionary, tag)
        filler = held_out.unigram(train, len(task.dictionary))
        rows = spread(len(data), args.valid_items)
        card["denoising"][tag] = held_out.denoising(model, data, rows, filler)
        rows = spread(len(data), args.reconstruct)
        found = held_out.reconstruction(model, task, data, tag, rows)
        card["reconstruction"][tag] = found
    card["gates"] = cards.gates(card)
    return card


def say(words: str) -> None:
    """Progress, beside the Markdown."""
    print(words, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help=f"folder with {', '.join(FILES)}")
    add("--data", type=Path, required=True, help="data-bin of prepare.sh: train and valid are read")
    add("--ddtp", type=Path, required=True, help="folder with {en_XX,fr_XX,zh_CN}.test.tsv.xz")
    add("--out", type=Path, required=True, help="JSON to write")
    add("--valid-items", type=int, default=200, help="texts a language for the perplexity")
    add("--pairs", type=int, default=522, help="descriptions for retrieval")
    add("--reconstruct", type=int, default=60, help="texts a language to restore")
    add("--seed", type=int, default=1, help="of the noise; 1 is pretrain.sh's")
    return parser.parse_args()


def main() -> None:
    """Measure, write, print; wrong input ends in one line."""
    args = arguments()
    logging.getLogger("fairseq").setLevel(logging.WARNING)
    try:
        check(args)
        card = measure(args)
        write_json(args.out, card)
    except (LaftError, ScoringError, OSError) as error:
        raise SystemExit(f"evaluate.py: error: {error}") from None
    print(cards.markdown(card))


if __name__ == "__main__":
    main()
