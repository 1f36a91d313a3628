"""The encoder over the batches of `laft components`, without its statistics."""

from __future__ import annotations

import argparse

import torch

from laft_fairseq.components.estimation import Corpus, batches, read_sentences
from laft_fairseq.hub.loading import load_backbone_model


def main() -> None:
    """`update 0` before the pass, `update 1` after it."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("backbone", "data", "langs"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--max-sentences", type=int, required=True)
    parser.add_argument("--cpu", action="store_true")
    args = parser.parse_args()
    model, _ = load_backbone_model(args.backbone, args.data)
    if not args.cpu:
        model = model.cuda()
    print("update 0", flush=True)
    with torch.inference_mode():
        corpus = Corpus(args.data, max_sentences=args.max_sentences)
        sentences = read_sentences(model, args.langs, corpus)
        for tokens in batches(model, args.langs, sentences, corpus):
            model.encoder.forward_backbone(tokens.to(model.encoder.embed_tokens.weight.device))
    if not args.cpu:
        torch.cuda.synchronize()
    print("update 1", flush=True)


if __name__ == "__main__":
    main()
