"""`laft components`: estimate each language's components on a backbone (section 3.1), or merge
files, take fewer or more components from one, or make an ablation of them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from laft_fairseq.errors import LaftError, flag

if TYPE_CHECKING:
    from laft_fairseq.components.schema import LanguageComponents

ABLATIONS = ("other-language", "random-subspace")  # components/ablations.py
NUM_COMPONENTS = 6  # the paper's k
# What --merge and --from, which take all that their files hold, have no use for.
OF_ESTIMATION = ("backbone", "data", "langs", "new_langs", "tag_layout", "split", "max_tokens",
                 "max_length", "max_sentences", "mask_source_tag")  # fmt: skip
HELP = "estimate language components on a backbone, or merge files"
EPILOG = """\
examples:
  laft components --backbone model.pt --data data-bin --langs en_XX,fr_XX \\
      --num-components 6 --out components.safetensors
  laft components --merge en.safetensors fr.safetensors --out components.safetensors
  laft components --from components.safetensors --num-components 2 --out two.safetensors
  laft components --from components.safetensors --control random-subspace --seed 1 \\
      --out random.safetensors

Reads DATA/<tag>/<split>.{bin,idx}, or the source side of pairs where that is absent. Sentences are
encoded without noise; only their Gram matrix is kept, so memory does not grow with the corpus.

The work is shared by processes that torchrun starts:
  torchrun --nproc_per_node=4 -m laft_fairseq.cli components --backbone model.pt ...

--control makes the file of an ablation. other-language gives each language the next one's c_L, in
the file's order; random-subspace a random one, times a gain by which s_L has the true one's root
mean square norm over the sentences. Such a file is used like any other, and says what it is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--backbone", metavar="M.pt", help="pretrained mBART")
    add("--data", metavar="DATA-BIN", help="binarised monolingual text")
    add("--langs", metavar="TAGS", help="languages to estimate: en_XX,fr_XX")
    add("--new-langs", metavar="TAGS",
        help="languages that the backbone has no tag for (default: DATA/new-langs.txt, else "
        "none)")  # fmt: skip
    add("--tag-layout", choices=("suffix", "prefix"),
        help="where the tag stands (default: DATA/tag-layout.txt, else suffix)")  # fmt: skip
    add("--split", help="which split to read (default: train)")
    add("--max-tokens", type=int, help="tokens a batch (default: 2048 on a CPU, 8192 on a GPU)")
    add("--max-length", type=int, help="longer sentences are cut (default: 512 tokens)")
    add("--max-sentences", type=int, metavar="N",
        help="the first N sentences of each language (default: all)")  # fmt: skip
    add("--num-components", type=int, metavar="K",
        help="k (default: 6; with --from that of the file)")  # fmt: skip
    add("--mask-source-tag", action="store_true",
        help="show the encoder <mask> in place of the tag, for models with that "
        "option")  # fmt: skip
    add("--merge", nargs="+", metavar="FILE", help="merge these files instead")
    add("--from", dest="source", metavar="FILE", help="compute from its statistics")
    add("--control", choices=ABLATIONS, help="with --from: make this ablation")
    add("--seed", type=int, help="of random-subspace (default: 1)")
    add("--cpu", action="store_true", help="do not use a GPU")
    add("--out", required=True, type=Path, metavar="C.safetensors", help="file to write")


def run(args: argparse.Namespace) -> int:
    """Estimate, merge or derive; write the file whole or not at all."""
    from laft_fairseq.files import check_exists, check_output

    _check(args)
    check_exists(args.data, "no such data directory")
    check_exists(args.backbone, "no such checkpoint")

    from laft_fairseq.components import ablations
    from laft_fairseq.components import file as components_file

    check_output(args.out, args.source, args.backbone, *(args.merge or ()))
    if args.control:
        seed = 1 if args.seed is None else args.seed
        ablations.make(args.source, args.out, args.control, args.num_components, seed)
    elif args.source:
        components_file.derive(args.source, args.out, args.num_components)
    elif args.merge:
        components_file.merge(args.merge, args.out)
    elif not _estimate(args):
        return 0  # another process of this run writes the file
    _print_summary(components_file.load(args.out))
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if args.control and not args.source:
        raise LaftError(f"--control {args.control}: give the file of true components by --from")
    if args.seed is not None and args.control != "random-subspace":
        raise LaftError("--seed is that of --control random-subspace")
    if args.seed is not None and not 0 <= args.seed < 1 << 63:
        raise LaftError(f"--seed {args.seed}: must be from 0 to {(1 << 63) - 1}")
    if args.merge or args.source:
        option = "--from" if args.source else "--merge"
        unused = (*OF_ESTIMATION, "merge" if args.source else "num_components")
        names = [name for name in unused if getattr(args, name) not in (None, False)]
        if names:
            given = ", ".join(map(flag, names))
            raise LaftError(f"{option} takes all that its files hold; leave {given} out")
    for name in ("num_components", "max_sentences", "max_tokens", "max_length"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise LaftError(f"{flag(name)} {getattr(args, name)}: at least 1 is needed")


def _estimate(args: argparse.Namespace) -> bool:
    """Estimate, alone or together with other processes; return whether this one has written."""
    import torch

    from laft_fairseq.components import file as components_file
    from laft_fairseq.components.estimation import Corpus, estimate
    from laft_fairseq.hub.loading import load_backbone_model
    from laft_fairseq.languages.tags import NEVER_SEEN, split_tags, unknown
    from laft_fairseq.training.launch import connected

    on_cpu = args.cpu or not torch.cuda.is_available()
    tags = split_tags(args.langs, "--langs")
    needed = {"backbone": args.backbone, "data": args.data, "langs": tags}
    for option in (name for name, value in needed.items() if not value):
        raise LaftError(f"--{option} is needed, unless files are given to --merge")
    with connected(on_cpu) as rank:
        model, dictionary_tags = load_backbone_model(
            args.backbone, args.data, layout=args.tag_layout, new_langs=args.new_langs
        )
        for tag in tags:
            if tag not in dictionary_tags:
                reason = unknown("--langs", tag, "the dictionary", dictionary_tags)
                raise LaftError(f"{reason}; {NEVER_SEEN}")
        k, d = args.num_components or NUM_COMPONENTS, model.encoder.embed_tokens.embedding_dim
        if k > d:
            raise LaftError(f"--num-components {k}: {args.backbone} is {d} wide and has no more")
        model = model if on_cpu else model.cuda()
        model.encoder.mask_source_tag = args.mask_source_tag
        names = ("split", "max_length", "max_tokens", "max_sentences")
        options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
        statistics = estimate(model, args.backbone, tags, k, Corpus(args.data, **options))
        if rank == 0:
            layout = model.encoder.language_tags.layout
            components_file.save(
                args.out, statistics, k, model.fingerprint, args.mask_source_tag, layout
            )
    return rank == 0


def _print_summary(file: "LanguageComponents") -> None:
    for tag, language in file.languages.items():
        values = " ".join(f"{value:.1f}" for value in language.singular_values)
        what = "singular values" if file.control is None else "norms of M c"
        print(f"{tag}: n = {language.count}, k = {file.k}, {what} {values}")
    if file.control is not None:
        print(f"an ablation: {file.control.words}")
        for tag, gains in file.control.gains.items():
            print(f"{tag}: gain " + ", ".join(f"{name} {gain:.3f}" for name, gain in gains.items()))
    print(f"wrote {file.path} (backbone {file.fingerprint})")
