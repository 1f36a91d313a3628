"""Measure what a small backbone can carry: the numbers of its model card.

1. Held-out denoising: perplexity of all tokens and of those under a mask, beside a unigram filler.
2. Reconstruction: are noised texts restored in their own language, and how closely?
3. Parallel retrieval: is a description's translation the nearest one by the mean encoder output?
   With --components also after removal, under both scalings.

Writes the numbers as JSON and prints them as Markdown; the same input gives the same numbers.

examples:
  python examples/mini/evaluate.py --model MODEL-DIR --data DATA-BIN \\
      --ddtp examples/ddtp/data --out card.json
  python examples/mini/evaluate.py --model MODEL-DIR --retrieval-only \\
      --components components.safetensors --ddtp examples/ddtp/data --out retrieval.json
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import card as cards

from laft_fairseq.analysis.representations import evenly_spaced_indices
from laft_fairseq.errors import LaftError
from laft_fairseq.files import check_output, write_json
from laft_fairseq.languages import tags as language_tags

RETRIEVED = ("en_XX", "fr_XX", "zh_CN")  # the first with each other
FILES = ("model.pt", "dict.txt", "sentence.bpe.model")  # without langs.txt: mBART-cc25's languages


def check(args: argparse.Namespace) -> None:
    """What can be refused before anything is loaded."""
    if args.data is None and not args.retrieval_only:
        raise LaftError("--data: the data-bin of prepare.sh, unless --retrieval-only")
    held = [] if args.retrieval_only else [(args.data, FILES[1:2])]
    for folder, names in [(args.model, FILES), *held]:
        for name in names:
            if not (folder / name).is_file():
                raise LaftError(f"{folder / name}: no such file")
    for folder, names in held:
        for name in names:
            if (args.model / name).read_bytes() != (folder / name).read_bytes():
                raise LaftError(f"{folder / name}: not the same as {args.model / name}")
    check_output(args.out, args.components, *(args.model / name for name in FILES))
    args.langs = language_tags.split_tags(args.langs) or None
    if args.langs is not None and len(args.langs) < 2:
        raise LaftError("--langs: name two languages or more, such as en_XX,fr_XX")
    for option in ("valid_items", "pairs", "reconstruct"):
        if getattr(args, option) < 1:
            raise LaftError(f"--{option.replace('_', '-')} {getattr(args, option)}: at least 1")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All numbers of the card, or with --retrieval-only those of retrieval."""
    from sentencepiece import SentencePieceProcessor

    from laft_fairseq.checkpoints.backbone import read
    from laft_fairseq.hub.loading import load_model

    path = str(args.model / "model.pt")
    model, generation = load_model(path, str(args.model))
    pieces = SentencePieceProcessor(model_file=str(args.model / FILES[2]))
    fingerprint = read(path).fingerprint
    components = read_components(args.components, fingerprint, args.langs or RETRIEVED)
    between = measure_retrieval(args, model, generation, pieces, components)
    if args.retrieval_only:
        return {"fingerprint": fingerprint, "retrieval": between}
    from held_out import BEAM, validation

    task, texts = validation(str(args.data), model, args.seed, args.langs)
    return {
        "fingerprint": fingerprint,
        "seed": args.seed,
        "langs": list(texts),
        "noise": {"mask": task.cfg.mask, "poisson_lambda": task.cfg.poisson_lambda},
        "beam": BEAM,
        **measure_held_out(args, model, task, texts),
        "retrieval": between,
    }


def read_components(
    path: Path | None, fingerprint: str, langs: Sequence[str]
) -> dict[str, Any] | None:
    """c_L, (d, k), by language, of this backbone; None without a file."""
    if path is None:
        return None
    from laft_fairseq.components import file as components_file

    found = components_file.load(path, list(langs))
    found.expect(fingerprint=fingerprint)
    return {tag: language.components for tag, language in found.languages.items()}


def measure_retrieval(
    args: argparse.Namespace, model: Any, task: Any, pieces: Any, components: Any = None
) -> dict[str, Any]:
    """Parallel retrieval of the first language with each other; with components after removal."""
    from descriptions import pair_retrieval, parallel, read_descriptions

    a, *others = args.langs or RETRIEVED
    rows = {tag: read_descriptions(args.ddtp, tag) for tag in (a, *others)}
    found = {}
    for b in others:
        sides = parallel((a, b), (rows[a], rows[b]), args.pairs)
        say(f"{a} and {b}: retrieval among {len(sides[0])} descriptions")
        found[f"{a}-{b}"] = pair_retrieval(model, task, pieces, (a, b), sides, components)
    return found


def measure_held_out(
    args: argparse.Namespace, model: Any, task: Any, texts: dict[str, Any]
) -> dict[str, Any]:
    """Denoising, then reconstruction: fairseq's beam search leaves its beam in the attention,
    where a forward pass would trip over it."""
    from held_out import denoising, reconstruction, unigram

    from laft_fairseq.data.tagged_texts import load_texts

    scores, outputs = {}, {}
    for tag, data in texts.items():
        say(f"{tag}: denoising")
        train = load_texts(str(args.data / tag / "train"), task.dictionary, tag)
        filler = unigram(train, len(task.dictionary))
        scores[tag] = denoising(
            model, data, evenly_spaced_indices(len(data), args.valid_items), filler
        )
    for tag, data in texts.items():
        say(f"{tag}: reconstruction")
        rows = evenly_spaced_indices(len(data), args.reconstruct)
        outputs[tag] = reconstruction(model, task, data, tag, rows, list(texts))
    return {"denoising": scores, "reconstruction": outputs}


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
    add("--data", type=Path, help="data-bin of prepare.sh: train and valid are read")
    add("--ddtp", type=Path, required=True, help="folder with <tag>.test.tsv.xz of each language")
    add("--langs", metavar="L,L",
        help="the languages, for retrieval the first with each other (default: all of the "
        f"model's, for retrieval {','.join(RETRIEVED)})")  # fmt: skip
    add("--out", type=Path, required=True, help="JSON to write")
    add("--components", type=Path, metavar="C.safetensors", help="retrieval after removal too")
    add("--retrieval-only", action="store_true", help="no held-out text: --data is not needed")
    add("--valid-items", type=int, default=200, help="texts a language for the perplexity")
    add("--pairs", type=int, default=522, help="descriptions for retrieval")
    add("--reconstruct", type=int, default=60, help="texts a language to restore")
    add("--seed", type=int, default=1, help="of the noise; 1 is pretrain.sh's")
    add("--tokens", type=int, help="target tokens of the pretraining, from its log: recorded")
    return parser.parse_args()


def main() -> None:
    """Measure, write, print; wrong input ends in one line."""
    args = arguments()
    logging.getLogger("fairseq").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
    try:
        check(args)
        card = measure(args)
        if not args.retrieval_only:
            card |= {"tokens": args.tokens, "gates": cards.gates(card)}
        write_json(args.out, card)
    except (LaftError, OSError) as error:
        raise SystemExit(f"evaluate.py: error: {error}") from None
    print("\n".join(cards.retrieval(card)) if args.retrieval_only else cards.markdown(card))


if __name__ == "__main__":
    main()
