"""The encoder over the batches of `laft components`, without its statistics."""

from __future__ import annotations

import argparse

import torch

from laft_fairseq.cli.components import _batches
from laft_fairseq.hub.loading import load_backbone_model


def main() -> None:
    """`update 0` before the pass, `update 1` after it."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("backbone", "data", "langs"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--max-sentences", type=int, required=True)
    parser.add_argument("--cpu", action="store_true")
    parser.set_defaults(split="train", max_tokens=None, max_length=512)
    args = parser.parse_args()
    model, _ = load_backbone_model(args.backbone, args.data)
    if not args.cpu:
        model = model.cuda()
    print("update 0", flush=True)
    with torch.inference_mode():
        for tokens in _batches(model, model.encoder.dictionary, args.langs, args, None):
            model.encoder.forward_backbone(tokens.to(model.encoder.embed_tokens.weight.device))
    if not args.cpu:
        torch.cuda.synchronize()
    print("update 1", flush=True)


if __name__ == "__main__":
    main()
