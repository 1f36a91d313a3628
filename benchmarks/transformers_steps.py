"""Full finetuning steps of transformers' MBart, as its Trainer takes them, a line each."""

from __future__ import annotations

import argparse

import torch
from transformers import MBartConfig, MBartForConditionalGeneration


def main() -> None:
    """Random tokens in, `update N` out after every step."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("layers", "d", "ffn", "heads", "vocabulary", "batch", "source", "target",
                 "updates"):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--bf16", action="store_true", help="autocast, as the Trainer's --bf16")
    parser.add_argument("--cuda", action="store_true")
    args = parser.parse_args()
    config = MBartConfig(
        vocab_size=args.vocabulary, d_model=args.d, encoder_layers=args.layers,
        decoder_layers=args.layers, encoder_ffn_dim=args.ffn, decoder_ffn_dim=args.ffn,
        encoder_attention_heads=args.heads, decoder_attention_heads=args.heads,
        scale_embedding=True, dropout=0.1, attention_dropout=0.1,
    )  # fmt: skip
    torch.manual_seed(1)
    device = "cuda" if args.cuda else "cpu"
    model = MBartForConditionalGeneration(config).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    for update in range(args.updates):
        source = torch.randint(4, args.vocabulary, (args.batch, args.source), device=device)
        target = torch.randint(4, args.vocabulary, (args.batch, args.target), device=device)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=args.bf16):
            loss = model(input_ids=source, labels=target).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if args.cuda:
            torch.cuda.synchronize()
        print(f"update {update + 1}", flush=True)
    if args.cuda:
        print(f"cuda_peak_bytes {torch.cuda.max_memory_allocated()}", flush=True)


if __name__ == "__main__":
    main()
