"""Batches of a stage as training makes them, an `update N` line after each."""

from __future__ import annotations

import argparse
import itertools

import laft_fairseq
from laft_fairseq.tasks.laft_denoising import LaftDenoising, LaftDenoisingOptions
from laft_fairseq.tasks.laft_generation import LaftGeneration, LaftGenerationOptions

assert laft_fairseq
STAGES = {
    "denoising": (LaftDenoising, LaftDenoisingOptions, "en_XX,fr_XX"),
    "generation": (LaftGeneration, LaftGenerationOptions, "en_XX"),
}


def main() -> None:
    """Noise, masks and collation, and nothing that reads them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=sorted(STAGES))
    parser.add_argument("data")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--updates", type=int, required=True)
    args = parser.parse_args()
    kind, options, langs = STAGES[args.stage]
    task = kind.setup_task(options(data=args.data, train_langs=langs, seed=1))
    task.load_dataset("train", epoch=1)
    batches = task.get_batch_iterator(
        task.dataset("train"), max_sentences=args.batch, seed=1, num_workers=0
    )
    read = batches.next_epoch_itr()
    print("update 0", flush=True)
    for update, _ in enumerate(itertools.islice(read, args.updates), 1):
        print(f"update {update}", flush=True)


if __name__ == "__main__":
    main()
