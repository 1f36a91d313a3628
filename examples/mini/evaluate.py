"""Measure what a small backbone can do: the numbers of its model card, as JSON and as Markdown.

1. Denoising of held-out text: perplexity of all tokens and of those under a mask, beside a unigram
   filler's.
2. Reconstruction: are noised sentences restored in their own language, and how closely?
3. Parallel retrieval: is a description's translation the nearest one by the mean encoder output?
   With --components also after removal, under both scalings.

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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tabulate import tabulate

from laft_fairseq.analysis.representations import evenly_spaced_indices
from laft_fairseq.errors import LaftError

RETRIEVED = ("en_XX", "fr_XX", "zh_CN")  # the first with each other
PAIRS, VALID, RESTORED = 522, 200, 60  # descriptions; held-out sentences a language
KINDS = ("encoder", "encoder_centred", "surface", "surface_centred")


def check(args: argparse.Namespace) -> None:
    """Refuse what can be refused before anything is loaded."""
    from laft_fairseq.files import check_output
    from laft_fairseq.languages.tags import split_tags

    if not args.retrieval_only:
        if args.data is None:
            raise LaftError("--data: the data-bin of prepare.sh, unless --retrieval-only")
        dictionary, of_model = args.data / "dict.txt", args.model / "dict.txt"
        if dictionary.read_bytes() != of_model.read_bytes():
            raise LaftError(f"{dictionary}: not the same as {of_model}")
    check_output(args.out, args.components, args.model / "model.pt")
    args.langs = split_tags(args.langs) or None
    if args.langs is not None and len(args.langs) < 2:
        raise LaftError("--langs: name two languages or more, such as en_XX,fr_XX")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Returns all numbers of the card, or with --retrieval-only those of retrieval."""
    from held_out import BEAM, SEED, validation
    from retrieval import pair_retrieval, parallel, read_descriptions

    from laft_fairseq.checkpoints.backbone import read
    from laft_fairseq.components import file as components_file
    from laft_fairseq.hub.loading import load_model
    from laft_fairseq.hub.raw_text import SubwordTokenizer

    path = str(args.model / "model.pt")
    fingerprint = read(path).fingerprint
    langs = args.langs or RETRIEVED
    components = None
    if args.components:
        file = components_file.load(args.components, list(langs))
        file.expect(fingerprint=fingerprint)
        components = {tag: each.components for tag, each in file.languages.items()}
    model, generation = load_model(path, str(args.model))
    tokenizer = SubwordTokenizer(args.model / "sentence.bpe.model", generation.dictionary)
    descriptions = {tag: read_descriptions(args.ddtp, tag) for tag in langs}
    pairs = {}
    for tag in langs[1:]:
        both = {each: descriptions[each] for each in (langs[0], tag)}
        sides = parallel(both, PAIRS)
        say(f"{langs[0]} and {tag}: retrieval among {len(sides[tag])} descriptions")
        pairs["-".join(both)] = pair_retrieval(model, generation, tokenizer, sides, components)
    if args.retrieval_only:
        return {"fingerprint": fingerprint, "retrieval": pairs}
    task, texts = validation(str(args.data), model, args.langs)
    return {
        "fingerprint": fingerprint,
        "seed": SEED,
        "langs": list(texts),
        "noise": {"mask": task.cfg.mask, "poisson_lambda": task.cfg.poisson_lambda},
        "beam": BEAM,
        **measure_held_out(args.data, model, task, texts, VALID, RESTORED),
        "retrieval": pairs,
        "tokens": args.tokens,
    }


def measure_held_out(
    data: Path, model: Any, task: Any, texts: dict[str, Any], valid: int, restored: int
) -> dict[str, Any]:
    """Returns denoising of ``valid`` and reconstruction of ``restored`` sentences a language.

    In this order: fairseq's beam search leaves its beam in the attention, where a forward pass
    would fail on it.
    """
    from held_out import denoising, reconstruction, unigram

    from laft_fairseq.data.tagged_texts import load_texts

    scores, outputs = {}, {}
    for tag, sentences in texts.items():
        say(f"{tag}: denoising")
        train = load_texts(str(data / tag / "train"), task.dictionary, tag)
        filler = unigram(train, len(task.dictionary))
        scores[tag] = denoising(
            model, sentences, evenly_spaced_indices(len(sentences), valid), filler
        )
    for tag, sentences in texts.items():
        say(f"{tag}: reconstruction")
        rows = evenly_spaced_indices(len(sentences), restored)
        outputs[tag] = reconstruction(model, task, sentences, tag, rows, list(texts))
    return {"denoising": scores, "reconstruction": outputs}


def say(progress: str) -> None:
    """Print to the standard error; the Markdown goes to the standard output."""
    print(progress, file=sys.stderr, flush=True)


def markdown(card: dict[str, Any]) -> str:
    """Returns the numbers as tables."""
    parts = ["### Parallel retrieval", table(retrieval_rows(card["retrieval"]))]
    for title in ("denoising", "reconstruction"):
        languages = card.get(title, {}).items()
        rows = [{"language": tag} | flat(numbers) for tag, numbers in languages]
        parts += [f"### Held-out {title}", table(rows)] if rows else []
    return "\n\n".join(parts)


def retrieval_rows(pairs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields a row for each pair of languages and representation."""
    for pair, numbers in pairs.items():
        shares = {name: numbers[name] for name in KINDS}
        for scaling, share in numbers.get("after_removal", {}).items():
            shares[f"after removal, {scaling}"] = share
        lost = ", ".join(f"{share:.1%}" for share in numbers["left_out"].values())
        first = {"pair": pair, "descriptions": numbers["pairs"], "words left out": lost}
        for name, share in shares.items():
            yield first | {"measured on": name} | share


def flat(numbers: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the numbers in nested dictionaries by names of one level."""
    row: dict[str, Any] = {}
    for name, value in numbers.items():
        if isinstance(value, dict):
            row |= flat(value, f"{name} ")
        elif not isinstance(value, list):
            row[prefix + name] = value
    return row


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Returns a Markdown table with the keys of its rows as columns."""
    return tabulate(list(rows), "keys", "pipe", floatfmt=".4g")


def parse() -> argparse.Namespace:
    """Returns the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True,
        help="folder with model.pt, dict.txt, sentence.bpe.model (and langs.txt)")  # fmt: skip
    add("--data", type=Path, help="data-bin of prepare.sh: train and valid are read")
    add("--ddtp", type=Path, required=True, help="folder with <tag>.test.tsv.xz of each language")
    add("--langs", metavar="L,L",
        help="the languages, for retrieval the first with each other (default: all of the "
        f"model's, for retrieval {','.join(RETRIEVED)})")  # fmt: skip
    add("--out", type=Path, required=True, help="JSON to write")
    add("--components", type=Path, metavar="C.safetensors", help="retrieval after removal too")
    add("--retrieval-only", action="store_true", help="no held-out text: --data is not needed")
    add("--tokens", type=int, help="target tokens of the pretraining, from its log: recorded")
    return parser.parse_args()


def main() -> None:
    """Measure, write, print; wrong input ends in one line."""
    from laft_fairseq.files import write_json

    args = parse()
    logging.getLogger("fairseq").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
    try:
        check(args)
        card = measure(args)
        write_json(args.out, card)
    except (LaftError, OSError) as error:
        raise SystemExit(f"evaluate.py: error: {error}") from None
    print(markdown(card))


if __name__ == "__main__":
    main()
