"""`laft components`: estimate each language's components on a backbone (section 3.1), or merge."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from laft_fairseq.errors import LaftError

EPILOG = """\
examples:
  laft components --backbone model.pt --data data-bin --langs en_XX,fr_XX \\
      --num-components 6 --out components.safetensors
  laft components --merge en.safetensors fr.safetensors --out components.safetensors

Reads DATA/<tag>/<split>.{bin,idx}, or the source side of pairs where that is absent. Each text is
encoded without noise; only its Gram matrix is kept, so memory does not grow with the text.
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
    parser.add_argument("--backbone", metavar="M.pt", help="pretrained mBART")
    parser.add_argument("--data", metavar="DATA-BIN", help="binarised monolingual text")
    parser.add_argument("--langs", metavar="TAGS", help="languages to estimate: en_XX,fr_XX")
    parser.add_argument(
        "--dictionary-langs",
        metavar="TAGS",
        help="the dictionary's tags in order (default: DATA/langs.txt, else cc25)",
    )
    parser.add_argument("--num-components", type=int, default=6, metavar="K", help="k (default 6)")
    parser.add_argument(
        "--max-sentences",
        type=int,
        metavar="N",
        help="the first N texts of each language (default: all)",
    )
    parser.add_argument("--split", default="train", help="which split to read (default: train)")
    parser.add_argument("--max-tokens", type=int, default=8192, help="tokens a batch")
    parser.add_argument("--max-length", type=int, default=512, help="longer texts are cut")
    parser.add_argument("--merge", nargs="+", metavar="FILE", help="merge these files instead")
    parser.add_argument("--cpu", action="store_true", help="do not use a GPU")
    parser.add_argument("--out", required=True, metavar="C.safetensors", help="file to write")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Estimate or merge; write the file whole or not at all."""
    from laft_fairseq import components_file

    if args.merge:
        components_file.merge(args.merge, args.out)
    else:
        _estimate(args)
    written = components_file.load(args.out)
    for tag, language in written.languages.items():
        values = " ".join(f"{value:.1f}" for value in language.singular_values)
        print(f"{tag}: n = {language.count}, k = {written.k}, singular values {values}")
    print(f"wrote {args.out} (backbone {written.fingerprint})")
    return 0


def _estimate(args: argparse.Namespace) -> None:
    import torch

    from laft_fairseq import components_file
    from laft_fairseq.language_tags import load_dictionary, split_tags
    from laft_fairseq.loading import load_backbone_model

    tags = split_tags(args.langs)
    for option in ("backbone", "data", "langs"):
        if not getattr(args, option):
            raise LaftError(f"--{option} is needed, unless files are given to --merge")
    model, dictionary_tags = load_backbone_model(args.backbone, args.data, args.dictionary_langs)
    for tag in tags:
        if tag not in dictionary_tags:
            raise LaftError(
                f"--langs: unknown language {tag}; the dictionary has {', '.join(dictionary_tags)}"
            )
    if torch.cuda.is_available() and not args.cpu:
        model = model.cuda()
    dictionary = load_dictionary(args.data, dictionary_tags)
    statistics = {tag: _statistics(model, dictionary, tag, args) for tag in tags}
    components_file.save(args.out, statistics, args.num_components, model.fingerprint)


def _statistics(model: Any, dictionary: Any, tag: str, args: argparse.Namespace) -> Any:
    """Stream one language's text through the encoder into its statistics."""
    import torch

    from laft_fairseq.language_components import ComponentStatistics, sentence_mean

    device = model.encoder.embed_tokens.weight.device
    statistics = ComponentStatistics.zeros(model.encoder.embed_tokens.embedding_dim, device)
    with torch.inference_mode():
        for tokens in _batches(model, dictionary, tag, args):
            tokens = tokens.to(device)  # (B, T)
            e = model.encoder.forward_backbone(tokens)["encoder_out"][0]  # (T, B, d)
            mask = model.encoder.language_tags.text_mask(tokens)  # (B, T)
            try:
                statistics.update(sentence_mean(e, mask))
            except LaftError as error:
                raise LaftError(f"{args.backbone}: language {tag}: {error}") from None
    return statistics


def _batches(model: Any, dictionary: Any, tag: str, args: argparse.Namespace) -> Iterator[Any]:
    """(B, T) token batches of one language, longest first, with progress."""
    import os

    import numpy as np
    from fairseq.data import data_utils
    from tqdm import tqdm

    from laft_fairseq.tasks.text_data import TaggedTexts, load_texts

    prefix = os.path.join(args.data, tag, args.split)
    if not os.path.exists(f"{prefix}.idx") and os.path.exists(f"{prefix}.src-tgt.src.idx"):
        prefix += ".src-tgt.src"
    limit = min(args.max_length, model.encoder.max_positions())
    tag_id = model.encoder.language_tags.token_ids[model.tags.index(tag)]
    texts = TaggedTexts(load_texts(prefix, dictionary, tag), tag_id, limit, prefix)
    count = min(len(texts), args.max_sentences or len(texts))
    order = np.argsort(texts.sizes[:count], kind="mergesort")[::-1]
    batches = data_utils.batch_by_size(order.copy(), texts.num_tokens, max_tokens=args.max_tokens)
    progress = tqdm(total=count, desc=tag, unit="text", disable=not sys.stderr.isatty())
    if not sys.stderr.isatty():
        print(f"{tag}: {count} texts of {prefix}", file=sys.stderr)
    for batch in batches:
        rows = [texts[int(index)] for index in batch]
        yield data_utils.collate_tokens(rows, dictionary.pad(), left_pad=True)
        progress.update(len(rows))
    progress.close()
