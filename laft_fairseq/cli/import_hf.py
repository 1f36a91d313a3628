"""`laft import-hf`: a Hugging Face mBART directory -> a backbone folder."""

import argparse
import sys
from pathlib import Path
from typing import Any

EPILOG = """\
example:
  laft import-hf mbart-large-cc25 backbone
  preprocess/binarize.sh mono --backbone backbone --lang fr_XX --out data-bin --train fr.txt
  laft components --backbone backbone/model.pt --data data-bin --langs fr_XX --out c.safetensors

transformers reads DIR: pip install 'laft_fairseq[hf]'. It holds config.json,
sentencepiece.bpe.model and model.safetensors or pytorch_model.bin (also in shards), as
facebook/mbart-large-cc25, facebook/mbart-large-50 and models fine-tuned from them do. OUT-DIR
gets model.pt, dict.txt, sentence.bpe.model, langs.txt and tag-layout.txt; it appears whole or not
at all. Tensors keep the precision they are stored in, unless --half is given.
"""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand `import-hf`."""
    parser = subparsers.add_parser(
        "import-hf",
        help="make a backbone of a Hugging Face mBART",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", metavar="DIR", type=Path, help="the Hugging Face directory")
    add("out", metavar="OUT-DIR", type=Path, help="the backbone folder to write")
    add("--half", action="store_true", help="store fp16 weights")
    add("--langs", metavar="TAGS",
        help="languages in the order of their rows, where DIR's tokenizer has none")  # fmt: skip
    add("--tag-layout", choices=("suffix", "prefix"),
        help="where the tag stands, where DIR does not tell: X </s> [l] or [l] X </s>")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Convert the directory, check it, write the backbone folder; return the exit state."""
    from laft_fairseq.files import check_exists

    check_exists(args.folder, "no such directory; give a downloaded Hugging Face model")

    from laft_fairseq.backbone import hugging_face, hugging_face_vocabulary
    from laft_fairseq.backbone.folder import BackboneFolder, footprint, to_fp16
    from laft_fairseq.languages.tags import split_tags

    config = hugging_face.read_config(args.folder)
    langs = split_tags(args.langs, "--langs")
    subwords, tags, layout = hugging_face_vocabulary.read(
        args.folder, config, langs, args.tag_layout
    )
    print(f"reading {args.folder}", file=sys.stderr, flush=True)
    state = hugging_face.converted(hugging_face.read_model(args.folder, config), args.folder)
    if args.half:
        state = to_fp16(state, args.folder)
    options = hugging_face.arguments(config, tags, layout.value)
    sentencepiece = (args.folder / hugging_face_vocabulary.SENTENCEPIECE).read_bytes()
    backbone = BackboneFolder(state, options, sentencepiece, subwords, tags, layout)
    numbers, size, precision = footprint(state)
    made = (
        f"{numbers / 1e6:.1f} M parameters, {precision}, {config.vocab_size} entries, "
        f"{len(tags)} languages, tag layout {layout}"
    )
    print(f"writing {args.out} ({size / 1e6:,.0f} MB): {made}", file=sys.stderr, flush=True)
    written = backbone.write(args.out)
    activation = options.activation_fn
    needs = "" if activation == "gelu" else f"; train with --activation-fn {activation}"
    print(f"{'wrote' if written else 'already there:'} {args.out}: {made}{needs}")
    print(f"fingerprint {backbone.fingerprint}")
    return 0
