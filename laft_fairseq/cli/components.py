"""`laft components`: estimate each language's components on a backbone (section 3.1), or merge
files, take fewer or more components from one, or make a control for the mechanism of it."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from laft_fairseq.cli._component_options import MAX_LENGTH, MAX_TOKENS, SPLIT, add_text, check
from laft_fairseq.errors import LaftError

KINDS = ("other-language", "random-subspace")  # component_controls.py
CUSTOMARY = 6  # components, the paper's k
EPILOG = """\
examples:
  laft components --backbone model.pt --data data-bin --langs en_XX,fr_XX \\
      --num-components 6 --out components.safetensors
  laft components --merge en.safetensors fr.safetensors --out components.safetensors
  laft components --from components.safetensors --num-components 2 --out two.safetensors
  laft components --from components.safetensors --control random-subspace --seed 1 \\
      --out random.safetensors

Reads DATA/<tag>/<split>.{bin,idx}, or the source side of pairs where that is absent. Each text is
encoded without noise; only its Gram matrix is kept, so memory does not grow with the text.

The work is shared by processes that torchrun starts, or in shards that are merged afterwards:
  torchrun --nproc_per_node=4 -m laft_fairseq.cli components --backbone model.pt ...
  laft components --shard 1/2 --out one.safetensors ...

--control other-language gives each language the next one's c_L, in the file's order;
random-subspace a random one, times a gain by which s_L has the true one's root mean square norm
over the sentences. Such a file is used like any other, and says what it is.
"""


def add_parser(subparsers: Any) -> None:
    """Add `laft components`."""
    parser = subparsers.add_parser(
        "components",
        help="estimate language components on a backbone, or merge shards",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_text(parser)
    parser.add_argument(
        "--num-components",
        type=int,
        metavar="K",
        help="k (default: 6; with --from that of the file)",
    )
    parser.add_argument(
        "--max-sentences",
        type=int,
        metavar="N",
        help="the first N texts of each language (default: all)",
    )
    parser.add_argument("--merge", nargs="+", metavar="FILE", help="merge these files instead")
    parser.add_argument(
        "--mask-source-tag",
        action="store_true",
        help="show the encoder <mask> in place of the tag, for models with that option",
    )
    parser.add_argument("--from", dest="source", metavar="FILE", help="compute from its statistics")
    parser.add_argument("--control", choices=KINDS, help="with --from: make this control")
    parser.add_argument("--seed", type=int, help="of random-subspace (default 1)")
    parser.add_argument("--cpu", action="store_true", help="do not use a GPU")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="C.safetensors", help="file to write"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Estimate, merge or derive; write the file whole or not at all."""
    from laft_fairseq.components import controls as component_controls
    from laft_fairseq.components import file as components_file
    from laft_fairseq.files import check_output

    check(args)
    check_output(args.out, args.source, args.backbone, *(args.merge or ()))
    if args.control:
        seed = 1 if args.seed is None else args.seed
        component_controls.make(args.source, args.out, args.control, args.num_components, seed)
    elif args.source:
        components_file.derive(args.source, args.out, args.num_components)
    elif args.merge:
        components_file.merge(args.merge, args.out)
    elif not _estimate(args):
        return 0  # another process of this run writes the file
    written = components_file.load(args.out)
    for tag, language in written.languages.items():
        if written.shard is not None:
            print(f"{tag}: n = {language.count}, shard {written.shard}")
            continue
        values = " ".join(f"{value:.1f}" for value in language.singular_values)
        what = "singular values" if written.control is None else "norms of M c"
        print(f"{tag}: n = {language.count}, k = {written.k}, {what} {values}")
    if written.control is not None:
        print(f"a control: {written.control.words}")
        for tag, gains in written.control.gains.items():
            print(f"{tag}: gain " + ", ".join(f"{name} {gain:.3f}" for name, gain in gains.items()))
    print(f"wrote {args.out} (backbone {written.fingerprint})")
    return 0


def _estimate(args: argparse.Namespace) -> bool:
    """Estimate, alone or together with other processes; whether this one has written the file."""
    import torch

    from laft_fairseq.training.launch import connected

    with connected(args.cpu or not torch.cuda.is_available()) as rank:
        return _estimate_connected(args, rank)


def _estimate_connected(args: argparse.Namespace, rank: int) -> bool:
    import torch

    from laft_fairseq.components import file as components_file
    from laft_fairseq.components.schema import Shard
    from laft_fairseq.components.shards import all_reduce_statistics
    from laft_fairseq.hub.loading import load_backbone_model
    from laft_fairseq.languages.tags import NEVER_SEEN, split_tags, unknown
    from laft_fairseq.training import rank_consistency

    tags = split_tags(args.langs)
    given = {"backbone": args.backbone, "data": args.data, "langs": tags}
    for option in (name for name, value in given.items() if not value):
        raise LaftError(f"--{option} is needed, unless files are given to --merge")
    model, dictionary_tags = load_backbone_model(
        args.backbone, args.data, args.dictionary_langs, args.tag_layout, args.new_langs
    )
    for tag in tags:
        if tag not in dictionary_tags:
            said = unknown("--langs", tag, "the dictionary", dictionary_tags)
            raise LaftError(f"{said}; {NEVER_SEEN}")
    if torch.cuda.is_available() and not args.cpu:
        model = model.cuda()
    model.encoder.mask_source_tag = args.mask_source_tag
    dictionary = model.encoder.dictionary
    k, d = args.num_components or CUSTOMARY, model.encoder.embed_tokens.embedding_dim
    if k > d:
        raise LaftError(f"--num-components {k}: {args.backbone} is {d} wide and has no more")
    asked = {"--langs": ",".join(tags), "k": str(k), "the backbone": model.fingerprint}
    if rank_consistency.is_distributed():
        rank_consistency.expect_same(asked, "start all of them with the same options")
    shard = Shard.parse(args.shard) if args.shard else None
    if shard is None:
        _enough(model, dictionary, tags, args, k)
    statistics = {tag: _statistics(model, dictionary, tag, args, shard) for tag in tags}
    for own in statistics.values():
        all_reduce_statistics(own)
    if rank == 0:
        layout = model.encoder.language_tags.layout
        components_file.save(
            args.out, statistics, k, model.fingerprint, args.mask_source_tag, layout, shard
        )
    return rank == 0


def _enough(model: Any, dictionary: Any, tags: list[str], args: argparse.Namespace, k: int) -> None:
    """Refuse too few texts before hours are spent on the others."""
    for tag in tags:
        texts = len(_texts(model, dictionary, tag, args)[1])
        if texts < k:
            raise LaftError(
                f"{args.data}: language {tag}: {texts} sentences are too few for {k} components"
            )


def _statistics(model: Any, dictionary: Any, tag: str, args: argparse.Namespace, shard: Any) -> Any:
    """Stream one language's text through the encoder into its statistics."""
    import torch

    from laft_fairseq.method.language_components import ComponentStatistics
    from laft_fairseq.method.removal import sentence_mean

    device = model.encoder.embed_tokens.weight.device
    statistics = ComponentStatistics.zeros(model.encoder.embed_tokens.embedding_dim, device)
    with torch.inference_mode():
        for tokens in _batches(model, dictionary, tag, args, shard):
            tokens = tokens.to(device)  # (B, T)
            e = model.encoder.forward_backbone(tokens)["encoder_out"][0]  # (T, B, d)
            mask = model.encoder.language_tags.text_mask(tokens)  # (B, T)
            try:
                statistics.update(sentence_mean(e, mask))
            except LaftError as error:
                raise LaftError(f"{args.backbone}: language {tag}: {error}") from None
    return statistics


def _texts(model: Any, dictionary: Any, tag: str, args: argparse.Namespace) -> tuple[Any, Any, str]:
    """The texts of one language, the (n,) sizes of those that are asked for, and their files."""
    import os

    from laft_fairseq.data.tagged_texts import TaggedTexts, load_texts

    prefix = os.path.join(args.data, tag, args.split or SPLIT)
    if not os.path.exists(f"{prefix}.idx") and os.path.exists(f"{prefix}.src-tgt.src.idx"):
        prefix += ".src-tgt.src"
    asked = MAX_LENGTH if args.max_length is None else args.max_length
    limit = min(asked, model.encoder.max_positions())
    tag_id = model.encoder.language_tags.token_ids[model.tags.index(tag)]
    layout = model.encoder.language_tags.layout
    texts = TaggedTexts(load_texts(prefix, dictionary, tag), tag_id, limit, prefix, layout)
    return texts, texts.sizes[: args.max_sentences or len(texts)], prefix


def _batches(
    model: Any, dictionary: Any, tag: str, args: argparse.Namespace, shard: Any
) -> Iterator[Any]:
    """(B, T) token batches of one language, of this process and shard, longest first."""
    import numpy as np
    from fairseq.data import data_utils
    from tqdm import tqdm

    from laft_fairseq.components import shards as component_shards
    from laft_fairseq.training import rank_consistency

    texts, sizes, prefix = _texts(model, dictionary, tag, args)
    count = len(sizes)
    order = np.argsort(sizes, kind="mergesort")[::-1]
    longest = texts.num_tokens(int(order[0]))
    on_gpu = model.encoder.embed_tokens.weight.device.type != "cpu"
    most = max(MAX_TOKENS[on_gpu], longest) if args.max_tokens is None else args.max_tokens
    if most < longest:
        raise LaftError(f"--max-tokens {most}: a text of {prefix} has {longest}")
    batches = data_utils.batch_by_size(order.copy(), texts.num_tokens, max_tokens=most)
    own = component_shards.share(tag, batches, sizes, shard)
    first = rank_consistency.is_rank_zero()
    mine = sum(map(len, own))
    share = "" if mine == count else f"{mine} of "
    shown = first and sys.stderr.isatty()
    progress = tqdm(total=mine, desc=tag, unit="text", disable=not shown)
    if first and not shown:
        print(f"{tag}: {share}{count} texts of {prefix}", file=sys.stderr)
    for batch in own:
        rows = [texts[int(index)] for index in batch]
        yield data_utils.collate_tokens(rows, dictionary.pad(), left_pad=True)
        progress.update(len(rows))
    progress.close()
