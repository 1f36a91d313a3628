"""Training and encoding programs that the benchmarks time; each prints a line after every step.

python -m benchmarks.steps transformers   updates of transformers' MBart, as its Trainer does them
python -m benchmarks.steps encoder        the encoder over the batches of `laft components`
python -m benchmarks.steps fairseq-train  fairseq-train, then its peak memory on the GPU
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.shapes import LENGTHS, SHAPES

PAD = 1


def add_step_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a model's shape, of a batch and of the number of steps."""
    parser.add_argument("--shape", choices=sorted(SHAPES), required=True)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--updates", type=int, required=True)
    parser.add_argument("--cuda", action="store_true")


def print_cuda_peak() -> None:
    """Print the peak of what was allocated on the GPU."""
    print(f"cuda_peak_bytes {torch.cuda.max_memory_allocated()}", flush=True)


def batches(lengths: np.ndarray, args: argparse.Namespace) -> list[list[int]]:
    """Returns item numbers in fairseq-train's batches for (2, items) lengths, shuffled.

    Items of similar lengths are together; a batch has --batch-size items or --max-tokens tokens.
    """
    from fairseq.data.data_utils import batch_by_size

    order, longest = np.lexsort(lengths[::-1]), lengths.max(0)  # by source, then by target
    ready = batch_by_size(order, None, longest[order], args.max_tokens, args.batch_size, 8)
    return [ready[index].tolist() for index in np.random.default_rng(1).permutation(len(ready))]


def random_rows(
    lengths: Sequence[int], entries: int, generator: torch.Generator | None = None
) -> Tensor:
    """Returns (B, T) random tokens: rows of these lengths, padded at the right."""
    rows = [torch.randint(4, entries, (length,), generator=generator) for length in lengths]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def transformers(arguments: Sequence[str]) -> None:
    """Train on random tokens, in batches of similar lengths; print `update N` after each."""
    parser = argparse.ArgumentParser()
    add_step_options(parser)
    parser.add_argument("--data", type=Path, required=True, help="folder that has the lengths")
    parser.add_argument("--bf16", action="store_true", help="autocast, as the Trainer's --bf16")
    args = parser.parse_args(arguments)
    shape = SHAPES[args.shape]
    torch.manual_seed(1)
    device = "cuda" if args.cuda else "cpu"
    entries = shape.subwords + 4
    model = shape.hugging_face(entries).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    lengths = np.load(args.data / LENGTHS)
    chosen_items = islice(cycle(batches(lengths, args)), args.updates)
    for update, chosen in enumerate(chosen_items):
        source, target = (random_rows(side[chosen], entries).to(device) for side in lengths)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=args.bf16):
            loss = model(
                input_ids=source, attention_mask=source.ne(PAD),
                labels=target.masked_fill(target.eq(PAD), -100),
            ).loss  # fmt: skip
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if args.cuda:
            torch.cuda.synchronize()
        print(f"update {update + 1}", flush=True)
    if args.cuda:
        print_cuda_peak()


def encoder(arguments: Sequence[str]) -> None:
    """Encode without statistics; print `update 0` before the pass, `update 1` after it."""
    from laft_fairseq.components.estimation import Corpus, batches, read_sentences
    from laft_fairseq.hub.loading import load_backbone_model

    parser = argparse.ArgumentParser()
    for name in ("backbone", "data", "langs"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--max-sentences", type=int, required=True)
    parser.add_argument("--cpu", action="store_true")
    args = parser.parse_args(arguments)
    corpus = Corpus(args.data, max_sentences=args.max_sentences)
    device = "cpu" if args.cpu else "cuda"
    model, _ = load_backbone_model(args.backbone, args.data)
    model = model.to(device)
    print("update 0", flush=True)
    with torch.inference_mode():
        sentences = read_sentences(model, args.langs, corpus)
        for tokens in batches(model, args.langs, sentences, corpus):
            model.encoder.forward_backbone(tokens.to(device))
    if not args.cpu:
        torch.cuda.synchronize()
    print("update 1", flush=True)


def fairseq_train(arguments: Sequence[str]) -> None:
    """Run fairseq-train; print the peak over all its updates, as it resets CUDA's after each."""
    from fairseq_cli.train import cli_main

    peaks = [0]
    reset_peak = torch.cuda.reset_peak_memory_stats

    def keep_and_reset(*device: object) -> None:
        peaks.append(torch.cuda.max_memory_allocated())
        reset_peak(*device)

    torch.cuda.reset_peak_memory_stats = keep_and_reset
    sys.argv = ["fairseq-train", *arguments]
    cli_main()
    print(f"cuda_peak_bytes {max(*peaks, torch.cuda.max_memory_allocated())}", flush=True)


if __name__ == "__main__":
    program = {"transformers": transformers, "encoder": encoder, "fairseq-train": fairseq_train}
    program[sys.argv[1]](sys.argv[2:])
