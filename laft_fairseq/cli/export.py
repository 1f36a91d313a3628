"""`laft export`: make a slim checkpoint whole, or a small fp16 backbone out of a pretrained one."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from laft_fairseq.checkpoints.record import Checkpoint

EPILOG = """\
examples:
  laft export --checkpoint stage2/checkpoint_best.pt --out whole.pt
  laft export --checkpoint pretrained/checkpoint_last.pt --half --as-backbone --out model.pt

A slim checkpoint finds its backbone by --backbone, the environment variable LAFT_BACKBONE,
backbone.pt beside it, or the path that it recorded. The result holds weights and options alone:
no optimizer state, so it is for use or as a start, not for resuming.
"""


def add_parser(subparsers: Any) -> None:
    """Add `laft export`."""
    parser = subparsers.add_parser(
        "export",
        help="make a slim checkpoint whole",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", required=True, metavar="C.pt", help="slim or whole")
    parser.add_argument("--backbone", metavar="M.pt", help="where the backbone is")
    parser.add_argument("--half", action="store_true", help="store fp16 weights")
    parser.add_argument(
        "--as-backbone",
        action="store_true",
        help="a pretrained mbart_full as a backbone to ship: its weights and shape alone",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="WHOLE.pt", help="file to write")


def run(args: argparse.Namespace) -> int:
    """Write every tensor of a checkpoint, to a temporary name first."""
    import torch

    from laft_fairseq import register  # noqa: F401  whose options are checked
    from laft_fairseq.backbone.folder import to_fp16
    from laft_fairseq.checkpoints import backbone as backbones
    from laft_fairseq.checkpoints.completion import frozen_tensors
    from laft_fairseq.checkpoints.header import HEADER_KEY
    from laft_fairseq.checkpoints.record import open_checkpoint
    from laft_fairseq.errors import LaftError
    from laft_fairseq.files import check_output, replacing

    check_output(args.out, args.checkpoint, args.backbone)
    checkpoint = open_checkpoint(args.checkpoint)
    header, state = checkpoint.header, checkpoint.state
    if header is None:
        raise LaftError(f"{args.checkpoint}: not written by laft_fairseq; nothing to export")
    content = checkpoint.usable_content()
    if header.kind == "slim":
        backbone = backbones.find(
            args.backbone, args.checkpoint, header.backbone, header.fingerprint
        )
        state.update(frozen_tensors(header, backbone.state, args.checkpoint))
    if args.half:
        state = to_fp16(state, args.checkpoint)
    header.kind, header.frozen = "whole", []
    # The rest is small, and fairseq-generate asks for some of it.
    kept = {key: content[key] for key in content if key not in ("model", "last_optimizer_state")}
    if args.as_backbone:  # a plain mBART, whichever system trained it
        kept = {"args": _shape(checkpoint)}
        header.method = "mbart_full"
        header.removal = header.fingerprint = header.backbone = ""
    state[HEADER_KEY] = header.to_tensor()
    with replacing(args.out) as partial:
        torch.save(kept | {"model": state}, partial)
    size = args.out.stat().st_size / 1e6
    print(f"wrote {args.out}: {len(state) - 1} tensors, {size:.1f} MB, method {header.method}")
    return 0


def _shape(checkpoint: "Checkpoint") -> argparse.Namespace:
    """The options of a model's shape and those that no tensor shows; no paths among them."""
    from laft_fairseq.checkpoints.backbone import is_added
    from laft_fairseq.checkpoints.header import architecture_options
    from laft_fairseq.checkpoints.options import model_options
    from laft_fairseq.errors import LaftError

    added = next((key for key in checkpoint.state if is_added(key)), None)
    if added is not None:
        raise LaftError(
            f"{checkpoint.path}: holds {added}: a trained model, not a plain mBART backbone"
        )
    recorded = vars(model_options(checkpoint.options["model"], checkpoint.path))
    widths = ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")
    names = [f"{side}_{width}" for side in ("encoder", "decoder") for width in widths]
    shape = {key: recorded[key] for key in ("arch", *names)}
    return argparse.Namespace(**(architecture_options(recorded) | shape))
