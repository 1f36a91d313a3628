"""`laft import-hf`: a Hugging Face mBART directory -> a backbone folder."""

import argparse
import sys
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError

EPILOG = """\
example:
  laft import-hf mbart-large-cc25 backbone
  preprocess/binarize.sh mono --backbone backbone --lang fr_XX --out data-bin --train fr.txt
  laft components --backbone backbone/model.pt --data data-bin --langs fr_XX --out c.safetensors

DIR holds config.json, sentencepiece.bpe.model and model.safetensors or pytorch_model.bin (also in
shards), as facebook/mbart-large-cc25, facebook/mbart-large-50 and what was fine-tuned from them
do. OUT-DIR gets model.pt, dict.txt, sentence.bpe.model, langs.txt and tag-layout.txt; it appears
whole or not at all. Tensors keep the precision they are stored in, unless --half is given.
"""


def add_parser(subparsers: Any) -> None:
    """Add `laft import-hf`."""
    parser = subparsers.add_parser(
        "import-hf",
        help="make a backbone of a Hugging Face mBART",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="the Hugging Face directory")
    parser.add_argument("out", metavar="OUT-DIR", type=Path, help="the backbone folder to write")
    parser.add_argument("--half", action="store_true", help="store fp16 weights")
    parser.add_argument(
        "--langs",
        metavar="TAGS",
        help="the languages in the order of their rows, where no file in DIR tells them",
    )
    parser.add_argument(
        "--tag-layout",
        choices=("suffix", "prefix"),
        help="where the tag stands, where DIR does not tell: X </s> [l] or [l] X </s>",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert, check, write; say what came out."""
    from laft_fairseq.backbone import folder as backbone_folder
    from laft_fairseq.backbone import hugging_face, hugging_face_vocabulary
    from laft_fairseq.languages.tags import split_tags

    if not args.folder.is_dir():
        raise LaftError(f"{args.folder}: no such directory; give a downloaded Hugging Face model")
    config = hugging_face.read_config(args.folder)
    vocabulary = hugging_face_vocabulary.read(
        args.folder,
        config["vocab_size"],
        config.get("tokenizer_class"),
        split_tags(args.langs),
        args.tag_layout,
    )
    _say(f"{args.folder}: {len(vocabulary.pieces)} pieces, {len(vocabulary.tags)} languages")
    state = hugging_face.read_state(args.folder, config)
    if args.half:
        state = backbone_folder.to_fp16(state, args.folder)
    options = hugging_face.arguments(config, vocabulary.tags, vocabulary.layout.value)
    made = backbone_folder.BackboneFolder(
        state,
        options,
        (args.folder / hugging_face_vocabulary.MODEL).read_bytes(),
        vocabulary.pieces,
        vocabulary.tags,
        vocabulary.layout,
    )
    _say(f"{made.parameters / 1e6:.1f} M parameters; computing their fingerprint")
    fingerprint = made.fingerprint
    _say(f"writing {args.out} ({made.size / 1e6:,.0f} MB), unless it is there already")
    written = made.write(args.out)
    print(f"{'wrote' if written else 'already there:'} {args.out}: {_said(made)}")
    print(f"fingerprint {fingerprint}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _said(made: Any) -> str:
    """One line about the result, with what training on it needs."""
    activation = made.options.activation_fn
    needs = "" if activation == "gelu" else f"; train with --activation-fn {activation}"
    return (
        f"{made.parameters / 1e6:.1f} M parameters, {made.precision}, {made.rows} entries, "
        f"{len(made.tags)} languages, tag layout {made.layout}{needs}"
    )
