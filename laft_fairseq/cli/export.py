"""`laft export`: make a slim checkpoint whole, with all that it needs or as one file, a directory
for Hugging Face's transformers, or a small fp16 backbone out of a pretrained one."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laft_fairseq.errors import LaftError, flag

if TYPE_CHECKING:
    from laft_fairseq.checkpoints.record import Checkpoint

OF_THE_CLOCK = {"metrics", "previous_training_time"}  # of a training's state: differ in equal runs
HELP = "make a slim checkpoint whole"
EPILOG = """\
examples:
  laft export --checkpoint stage2/checkpoint_best.pt --out whole
  laft generate --checkpoint whole --lang fr_XX < in.txt
  laft export --checkpoint stage2/checkpoint_best.pt --out whole.pt
  laft export --checkpoint stage2/checkpoint_best.pt --hugging-face summaries --scores fr.json
  laft export --checkpoint pretrained/checkpoint_last.pt --half --as-backbone --out model.pt
  laft export --checkpoint stage1/checkpoint_best.pt --half --slim --out stage1.pt

A folder (an --out without .pt) gets model.pt, dict.txt, langs.txt, tag-layout.txt, new-langs.txt if
there are any, and sentence.bpe.model: `laft generate` and `hub.load` take it as it is, on any
machine, and `fairseq-generate` as its data folder.

--hugging-face writes what AutoModelForSeq2SeqLM and AutoTokenizer of transformers load: weights as
safetensors, configuration, tokenizer and model card. A system that adds nothing to its backbone,
and LoRA, which is merged, become a plain mBART or M2M-100; the others have their modelling file
beside them and are loaded with trust_remote_code=True.

A slim checkpoint finds its backbone by --backbone, the environment variable LAFT_BACKBONE,
backbone.pt beside it, or the path that it recorded. The result holds weights and options alone:
no optimizer state, so it is for use or as a start, not for resuming.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="C.pt", help="slim or whole")
    add("--backbone", metavar="M.pt", help="where the backbone is")
    add("--half", action="store_true", help="store fp16 weights")
    add(
        "--as-backbone",
        action="store_true",
        help="a pretrained mbart_full as a backbone to ship: its weights and shape alone",
    )
    add(
        "--slim",
        action="store_true",
        help="a slim checkpoint to ship: what was trained or added alone, and no path of this "
        "machine; for --finetune-from-model, or with --backbone",
    )
    add("--data", metavar="DIR",
        help="for a folder: where dict.txt is, if not found as by `laft generate`")  # fmt: skip
    add("--sentencepiece-model", metavar="FILE",
        help="for a folder: the backbone's sentence.bpe.model, likewise")  # fmt: skip
    add("--scores", type=Path, nargs="+", default=[], metavar="JSON",
        help="for --hugging-face: results of `laft score --json` for the model card")  # fmt: skip
    out = parser.add_mutually_exclusive_group(required=True)
    out.add_argument("--out", type=Path, metavar="FOLDER",
        help="folder to write; WHOLE.pt: that file alone")  # fmt: skip
    out.add_argument("--hugging-face", type=Path, metavar="FOLDER",
        help="folder to write, for transformers")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write every tensor of a checkpoint, to a temporary name first."""
    from laft_fairseq import register  # noqa: F401  whose options are checked
    from laft_fairseq.backbone.folder import MODEL, to_fp16
    from laft_fairseq.checkpoints import backbone as backbones
    from laft_fairseq.checkpoints.completion import frozen_tensors
    from laft_fairseq.checkpoints.header import HEADER_KEY
    from laft_fairseq.checkpoints.record import open_checkpoint
    from laft_fairseq.checkpoints.writing import save_torch
    from laft_fairseq.files import check_output, replacing, replacing_folder
    from laft_fairseq.hub.loading import checkpoint_file

    if args.hugging_face is not None:
        return _to_hugging_face(args)
    if args.scores:
        raise LaftError("--scores: are for the model card of --hugging-face")
    is_folder = args.out.is_dir() or (args.out.suffix != ".pt" and not args.out.exists())
    if is_folder:
        _check_folder(args.out)
    else:
        check_output(args.out, args.checkpoint, args.backbone)
        for option in ("data", "sentencepiece_model"):
            if getattr(args, option):
                raise LaftError(f"{flag(option)}: only a folder holds such files")
    checkpoint = open_checkpoint(checkpoint_file(args.checkpoint))
    header, state = checkpoint.header, checkpoint.state
    if header is None:
        raise LaftError(f"{args.checkpoint}: not written by laft_fairseq; nothing to export")
    content = checkpoint.usable_content()
    for name in OF_THE_CLOCK & set(content.get("extra_state") or ()):
        del content["extra_state"][name]
    if args.slim:
        if is_folder or args.as_backbone or header.kind != "slim":
            raise LaftError(f"--slim: {args.checkpoint} has to be slim, and --out a file; without "
                            "--as-backbone")  # fmt: skip
        _leave_out_paths(content["cfg"])
        header.backbone = ""
    elif header.kind == "slim":
        path = checkpoint.path
        backbone = backbones.find(args.backbone, path, header.backbone, header.fingerprint)
        state.update(frozen_tensors(header, backbone.state, path))
    vocabulary = _vocabulary(checkpoint, args) if is_folder else {}
    if args.half:
        state = to_fp16(state, args.checkpoint)
    if not args.slim:
        header.kind, header.frozen = "whole", []
    # The rest is small, and fairseq-generate asks for some of it.
    content.pop("last_optimizer_state", None)
    if args.as_backbone:  # a plain mBART, whichever system trained it
        content = {"args": _shape(checkpoint)}
        header.method = "mbart_full"
        header.removal = header.fingerprint = header.backbone = ""
    state[HEADER_KEY] = header.to_tensor()
    content["model"] = state
    if is_folder:
        with replacing_folder(args.out) as folder:
            save_torch(content, folder / MODEL)
            for name, text in vocabulary.items():
                (folder / name).write_bytes(text)
    else:
        with replacing(args.out) as partial:
            save_torch(content, partial)
    size = (args.out / MODEL if is_folder else args.out).stat().st_size / 1e6
    print(f"wrote {args.out}: {len(state) - 1} tensors, {size:.1f} MB, method {header.method}")
    return 0


def _to_hugging_face(args: argparse.Namespace) -> int:
    """Write a directory for transformers: weights, configuration, tokenizer, model card."""
    from laft_fairseq.backbone import hugging_face_export
    from laft_fairseq.backbone.folder import to_fp16
    from laft_fairseq.backbone.model_card import model_card
    from laft_fairseq.baselines.lora import merged_state
    from laft_fairseq.checkpoints.record import open_checkpoint
    from laft_fairseq.files import replacing_folder
    from laft_fairseq.hub.loading import checkpoint_file, load_model
    from laft_fairseq.hub.raw_text import SubwordTokenizer, vocabulary_of

    out = args.hugging_face
    if args.slim or args.as_backbone:
        raise LaftError("--hugging-face: a directory of its own; without --slim and --as-backbone")
    _check_folder(out)
    checkpoint = open_checkpoint(checkpoint_file(args.checkpoint))
    files = vocabulary_of(checkpoint, args.data, args.sentencepiece_model, args.backbone)
    model, task = load_model(checkpoint, str(files.dictionary.parent), backbone=args.backbone)
    SubwordTokenizer(files.sentencepiece, task.dictionary)  # refuses what does not fit
    recorded = checkpoint.options["task"]
    trained = recorded.get("train_langs") or ",".join(model.tags)
    kind = {"laft_generation": "pairs", "laft_denoising": "unlabelled text"}
    lang = trained.split(",")[0]
    state = merged_state(model)
    if args.half:
        state = to_fp16(state, args.checkpoint)
    built = hugging_face_export.build(model, state, task.dictionary, lang)
    card = model_card(
        out.name,
        str(model.options.method),
        model.decoder.adapter_tags() or model.tags,
        f"{kind.get(str(recorded.get('_name')), 'text')} in {trained}",
        task.layout,
        built.config.model_type == "laft_mbart",
        args.scores,
    )
    tokenizer = hugging_face_export.build_tokenizer(
        files.sentencepiece, model, task.dictionary, lang
    )
    with replacing_folder(out) as folder:
        built.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(card, "utf-8")
    size = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    print(f"wrote {out}: {type(built).__name__}, {size:.1f} MB, method {model.options.method}")
    return 0


def _leave_out_paths(groups: dict[str, Any]) -> None:
    """Empty the places of backbone, components and data among a checkpoint's options."""
    for group in groups.values():
        options = vars(group) if isinstance(group, argparse.Namespace) else group
        for name in {"backbone", "language_components", "data"} & set(options or ()):
            options[name] = ""


def _check_folder(out: Path) -> None:
    """Refuse, before any work, a folder that holds something or that cannot be made."""
    from laft_fairseq.files import check_folder_of

    if out.is_dir() and any(out.iterdir()):
        raise LaftError(f"{out}: is there and not empty; name another folder, or remove it")
    check_folder_of(out.absolute())


def _vocabulary(checkpoint: "Checkpoint", args: argparse.Namespace) -> dict[str, bytes]:
    """Return the files of a whole checkpoint's vocabulary by name, checked against its rows."""
    from laft_fairseq.checkpoints.backbone import EMBEDDING
    from laft_fairseq.hub.raw_text import SubwordTokenizer, vocabulary_of
    from laft_fairseq.languages import vocabulary_files as names
    from laft_fairseq.languages.dictionary import backbone_part, load_dictionary

    header = checkpoint.header
    assert header is not None
    found = vocabulary_of(checkpoint, args.data, args.sentencepiece_model, args.backbone)
    dictionary = load_dictionary(found.dictionary.parent, header.langs, header.new_langs)
    SubwordTokenizer(found.sentencepiece, dictionary)  # refuses what does not fit
    entries = len(backbone_part(dictionary))
    rows = len(checkpoint.state[EMBEDDING])
    if rows != entries:
        raise LaftError(
            f"{found.dictionary}: makes {entries} entries with the tags, but {checkpoint.path} has "
            f"{rows}; --data names the folder of its own dict.txt"
        )
    lists = {
        names.LANGS_FILE: header.langs,
        names.LAYOUT_FILE: [header.tag_layout],
        names.NEW_LANGS_FILE: header.new_langs,
    }
    return {
        names.DICTIONARY: found.dictionary.read_bytes(),
        names.SENTENCEPIECE: found.sentencepiece.read_bytes(),
        **{
            name: "".join(f"{entry}\n" for entry in of).encode() for name, of in lists.items() if of
        },
    }


def _shape(checkpoint: "Checkpoint") -> argparse.Namespace:
    """The options of a model's shape and those that no tensor shows; no paths among them."""
    from laft_fairseq.backbone.trimming import OPTIONS
    from laft_fairseq.checkpoints.backbone import is_added
    from laft_fairseq.checkpoints.header import architecture_options
    from laft_fairseq.checkpoints.options import model_options

    added = next((key for key in checkpoint.state if is_added(key)), None)
    if added is not None:
        raise LaftError(
            f"{checkpoint.path}: holds {added}: a trained model, not a plain mBART backbone"
        )
    recorded = vars(model_options(checkpoint.options["model"], checkpoint.path))
    shape = {key: recorded[key] for key in OPTIONS}
    return argparse.Namespace(**(architecture_options(recorded) | shape))
