#!/usr/bin/env python
"""What fewer pieces save: a full finetuning step and a step of beam search, random weights.

    python benchmarks/trim.py --shape mini --entries 12006 6000
    python benchmarks/trim.py --shape large --entries 250027 60000

At the large shape weights, gradients and Adam's states alone are 9.8 GB with all entries.

Each vocabulary is measured in a process of its own; the first is what the others are divided by.
A finetuning step is forward, cross-entropy, backward and Adam over all parameters; a search step is
the decoder's next token for batch x beam rows, log-probabilities of the vocabulary and their best.
Seconds of processors (cpu_s, all threads together) hold on a busy machine too; peaks are of the
process so far.
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.shapes import SHAPES, Shape  # noqa: E402

LANGS = ["en_XX", "fr_XX", "zh_CN"]
BEAM = 5


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mini")
    parser.add_argument("--entries", type=int, nargs="+", default=[250_027, 60_000],
                        help="of the dictionary, tags and <mask> included")  # fmt: skip
    parser.add_argument("--steps", type=int, default=8, help="of each kind; two more warm up")
    parser.add_argument("--repeats", type=int, default=3, help="of each vocabulary, in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write all numbers there")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def build(shape: Shape, entries: int) -> Any:
    """A model of random weights over a dictionary of that many entries."""
    import torch
    from fairseq.data import Dictionary
    from fairseq.models import ARCH_CONFIG_REGISTRY

    import laft_fairseq
    from laft_fairseq.models.laft_mbart import LAFTMBart
    from laft_fairseq.tasks.laft_generation import LaftGeneration, LaftGenerationOptions

    assert laft_fairseq
    args = argparse.Namespace(
        task="laft_generation", method="mbart_full", max_source_positions=1024,
        max_target_positions=1024,
    )  # fmt: skip
    ARCH_CONFIG_REGISTRY[shape.arch](args)
    dictionary = Dictionary()
    tags = [*(f"[{tag}]" for tag in LANGS), "<mask>"]
    for entry in [*map(str, range(entries - len(dictionary) - len(tags))), *tags]:
        dictionary.add_symbol(entry)
    assert len(dictionary) == entries
    torch.manual_seed(1)
    return LAFTMBart.build_model(
        args, LaftGeneration(LaftGenerationOptions(data=""), dictionary, LANGS)
    )


def timed(step: Callable[[], None], steps: int) -> tuple[float, float]:
    """Median seconds of a step, by the clock and of processors, after two that warm up."""
    clock, processors = [], []
    for _ in range(steps + 2):
        start, own = time.monotonic(), time.process_time()
        step()
        clock.append(time.monotonic() - start)
        processors.append(time.process_time() - own)
    return statistics.median(clock[2:]), statistics.median(processors[2:])


def measure(shape: Shape, entries: int, steps: int, threads: int) -> dict[str, float]:
    """Both kinds of step of one vocabulary, in this process."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    model = build(shape, entries)
    tag = entries - 2  # of the last language
    source = torch.randint(4, entries - 4, (shape.batch, shape.source))  # (B, S)
    target = torch.randint(4, entries - 4, (shape.batch, shape.target))  # (B, T)
    source[:, -1] = target[:, 0] = tag
    lengths = torch.full((shape.batch,), shape.source)

    with torch.no_grad():
        encoded = model.eval().encoder(source.repeat_interleave(BEAM, 0), lengths)

    def search() -> None:
        with torch.no_grad():
            written: Any = torch.full((shape.batch * BEAM, 1), tag)
            state: dict[str, Any] = {}
            for _ in range(shape.target):
                logits, _ = model.decoder(written, encoded, incremental_state=state)
                best = logits[:, -1].log_softmax(-1).topk(2 * BEAM).indices[:, :1]  # (rows, 1)
                written = torch.cat([written, best.clamp(4, entries - 5)], dim=1)

    searched = [seconds / shape.target for seconds in timed(search, 3)]
    after_search = peak()
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)

    def finetune() -> None:
        logits, _ = model(source, lengths, target)
        functional.cross_entropy(logits.flatten(0, 1), target.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()

    finetuned = timed(finetune, steps)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "finetuning_s": finetuned[0],
        "finetuning_cpu_s": finetuned[1],
        "search_s": searched[0],
        "search_cpu_s": searched[1],
        "search_peak_mb": after_search,
        "finetuning_peak_mb": peak(),
    }


def peak() -> float:
    """The process's largest resident set so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure each vocabulary in turn, several times; print a table."""
    args = parse()
    shape = SHAPES[args.shape]
    if args.one:
        print(json.dumps(measure(shape, args.entries[0], args.steps, args.threads)))
        return
    runs: dict[int, list[dict[str, float]]] = {entries: [] for entries in args.entries}
    for _ in range(args.repeats):
        for entries in args.entries:
            command = [sys.executable, __file__, "--one", "--shape", args.shape, "--entries",
                       str(entries), "--steps", str(args.steps), "--threads",
                       str(args.threads)]  # fmt: skip
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            runs[entries].append(json.loads(done.stdout.splitlines()[-1]))
    found = {
        entries: {name: statistics.median(run[name] for run in of) for name in of[0]}
        for entries, of in runs.items()
    }
    first = found[args.entries[0]]
    print("| entries | " + " | ".join(first) + " |\n|" + "---|" * (len(first) + 1))
    for entries, row in found.items():
        cells = (f"{value:,.4g} ({value / first[name]:.2f})" for name, value in row.items())
        print(f"| {entries:,} | " + " | ".join(cells) + " |")
    if args.json is not None:
        said = {"command": shlex.join(["python", *sys.argv]), "runs": runs}
        args.json.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
