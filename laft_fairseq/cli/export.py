"""`laft export`: make a slim checkpoint whole, or a small fp16 backbone out of a pretrained one."""

import argparse
from pathlib import Path
from typing import Any

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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write every tensor, to a temporary name first."""
    import torch

    from laft_fairseq import backbone as backbones
    from laft_fairseq.backbone_folder import halved
    from laft_fairseq.checkpoint_format import HEADER_KEY, pop_header
    from laft_fairseq.cli._files import check_output, replacing
    from laft_fairseq.compat import ORIGIN_KEY, text_tensor
    from laft_fairseq.errors import LaftError

    check_output(args.out, args.checkpoint, args.backbone)
    content = _read(args.checkpoint)
    state = content["model"]
    state[ORIGIN_KEY] = text_tensor(args.checkpoint)
    header, origin = pop_header(state)
    assert header is not None
    if header.kind == "slim":
        found = backbones.find(args.backbone, origin, header.backbone, header.fingerprint)
        for name in header.frozen:
            if name not in found.state:
                raise LaftError(f"{origin}: wants {name} from the backbone: not there")
            state[name] = found.state[name]
    if args.half:
        state = halved(state, args.checkpoint)
    header.kind, header.frozen = "whole", []
    if args.as_backbone:  # a plain mBART, whichever row trained it
        header.method, header.removal, header.fingerprint, header.backbone = (
            "mbart_full",
            "",
            "",
            "",
        )
    state[HEADER_KEY] = header.to_tensor()
    # The rest is small, and fairseq-generate asks for some of it.
    kept = {key: content[key] for key in content if key not in ("model", "last_optimizer_state")}
    whole = kept | {"model": state}
    if args.as_backbone:
        whole = {"args": _shape(args.checkpoint, content, state), "model": state}
    with replacing(args.out) as partial:
        torch.save(whole, partial)
    size = args.out.stat().st_size / 1e6
    print(f"wrote {args.out}: {len(state) - 1} tensors, {size:.1f} MB, method {header.method}")
    return 0


def _read(checkpoint: str) -> dict[str, Any]:
    """What may be used of a checkpoint of ours."""
    from laft_fairseq import register  # noqa: F401  whose options are checked
    from laft_fairseq.checkpoint_format import HEADER_KEY, checked_tensors
    from laft_fairseq.checkpoint_options import cleaned
    from laft_fairseq.compat import read_checkpoint
    from laft_fairseq.errors import LaftError

    content = read_checkpoint(checkpoint)
    if HEADER_KEY not in checked_tensors(content.get("model"), checkpoint):
        raise LaftError(f"{checkpoint}: not written by laft_fairseq; nothing to export")
    return cleaned(content, checkpoint)


def _shape(name: str, content: dict[str, Any], state: dict[str, Any]) -> argparse.Namespace:
    """The shape and what no tensor shows, without paths and other options of the training."""
    from laft_fairseq.backbone import is_added
    from laft_fairseq.checkpoint_format import unseen
    from laft_fairseq.errors import LaftError
    from laft_fairseq.loading import recorded_arguments

    added = next((key for key in state if is_added(key)), None)
    if added is not None:
        raise LaftError(f"{name}: holds {added}: a trained model, not a plain mBART backbone")
    recorded = recorded_arguments(content)
    widths = ("layers", "embed_dim", "ffn_embed_dim", "attention_heads")
    if recorded is None:
        raise LaftError(f"{name}: records no options, so the number of heads is not known")
    names = [f"{side}_{width}" for side in ("encoder", "decoder") for width in widths]
    shape = {key: getattr(recorded, key) for key in ("arch", *names)}
    return argparse.Namespace(**(unseen(vars(recorded)) | shape))
