"""Options of `laft components`: what is read, and which of them go together."""

import argparse

from laft_fairseq.errors import LaftError

# What --merge and --from, which take all that their files hold, have no use for.
OF_ESTIMATION = ("backbone", "data", "langs", "dictionary_langs", "new_langs", "tag_layout",
                 "split", "max_tokens", "max_length", "max_sentences", "shard")  # fmt: skip

# A batch on a CPU, on a GPU. On a CPU the allocator grows with larger ones (benchmarks/README.md).
MAX_TOKENS = 2048, 8192
MAX_LENGTH = 512
SPLIT = "train"


def add_text(parser: argparse.ArgumentParser) -> None:
    """What is read, and which part of it."""
    parser.add_argument("--backbone", metavar="M.pt", help="pretrained mBART")
    parser.add_argument("--data", metavar="DATA-BIN", help="binarised monolingual text")
    parser.add_argument("--langs", metavar="TAGS", help="languages to estimate: en_XX,fr_XX")
    parser.add_argument(
        "--dictionary-langs",
        metavar="TAGS",
        help="the dictionary's tags in order (default: DATA/langs.txt, else cc25)",
    )
    parser.add_argument(
        "--new-langs",
        metavar="TAGS",
        help="languages that the backbone has no tag for (default: DATA/new-langs.txt, else none)",
    )
    parser.add_argument(
        "--tag-layout",
        choices=("suffix", "prefix"),
        help="where the tag stands (default: DATA/tag-layout.txt, else suffix)",
    )
    parser.add_argument("--split", help=f"which split to read (default: {SPLIT})")
    on_cpu, on_gpu = MAX_TOKENS
    parser.add_argument(
        "--max-tokens",
        type=int,
        help=f"tokens a batch (default: {on_cpu} on a CPU, {on_gpu} on a GPU)",
    )
    parser.add_argument(
        "--max-length", type=int, help=f"longer texts are cut (default: {MAX_LENGTH} tokens)"
    )
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="read a part of the text, of four 1/4 to 4/4; merge all parts by --merge",
    )


def check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if args.control and not args.source:
        raise LaftError(f"--control {args.control}: give the file of true components by --from")
    if args.seed is not None and args.control != "random-subspace":
        raise LaftError("--seed is that of --control random-subspace")
    named = [name for name in OF_ESTIMATION if getattr(args, name) is not None]
    given = [f"--{name.replace('_', '-')}" for name in named]
    if args.source and (args.merge or given or args.mask_source_tag):
        others = [*given, *(["--merge"] if args.merge else [])]
        raise LaftError(
            f"--from {args.source}: not with {', '.join(others) or '--mask-source-tag'}"
        )
    if args.merge and given:
        raise LaftError(f"--merge takes all of its files; leave {', '.join(given)} out")
    if args.merge and (args.mask_source_tag or args.num_components):
        raise LaftError("--merge takes k and the source's tag from its files; leave the option out")
    if args.num_components is not None and args.num_components < 1:
        raise LaftError(f"--num-components {args.num_components}: at least 1 is needed")
    if args.max_sentences is not None and args.max_sentences < 1:
        raise LaftError(f"--max-sentences {args.max_sentences}: at least 1 is needed")
