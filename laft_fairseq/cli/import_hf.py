"""`laft import-hf`: a Hugging Face mBART, M2M-100 or NLLB-200 -> a backbone folder."""

import argparse
import sys
from pathlib import Path

HELP = "make a backbone of a Hugging Face mBART, M2M-100 or NLLB-200"
EPILOG = """\
example:
  laft import-hf mbart-large-cc25 backbone
  preprocess/binarize.sh mono --backbone backbone --lang fr_XX --out data-bin --train fr.txt
  laft components --backbone backbone/model.pt --data data-bin --langs fr_XX --out c.safetensors
  laft import-hf facebook/nllb-200-distilled-600M nllb

transformers reads DIR: pip install 'laft_fairseq[hf]'. It holds config.json, the tokenizer's files
with sentencepiece.bpe.model, and model.safetensors or pytorch_model.bin (also in shards), as
facebook/mbart-large-cc25, mbart-large-50, m2m100_418M, nllb-200-distilled-600M and models
fine-tuned from them do. What is no directory is downloaded, safetensors only. M2M-100's __fr__ is
fr_XX here. OUT-DIR gets model.pt, dict.txt, sentence.bpe.model, langs.txt and tag-layout.txt; it
appears whole or not at all. Tensors keep the precision they are stored in, unless --half is given.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("folder", metavar="DIR", help="the Hugging Face directory, or a name on the Hub")
    add("out", metavar="OUT-DIR", type=Path, help="the backbone folder to write")
    add("--revision", metavar="R", help="branch, tag or commit to download (default: main)")
    add("--half", action="store_true", help="store fp16 weights")
    add("--langs", metavar="TAGS",
        help="languages in the order of their rows, where DIR's tokenizer has none")  # fmt: skip
    add("--tag-layout", choices=("suffix", "prefix"),
        help="where the tag stands, where DIR does not tell: X </s> [l] or [l] X </s>")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Convert the directory, check it, write the backbone folder; return the exit state."""
    from laft_fairseq.backbone.download import find_directory

    folder, commit = find_directory(args.folder, args.revision)

    from laft_fairseq.backbone import hugging_face, hugging_face_vocabulary
    from laft_fairseq.backbone.folder import BackboneFolder, footprint, to_fp16
    from laft_fairseq.checkpoints.backbone import EMBEDDING
    from laft_fairseq.languages.tags import split_tags

    if commit:
        print(f"downloaded {args.folder}, revision {commit}", file=sys.stderr, flush=True)
    config = hugging_face.read_config(folder)
    langs = split_tags(args.langs, "--langs")
    vocabulary = hugging_face_vocabulary.read(folder, config, langs, args.tag_layout)
    tags, layout = vocabulary.tags, vocabulary.layout
    if vocabulary.remark:
        print(f"{folder}: {vocabulary.remark}", file=sys.stderr)
    print(f"reading {folder}", file=sys.stderr, flush=True)
    model = hugging_face.read_model(folder, config)
    state = hugging_face.converted(model, folder, vocabulary.rows)
    if args.half:
        state = to_fp16(state, folder)
    options = hugging_face.arguments(config, tags, layout.value)
    backbone = BackboneFolder(
        state, options, vocabulary.sentencepiece, vocabulary.subwords, tags, layout
    )
    numbers, size, precision = footprint(state)
    made = (
        f"{numbers / 1e6:.1f} M parameters, {precision}, {len(state[EMBEDDING])} entries, "
        f"{len(tags)} languages, tag layout {layout}"
    )
    print(f"writing {args.out} ({size / 1e6:,.0f} MB): {made}", file=sys.stderr, flush=True)
    written = backbone.write(args.out)
    needs = "; train with --arch laft_m2m"
    if options.arch != "laft_m2m":
        activation = options.activation_fn
        needs = "" if activation == "gelu" else f"; train with --activation-fn {activation}"
    print(f"{'wrote' if written else 'already there:'} {args.out}: {made}{needs}")
    print(f"fingerprint {backbone.fingerprint}")
    return 0
